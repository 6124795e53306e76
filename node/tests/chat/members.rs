//! Four people with a node each: names, roles and policy change, one is taken out, one leaves.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, until};
use crate::process::Node;
use crate::watch::run;

/// A person with a node.
struct Person {
    node: Node,
    chat: Client,
    account: String,
    card: String,
    _folder: TempDir,
}

impl Person {
    /// Starts a node, with these options, and makes an account on it.
    fn new(options: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::start(folder.path(), options, None);
        let chat = Client::of(&node);
        let made = chat.post("/accounts", json!({})).expect("an account");
        let text = |key: &str| made[key].as_str().expect("text").to_owned();
        Self { node, chat, account: text("account"), card: text("card"), _folder: folder }
    }

    /// Standard output of a command that must succeed.
    fn good(&self, args: &[&str]) -> String {
        let (out, err) = run(&self.node, args, true);
        assert_eq!(err, "", "{args:?}");
        out
    }

    /// Standard error of a command that must fail.
    fn bad(&self, args: &[&str]) -> String {
        let (out, err) = run(&self.node, args, false);
        assert_eq!(out, "", "{args:?}");
        err
    }

    /// The beginning of the account's id, as it is shown.
    fn short(&self) -> &str {
        &self.account[..8]
    }

    fn group(&self, group: &str) -> Value {
        self.chat.get(&format!("/groups/{group}"))
    }

    fn role(&self, group: &str, of: &Self) -> Value {
        let members = self.chat.get(&format!("/groups/{group}/members"));
        let members = members["members"].as_array().expect("a list").clone();
        let found = members.iter().find(|member| member["account"] == json!(of.account));
        found.map_or(Value::Null, |member| member["role"].clone())
    }
}

/// Four people in a group that the first one made.
fn four() -> ([Person; 4], String) {
    let first = Person::new(&["--store=true".to_owned()]);
    let peer = format!("--storenode={}", first.node.address());
    let [second, third, fourth] = std::array::from_fn(|_| Person::new(std::slice::from_ref(&peer)));
    let made = first.chat.post("/groups", json!({ "name": "Lunch" })).expect("a group");
    let group = made["group"].as_str().expect("an id").to_owned();
    let cards = [second.card.as_str(), &third.card, &fourth.card];
    let invite = [&["group", "invite", "Lunch"], &cards[..], &["--wait", "--timeout=60"]].concat();
    first.good(&invite);
    for person in [&second, &third, &fourth] {
        person.chat.join(&group);
    }
    ([first, second, third, fourth], group)
}

#[test]
fn members_change_a_group_and_go() {
    let ([alice, bob, carol, dave], group) = four();
    renamed_by_another(&[&alice, &bob, &carol, &dave], &group);
    roles_and_policy(&alice, &bob, &group);
    taken_out(&alice, &bob, &carol, &group);
    left(&alice, &bob, &dave, &group);
}

/// Bob did not make the group, and names it.
fn renamed_by_another(people: &[&Person; 4], group: &str) {
    people[1].good(&["group", "profile", "Lunch", "--name", "Dinner"]);
    for person in people {
        until("the new name is there", || person.group(group)["name"] == json!("Dinner"));
    }
    people[3].chat.send(group, "at eight?");
    people[2].chat.reads(group, "at eight?");
}

fn roles_and_policy(alice: &Person, bob: &Person, group: &str) {
    assert_eq!(bob.role(group, alice), json!("owner"));
    let refused = bob.bad(&["group", "policy", "Dinner", "--add", "admin"]);
    assert!(refused.contains("role owner") && refused.contains("group members"), "{refused}");
    let refused = bob.bad(&["group", "role", "Dinner", bob.short(), "admin"]);
    assert!(refused.contains("not allowed in this group"), "{refused}");

    alice.good(&["group", "role", "Dinner", bob.short(), "admin"]);
    until("bob is an admin", || bob.role(group, bob) == json!("admin"));
    let shown = alice.good(&["group", "members", "Dinner"]);
    let bobs = shown.lines().find(|line| line.starts_with(&bob.account)).expect("a line");
    assert!(bobs.contains(" admin "), "{shown}");

    alice.good(&["group", "policy", "Dinner", "--add", "admin"]);
    until("bob has the policy", || bob.group(group)["policy"]["add"] == json!("admin"));
    assert!(bob.good(&["group", "policy", "Dinner"]).contains("add      admin"));

    let before = bob.group(group)["epoch"].as_u64();
    bob.good(&["group", "keys", "Dinner"]);
    until("alice follows bob's keys", || alice.group(group)["epoch"].as_u64() > before);
}

fn taken_out(alice: &Person, bob: &Person, carol: &Person, group: &str) {
    let refused = carol.bad(&["group", "remove", "Dinner", bob.short()]);
    assert!(refused.contains("role admin") && refused.contains("group policy"), "{refused}");
    let nobody = alice.bad(&["group", "remove", "Dinner", &"0".repeat(64)]);
    assert!(nobody.contains("not in the group") && nobody.contains("group members"), "{nobody}");
    let herself = alice.bad(&["group", "remove", "Dinner", alice.short()]);
    assert!(herself.contains("group leave"), "{herself}");

    let done = alice.good(&["group", "remove", "Dinner", carol.short(), "--wait", "--timeout=60"]);
    assert!(done.contains("Not in the group any more") && done.contains(&carol.account), "{done}");
    until("carol is out", || carol.group(group)["state"] == json!("removed"));
    assert!(carol.good(&["group", "list"]).contains("removed"));
    let read = carol.good(&["read", "Dinner"]);
    assert!(read.contains("not in it any more") && read.contains("at eight?"), "{read}");
    let silent = carol.bad(&["send", "Dinner", "and me?"]);
    assert!(silent.contains("any more") && silent.contains("read"), "{silent}");

    until("bob sees it", || bob.role(group, carol).is_null());
    alice.chat.send(group, "without her");
    bob.chat.reads(group, "without her");
    let page = carol.chat.get(&format!("/groups/{group}/messages"));
    let texts = page["messages"].as_array().expect("a list").iter().map(|m| &m["text"]);
    assert!(!texts.into_iter().any(|text| text == "without her"));
}

fn left(alice: &Person, bob: &Person, dave: &Person, group: &str) {
    let done = dave.good(&["group", "leave", "Dinner", "--wait", "--timeout=80"]);
    assert!(done.contains("has left"), "{done}");
    assert_eq!(dave.group(group)["state"], json!("removed"));
    for person in [alice, bob] {
        until("dave is not in it", || person.group(group)["accounts"] == json!(2));
        let read = person.good(&["read", "Dinner"]);
        assert!(read.contains(dave.short()) && read.contains("* left the group"), "{read}");
    }
}
