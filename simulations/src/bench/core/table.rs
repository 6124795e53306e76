//! The figures for people.

use super::{
    ADD, CATCH_UP, COMMIT, FOLLOW_ADD, FOLLOW_COMMIT, JOIN, Measured, OPERATIONS, RECEIVE, SEND,
};
use crate::bench::results::{Aim, Table, number, ratio};

/// Most times of plain OpenMLS at 2 leaves, what it leaves to others apart.
const SMALL: f64 = 1.2;
/// The same from 1,000 leaves on.
const LARGE: f64 = 0.5;
/// From this many leaves on.
const LARGE_FROM: usize = 1_000;
/// Most times of plain OpenMLS for each message of a batch, from 1,000 leaves on.
const BATCH: f64 = 0.1;

pub(super) fn tables(measured: &[Measured]) -> Vec<Table> {
    let mut times = Table::new(
        "Time, microseconds; \"×\": core in memory to plain OpenMLS",
        &["operation", "leaves", "plain", "core", "×", "apart", "× without", "core on RocksDB"],
    );
    let mut bytes = Table::new(
        "Bytes",
        &["operation", "leaves", "plain sends", "core sends", "of it envelopes", "core writes"],
    );
    for what in OPERATIONS {
        for group in measured {
            let m = group.micros[what];
            let plain = m.plain;
            times.row([
                what.to_owned(),
                number(group.leaves as f64),
                number(plain),
                number(m.memory),
                ratio(m.memory, plain),
                if m.apart > 0.0 { number(m.apart) } else { "–".to_owned() },
                ratio(m.memory - m.apart, plain),
                number(m.rocks),
            ]);
            if let Some(b) = group.bytes.get(what) {
                let sent = |bytes| if bytes > 0 { number(bytes as f64) } else { "–".to_owned() };
                bytes.row([
                    what.to_owned(),
                    number(group.leaves as f64),
                    sent(b.plain),
                    sent(b.core),
                    sent(b.envelopes),
                    number(b.written as f64),
                ]);
            }
        }
    }
    vec![times, bytes]
}

pub(super) fn aims(measured: &[Measured]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for group in measured {
        let (leaves, large) = (group.leaves, group.leaves >= LARGE_FROM);
        if leaves != 2 && !large {
            continue;
        }
        let most = if large { LARGE } else { SMALL };
        for what in [SEND, RECEIVE, JOIN, ADD, FOLLOW_ADD, COMMIT, FOLLOW_COMMIT] {
            let m = group.micros[what];
            let title = format!("{what}, {} leaves", number(leaves as f64));
            let times = (m.memory - m.apart) / m.plain;
            aims.push(Aim::at_most(&title, most, times, "times plain OpenMLS, apart"));
        }
        if large {
            let m = group.micros[CATCH_UP];
            let title = format!("{CATCH_UP}, {} leaves", number(leaves as f64));
            let times = (m.memory - m.apart) / m.plain;
            aims.push(Aim::at_most(&title, BATCH, times, "times plain OpenMLS, apart"));
        }
    }
    aims
}
