//! A disk that is really full: the node says so, accepts nothing that it cannot keep, relays on, and
//! goes on once there is space again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, meet, until};
use crate::process::Node;

/// Size of the disk. The logs of both databases, which are laid out ahead, take a part of it.
const MEGABYTES: u32 = 96;
/// Most messages that are sent until there is no space.
const MOST: usize = 600;

/// Takes all the space there is.
fn fill(disk: &Path) -> std::path::PathBuf {
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).expect("made");
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    ballast
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let store = Node::start(folders[0].path(), &["--store=true".to_owned()], None);
    let peer = format!("--storenode={}", store.address());
    let Some(node) = Node::start_on_disk(folders[1].path(), &[peer], MEGABYTES) else {
        // a CI machine can mount, so there it is a fault
        assert!(std::env::var_os("CI").is_none(), "no file system can be mounted here");
        println!("skipped: this machine lets nobody mount a file system (unshare --mount)");
        return;
    };
    // it hears of the store only through the node with the full disk
    let behind = [format!("--staticnode={}", node.address())];
    let behind = Node::start(folders[2].path(), &behind, None);
    let (there, full, far) = (Client::of(&store), Client::of(&node), Client::of(&behind));
    let group = meet(&full, &there, "Full");
    let card = far.post("/accounts", json!({})).expect("an account")["card"].clone();
    full.invite(&group, &card);
    far.join(&group);

    let ballast = fill(node.dir());
    let path = format!("/chat/v1/groups/{group}/messages");
    let mut accepted = BTreeMap::new();
    let refused = (0..MOST).find_map(|n| {
        let text = format!("{n} {}", "x".repeat(100_000));
        let (status, answer) = full.ask("POST", &path, Some(&json!({ "text": text }).to_string()));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        match status {
            201 => {
                let number = answer["id"]["number"].as_u64().expect("a number");
                assert_eq!(accepted.insert(number, text), None, "number {number} came twice");
                None
            }
            // as many as may wait
            429 => None,
            _ => Some((status, answer)),
        }
    });
    let (status, answer) = refused.expect("the disk is full in the end");
    let detail = answer["detail"].as_str().expect("a text");
    let at = folders[1].path().join("chat");
    let told =
        |text: &str| text.contains("the disk is full at") && text.contains("free some space");
    assert_eq!((status, &answer["code"]), (503, &json!("database")));
    assert!(told(detail) && detail.contains(&at.display().to_string()), "{detail}");
    let (status, chat) = full.health();
    assert!(status == 503 && told(chat["desc"].as_str().expect("why")), "{chat}");

    // what others say still passes through it
    there.send(&group, "do you hear me?");
    far.reads(&group, "do you hear me?");
    until("what cannot be archived is told", || {
        there.send(&group, &"y".repeat(60_000));
        let (_, text) = full.ask("GET", "/health", None);
        text.contains("Archive")
            && text.contains(&folders[1].path().join("archive").display().to_string())
    });

    fs::remove_file(ballast).expect("its own file");
    until("it is ready again", || full.ask("GET", "/health", None).0 == 200);
    let answer = full.post(&format!("/groups/{group}/messages"), json!({ "text": "after" }));
    let id = answer.expect("accepted")["id"].clone();
    let number = id["number"].as_u64().expect("a number");
    assert_eq!(accepted.insert(number, "after".to_owned()), None, "number {number} came twice");
    full.reads(&group, "do you hear me?");
    let numbers: Vec<u64> = accepted.keys().copied().collect();
    assert_eq!(numbers, (1..=number).collect::<Vec<_>>(), "no number is left out");
    let own = id["installation"].clone();
    let held = |client: &Client| -> BTreeMap<u64, String> {
        let (mut held, mut query) = (BTreeMap::new(), String::new());
        loop {
            let page = client.get(&format!("/groups/{group}/messages{query}"));
            for m in page["messages"].as_array().expect("a list") {
                if m["id"]["installation"] == own {
                    let text = m["text"].as_str().expect("a text").to_owned();
                    held.insert(m["id"]["number"].as_u64().expect("a number"), text);
                }
            }
            match &page["next"] {
                Value::Null => return held,
                next => {
                    query =
                        format!("?after={}", next.as_str().map_or(next.to_string(), str::to_owned))
                }
            }
        }
    };
    until("everything accepted is at the others", || {
        [&there, &far].iter().all(|client| held(client) == accepted)
    });
    assert_eq!(held(&full), accepted);
    println!("{} messages until the disk was full", accepted.len() - 1);
}
