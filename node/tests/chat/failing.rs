//! A chat database that fails one in so many writes of a real node: each failure is told, what was
//! accepted is read by the other, once, and nothing that was said to the node is lost.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::client::{Client, meet, until};
use crate::process::Node;

/// One in so many writes fails.
const ONE_IN: [u64; 5] = [2, 3, 4, 5, 7];
/// Messages in each direction, for each of them.
const MESSAGES: usize = 4;
/// Tries of a command until it is written.
const TRIES: usize = 20;

/// Has a command done, again after each failure; how many there were.
fn insist(client: &Client, method: &str, path: &str, body: &Value) -> (Value, usize) {
    for failures in 0..TRIES {
        let (status, text) =
            client.ask(method, &format!("/chat/v1{path}"), Some(&body.to_string()));
        if status < 300 {
            return (serde_json::from_str(&text).unwrap_or_default(), failures);
        }
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &answer["code"]), (503, &json!("database")), "{path}: {text}");
        let detail = answer["detail"].as_str().expect("a reason");
        assert!(detail.contains("writing a batch"), "{detail}");
    }
    panic!("{path} was never done")
}

/// The texts of one side's messages, by number.
fn said(client: &Client, group: &str, installation: &Value) -> BTreeMap<u64, String> {
    let page = client.get(&format!("/groups/{group}/messages?limit=200"));
    let all = page["messages"].as_array().expect("a list").iter();
    let by = all.filter(|m| m["id"]["installation"] == *installation);
    let number = |m: &Value| m["id"]["number"].as_u64().expect("a number");
    by.map(|m| (number(m), m["text"].as_str().expect("a text").to_owned())).collect()
}

#[test]
fn writes_fail_and_nothing_is_lost() {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let every = folders[1].path().join("every");
    fs::write(&every, "0").expect("written");
    let other = Node::start(folders[0].path(), &["--store=true".to_owned()], None);
    let peer = format!("--storenode={}", other.address());
    let node = Node::start_failing(folders[1].path(), &[peer], &every);
    let (there, failing) = (Client::of(&other), Client::of(&node));
    let group = meet(&failing, &there, "Failing");

    let (mut own, mut heard) = (BTreeMap::new(), Vec::new());
    let (mut installation, mut failures) = (Value::Null, 0);
    for n in ONE_IN {
        fs::write(&every, n.to_string()).expect("written");
        for message in 0..MESSAGES {
            let text = format!("one in {n}, message {message}");
            let path = format!("/groups/{group}/messages");
            let (answer, failed) = insist(&failing, "POST", &path, &json!({ "text": text }));
            failures += failed;
            installation = answer["id"]["installation"].clone();
            let number = answer["id"]["number"].as_u64().expect("a number");
            assert_eq!(own.insert(number, text), None, "number {number} was given twice");
            let text = format!("to one in {n}, message {message}");
            there.send(&group, &text);
            heard.push(text);
        }
        let name = json!({ "name": format!("One in {n}"), "description": "" });
        failures += insist(&failing, "PUT", &format!("/groups/{group}/profile"), &name).1;
        // with writes that go on failing, all of it gets there
        until("the other reads all of it", || said(&there, &group, &installation) == own);
        until("the other has the name", || {
            there.get(&format!("/groups/{group}"))["name"] == name["name"]
        });
        until("it reads what the other says", || {
            let page = failing.get(&format!("/groups/{group}/messages?limit=200"));
            let texts: Vec<_> =
                page["messages"].as_array().expect("a list").iter().map(|m| &m["text"]).collect();
            heard.iter().all(|text| texts.iter().filter(|t| **t == text).count() == 1)
        });
    }
    assert!(failures > 0, "no command failed");
    let numbers: Vec<u64> = own.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "no number is left out");

    // when nothing works, health says so, and when it works again
    fs::write(&every, "1").expect("written");
    let (status, _) = failing.ask(
        "POST",
        &format!("/chat/v1/groups/{group}/messages"),
        Some(&json!({ "text": "lost?" }).to_string()),
    );
    let (health, chat) = failing.health();
    assert_eq!((status, health), (503, 503), "{chat}");
    assert!(
        chat["GroupChat"] != "READY"
            && chat["desc"].as_str().is_some_and(|why| { why.contains("the database fails") }),
        "{chat}"
    );
    fs::write(&every, "0").expect("written");
    until("health is good again", || failing.health().0 == 200);
    assert_eq!(said(&failing, &group, &installation), own, "what was refused is not there");
}
