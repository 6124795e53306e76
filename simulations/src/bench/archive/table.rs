//! The archives' figures as tables.

use std::collections::BTreeMap;

use serde_json::json;

use super::{BATCH, BY_HASH, BY_HASHES, BY_TIME, Backend, Measured, Options, PAGE, SHARDS, TOPICS};
use crate::bench::machine::Machine;
use crate::bench::results::{Aim, Results, Table, number, ratio};
use crate::bench::stats::Percentiles;

/// What keeps the messages, for people.
pub(super) fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Rocks => "RocksDB",
        Backend::Sqlite => "SQLite",
    }
}

impl Measured {
    fn insert_rate(&self) -> f64 {
        self.messages as f64 / self.insert_seconds
    }

    /// Bytes on disk beyond the payload, for each message.
    fn overhead(&self) -> f64 {
        (self.disk_bytes as f64 - self.payload_bytes as f64) / self.messages as f64
    }

    fn query(&self, kind: &str) -> Percentiles {
        let found = self.queries.iter().find(|(name, _)| *name == kind);
        found.map(|(_, percentiles)| *percentiles).unwrap_or_default()
    }
}

/// The figures and aims of all cases.
pub(super) fn results(
    options: &Options,
    machine: Machine,
    measured: &[Measured],
) -> anyhow::Result<Results> {
    Ok(Results {
        name: "archive".to_owned(),
        machine,
        versions: BTreeMap::from([
            ("waku-groupchat".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("SQLite".to_owned(), rusqlite::version().to_owned()),
        ]),
        setup: setup(options),
        tables: vec![inserts(measured), queries(measured)],
        aims: aims(measured),
        raw: json!(measured),
    })
}

fn setup(options: &Options) -> Vec<String> {
    let mut setup: Vec<_> = options
        .cases
        .iter()
        .map(|case| {
            let (messages, name) = (number(case.messages as f64), name(case.backend));
            format!("{name} with {messages} messages: random {}.", case.sizes.describe())
        })
        .collect();
    setup.push(format!(
        "Messages are on {SHARDS} shards with {TOPICS} content topics each, 20 a second, up to two \
         seconds out of order, inserted {BATCH} at a time by one thread. SQLite has nwaku's table \
         and indexes, a transaction a batch, write-ahead log, synced at checkpoints."
    ));
    setup.push(format!(
        "Pages of {PAGE} messages with their payloads, {} of each kind at random places after \
         opening the archive again; what the system has in its page cache was not thrown away. A \
         time range is of twice as many messages as a page; content topics are asked from a random \
         time on.",
        options.queries
    ));
    setup
}

fn inserts(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Inserting",
        &[
            "archive",
            "messages",
            "inserts a second",
            "CPU a message, µs",
            "batch p50, µs",
            "batch p99, µs",
            "bytes a message on disk",
            "beyond the payload",
            "ratio of inserts",
        ],
    );
    for m in measured {
        table.row([
            m.backend.to_owned(),
            number(m.messages as f64),
            number(m.insert_rate()),
            number(m.insert_cpu),
            number(m.batches.p50),
            number(m.batches.p99),
            number(m.disk_bytes as f64 / m.messages as f64),
            number(m.overhead()),
            peer(measured, m).map_or("–".to_owned(), |p| ratio(m.insert_rate(), p.insert_rate())),
        ]);
    }
    table
}

fn queries(measured: &[Measured]) -> Table {
    let columns = ["archive", "messages", "page by", "p50, µs", "p90, µs", "p95, µs", "p99, µs"];
    let mut table = Table::new("Reading pages", &columns);
    table.columns.push("p95, SQLite's ratio".to_owned());
    for m in measured {
        for (kind, p) in &m.queries {
            table.row([
                m.backend.to_owned(),
                number(m.messages as f64),
                (*kind).to_owned(),
                number(p.p50),
                number(p.p90),
                number(p.p95),
                number(p.p99),
                peer(measured, m)
                    .map_or("–".to_owned(), |other| ratio(other.query(kind).p95, p.p95)),
            ]);
        }
    }
    table
}

/// SQLite with as many messages, for an archive of this project.
fn peer<'a>(measured: &'a [Measured], of: &Measured) -> Option<&'a Measured> {
    let sqlite = name(Backend::Sqlite);
    let same = |m: &&Measured| m.backend == sqlite && m.messages == of.messages;
    measured.iter().find(same).filter(|_| of.backend != sqlite)
}

fn aims(measured: &[Measured]) -> Vec<Aim> {
    let own = measured.iter().filter(|m| m.backend == name(Backend::Rocks));
    let at_most = |m: &Measured, what: &str, aim, micros: f64| {
        let what = format!("{what}, {} messages", number(m.messages as f64));
        Aim::at_most(&what, aim, micros / 1e3, "ms")
    };
    own.flat_map(|m| {
        [
            at_most(m, "one message by hash, p95", 1.0, m.query(BY_HASH).p95),
            at_most(m, "a page by its hashes, p95", 1.0, m.query(BY_HASHES).p95),
            at_most(m, "a page of a time range, p90", 10.0, m.query(BY_TIME).p90),
        ]
    })
    .collect()
}
