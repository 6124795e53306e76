//! Every publish of every node, as the nodes log them, and whether it could reach the store.
//!
//! A node logs one JSON line a publish, with the target `waku_groupchat::publish`, once a peer took
//! it. The runner reads the logs at each change of the links, and counts what is new to the links
//! that stood before. Publishes on the edge of a change are counted as such that need not reach the
//! store, but may.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;
use waku_groupchat_core::{GroupId, InstallationId};

const TARGET: &str = "waku_groupchat::publish";

/// One relay publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Index of the node.
    pub node: usize,
    /// Whether the node could reach the store then.
    pub reaches_store: bool,
    /// What it was.
    pub what: Logged,
}

/// What a node logs of a publish.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Logged {
    /// Its Waku hash, `0x` and hex.
    pub hash: String,
    /// What it carries: `message`, `retry`, `commit`, …
    pub kind: String,
    /// The group, where there is one.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// The sender of a message.
    #[serde(default)]
    pub installation: Option<InstallationId>,
    /// The number of a message.
    #[serde(default)]
    pub number: Option<u64>,
}

/// Reads the logs as they grow.
#[derive(Debug, Default)]
pub struct Ledger {
    logs: Vec<Log>,
    reaching: BTreeSet<usize>,
    publishes: Vec<Publish>,
}

#[derive(Debug)]
struct Log {
    file: PathBuf,
    read: u64,
}

#[derive(Deserialize)]
struct LogLine {
    target: String,
    fields: Logged,
}

impl Ledger {
    /// Reads this log from now on; the answer is the node's index.
    pub fn add(&mut self, file: PathBuf) -> usize {
        self.logs.push(Log { file, read: 0 });
        self.logs.len() - 1
    }

    /// Reads what is new, and counts it to the nodes that reached the store until now; from now on
    /// `reaching` do.
    pub fn advance(&mut self, reaching: BTreeSet<usize>) -> io::Result<()> {
        self.catch_up()?;
        self.reaching = reaching;
        Ok(())
    }

    /// Reads what is new.
    pub fn catch_up(&mut self) -> io::Result<()> {
        for (node, log) in self.logs.iter_mut().enumerate() {
            let reaches_store = self.reaching.contains(&node);
            let new = log.new_lines()?;
            let new = new.lines().filter_map(logged);
            self.publishes.extend(new.map(|what| Publish { node, reaches_store, what }));
        }
        Ok(())
    }

    /// All publishes read so far; those of one node are in order.
    pub fn publishes(&self) -> &[Publish] {
        &self.publishes
    }
}

impl Log {
    /// The whole lines that came since the last call.
    fn new_lines(&mut self) -> io::Result<String> {
        let mut file = match File::open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            file => file?,
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
        self.read += u64::try_from(whole).unwrap_or(0);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The publish that a log line speaks of, if it does.
fn logged(line: &str) -> Option<Logged> {
    if !line.contains(TARGET) {
        return None;
    }
    let line: LogLine = serde_json::from_str(line).ok()?;
    (line.target == TARGET).then_some(line.fields)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(hash: &str) -> String {
        let installation = "11".repeat(32);
        let group = "22".repeat(16);
        format!(
            r#"{{"timestamp":"t","level":"INFO","fields":{{"message":"published","hash":"{hash}","kind":"message","group":"{group}","installation":"{installation}","number":3}},"target":"{TARGET}"}}"#
        )
    }

    #[test]
    fn reads_whole_lines_as_they_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut ledger = Ledger::default();
        assert_eq!(ledger.add(path.clone()), 0);
        ledger.advance(BTreeSet::from([0])).expect("no log yet");

        let mut log = File::create(&path).expect("a file");
        let second = line("0xb");
        let (head, tail) = second.split_at(40);
        write!(log, "starting\n{}\n{head}", line("0xa")).expect("written");
        ledger.advance(BTreeSet::new()).expect("read");
        assert_eq!(ledger.publishes().len(), 1);
        writeln!(log, "{tail}").expect("written");
        writeln!(log, r#"{{"target":"other","fields":{{"hash":"0xc","kind":"x"}}}}"#).expect("ok");
        ledger.catch_up().expect("read");

        let all = ledger.publishes();
        let short: Vec<_> =
            all.iter().map(|p| (p.what.hash.as_str(), p.what.number, p.reaches_store)).collect();
        assert_eq!(short, [("0xa", Some(3), true), ("0xb", Some(3), false)]);
    }
}
