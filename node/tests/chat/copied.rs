//! Two nodes on copies of one data directory: noticed, told, and stopped.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, meet, until};
use crate::process::Node;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn a_copied_data_directory_is_noticed() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let receiver = Node::start(folders[0].path(), &["--store=true".to_owned()], None);
    let peer = [format!("--storenode={}", receiver.address())];
    let first = Node::start(folders[1].path(), &peer, None);
    let (there, here) = (Client::of(&receiver), Client::of(&first));
    let group = meet(&here, &there, "Copies");
    here.send(&group, "before");
    there.reads(&group, "before");
    drop(here);
    first.end();
    copy(folders[1].path(), folders[2].path());
    // a node key of its own, as two nodes of one key do not meet
    fs::remove_file(folders[2].path().join("keys/nodekey")).expect("there");

    let first = Node::start(folders[1].path(), &peer, None);
    let second = Node::start(folders[2].path(), &peer, None);
    let copies = [Client::of(&first), Client::of(&second)];
    let messages = format!("/groups/{group}/messages");
    copies[1].send(&group, "from the copy");
    let stopped = |client: &Client| {
        let (status, chat) = client.health();
        let why = chat["desc"].as_str().unwrap_or_default();
        status == 503 && why.contains("copy") && why.contains("link a new installation")
    };
    until("the original notices", || stopped(&copies[0]));
    let path = format!("/chat/v1{messages}");
    let (status, text) = copies[0].ask("POST", &path, Some(r#"{"text":"more"}"#));
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &answer["code"]), (409, &json!("copied")), "{text}");
    let told = copies[0].all_events();
    assert_eq!(told.iter().filter(|e| e["type"] == json!("copied")).count(), 1);

    // it goes on receiving, and remembers
    there.reads(&group, "from the copy");
    there.send(&group, "who is who?");
    copies[0].reads(&group, "who is who?");
    let [original, _] = copies;
    drop(original);
    first.end();
    let first = Node::start(folders[1].path(), &peer, None);
    assert!(stopped(&Client::of(&first)));
}
