//! A node as a process: started, killed, and known by the lines it logs.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use waku_groupchat_node::crash;

/// The longest a node may take to start or to die.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the node says once all of it runs.
#[derive(Clone, Debug)]
struct Ready {
    rest: String,
    address: String,
}

/// A running node. Killed when dropped.
pub(crate) struct Node {
    child: Child,
    dir: PathBuf,
    lines: Receiver<Ready>,
    ready: Option<Ready>,
}

impl Node {
    /// Starts a node on its folder; `death` names a crash point. Without one, waits until it
    /// serves.
    pub(crate) fn start(dir: &Path, options: &[String], death: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"));
        command
            .arg("run")
            .arg(format!("--data-dir={}", dir.display()))
            .args([
                "--listen-address=127.0.0.1",
                "--tcp-port=0",
                "--rest-port=0",
                "--cluster-id=16",
                "--log-format=JSON",
                "--group-chat-registration-delay=0s",
                "--group-chat-invitation-delay=0s",
                "--group-chat-publish-retry=1s",
                "--group-chat-gap-grace=1s",
                "--group-chat-gap-retry=1s",
            ])
            .args(options)
            .env_remove(crash::VARIABLE)
            .envs(death.map(|death| (crash::VARIABLE, death)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (ready, lines) = sync_channel(1);
        watch(child.stdout.take().expect("piped"), ready.clone());
        watch(child.stderr.take().expect("piped"), ready);
        let mut node = Self { child, dir: dir.to_owned(), lines, ready: None };
        if death.is_none() {
            assert!(node.serves(), "the node serves");
        }
        node
    }

    /// Waits until it serves. `false` if it dies before.
    pub(crate) fn serves(&mut self) -> bool {
        if self.ready.is_none() {
            self.ready = match self.lines.recv_timeout(DEADLINE) {
                Ok(ready) => Some(ready),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => panic!("the node neither serves nor dies"),
            };
        }
        self.ready.is_some()
    }

    /// Its data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Address of its HTTP API.
    pub(crate) fn rest(&self) -> &str {
        &self.ready.as_ref().expect("it serves").rest
    }

    /// An address other nodes can dial.
    pub(crate) fn address(&self) -> &str {
        &self.ready.as_ref().expect("it serves").address
    }

    /// Kills it where it stands.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("its own child");
        self.child.wait().expect("its own child");
    }

    /// Waits until it has died by itself.
    pub(crate) fn wait_for_death(&mut self) {
        let start = Instant::now();
        while self.child.try_wait().expect("its own child").is_none() {
            assert!(start.elapsed() < DEADLINE, "the crash point is passed");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a log to its end, so that the node never waits for us; reports the line that says it is
/// ready, shows warnings and errors.
fn watch(log: impl Read + Send + 'static, ready: SyncSender<Ready>) {
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            let fields = &entry["fields"];
            if fields["message"] == "the node is ready" {
                let text = |key: &str| fields[key].as_str().unwrap_or_default().to_owned();
                let address = text("addresses").split(',').next().unwrap_or_default().to_owned();
                // Only the first one is waited for.
                let _ = ready.try_send(Ready { rest: text("rest"), address });
            } else if !matches!(entry["level"].as_str(), Some("INFO" | "DEBUG" | "TRACE")) {
                println!("node: {line}");
            }
        }
    });
}
