//! `watch`, `--wait` and tokens, as processes against nodes that run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, meet, until};
use crate::process::Node;

/// The longest that a line or an end may take.
const DEADLINE: Duration = Duration::from_secs(60);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A command for a node, with its output in pipes.
fn command(url: &str, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"));
    command
        .args(args)
        .env("WAKU_GROUPCHAT_NODE", url)
        .env("WAKU_GROUPCHAT_DATA_DIR", dir)
        .env_remove("WAKU_GROUPCHAT_TOKEN_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Standard output and error of a command that must succeed or fail.
pub(crate) fn run(node: &Node, args: &[&str], succeeds: bool) -> (String, String) {
    let url = format!("http://{}", node.rest());
    let output = command(&url, node.dir(), args).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.success(), succeeds, "{args:?}: {out} {err}");
    (out, err)
}

/// A command that goes on. Killed when dropped.
struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Running {
    fn start(url: &str, dir: &Path, args: &[&str]) -> Self {
        let mut child = command(url, dir, args).spawn().expect("the binary starts");
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        Self { child, out, err }
    }

    /// The next line of standard output.
    fn line(&self) -> String {
        self.out.recv_timeout(DEADLINE).expect("a line in time")
    }

    /// Waits for a line of standard error with this in it.
    fn says(&self, what: &str) {
        while !self.err.recv_timeout(DEADLINE).expect(what).contains(what) {}
    }

    /// The next line that is an event of this type, as JSON.
    fn event(&self, kind: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.line()).expect("one object a line");
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// Sends Ctrl-C, and gives the exit code.
    fn interrupt(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
        assert!(sent.success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its own child") {
                return status.code();
            }
            assert!(start.elapsed() < DEADLINE, "it ends");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = sync_channel(1024);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = to.try_send(line);
        }
    });
    lines
}

/// A port that was free a moment ago, for a node that comes back at the same address.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

#[test]
fn watch_misses_nothing_over_a_restart_and_ends_at_an_interrupt() {
    let (here, there) = (folder(), folder());
    let other = Node::start(there.path(), &["--store=true".to_owned()], None);
    let options = [format!("--rest-port={}", port()), format!("--storenode={}", other.address())];
    let mut node = Node::start(here.path(), &options, None);
    let url = format!("http://{}", node.rest());
    let group = meet(&Client::of(&node), &Client::of(&other), "Lunch");

    let mut json = Running::start(&url, here.path(), &["watch", "--json", "--after=0"]);
    let mut people = Running::start(&url, here.path(), &["watch", "Lunch"]);
    people.says("Following Lunch");
    assert_eq!(json.event("members-added")["group"], json!(group));
    let other = Client::of(&other);
    other.send(&group, "before");
    let before = json.event("message");
    assert_eq!(before["message"]["text"], "before");
    while !people.line().ends_with("before") {}

    node.kill();
    people.says("trying again");
    other.send(&group, "meanwhile");
    let _node = Node::start(here.path(), &options, None);
    people.says("Following again");
    other.send(&group, "after");
    let mut last = before["cursor"].as_u64();
    for text in ["meanwhile", "after"] {
        let event = json.event("message");
        assert_eq!(event["message"]["text"], text);
        assert!(event["cursor"].as_u64() > last);
        last = event["cursor"].as_u64();
    }
    for text in ["meanwhile", "after"] {
        while !people.line().ends_with(text) {}
    }
    assert_eq!((json.interrupt(), people.interrupt()), (Some(0), Some(0)));
    // Each outage is told once.
    let notes = json.err.iter().map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
    let codes: Vec<_> = notes.map(|note| note["code"].clone()).collect();
    assert_eq!(codes, ["following", "lost", "back"]);
}

#[test]
fn commands_can_wait_until_what_they_began_is_done() {
    let (here, there, new) = (folder(), folder(), folder());
    let node = Node::start(here.path(), &[], None);
    let peer = format!("--staticnode={}", node.address());
    let invited = Node::start(there.path(), std::slice::from_ref(&peer), None);
    let (_, err) = run(&node, &["watch", "--token-file", "nowhere"], false);
    assert!(err.contains("--token-file"), "{err}");
    run(&node, &["account", "create"], true);
    run(&invited, &["account", "create"], true);
    run(&node, &["group", "create", "Lunch"], true);
    let card = run(&invited, &["account", "card"], true).0;
    let (out, err) =
        run(&node, &["group", "invite", "Lunch", card.trim(), "--wait", "--timeout=60"], true);
    assert!(out.starts_with("In the group now") && err.is_empty(), "{out} {err}");
    assert_eq!(run(&node, &["group", "members", "Lunch"], true).0.lines().count(), 3);

    // Nobody has this card's record.
    let lonely = Node::start(new.path(), &["--relay=true".to_owned()], None);
    run(&lonely, &["account", "create"], true);
    let card = run(&lonely, &["account", "card"], true).0;
    let wait = ["group", "invite", "Lunch", card.trim(), "--wait", "--timeout=1", "--json"];
    let error: Value = serde_json::from_str(&run(&node, &wait, false).1).expect("JSON");
    assert_eq!(error["code"], "not-done");
    let detail = error["detail"].as_str().expect("text");
    assert!(detail.contains("0 of 1") && detail.contains("goes on"), "{detail}");

    let linked = folder();
    let second = Node::start(linked.path(), &[peer], None);
    let request = run(&second, &["account", "link-request", "--json"], true).0;
    let request: Value = serde_json::from_str(&request).expect("JSON");
    let request = request["request"].as_str().expect("a request");
    let accept = ["account", "link-accept", request, "--wait", "--timeout=60", "--json"];
    let link: Value = serde_json::from_str(&run(&node, &accept, true).0).expect("JSON");
    let digits = link["digits"].as_str().expect("digits");
    until("the other side shows them too", || {
        run(&second, &["account", "link"], true).0.contains(digits)
    });
    run(&second, &["account", "link-confirm", digits], true);
    let confirm = ["account", "link-confirm", digits, "--wait", "--timeout=60"];
    let (out, _) = run(&node, &confirm, true);
    assert!(out.contains("is in the account now"), "{out}");
    assert_eq!(run(&node, &["account", "installations"], true).0.lines().count(), 3);
}

#[test]
fn tokens_are_made_used_and_revoked() {
    let dir = folder();
    let node = Node::start(dir.path(), &[], None);
    let file = dir.path().join("bot.token");
    let path = file.to_str().expect("UTF-8");
    let make = ["token", "create", "bot", "--scope=read,send", "--expires=1h", "--out", path];
    let (out, _) = run(&node, &make, true);
    let secret = fs::read_to_string(&file).expect("written").trim().to_owned();
    assert!(out.contains("read,send") && !out.contains(&secret), "{out}");
    let (_, err) = run(&node, &make, false);
    assert!(err.contains("is there already"), "{err}");
    assert!(!run(&node, &["token", "list"], true).0.contains(&secret));

    run(&node, &["group", "list", "--token-file", path], true);
    let (_, err) = run(&node, &["group", "create", "Lunch", "--token-file", path], false);
    assert!(err.contains("scope manage") && err.contains("token create"), "{err}");
    let url = format!("http://{}", node.rest());
    let mut watching = Running::start(&url, dir.path(), &["watch", "--token-file", path]);
    watching.says("Following");
    run(&node, &["token", "revoke", "bot"], true);
    watching.says("it was revoked");
    assert_eq!(watching.child.wait().expect("its own child").code(), Some(1));
    let (_, err) = run(&node, &["group", "list", "--token-file", path], false);
    assert!(err.contains("revoked"), "{err}");
    let (_, err) = run(&node, &["token", "revoke", "bot"], false);
    assert!(err.contains("token list"), "{err}");
    let (_, err) = run(&node, &["token", "revoke", "first"], false);
    assert!(err.contains("token file"), "{err}");
    let shown = run(&node, &["token", "create", "other", "--scope=admin"], true).0;
    assert!(shown.lines().any(|line| line.len() == 64), "{shown}");
}

#[test]
fn a_node_with_an_open_stream_ends_at_once() {
    let dir = folder();
    let node = Node::start(dir.path(), &[], None);
    let url = format!("http://{}", node.rest());
    let watching = Running::start(&url, dir.path(), &["watch"]);
    watching.says("Following");
    let start = Instant::now();
    node.end();
    // The grace for requests that do not end is longer.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    watching.says("the node stops");
}
