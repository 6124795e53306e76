//! The node under attack, as a process of its own, so that its memory is its own too.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use libp2p::Multiaddr;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::native_support::{CLUSTER, TOPIC, soon};

/// A node with everything on: relay, Store, chat, HTTP. Killed when dropped.
pub(crate) struct Victim {
    child: Child,
    /// Where other peers reach it.
    pub(crate) address: Multiaddr,
    /// Where its HTTP API is, as `host:port`.
    pub(crate) rest: String,
    _folder: TempDir,
}

impl Victim {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"));
        // The environment of whoever runs the tests must not change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("WAKU_GROUPCHAT_")) {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg("run")
            .arg(format!("--data-dir={}", folder.path().join("data").display()))
            .arg(format!("--cluster-id={CLUSTER}"))
            .arg(format!("--shard={}", TOPIC.shard()))
            .arg("--num-shards-in-network=8")
            .args(["--listen-address=127.0.0.1", "--tcp-port=0", "--rest-port=0"])
            .args(["--store=true", "--log-format=JSON"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (ready, answer) = oneshot::channel();
        let output = child.stdout.take().expect("piped");
        thread::spawn(move || watch(output, ready));
        let (rest, address) = soon("the node", answer).await.expect("it serves");
        let address = address.parse().expect("an address");
        Self { child, address, rest, _folder: folder }
    }

    /// Its resident memory in MiB: now, and the most it ever had.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("it runs");
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
        };
        (kib("VmRSS:") / 1024, kib("VmHWM:") / 1024)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads its log to the end, so that it never waits for us.
fn watch(output: ChildStdout, ready: oneshot::Sender<(String, String)>) {
    let (mut ready, mut kinds) = (Some(ready), BTreeMap::new());
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        let fields = &entry["fields"];
        let kind = (entry["level"].to_string(), fields["message"].to_string());
        *kinds.entry(kind).or_insert(0) += 1;
        if fields["message"] == "the node is ready" {
            let text = |key: &str| fields[key].as_str().unwrap_or_default().to_owned();
            let address = text("addresses").split(',').next().unwrap_or_default().to_owned();
            if let Some(ready) = ready.take() {
                let _ = ready.send((text("rest"), address));
            }
        } else if entry["level"] == "ERROR" {
            println!("victim: {line}");
        }
    }
    println!("the victim logged: {kinds:#?}");
}
