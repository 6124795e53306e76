//! Relay and archive over REST: two nodes on loopback, one of which is loaded.
//!
//! ```text
//! clients ──REST──► sender ──relay──► receiver
//!                     │                  │
//!                  archive            archive
//! ```
//!
//! Rounds of the pairs alternate, each with fresh nodes and folders. A round is: messages until the
//! second node has some (warm-up), the load, then waiting until the second node has as many as were
//! accepted, or nothing has come for a while. CPU time is that of the whole round after the
//! warm-up.

pub mod load;
pub mod node;
pub mod process;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use self::load::{Load, Offered};
use self::node::{Kind, Node, PUBSUB_TOPIC, Program};
use super::machine::Machine;
use super::results::Results;
use super::stats::Percentiles;

/// Messages of a warm-up, once the first one has arrived.
const WARM_UP: u64 = 500;
/// How long the first message may take to arrive: peers dial, and a mesh forms at a heartbeat.
const FIRST: Duration = Duration::from_secs(20);
/// Between two looks at the counts.
const LOOK: Duration = Duration::from_millis(100);
/// A round ends when nothing has come for this long.
const QUIET: Duration = Duration::from_secs(3);
/// A round ends this long after the last message was accepted.
const SETTLE: Duration = Duration::from_secs(60);

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The pairs; the first one is this project's.
    pub programs: Vec<Program>,
    /// Rounds of each pair.
    pub rounds: usize,
    /// The load of a round, as much as the pair takes.
    pub load: Load,
    /// Messages a second of one more round, so that all pairs carry the same.
    pub rate: Option<u32>,
    /// Folder for the nodes; each round's is removed after it.
    pub folder: PathBuf,
    /// Why go-waku is not there, if it is not.
    pub no_peer: Option<String>,
}

/// One round of one pair.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Requests that were answered.
    pub offered: u64,
    /// Messages that were accepted: 200.
    pub accepted: u64,
    /// Other answers: status and how many.
    pub refused: Vec<(u16, u64)>,
    /// Messages that reached the receiver.
    pub delivered: u64,
    /// New messages in the sender's archive.
    pub archived_by_sender: u64,
    /// New messages in the receiver's archive.
    pub archived_by_receiver: u64,
    /// Seconds of the load.
    pub load_seconds: f64,
    /// Seconds until the receiver had and kept all that it ever had.
    pub settled_seconds: f64,
    /// CPU time at the sender in microseconds, for each accepted message.
    pub sender_cpu: f64,
    /// CPU time at the receiver in microseconds, for each accepted message.
    pub receiver_cpu: f64,
    /// CPU time of the load in microseconds, for each request.
    pub load_cpu: f64,
    /// Resident at most, sender and receiver, in bytes.
    pub peak: [u64; 2],
    /// Resident at the end, sender and receiver, in bytes.
    pub resident: [u64; 2],
    /// From a request to its answer, in microseconds.
    pub answers: Percentiles,
}

impl Round {
    /// Accepted messages a second.
    pub fn accepted_rate(&self) -> f64 {
        self.accepted as f64 / self.load_seconds
    }

    /// Whether what was accepted was delivered and archived, no more and no less.
    pub fn is_complete(&self) -> bool {
        [self.delivered, self.archived_by_sender, self.archived_by_receiver]
            .iter()
            .all(|count| *count == self.accepted)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} accepted a second, {} accepted, {} delivered, {} and {} archived, {:.0} and \
             {:.0} µs a message",
            self.accepted_rate(),
            self.accepted,
            self.delivered,
            self.archived_by_sender,
            self.archived_by_receiver,
            self.sender_cpu,
            self.receiver_cpu,
        )
    }
}

/// Runs all rounds.
pub fn run(options: &Options) -> anyhow::Result<Results> {
    let machine = Machine::now();
    let rounds = alternate(options, options.rounds, options.load)?;
    let paced = match options.rate {
        Some(rate) => alternate(options, 1, Load { rate: Some(rate), ..options.load })?,
        None => Vec::new(),
    };
    table::results(options, machine, &rounds, &paced)
}

/// Rounds of all pairs in turn; what comes back is a list of rounds for each pair.
fn alternate(options: &Options, rounds: usize, load: Load) -> anyhow::Result<Vec<Vec<Round>>> {
    let mut done: Vec<Vec<Round>> = vec![Vec::new(); options.programs.len()];
    for number in 1..=rounds {
        for (program, done) in options.programs.iter().zip(&mut done) {
            let folder = options.folder.join(format!("{:?}-{number}", program.kind));
            let round = round(program, &folder, load)
                .with_context(|| format!("round {number} of {:?}", program.kind))?;
            // Only what this round has made.
            std::fs::remove_dir_all(&folder)?;
            eprintln!("round {number} of {:?}: {round}", program.kind);
            done.push(round);
        }
    }
    Ok(done)
}

/// What two nodes have counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    delivered: u64,
    archived: [u64; 2],
}

fn counts(sender: &Node, receiver: &Node) -> anyhow::Result<Counts> {
    let archived = [sender.archived()?, receiver.archived()?];
    Ok(Counts { delivered: receiver.delivered()?, archived })
}

fn round(program: &Program, folder: &Path, load: Load) -> anyhow::Result<Round> {
    let receiver = Node::start(program, &folder.join("receiver"), None)?;
    let sender = Node::start(program, &folder.join("sender"), Some(&receiver.address))?;
    warm_up(&sender, &receiver, load)?;
    let (before, _) = settle(&sender, &receiver, None)?;
    let listed = [sender.listed()?, receiver.listed()?];
    let cpu = [sender.cpu()?, receiver.cpu()?];

    let begin = Instant::now();
    let offered = load::offer(sender.rest, PUBSUB_TOPIC, load)?;
    let all = Counts {
        delivered: before.delivered + offered.accepted,
        archived: before.archived.map(|count| count + offered.accepted),
    };
    let (after, settled) = settle(&sender, &receiver, Some(all))?;
    let used = [sender.cpu()? - cpu[0], receiver.cpu()? - cpu[1]];
    let memory = [sender.memory()?, receiver.memory()?];
    let [by_sender, by_receiver] = [sender.listed()? - listed[0], receiver.listed()? - listed[1]];
    let each = |cpu: Duration, count: u64| cpu.as_secs_f64() * 1e6 / count.max(1) as f64;
    let Offered { accepted, .. } = offered;
    Ok(Round {
        offered: offered.offered,
        accepted,
        refused: offered.refused.into_iter().collect(),
        delivered: after.delivered - before.delivered,
        archived_by_sender: by_sender,
        archived_by_receiver: by_receiver,
        load_seconds: offered.elapsed.as_secs_f64(),
        settled_seconds: (settled - begin).as_secs_f64(),
        sender_cpu: each(used[0], accepted),
        receiver_cpu: each(used[1], accepted),
        load_cpu: each(offered.cpu, offered.offered),
        peak: memory.map(|memory| memory.peak),
        resident: memory.map(|memory| memory.resident),
        answers: offered.answers.percentiles(),
    })
}

/// Sends until something arrives, and then some more.
fn warm_up(sender: &Node, receiver: &Node, load: Load) -> anyhow::Result<()> {
    let deadline = Instant::now() + FIRST;
    while receiver.delivered()? == 0 {
        ensure!(Instant::now() < deadline, "nothing arrives:\n{}", sender.log());
        load::offer(sender.rest, PUBSUB_TOPIC, Load { clients: 1, most: 1, ..load })?;
        thread::sleep(LOOK);
    }
    load::offer(sender.rest, PUBSUB_TOPIC, Load { most: WARM_UP, rate: None, ..load })?;
    Ok(())
}

/// Waits until the counts are these, or stay as they are. Gives them, and when they last changed.
fn settle(
    sender: &Node,
    receiver: &Node,
    all: Option<Counts>,
) -> anyhow::Result<(Counts, Instant)> {
    let begin = Instant::now();
    let (mut last, mut changed) = (counts(sender, receiver)?, Instant::now());
    while Some(last) != all && changed.elapsed() < QUIET && begin.elapsed() < SETTLE {
        thread::sleep(LOOK);
        let now = counts(sender, receiver)?;
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
    Ok((last, changed))
}

/// Whose nodes they are, for people.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Own => "waku-groupchat",
        Kind::GoWaku => "go-waku",
    }
}
