//! The nodes of a run: of this project or of go-waku, each a process of its own on loopback.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::process::{self, Memory};

/// The cluster of the run: nobody else's.
const CLUSTER: u16 = 66;
/// The topic of all messages.
pub const PUBSUB_TOPIC: &str = "/waku/2/rs/66/0";
/// How long a node may take to start.
const START: Duration = Duration::from_secs(20);
/// How long a node may take to end before it is killed.
const END: Duration = Duration::from_secs(10);
/// Between two looks at a node that starts or ends.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines of the log that are shown when a node fails.
const LAST_LINES: usize = 12;
/// What a REST request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// Whose nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's.
    Own,
    /// go-waku's.
    GoWaku,
}

/// A program that is a node.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whose.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
}

impl Program {
    /// What it calls its version.
    pub fn version(&self) -> anyhow::Result<String> {
        let output = Command::new(&self.path).arg("--version").output();
        let output = output.with_context(|| self.path.display().to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let word = text.split_whitespace().last();
        word.map(str::to_owned).with_context(|| format!("{} has no version", self.path.display()))
    }

    fn arguments(&self, folder: &Path, ports: [u16; 3], peer: Option<&str>) -> Vec<String> {
        let [tcp, rest, metrics] = ports;
        let folder = folder.display();
        let mut arguments = vec![
            format!("--cluster-id={CLUSTER}"),
            format!("--tcp-port={tcp}"),
            "--rest=true".to_owned(),
            format!("--rest-port={rest}"),
            "--metrics-server=true".to_owned(),
            format!("--metrics-server-port={metrics}"),
            "--store=true".to_owned(),
            "--ip-colocation-limit=0".to_owned(),
            "--log-level=ERROR".to_owned(),
        ];
        arguments.extend(match self.kind {
            Kind::Own => vec![
                format!("--data-dir={folder}/data"),
                "--listen-address=127.0.0.1".to_owned(),
                "--num-shards-in-network=8".to_owned(),
                "--shard=0".to_owned(),
                "--group-chat-enabled=false".to_owned(),
            ],
            Kind::GoWaku => vec![
                "--address=127.0.0.1".to_owned(),
                format!("--pubsub-topic={PUBSUB_TOPIC}"),
                format!("--store-message-db-url=sqlite3://{folder}/store.db"),
                format!("--key-file={folder}/nodekey"),
            ],
        });
        arguments.extend(peer.map(|peer| format!("--staticnode={peer}")));
        arguments
    }
}

/// A running node. Ended when dropped.
#[derive(Debug)]
pub struct Node {
    kind: Kind,
    process: Child,
    folder: PathBuf,
    metrics: SocketAddr,
    /// Where its REST API is.
    pub rest: SocketAddr,
    /// Where its peers find it.
    pub address: String,
}

impl Node {
    /// Starts a node that has all it writes in `folder`, and waits until it answers.
    pub fn start(program: &Program, folder: &Path, peer: Option<&str>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let ports = free_ports()?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(&program.path);
        // Options in the environment are another way in; the log is in the folder.
        command.env_clear().current_dir(folder);
        if program.kind == Kind::Own {
            command.arg("run");
        }
        let process = command
            .args(program.arguments(folder, ports, peer))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| program.path.display().to_string())?;
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let [_, rest, metrics] = ports.map(at);
        let folder = folder.to_owned();
        let kind = program.kind;
        let mut node = Self { kind, process, folder, metrics, rest, address: String::new() };
        node.address = node.wait_for_address()?;
        Ok(node)
    }

    fn wait_for_address(&mut self) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Info {
            listen_addresses: Vec<String>,
        }
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                bail!("a node ended ({status}):\n{}", self.log());
            }
            if let Ok(text) = get(self.rest, "/debug/v1/info") {
                let info: Info = serde_json::from_str(&text).context(text)?;
                let here = |address: &String| address.starts_with("/ip4/127.0.0.1/tcp/");
                let address = info.listen_addresses.into_iter().find(here);
                return address.context("the node does not listen on loopback");
            }
            std::thread::sleep(PAUSE);
        }
        bail!("a node does not answer:\n{}", self.log())
    }

    /// The last of what it has printed.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// Messages that came from its peers, and for go-waku also its own, by its metrics.
    pub fn delivered(&self) -> anyhow::Result<u64> {
        let name = match self.kind {
            Kind::Own => "waku_node_messages_total",
            Kind::GoWaku => "waku_node_messages",
        };
        Ok(sum(&get(self.metrics, "/metrics")?, name))
    }

    /// Messages in its archive: by its metrics, or for go-waku by a look into its database.
    pub fn archived(&self) -> anyhow::Result<u64> {
        match self.kind {
            Kind::Own => Ok(sum(&get(self.metrics, "/metrics")?, "waku_archive_messages")),
            Kind::GoWaku => {
                let file = self.folder.join("store.db");
                let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
                let count = db.query_row("SELECT count(*) FROM message", [], count)?;
                Ok(u64::try_from(count)?)
            }
        }
    }

    /// Messages that its Store gives out, page by page over REST; the database's count for go-waku,
    /// whose REST API asks peers alone.
    pub fn listed(&self) -> anyhow::Result<u64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            messages: Vec<serde_json::Value>,
            pagination_cursor: Option<String>,
        }
        if self.kind == Kind::GoWaku {
            return self.archived();
        }
        let mut listed = 0;
        let mut cursor = String::new();
        loop {
            let path = format!("/store/v3/messages?pageSize=100&includeData=false&cursor={cursor}");
            let page: Page = serde_json::from_str(&get(self.rest, &path)?)?;
            listed += page.messages.len() as u64;
            match page.pagination_cursor {
                Some(next) => cursor = next,
                None => return Ok(listed),
            }
        }
    }

    /// Its CPU time so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.process.id())
    }

    /// Its memory.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        process::memory(self.process.id())
    }

    /// Asks it to end, and waits; kills it where it does not.
    fn end(&mut self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let deadline = Instant::now() + END;
        while asked && Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        // Fails only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ports that are free now: for libp2p, REST and metrics.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    // Held together, so that they differ.
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let [a, b, c] = [listen()?, listen()?, listen()?];
    Ok([a.local_addr()?.port(), b.local_addr()?.port(), c.local_addr()?.port()])
}

fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let agent =
        ureq::Agent::config_builder().proxy(None).timeout_global(Some(REQUEST)).build().new_agent();
    let mut answer = agent.get(format!("http://{address}{path}")).call()?;
    ensure!(answer.status() == 200, "{path}: {}", answer.status());
    Ok(answer.body_mut().read_to_string()?)
}

/// All values of a metric together, whatever their labels.
fn sum(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_labels_are_added() {
        let text = "# TYPE a counter\na{t=\"x y\"} 3\na{t=\"z\"} 1.5e3\nab 9\na_b 9\n";
        assert_eq!(sum(text, "a"), 1_503);
        assert_eq!(sum("a 7\n", "a"), 7);
        assert_eq!(sum(text, "none"), 0);
    }
}
