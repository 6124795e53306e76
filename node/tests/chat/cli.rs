//! The commands, against a node that runs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::Node;

/// What a command gave.
#[derive(Debug)]
struct Given {
    success: bool,
    out: String,
    err: String,
}

impl Given {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("JSON on standard output")
    }
}

/// Runs a command for a node whose data directory is `dir`.
fn command(url: &str, dir: &Path, args: &[&str], stdin: &str) -> Given {
    let mut child = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"))
        .args(args)
        .env("WAKU_GROUPCHAT_NODE", url)
        .env("WAKU_GROUPCHAT_DATA_DIR", dir)
        .env_remove("WAKU_GROUPCHAT_TOKEN_FILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that takes no text may end before it is written.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("its own child");
    Given {
        success: output.status.success(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[test]
fn people_and_programs_use_a_node() {
    let dir = tempfile::tempdir().expect("a folder");
    let node = Node::start(dir.path(), &[], None);
    let url = format!("http://{}", node.rest());
    let run = |args: &[&str]| command(&url, dir.path(), args, "");
    let good = |args: &[&str]| {
        let given = run(args);
        assert!(given.success && given.err.is_empty(), "{args:?}: {given:?}");
        given
    };

    let none = run(&["account", "show"]);
    assert!(!none.success && none.err.contains("create one"), "{none:?}");
    let made = good(&["account", "create", "--json"]).json();
    let card = good(&["account", "card"]).out;
    assert_eq!(json!(card.trim_end()), made["card"]);
    assert!(good(&["account", "show"]).out.contains(made["account"].as_str().expect("an id")));
    assert!(good(&["account", "installations"]).out.contains("this one"));

    let group = good(&["group", "create", "Lunch", "--json"]).json();
    let group = group["group"].as_str().expect("an id");
    good(&["group", "create", "Dinner", "--description", "at eight"]);
    assert!(good(&["group", "list"]).out.contains("at eight"));
    assert!(good(&["group", "show", "Dinner"]).out.contains("joined"));
    assert!(good(&["group", "members", &group[..8]]).out.contains("ACCOUNT"));

    good(&["send", "Lunch", "-dashes stay"]);
    let piped = command(&url, dir.path(), &["send", group, "-"], "two\nlines 🎈\n");
    assert!(piped.success, "{piped:?}");
    let read = good(&["read", "Lunch"]).out;
    assert!(read.contains("#1  queued  -dashes stay"), "{read}");
    assert!(read.contains("two\n") && read.contains(" lines 🎈\n"), "{read}");
    let last = good(&["read", group, "--last", "1", "--json"]).json();
    assert_eq!(last["messages"][0]["text"], json!("two\nlines 🎈"));
    assert_eq!(good(&["missing"]).out, "Nothing is missing.\n");
    assert_eq!(good(&["missing", "Lunch", "--json"]).json(), json!({ "gaps": [] }));
    assert!(good(&["group", "invitations"]).out.contains("No invitations"));
}

#[test]
fn errors_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let node = Node::start(dir.path(), &[], None);
    let url = format!("http://{}", node.rest());
    let bad = |url: &str, args: &[&str], hint: &str| {
        let given = command(url, dir.path(), args, "");
        assert!(!given.success && given.out.is_empty(), "{args:?}: {given:?}");
        assert!(given.err.contains(hint), "{args:?}: {given:?}");
    };
    let wrong = dir.path().join("wrong");
    std::fs::write(&wrong, "00".repeat(32)).expect("own folder");
    let wrong = wrong.to_str().expect("UTF-8");

    bad(&url, &["group", "list", "--token-file", "nowhere"], "--token-file");
    bad(&url, &["group", "list", "--token-file", wrong], "does not know the token");
    bad("http://127.0.0.1:1", &["group", "list"], "waku-groupchat run");
    bad(&url, &["send", "Lunch", "hello"], "there is none");
    bad(&url, &["group", "create", "Lunch"], "create one");
    bad(&url, &["group", "profile", "Lunch"], "--name");
    let given = command(&url, dir.path(), &["account", "show", "--json"], "");
    let error: Value = serde_json::from_str(&given.err).expect("JSON on standard error");
    assert_eq!((given.success, &error["code"]), (false, &json!("no-account")));

    assert!(command(&url, dir.path(), &["account", "create"], "").success);
    bad(&url, &["account", "create"], "already belongs");
    bad(&url, &["account", "link-accept", "nonsense"], "link request");
    bad(&url, &["group", "create", ""], "1 to 128 bytes");
    bad(&url, &["send", &"00".repeat(16), "hello"], "no group");
}
