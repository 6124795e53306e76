//! A node whose clock is off by 30 s, beside two whose clocks are right: it says so, holds what it
//! would publish, and publishes it once its clock is right.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::client::{Client, meet, until};
use crate::process::Node;

#[test]
fn a_clock_that_is_off_is_told_and_holds_publishes() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let first = Node::start(folders[0].path(), &["--store=true".to_owned()], None);
    let peer = format!("--storenode={}", first.address());
    let second = Node::start(folders[1].path(), std::slice::from_ref(&peer), None);
    let set = folders[2].path().join("clock");
    fs::write(&set, "0").expect("written");
    let third = Node::start_by_clock(folders[2].path(), &[peer], &set);
    let (one, two, off) = (Client::of(&first), Client::of(&second), Client::of(&third));
    let group = meet(&one, &two, "Clock");
    let card = off.post("/accounts", json!({})).expect("an account")["card"].clone();
    one.invite(&group, &card);
    off.join(&group);
    // everybody is in before somebody speaks
    until("the second has the third", || {
        two.get(&format!("/groups/{group}"))["installations"] == json!(3)
    });

    for (ahead, words) in [(30, "30 s ahead"), (-30, "30 s behind")] {
        fs::write(&set, ahead.to_string()).expect("written");
        until("the clock is told", || {
            // until two accounts were heard, over the relay
            one.send(&group, &format!("it is now, {ahead}"));
            two.send(&group, &format!("indeed, {ahead}"));
            let (status, chat) = off.health();
            let told = chat["desc"].as_str().is_some_and(|why| {
                // whole seconds, and the way of a message
                why.contains(words) || why.contains(&words.replace("30", "29"))
            });
            told && status == 503
        });
        let health = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"))
            .args(["health", "--node", &format!("http://{}", third.rest())])
            .output()
            .expect("it runs");
        let shown = String::from_utf8_lossy(&health.stdout).into_owned();
        assert!(!health.status.success() && shown.contains("publishes are held"), "{shown}");

        let text = format!("held, {ahead}");
        off.send(&group, &text);
        one.send(&group, &format!("after it, {ahead}"));
        off.reads(&group, &format!("after it, {ahead}"));
        let sent = |client: &Client| {
            let page = client.get(&format!("/groups/{group}/messages"));
            let list = page["messages"].as_array().expect("a list").clone();
            list.into_iter().find(|m| m["text"] == json!(text))
        };
        assert_eq!(sent(&off).expect("its own")["sending"]["state"], json!("queued"));
        assert!(sent(&one).is_none() && sent(&two).is_none());

        fs::write(&set, "0").expect("written");
        one.reads(&group, &text);
        two.reads(&group, &text);
        until("health is good again", || {
            let (status, chat) = off.health();
            (status, &chat["GroupChat"]) == (200, &json!("READY"))
        });
    }
    let events = off.all_events();
    let kinds: Vec<_> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    for kind in ["clock-off", "clock-right"] {
        assert!(kinds.iter().filter(|k| **k == kind).count() >= 2, "{kind}: {kinds:?}");
    }
}
