//! A second device: it gets what was said before it came, and what is read at one is read at both.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, meet, until};
use crate::process::Node;
use crate::watch::run;

/// Messages that are there before the second device is.
const BEFORE: usize = 40;

/// A node without an account.
fn node(options: &[String]) -> (Node, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (Node::start(folder.path(), options, None), folder)
}

/// Standard output of a command that must succeed.
fn good(node: &Node, args: &[&str]) -> String {
    let (out, err) = run(node, args, true);
    assert_eq!(err, "", "{args:?}");
    out
}

/// Standard output of a command that must succeed, as JSON.
fn answer(node: &Node, args: &[&str]) -> Value {
    serde_json::from_str(&good(node, &[args, &["--json"]].concat())).expect("JSON")
}

/// Links `new` to the account at `first`.
fn link(first: &Node, new: &Node) {
    let request = answer(new, &["account", "link-request"]);
    let request = request["request"].as_str().expect("a request");
    good(first, &["account", "link-accept", request, "--wait", "--timeout=60"]);
    let chat = Client::of(new);
    until("the new one shows digits", || chat.get("/installations/link")["digits"].is_string());
    let link = chat.get("/installations/link");
    let digits = link["digits"].as_str().expect("digits").replace(' ', "-");
    for node in [first, new] {
        good(node, &["account", "link-confirm", &digits]);
    }
    until("it is in the account", || {
        let all = chat.get("/installations");
        all["installations"].as_array().is_some_and(|list| list.len() == 2)
    });
}

fn texts(chat: &Client, group: &str) -> Vec<Value> {
    let page = chat.get(&format!("/groups/{group}/messages?limit=200"));
    let all = page["messages"].as_array().expect("a list").clone();
    all.into_iter().map(|m| json!([m["account"], m["id"], m["text"], m["time"]])).collect()
}

#[test]
fn a_second_device_has_what_was_said_before_and_what_was_read() {
    let (alice, _alice) = node(&["--store=true".to_owned()]);
    let peer = format!("--storenode={}", alice.address());
    let (bob, _bob) = node(std::slice::from_ref(&peer));
    let (hers, his) = (Client::of(&alice), Client::of(&bob));
    let group = meet(&hers, &his, "Lunch");
    for number in 1..=BEFORE {
        his.send(&group, &format!("number {number}"));
    }
    hers.reads(&group, &format!("number {BEFORE}"));
    until("all of them are there", || texts(&hers, &group).len() == BEFORE);
    assert_eq!(hers.get(&format!("/groups/{group}"))["unread"], json!(BEFORE));
    let alone = run(&alice, &["history", "ask"], false).1;
    assert!(alone.contains("no other installation"), "{alone}");
    assert!(good(&alice, &["history"]).starts_with("No messages of before were asked for"));

    let (new, _new) = node(std::slice::from_ref(&peer));
    link(&alice, &new);
    let second = Client::of(&new);
    until("it is in the group", || {
        let groups = second.get("/groups");
        groups["groups"].as_array().is_some_and(|list| list.len() == 1)
    });
    let done = good(&new, &["history", "show", "--wait", "--timeout=80"]);
    assert!(done.contains(&format!("{BEFORE} were handed over")), "{done}");
    assert_eq!(texts(&second, &group), texts(&hers, &group));
    let own = hers.get("/accounts")["installation"].clone();
    let page = second.get(&format!("/groups/{group}/messages"));
    for message in page["messages"].as_array().expect("a list") {
        assert_eq!(message["handedBy"], own);
    }
    let view = second.get("/history");
    assert_eq!((&view["state"], &view["from"]), (&json!("done"), &own));
    assert_eq!((&view["messages"], &view["groups"]), (&json!(BEFORE), &json!(1)));
    let events = second.all_events();
    let told: Vec<_> = events.iter().filter(|event| event["type"] == json!("history")).collect();
    assert_eq!(told.last().expect("told")["history"]["state"], json!("done"));
    // what is said now comes from the group
    his.send(&group, "and now");
    second.reads(&group, "and now");

    let shown = good(&new, &["read", "Lunch", "--unread", "--mark"]);
    assert!(shown.contains("number 1\n") && shown.contains("and now"), "{shown}");
    for chat in [&second, &hers] {
        until("it is read", || chat.get(&format!("/groups/{group}"))["unread"] == json!(0));
    }
    let nothing = good(&alice, &["read", "Lunch", "--unread"]);
    assert!(nothing.contains("Nothing unread"), "{nothing}");
    assert!(good(&new, &["history", "decline"]).contains("not asked for"));
}

/// Named, found in the list, revoked: it stops, and its leaf is out of the group.
#[test]
fn a_lost_device_is_revoked_and_stops() {
    let (alice, _alice) = node(&["--store=true".to_owned()]);
    let peer = format!("--storenode={}", alice.address());
    let (bob, _bob) = node(std::slice::from_ref(&peer));
    let (hers, his) = (Client::of(&alice), Client::of(&bob));
    let group = meet(&hers, &his, "Lunch");
    let (phone, _phone) = node(std::slice::from_ref(&peer));
    link(&alice, &phone);
    let lost = Client::of(&phone);
    until("it is in the group", || {
        let groups = lost.get("/groups");
        groups["groups"].as_array().is_some_and(|list| list.len() == 1)
    });
    let id = lost.get("/accounts")["installation"].as_str().expect("an id").to_owned();

    good(&alice, &["account", "label", &id, "phone"]);
    let shown = good(&alice, &["account", "installations"]);
    assert!(shown.contains("phone") && shown.contains(&id[..8]), "{shown}");
    good(&alice, &["account", "revoke", &id]);
    let out = |chat: &Client| {
        let members = chat.get(&format!("/groups/{group}/members"));
        !members.to_string().contains(&id)
    };
    for chat in [&hers, &his] {
        until("its leaf is out", || out(chat));
    }
    until("it learns it", || lost.health().1.to_string().contains("revoked"));
    let refused = run(&phone, &["send", "Lunch", "still?"], false).1;
    assert!(refused.contains("was revoked") && refused.contains("link a new one"), "{refused}");
    his.send(&group, "good riddance");
    hers.reads(&group, "good riddance");
}
