//! The core beside plain OpenMLS, on the same data: groups of several sizes, Alice's, with Bob in
//! them.
//!
//! Plain OpenMLS works on a group object that lives on, over its own store in memory: adding is
//! checking key packages and one commit, joining is opening the Welcome. The core is driven through
//! its API: inviting is all from the records of accounts to what is published, joining all from that
//! to the group. All of it runs in one process on one thread; what is compared takes turns.

mod apart;
mod measure;
pub(super) mod own;
pub(super) mod plain;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::machine::Machine;
use super::results::Results;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes of the groups.
    pub leaves: Vec<usize>,
    /// Messages that are sent and received, one by one.
    pub messages: usize,
    /// Commits of each kind.
    pub commits: usize,
    /// Messages that are caught up with.
    pub missed: usize,
    /// Folder for the databases; each is removed after its size.
    pub folder: PathBuf,
}

/// Half of the runs of an operation took at most this, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Micros {
    /// Plain OpenMLS.
    pub plain: f64,
    /// The core, its store in memory.
    pub memory: f64,
    /// The core, its store RocksDB, each batch synced.
    pub rocks: f64,
    /// What of the core's time is for what OpenMLS leaves to others, measured alone.
    pub apart: f64,
}

/// Bytes of an operation.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Bytes {
    /// MLS messages, by plain OpenMLS.
    pub plain: usize,
    /// Waku messages that the core publishes.
    pub core: usize,
    /// What of them is envelopes of invitations.
    pub envelopes: usize,
    /// What the core wrote to its store.
    pub written: usize,
}

/// A group of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Its leaves.
    pub leaves: usize,
    /// Operations by name, in the order of [`OPERATIONS`].
    pub micros: BTreeMap<&'static str, Micros>,
    /// The same.
    pub bytes: BTreeMap<&'static str, Bytes>,
    /// Bytes that plain OpenMLS keeps of the group at Bob's.
    pub plain_stored: usize,
}

/// What is measured.
pub const OPERATIONS: [&str; 10] =
    [SEND, TAKEN, RECEIVE, CATCH_UP, ADD_ALL, JOIN, ADD, FOLLOW_ADD, COMMIT, FOLLOW_COMMIT];
const SEND: &str = "send";
/// The relay took it: the core notes that.
const TAKEN: &str = "taken by the relay";
const RECEIVE: &str = "receive";
const CATCH_UP: &str = "receive, in one batch";
const ADD_ALL: &str = "add all others";
const JOIN: &str = "join";
const ADD: &str = "add one";
const FOLLOW_ADD: &str = "apply another's add";
const COMMIT: &str = "set the name";
const FOLLOW_COMMIT: &str = "apply another's name";

/// Text of each message, in bytes.
const TEXT: usize = 100;

/// Measures all sizes.
pub fn run(options: &Options) -> anyhow::Result<Results> {
    let machine = Machine::now();
    let measured = options
        .leaves
        .iter()
        .map(|leaves| measure::group(*leaves, options))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let openmls = ("OpenMLS".to_owned(), "0.9.2 with RustCrypto, its store in memory".to_owned());
    let own = ("waku-groupchat-core".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let (tables, aims) = (table::tables(&measured), table::aims(&measured));
    Ok(Results {
        name: "core".to_owned(),
        machine,
        versions: [openmls, own].into(),
        setup: vec![
            format!(
                "Text of {TEXT} bytes; {} messages one by one, {} in one batch, {} commits of each \
                 kind; medians. One thread; what is compared takes turns.",
                options.messages, options.missed, options.commits
            ),
            "Time of the processor, but on RocksDB: there it is the time that passes, with each \
             batch synced to disk."
                .to_owned(),
            "Plain OpenMLS checks key packages and commits, or opens a Welcome. The core does all \
             from the records of accounts to what is published, and from that to the group. Every \
             commit sets the extensions, so it has a path."
                .to_owned(),
            "What held when it was verified is forgotten before each commit, and before it is \
             followed: in one process the cores would spare each other that."
                .to_owned(),
            "Apart is what plain OpenMLS leaves to others, measured alone, its parts after each \
             other: of a message, the core's own signature and seal; of an added account, its \
             registration record opened, with the signatures of its log, and its envelope made; of \
             joining, its envelope opened, where half of the slots are tried, and the signatures of \
             all members' logs. Not apart is that the core judges each \
             commit by the group's rules, keeps the state before it, and seals the commit itself."
                .to_owned(),
        ],
        tables,
        aims,
        raw: serde_json::to_value(measured)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_measured() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().to_owned();
        let options = Options { leaves: vec![2, 5], messages: 3, commits: 2, missed: 4, folder };
        let results = run(&options).expect("a run");
        assert!(results.aims.len() >= 7);
        for group in results.raw.as_array().expect("groups") {
            for what in OPERATIONS {
                let micros = &group["micros"][what];
                assert!(micros["memory"].as_f64() > Some(0.0), "{what}: {micros}");
                assert!(micros["rocks"].as_f64() > Some(0.0), "{what}: {micros}");
                assert!(what == TAKEN || micros["plain"].as_f64() > Some(0.0), "{what}: {micros}");
            }
        }
    }
}
