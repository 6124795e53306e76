//! The figures for people.

use std::collections::BTreeMap;

use super::kept::Kept;
use super::rewind::Rewind;
use super::rounds::{ROUND, Rounds};
use super::sizes::{Sent, Sizes};
use super::{Measured, Options};
use crate::bench::machine::Machine;
use crate::bench::results::{Aim, Results, Table, number, ratio};

/// Most rounds from when the last commit is everywhere until all stand in one state.
const AFTER_LAST: f64 = 3.0;
const KIB: f64 = 1024.0;

pub(super) fn results(
    measured: &Measured,
    options: &Options,
    machine: Machine,
) -> anyhow::Result<Results> {
    let aims = measured.rounds.iter().map(|m| {
        let what = format!("{} members at once, after the last commit", m.members);
        Aim::at_most(&what, AFTER_LAST, m.after_last, "rounds")
    });
    Ok(Results {
        name: "convergence".to_owned(),
        machine,
        versions: BTreeMap::from([
            ("OpenMLS".to_owned(), "0.9.2 with RustCrypto, its store in memory".to_owned()),
            ("waku-groupchat-core".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]),
        setup: setup(options),
        tables: vec![
            rounds(&measured.rounds),
            rewinds(&measured.rewinds),
            kept(&measured.kept),
            sizes(&measured.sizes),
        ],
        aims: aims.collect(),
        raw: serde_json::to_value(measured)?,
    })
}

fn setup(options: &Options) -> Vec<String> {
    vec![
        format!(
            "At once: every member gives the group a name at one moment, on the virtual network, \
             where each delivery takes one round of {} ms. A commit that loses its place is made \
             again after a random time, until every wish was carried out; seconds are of virtual \
             time. Seed {}.",
            ROUND.as_millis(),
            options.seed
        ),
        "Going back: a member followed the commits of one other, then hears of two commits, by two \
         others, that leave the state before and win. Beside it, following the two without having \
         heard of the first ones. Time of the processor, stores in memory."
            .to_owned(),
        format!(
            "Kept: a member follows commits that set the name until it keeps {} states. Beside it, \
             whole copies of plain OpenMLS's state after each of as many commits, in a database of \
             the same kind. Memory is that of a process which opens the database.",
            options.states
        ),
        "What leaves a member: Waku messages of the core, MLS messages of plain OpenMLS. An \
         invitation of more than 1,000 accounts is two of them; every invited account gets an \
         envelope."
            .to_owned(),
    ]
}

fn rounds(measured: &[Rounds]) -> Table {
    let mut table = Table::new(
        "Members that commit at once",
        &[
            "members",
            "rounds until together first",
            "commits until all wishes are carried out",
            "seconds until then",
            "rounds after the last commit is everywhere",
            "CPU a member, ms",
        ],
    );
    for m in measured {
        table.row([
            number(m.members as f64),
            number(m.first),
            number(m.commits as f64),
            number(m.seconds),
            number(m.after_last),
            number(m.work),
        ]);
    }
    table
}

fn rewinds(measured: &[Rewind]) -> Table {
    let mut table = Table::new(
        "Going back over commits",
        &[
            "leaves",
            "commits",
            "two commits, with going back, µs",
            "without, µs",
            "×",
            "going back, µs a commit",
            "written with, KiB",
            "written without, KiB",
        ],
    );
    for m in measured {
        table.row([
            number(m.leaves as f64),
            number(m.depth as f64),
            number(m.with),
            number(m.without),
            ratio(m.with, m.without),
            number((m.with - m.without) / m.depth as f64),
            number(m.written[0] as f64 / KIB),
            number(m.written[1] as f64 / KIB),
        ]);
    }
    table
}

fn kept(measured: &[Kept]) -> Table {
    let mut table = Table::new(
        "States that are kept, KiB",
        &[
            "leaves",
            "states",
            "stored with 1",
            "stored with all",
            "plain, as many copies",
            "ratio",
            "on disk with 1",
            "on disk with all",
            "plain on disk",
            "ratio",
            "memory of all but 1",
        ],
    );
    let kib = |bytes: u64| number(bytes as f64 / KIB);
    for m in measured {
        table.row([
            number(m.leaves as f64),
            number(m.states as f64),
            kib(m.stored[0] as u64),
            kib(m.stored[1] as u64),
            kib(m.plain_stored[1] as u64),
            ratio(m.stored[1] as f64, m.plain_stored[1] as f64),
            kib(m.disk[0]),
            kib(m.disk[1]),
            kib(m.plain_disk[1]),
            ratio(m.disk[1] as f64, m.plain_disk[1] as f64),
            m.resident.map_or("–".to_owned(), |[one, all]| kib(all.saturating_sub(one))),
        ]);
    }
    table
}

fn sizes(measured: &[Sizes]) -> Table {
    let mut table = Table::new(
        "What leaves a member",
        &["what", "leaves", "publishes", "bytes", "plain OpenMLS, bytes", "×"],
    );
    let mut row = |what: &str, leaves: usize, sent: Sent, plain: usize| {
        table.row([
            what.to_owned(),
            number(leaves as f64),
            number(sent.publishes as f64),
            number(sent.bytes as f64),
            if plain > 0 { number(plain as f64) } else { "–".to_owned() },
            ratio(sent.bytes as f64, plain as f64),
        ]);
    };
    for m in measured {
        let of = |kind| m.invite.get(kind).copied().unwrap_or_default();
        let (shared, envelopes) = (of("invitation-shared"), of("invitation-envelope"));
        row("invite: commits", m.leaves, of("commit"), m.plain.add);
        row("invite: tree and what all share", m.leaves, shared, m.plain.tree);
        row("invite: envelopes, beside the Welcome", m.leaves, envelopes, m.plain.welcome);
        row("join", m.leaves, m.join, 0);
        row("first commit in the new tree", m.leaves, m.commit, m.plain.commit);
        row("remove one", m.leaves, m.remove, m.plain.remove);
    }
    table
}
