//! The archive: inserting, pages of a hundred by hash, topic and time, bytes on disk.
//!
//! Each archive is filled with the same messages (`sample`), one batch after the other. Then it is
//! closed, opened again, and asked: a hundred queries to warm up, then those that are timed, each at
//! a random place of its own. All of it runs on one thread.

pub mod sample;
pub mod sqlite;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use waku_groupchat_storage::{
    Archive, ArchiveQuery, ArchivedMessage, RetentionPolicy, RocksArchive,
};

use self::sample::{SHARDS, STEP, Sample, Sizes, TOPICS, content_topic, pubsub_topic, time};
use self::sqlite::Sqlite;
use super::machine::Machine;
use super::relay::process;
use super::results::Results;
use super::stats::{Percentiles, timed};

/// Messages of a page.
const PAGE: usize = 100;
/// Messages of a batch, as the node writes them at most when it is busy.
const BATCH: u64 = 128;
/// Batches that are made before they are inserted, so that making them is not timed.
const MADE: u64 = 64;
/// Queries before those that are timed.
const WARM_UP: usize = 100;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The archives, in order.
    pub cases: Vec<Case>,
    /// Queries of each kind.
    pub queries: usize,
    /// Where random places come from.
    pub seed: u64,
    /// Folder for the databases; each is removed after its case.
    pub folder: PathBuf,
}

/// One archive.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What keeps the messages.
    pub backend: Backend,
    /// How many.
    pub messages: u64,
    /// How long.
    pub sizes: Sizes,
}

/// What keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The archive of this project.
    Rocks,
    /// SQLite with nwaku's schema.
    Sqlite,
}

/// What was measured of an archive.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// `RocksDB` or `SQLite`.
    pub backend: &'static str,
    /// Messages in it.
    pub messages: u64,
    /// Bytes of all payloads.
    pub payload_bytes: u64,
    /// Seconds of inserting.
    pub insert_seconds: f64,
    /// CPU time of inserting in microseconds a message, that of making messages left out.
    pub insert_cpu: f64,
    /// Inserting a batch, in microseconds.
    pub batches: Percentiles,
    /// Bytes on disk, once it is closed.
    pub disk_bytes: u64,
    /// Queries, by kind, in microseconds.
    pub queries: Vec<(&'static str, Percentiles)>,
    /// Resident at most in bytes, of this process.
    pub peak_bytes: u64,
}

/// Kinds of queries: the name, and one at a random place.
type Kind = (&'static str, fn(&mut Place<'_>) -> ArchiveQuery);

/// A page by its hashes.
const BY_HASHES: &str = "100 hashes";
/// One message by its hash.
const BY_HASH: &str = "1 hash";
/// A page of everything from a time on.
const BY_TIME: &str = "time range";
/// A page of one shard.
const BY_SHARD: &str = "pubsub topic";
/// A page of one content topic.
const BY_TOPIC: &str = "content topic";

const KINDS: [Kind; 5] = [
    (BY_HASHES, |place| ArchiveQuery { hashes: place.hashes(PAGE), ..page() }),
    (BY_HASH, |place| ArchiveQuery { hashes: place.hashes(1), ..page() }),
    (BY_TIME, |place| {
        let (start, end) = place.range(2 * PAGE as u64);
        ArchiveQuery { time_start: Some(start), time_end: Some(end), ..page() }
    }),
    (BY_SHARD, |place| {
        let (start, end) = place.range(2 * PAGE as u64 * u64::from(SHARDS));
        let topic = Some(pubsub_topic(place.random.random_range(0..SHARDS)));
        ArchiveQuery { pubsub_topic: topic, time_start: Some(start), time_end: Some(end), ..page() }
    }),
    (BY_TOPIC, |place| ArchiveQuery {
        pubsub_topic: Some(pubsub_topic(place.random.random_range(0..SHARDS))),
        content_topics: vec![content_topic(place.random.random_range(0..TOPICS))],
        time_start: Some(place.range(1).0),
        ..page()
    }),
];

fn page() -> ArchiveQuery {
    ArchiveQuery { limit: PAGE, ..ArchiveQuery::default() }
}

/// Random places of an archive.
struct Place<'a> {
    random: &'a mut ChaCha8Rng,
    sample: Sample,
    messages: u64,
}

impl Place<'_> {
    fn hashes(&mut self, count: usize) -> Vec<waku_groupchat_waku::MessageHash> {
        let mut one = || self.sample.message(self.random.random_range(0..self.messages)).hash;
        (0..count).map(|_| one()).collect()
    }

    /// The times in which about this many messages were sent.
    fn range(&mut self, messages: u64) -> (i64, i64) {
        let last = self.messages.saturating_sub(messages).max(1);
        let start = time(self.random.random_range(0..last));
        (start, start + STEP * i64::try_from(messages).unwrap_or(i64::MAX / STEP))
    }
}

/// An archive of either kind.
enum Opened {
    Rocks(RocksArchive),
    Sqlite(Sqlite),
}

impl Opened {
    fn of(backend: Backend, folder: &Path) -> anyhow::Result<Self> {
        Ok(match backend {
            Backend::Rocks => {
                Self::Rocks(RocksArchive::open(folder.join("rocks"), RetentionPolicy::default())?)
            }
            Backend::Sqlite => Self::Sqlite(Sqlite::open(&folder.join("messages.db"))?),
        })
    }

    fn insert(&mut self, batch: &[ArchivedMessage]) -> anyhow::Result<usize> {
        Ok(match self {
            Self::Rocks(archive) => archive.insert(batch)?.inserted,
            Self::Sqlite(archive) => archive.insert(batch)?,
        })
    }

    /// How many messages the page has.
    fn query(&self, query: &ArchiveQuery) -> anyhow::Result<usize> {
        Ok(match self {
            Self::Rocks(archive) => archive.query(query)?.messages.len(),
            Self::Sqlite(archive) => archive.query(query)?,
        })
    }
}

/// Runs all cases.
pub fn run(options: &Options) -> anyhow::Result<Results> {
    let machine = Machine::now();
    let mut measured = Vec::new();
    for case in &options.cases {
        let folder = options.folder.join(format!("{:?}-{}", case.backend, case.messages));
        ensure!(!folder.exists(), "{} is there already", folder.display());
        fs::create_dir_all(&folder)?;
        let done = measure(options, case, &folder).with_context(|| format!("{case:?}"));
        // Only what this case has made.
        fs::remove_dir_all(&folder)?;
        let done = done?;
        eprintln!("{done:?}");
        measured.push(done);
    }
    table::results(options, machine, &measured)
}

fn measure(options: &Options, case: &Case, folder: &Path) -> anyhow::Result<Measured> {
    let sample = Sample { seed: options.seed << 32, sizes: case.sizes };
    let mut measured = fill(case, sample, folder)?;
    measured.disk_bytes = disk_bytes(folder)?;
    let archive = Opened::of(case.backend, folder)?;
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    for (name, kind) in KINDS {
        let mut place = Place { random: &mut random, sample, messages: case.messages };
        let queries: Vec<_> = (0..WARM_UP + options.queries).map(|_| kind(&mut place)).collect();
        let (warm_up, queries) = queries.split_at(WARM_UP);
        let mut found = 0;
        let mut ask = |query| {
            found += archive.query(query)?;
            anyhow::Ok(())
        };
        warm_up.iter().try_for_each(&mut ask)?;
        let times = timed(queries.len(), |index| ask(&queries[index]))?;
        ensure!(found > 0, "no query by {name} found anything");
        measured.queries.push((name, times.percentiles()));
    }
    measured.peak_bytes = process::memory(std::process::id())?.peak;
    Ok(measured)
}

/// Inserts all messages, and closes the archive.
fn fill(case: &Case, sample: Sample, folder: &Path) -> anyhow::Result<Measured> {
    let mut archive = Opened::of(case.backend, folder)?;
    let (mut times, mut payload_bytes, mut inserted) = (Vec::new(), 0, 0);
    let (mut begun, mut cpu) = (Duration::ZERO, Duration::ZERO);
    let mut number = 0;
    while number < case.messages {
        let count = (BATCH * MADE).min(case.messages - number);
        let made = sample.batch(number, count);
        payload_bytes += made.iter().map(|m| m.message.payload.len() as u64).sum::<u64>();
        let (begin, cpu_before) = (Instant::now(), process::cpu(std::process::id())?);
        for batch in made.chunks(BATCH as usize) {
            let begin = Instant::now();
            inserted += archive.insert(batch)? as u64;
            times.push(begin.elapsed());
        }
        begun += begin.elapsed();
        cpu += process::cpu(std::process::id())? - cpu_before;
        number += count;
    }
    ensure!(inserted == case.messages, "{inserted} of {} were new", case.messages);
    drop(archive);
    Ok(Measured {
        backend: table::name(case.backend),
        messages: case.messages,
        payload_bytes,
        insert_seconds: begun.as_secs_f64(),
        insert_cpu: cpu.as_secs_f64() * 1e6 / case.messages as f64,
        batches: super::stats::Times::new(times).percentiles(),
        disk_bytes: 0,
        queries: Vec::new(),
        peak_bytes: 0,
    })
}

/// Bytes that the files below a folder take.
pub(super) fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        // Blocks are of 512 bytes, whatever the file system's are.
        bytes += if about.is_dir() { disk_bytes(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(bytes)
}
