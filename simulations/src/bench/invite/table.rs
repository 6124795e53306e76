//! Tables for people.

use std::collections::BTreeMap;

use serde_json::json;

use super::{INSTALLATIONS, Measured, Options, Sent};
use crate::bench::machine::Machine;
use crate::bench::results::{Results, Table, number};

pub(super) fn results(measured: &[Measured], options: &Options, machine: Machine) -> Results {
    Results {
        name: "invite".to_owned(),
        machine,
        versions: BTreeMap::from([
            ("waku-groupchat".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("OpenMLS".to_owned(), "0.9".to_owned()),
        ]),
        setup: vec![
            format!(
                "Accounts of {INSTALLATIONS} installations each are invited with one command. {} of \
                 them join with a core each and talk; all cores are on one thread, with their \
                 stores in memory and a virtual clock. Times are the CPU time of that thread.",
                options.joiners
            ),
            "Beside it: OpenMLS alone adds as many members with one commit, on its own storage in \
             memory, without account logs, checks of them, envelopes and seals."
                .to_owned(),
        ],
        tables: vec![times(measured), bytes(measured), group(measured)],
        aims: Vec::new(),
        raw: json!(measured),
    }
}

fn times(measured: &[Measured]) -> Table {
    let columns = [
        "accounts",
        "inviter, all work, ms",
        "its longest step, ms",
        "OpenMLS's commit, ms",
        "ratio",
        "joiner until invited, ms",
        "accepting, ms",
        "OpenMLS's join, ms",
        "ratio",
    ];
    let mut table = Table::new("Inviting and joining", &columns);
    for m in measured {
        table.row([
            number(m.accounts as f64),
            number(m.invite),
            number(m.longest_step),
            number(m.plain.commit),
            number(m.longest_step / m.plain.commit),
            number(m.look),
            number(m.accept),
            number(m.plain.join),
            number((m.look + m.accept) / m.plain.join),
        ]);
    }
    table
}

fn bytes(measured: &[Measured]) -> Table {
    let columns = [
        "accounts",
        "commit",
        "OpenMLS's commit, KiB",
        "shared part",
        "OpenMLS's tree, KiB",
        "envelopes",
        "most envelopes in a second",
    ];
    let mut table = Table::new("What leaves", &columns);
    for m in measured {
        table.row([
            number(m.accounts as f64),
            sent(m.commit),
            kib(m.plain.commit_bytes),
            sent(m.shared),
            kib(m.plain.tree_bytes),
            sent(m.envelopes),
            number(m.most_envelopes_a_second as f64),
        ]);
    }
    table
}

fn group(measured: &[Measured]) -> Table {
    let columns = [
        "leaves",
        "sending a message, ms",
        "reading one, ms",
        "renaming the group, ms",
        "applying that, ms",
        "inviter's store, MiB",
        "process at most, MiB",
    ];
    let mut table = Table::new("The group after it", &columns);
    for m in measured {
        table.row([
            number(m.leaves as f64),
            number(m.send),
            number(m.read),
            number(m.rename),
            number(m.renamed),
            number(m.store_bytes as f64 / f64::from(1 << 20)),
            number(m.peak_bytes as f64 / f64::from(1 << 20)),
        ]);
    }
    table
}

fn sent(sent: Sent) -> String {
    format!("{} messages, {} KiB", number(sent.messages as f64), kib(sent.bytes))
}

fn kib(bytes: usize) -> String {
    number(bytes as f64 / 1024.0)
}
