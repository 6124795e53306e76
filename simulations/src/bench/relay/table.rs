//! The relay's rounds as a table.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::json;

use super::node::Kind;
use super::{Options, Round, name};
use crate::bench::machine::Machine;
use crate::bench::results::{Aim, Results, Table, number, ratio};

/// A million bytes.
const MB: f64 = 1e6;

/// A line of the table: what it is, and its figure of a pair.
type Line = (&'static str, fn(&Pair<'_>) -> f64);

const LINES: [Line; 15] = [
    ("offered a second", |p| p.best.offered as f64 / p.best.load_seconds),
    ("accepted a second", |p| p.best.accepted_rate()),
    ("delivered a second, until the last one", |p| {
        p.best.delivered as f64 / p.best.settled_seconds
    }),
    ("accepted, all rounds", |p| p.sum(|r| r.accepted)),
    ("delivered of them, %", |p| p.share(|r| r.delivered)),
    ("archived by the sender, %", |p| p.share(|r| r.archived_by_sender)),
    ("archived by the receiver, %", |p| p.share(|r| r.archived_by_receiver)),
    ("CPU a message at the sender, µs", |p| p.best.sender_cpu),
    ("CPU a message at the receiver, µs", |p| p.best.receiver_cpu),
    ("CPU a message of the load, µs", |p| p.best.load_cpu),
    ("resident at most at the sender, MB", |p| p.most(|r| r.peak[0])),
    ("resident at most at the receiver, MB", |p| p.most(|r| r.peak[1])),
    ("resident afterwards at the receiver, MB", |p| p.most(|r| r.resident[1])),
    ("answer to a client, p50, µs", |p| p.best.answers.p50),
    ("answer to a client, p99, µs", |p| p.best.answers.p99),
];

/// All rounds of one pair.
struct Pair<'a> {
    rounds: &'a [Round],
    best: &'a Round,
}

impl<'a> Pair<'a> {
    fn new(rounds: &'a [Round]) -> Option<Self> {
        let best = rounds.iter().max_by(|a, b| a.accepted_rate().total_cmp(&b.accepted_rate()))?;
        Some(Self { rounds, best })
    }

    fn sum(&self, of: fn(&Round) -> u64) -> f64 {
        self.rounds.iter().map(of).sum::<u64>() as f64
    }

    /// Of all accepted messages, in percent.
    fn share(&self, of: fn(&Round) -> u64) -> f64 {
        self.sum(of) / self.sum(|round| round.accepted).max(1.0) * 100.0
    }

    /// The highest of all rounds, in MB.
    fn most(&self, of: fn(&Round) -> u64) -> f64 {
        self.rounds.iter().map(of).max().unwrap_or_default() as f64 / MB
    }
}

/// Puts the rounds together: rates and times are of each pair's best round, counts and memory of
/// all of them.
pub(super) fn results(
    options: &Options,
    machine: Machine,
    rounds: &[Vec<Round>],
    paced: &[Vec<Round>],
) -> anyhow::Result<Results> {
    let pairs: Vec<_> = rounds.iter().filter_map(|rounds| Pair::new(rounds)).collect();
    let same: Vec<_> = paced.iter().filter_map(|rounds| Pair::new(rounds)).collect();
    let own = pairs.first().context("no rounds")?;
    let mut versions = BTreeMap::new();
    for program in &options.programs {
        versions.insert(name(program.kind).to_owned(), program.version()?);
    }
    let mut tables = vec![table(options, "As much as the pair takes", &pairs)];
    if let Some(rate) = options.rate {
        let title = format!("At {} messages a second", number(f64::from(rate)));
        tables.push(table(options, &title, &same));
    }
    let named = |rounds: &[Vec<Round>]| -> BTreeMap<_, _> {
        options.programs.iter().map(|p| name(p.kind)).zip(rounds.to_vec()).collect()
    };
    let raw = json!({ "rounds": named(rounds), "paced": named(paced) });
    Ok(Results {
        name: "relay".to_owned(),
        machine,
        versions,
        setup: setup(options),
        tables,
        aims: aims(options, own, same.first()),
        raw,
    })
}

fn setup(options: &Options) -> Vec<String> {
    let load = options.load;
    let mut setup = vec![
        format!(
            "Two nodes on loopback, each with an archive; {} clients of the first one's REST API \
             with kept connections, one request at a time each, payloads of {} random bytes, {} s \
             a round, {} rounds of each pair in turn and one more at a given rate, each from an \
             empty archive.",
            load.clients,
            load.payload,
            load.duration.as_secs(),
            options.rounds
        ),
        "Rates, CPU and answer times are those of each pair's best round by accepted messages; \
         shares and memory are over all rounds. CPU is user and system time of the process until \
         the last message arrived; nodes and load share the cores."
            .to_owned(),
        "Delivered is the receiver's count of relay messages; archived is what the Store lists \
         page by page, for go-waku the rows of its SQLite database."
            .to_owned(),
    ];
    setup.extend(options.no_peer.as_ref().map(|why| format!("go-waku was not measured: {why}")));
    setup
}

fn table(options: &Options, title: &str, pairs: &[Pair<'_>]) -> Table {
    let names: Vec<_> = options.programs.iter().map(|program| name(program.kind)).collect();
    let mut table = Table::new(title, &["what"]);
    table.columns.extend(names.iter().map(|&name| name.to_owned()));
    if options.programs.iter().any(|program| program.kind == Kind::GoWaku) {
        table.columns.push("ratio".to_owned());
    }
    for (what, figure) in LINES {
        let figures: Vec<_> = pairs.iter().map(figure).collect();
        let mut row = vec![what.to_owned()];
        row.extend(figures.iter().map(|&figure| number(figure)));
        if let [own, peer] = figures[..] {
            row.push(ratio(own, peer));
        }
        table.rows.push(row);
    }
    table
}

fn aims(options: &Options, own: &Pair<'_>, paced: Option<&Pair<'_>>) -> Vec<Aim> {
    let complete = own.rounds.iter().filter(|round| round.is_complete()).count();
    let memory = |of: &Pair<'_>| of.most(|round| round.peak[0].max(round.peak[1]));
    let sum = |of| number(own.sum(of));
    let mut aims = vec![
        Aim::at_least("accepted", 6_000.0, own.best.accepted_rate(), "a second"),
        Aim {
            what: "accepted = delivered = archived".to_owned(),
            aim: "in all rounds".to_owned(),
            measured: format!(
                "in {complete} of {}: {} = {} = {} and {}",
                own.rounds.len(),
                sum(|round| round.accepted),
                sum(|round| round.delivered),
                sum(|round| round.archived_by_sender),
                sum(|round| round.archived_by_receiver),
            ),
            met: complete == own.rounds.len(),
        },
        Aim::at_most("CPU a message at the receiver", 115.0, own.best.receiver_cpu, "µs"),
        Aim::at_most("resident at most, either node", 100.0, memory(own), "MB"),
    ];
    if let (Some(paced), Some(rate)) = (paced, options.rate) {
        let what = format!("the same, at {} messages a second", number(f64::from(rate)));
        aims.push(Aim::at_most(&what, 100.0, memory(paced), "MB"));
    }
    aims
}
