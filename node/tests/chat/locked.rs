//! The chat's database of real nodes under a key: what the start says, what opens it, what `chat-key`
//! does, and that nothing of it can be read on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use waku_groupchat_core::account::Card;
use waku_groupchat_node::chat::unlock::PASSPHRASE;

use crate::client::Client;
use crate::process::Node;

const NAME: &str = "A name of the group that is nowhere else";
const TEXT: &str = "A message that nobody else says in these words";

fn secret(dir: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).expect("own folder");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("own file");
    path
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// `chat-key` on a node's folder; what it says.
fn chat_key(dir: &Path, args: &[&str]) -> Output {
    command(dir, "chat-key", args).env_remove(PASSPHRASE).output().expect("it runs")
}

fn command(dir: &Path, name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"));
    command.arg(name).arg(option("data-dir", dir)).args(args).stdin(Stdio::null());
    command
}

fn done(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn refused(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    text
}

/// What a node says that does not start.
fn not_started(dir: &Path, args: &[&str]) -> String {
    let common = ["--listen-address=127.0.0.1", "--tcp-port=0", "--rest-port=0", "--cluster-id=16"];
    let args = [&common, args].concat();
    let output = command(dir, "run", &args).env_remove(PASSPHRASE).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "it fails, and does not crash");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn remark(node: &Node) -> Option<String> {
    let (status, chat) = Client::of(node).health();
    assert_eq!((status, &chat["GroupChat"]), (200, &Value::from("READY")));
    chat["desc"].as_str().map(str::to_owned)
}

/// Words that are in some file below a folder.
fn on_disk(folder: &Path, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(on_disk(&path, words));
        } else {
            let bytes = fs::read(&path).expect("a file");
            let here = |word: &&Vec<u8>| bytes.windows(word.len()).any(|part| part == *word);
            found.extend(words.iter().filter(here).cloned());
        }
    }
    found
}

/// A group with a message; its id, and all that nobody may read from the disk.
fn talk(node: &Node) -> (String, Vec<Vec<u8>>) {
    let chat = Client::of(node);
    let account = chat.post("/accounts", json!({})).expect("an account");
    let group = chat.post("/groups", json!({ "name": NAME })).expect("a group")["group"].clone();
    let group = group.as_str().expect("an id").to_owned();
    chat.send(&group, TEXT);
    let text = |key: &str| account[key].as_str().expect("a text").to_owned();
    let card: Card = text("card").parse().expect("a card");
    let hex = |id: &str| data_encoding::HEXLOWER.decode(id.as_bytes()).expect("hex");
    let words = vec![
        NAME.as_bytes().to_vec(),
        TEXT.as_bytes().to_vec(),
        card.registration.as_bytes().to_vec(),
        card.recovery.as_bytes().to_vec(),
        hex(&text("account")),
        hex(&text("installation")),
        hex(&group),
    ];
    (group, words)
}

#[test]
fn a_database_is_encrypted_and_nothing_of_it_can_be_read() {
    let root = tempfile::tempdir().expect("a folder");
    let dir = root.path().join("data");
    let key = secret(root.path(), "key", &[7; 32]);
    let (old, new) = ("correct horse battery", "another passphrase");
    let (old_file, new_file) = (
        secret(root.path(), "old", format!("{old}\n").as_bytes()),
        secret(root.path(), "new", new.as_bytes()),
    );

    let node = Node::start(&dir, &[], None);
    let (group, words) = talk(&node);
    assert!(remark(&node).expect("a remark").contains("not encrypted"));
    let busy = refused(&chat_key(&dir, &["set", &option("key-file", &key)]));
    assert!(busy.contains("in use by another node"), "{busy}");
    let log = node.end();
    let warned = |log: &str| {
        let line =
            |line: &&str| line.contains("\"WARN\"") && line.contains("file permissions alone");
        log.lines().filter(line).count()
    };
    assert_eq!(warned(&log), 1, "{log}");
    let found = on_disk(&dir.join("chat"), &words);
    assert!(words.iter().all(|word| found.contains(word)), "the search finds what is there");

    assert!(done(&chat_key(&dir, &["show"])).contains("file permissions alone"));
    assert!(refused(&chat_key(&dir, &["set"])).contains("--key-file"));
    let set = chat_key(&dir, &["set", &option("passphrase-file", &old_file)]);
    assert!(done(&set).contains("protected by a passphrase now"));
    assert_eq!(on_disk(&dir, &words), Vec::<Vec<u8>>::new());

    let said = not_started(&dir, &[]);
    assert!(said.contains("is encrypted: it takes a passphrase") && said.contains(PASSPHRASE));
    let wrong = option("group-chat-passphrase-file", &new_file);
    let said = not_started(&dir, &[&wrong]);
    assert!(said.contains("is not opened by this passphrase") && !said.contains(new), "{said}");
    let said = not_started(&dir, &[&option("group-chat-key-file", &key)]);
    assert!(said.contains("is opened by a passphrase, and something else was given"), "{said}");

    let right = option("group-chat-passphrase-file", &old_file);
    let node = Node::start(&dir, &[right], None);
    assert_eq!(remark(&node), None);
    let chat = Client::of(&node);
    assert!(chat.messages(&group).values().any(|text| text == TEXT));
    chat.send(&group, TEXT);
    let log = node.end();
    assert_eq!(warned(&log), 0, "{log}");
    assert!(!log.contains(old), "the passphrase is in no log");
    assert_eq!(on_disk(&dir, &words), Vec::<Vec<u8>>::new());

    // the passphrase that is there, by the environment
    let change = command(&dir, "chat-key", &["change", &option("new-key-file", &key)])
        .env(PASSPHRASE, old)
        .output()
        .expect("it runs");
    assert!(done(&change).contains("protected by a key file now"));
    let key_option = option("key-file", &key);
    assert!(refused(&chat_key(&dir, &["remove", &key_option])).contains("--yes"));
    let removed = chat_key(&dir, &["remove", "--yes", &key_option]);
    assert!(done(&removed).contains("file permissions alone now"));
    let said = not_started(&dir, &[&option("group-chat-key-file", &key)]);
    assert!(said.contains("is not encrypted, though it is to be"), "{said}");
    let node = Node::start(&dir, &[], None);
    assert_eq!(Client::of(&node).messages(&group).len(), 2);
}

#[test]
fn a_wiped_installation_leaves_a_relay_without_an_account() {
    let root = tempfile::tempdir().expect("a folder");
    let dir = root.path().join("data");
    let key = secret(root.path(), "key", &[7; 32]);
    let options = [option("group-chat-key-file", &key)];
    let node = Node::start(&dir, &options, None);
    let (_, words) = talk(&node);
    let chat = Client::of(&node);
    let own = chat.get("/accounts")["installation"].as_str().expect("an id").to_owned();
    let seal = fs::read(dir.join("chat/seal")).expect("a seal");
    let wipe = |args: &[&str]| {
        command(&dir, "wipe", args)
            .env("WAKU_GROUPCHAT_NODE", format!("http://{}", node.rest()))
            .output()
            .expect("it runs")
    };
    assert!(refused(&wipe(&[])).contains("nothing was removed"));
    assert!(refused(&wipe(&["--yes=01234567"])).contains("does not name"));
    assert!(done(&wipe(&[&format!("--yes={}", &own[..8])])).contains("without an account"));
    assert_eq!(remark(&node), None);
    let (status, _) = chat.ask("GET", "/chat/v1/accounts", None);
    assert_eq!(status, 404);
    let wrapped = vec![seal[94..142].to_vec()];
    assert_eq!(on_disk(&dir.join("chat"), &wrapped), Vec::<Vec<u8>>::new());
    chat.post("/accounts", json!({})).expect("another account");
    drop(node);
    let node = Node::start(&dir, &options, None);
    let next = Client::of(&node).get("/accounts")["installation"].clone();
    assert_ne!(next.as_str(), Some(own.as_str()));
    assert_eq!(on_disk(&dir.join("chat"), &words), Vec::<Vec<u8>>::new());
}
