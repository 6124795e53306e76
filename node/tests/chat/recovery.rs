//! All installations of an account are lost, and its phrase brings it back on another node; it gets
//! another card there.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::client::{Client, until};
use crate::process::Node;
use crate::watch::run;

/// Records leave this often here: the group has to be in one.
const OFTEN: [&str; 2] =
    ["--group-chat-registration-period=10s", "--group-chat-installation-delay=0s"];

fn options(more: &[String]) -> Vec<String> {
    OFTEN.iter().map(ToString::to_string).chain(more.iter().cloned()).collect()
}

/// `account recover` at a node, with a phrase on its standard input.
fn recover(node: &Node, phrase: &str, args: &[&str]) -> (bool, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"))
        .args(["account", "recover"])
        .args(args)
        .env("WAKU_GROUPCHAT_NODE", format!("http://{}", node.rest()))
        .env("WAKU_GROUPCHAT_DATA_DIR", node.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "{phrase}").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("its own child");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_phrase_brings_account_and_groups_back_on_another_node() {
    let folders: [_; 3] = std::array::from_fn(|_| tempfile::tempdir().expect("a folder"));
    let bob_node = Node::start(folders[0].path(), &options(&["--store=true".to_owned()]), None);
    let bob = Client::of(&bob_node);
    let peer = options(&[format!("--storenode={}", bob_node.address())]);
    let mut alice_node = Node::start(folders[1].path(), &peer, None);
    let alice = Client::of(&alice_node);

    let made = alice.post("/accounts", json!({})).expect("an account");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (phrase, account) = (text(&made["phrase"]), text(&made["account"]));
    bob.post("/accounts", json!({})).expect("an account");
    let group = text(&bob.post("/groups", json!({ "name": "Lunch" })).expect("a group")["group"]);
    bob.invite(&group, &made["card"]);
    alice.join(&group);
    alice.send(&group, "before");
    bob.reads(&group, "before");
    let day = |of: &Client| of.get("/accounts")["registeredDay"].as_u64().unwrap_or_default();
    let joined = day(&alice);
    until("a record leaves that names the group", || day(&alice) >= joined + 2);
    alice_node.kill();

    let node = Node::start(folders[2].path(), &peer, None);
    let back = Client::of(&node);
    let (good, out, err) = recover(&node, "abandon ability", &["--wait"]);
    assert!(!good && out.is_empty() && err.contains("24 words"), "{out} {err}");
    let (good, out, err) = recover(&node, &phrase, &["--wait", "--timeout=60"]);
    assert!(good && out.contains("is back") && out.contains("1 group"), "{out} {err}");
    let shown = back.get("/accounts");
    assert_eq!((&text(&shown["account"]), &shown["card"]), (&account, &made["card"]));
    until("a member brings it in", || {
        let (status, answer) = back.ask("GET", &format!("/chat/v1/groups/{group}"), None);
        status == 200 && answer.contains("\"joined\"")
    });
    back.send(&group, "I am back");
    bob.reads(&group, "I am back");
    bob.send(&group, "so you are");
    back.reads(&group, "so you are");
    until("the lost one is out", || bob.get(&format!("/groups/{group}"))["installations"] == 2);
    let installations = back.get("/installations");
    let states = installations["installations"].as_array().expect("a list").iter();
    assert_eq!(states.map(|i| text(&i["state"])).collect::<Vec<_>>(), ["live", "revoked"]);

    let (good, _, err) = recover(&node, &phrase, &[]);
    assert!(!good && err.contains("already belongs"), "{err}");
    // another card: Bob, who has the former one, hears of it in the group
    let (out, _) = run(&node, &["account", "rotate-card"], true);
    let new = text(&back.get("/accounts")["card"]);
    assert!(out.starts_with(&new) && json!(new) != made["card"], "{out}");
    until("bob has the new card", || {
        bob.all_events().iter().any(|e| e["type"] == "card-changed" && e["account"] == account)
    });
    until("bob sees that", || run(&bob_node, &["read", "Lunch"], true).0.contains("contact card"));
    let written = [node.end(), bob_node.end()].concat();
    let words: Vec<&str> = phrase.split(' ').collect();
    assert!(
        !written.contains(&new)
            && !written.contains(&phrase)
            && !written.contains(&words[..3].join(" "))
    );
}
