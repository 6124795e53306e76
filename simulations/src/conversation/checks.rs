//! What has to hold of a run. Each check gives the [`Failure`]s it found, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::views::{Evidence, GapState, GapView};

use super::observed::{Observed, Phase, SeatView};
use super::scenario::id_of;

/// Something that does not hold. Lines are those of the script's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A line is not shown.
    #[error("{by} does not show line {line}")]
    NotShown {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// Something is shown that was not to be seen there, or twice.
    #[error("{by} shows number {number} of {installation}, which it should not, or shows it twice")]
    Unexpected {
        /// The installation that shows it.
        by: String,
        /// Whose it is, in short.
        installation: String,
        /// Its number.
        number: u64,
    },
    /// Text or account are not those of the line.
    #[error("{by} shows line {line} with another text or account")]
    Changed {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// A line stands before one that it answers.
    #[error("{by} shows line {line} after line {after}")]
    Order {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
        /// The later line that stands before it.
        after: usize,
    },
    /// The hash shown with a line is of none of its publishes.
    #[error("{by} shows line {line} with the hash of something else")]
    OtherHash {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// An installation's numbers are not 1, 2, 3, ….
    #[error("line {line} has number {got} of its sender, not {expected}")]
    Number {
        /// The line.
        line: usize,
        /// As it should be.
        expected: u64,
        /// As it is.
        got: u64,
    },
    /// A gap was not reported before it was filled.
    #[error("{by} never reported line {line} as missing")]
    NotReported {
        /// The installation.
        by: String,
        /// The line.
        line: usize,
    },
    /// A gap stands otherwise than it should.
    #[error("{by}: the gap of number {number} of {installation} is {got:?}, not {expected:?}")]
    Stands {
        /// The installation that reports it.
        by: String,
        /// Whose message it is, in short.
        installation: String,
        /// The message's number.
        number: u64,
        /// As it should stand.
        expected: GapState,
        /// As it stands.
        got: GapState,
    },
    /// A gap names another account than its installation's.
    #[error("{by}: the gap of line {line} names another account")]
    GapAccount {
        /// The installation that reports it.
        by: String,
        /// The line.
        line: usize,
    },
    /// The lost line is not known by its holder's claim.
    #[error("{by}: the gap of line {line} does not rest on its holder's claim")]
    NoClaim {
        /// The installation that reports it.
        by: String,
        /// The line.
        line: usize,
    },
    /// A gap is given up with no word of what was tried.
    #[error("{by}: the gap of line {line} does not say what was tried")]
    NothingTried {
        /// The installation that reports it.
        by: String,
        /// The line.
        line: usize,
    },
    /// Not one first publish for a line.
    #[error("line {line} was first published {got} times, not once")]
    Firsts {
        /// The line.
        line: usize,
        /// How many times.
        got: usize,
    },
    /// The first publish of a line is not in the store although the store was there.
    #[error("the store does not hold the first publish of line {line}")]
    FirstNotArchived {
        /// The line.
        line: usize,
    },
    /// The line that should reach one node alone is in the store.
    #[error("the store holds line {line}, which only one node should have")]
    LostArchived {
        /// The line.
        line: usize,
    },
    /// Something that was published while the store was there is not in it.
    #[error("the store does not hold {hash} ({kind})")]
    NotArchived {
        /// Its hash.
        hash: String,
        /// What it is.
        kind: String,
    },
    /// The store holds something that no node logged.
    #[error("the store holds {hash}, which no node says it published")]
    Stranger {
        /// Its hash.
        hash: String,
    },
}

/// All that does not hold of a run; empty for a good one.
pub fn failures(run: &Observed) -> Vec<Failure> {
    let mut failures: Vec<Failure> =
        run.seats.iter().flat_map(|seat| [shown(run, seat), order(run, seat)].concat()).collect();
    failures.extend(numbers(run));
    failures
        .extend(run.seats.iter().flat_map(|seat| [reported(run, seat), gaps(run, seat)].concat()));
    failures.extend(firsts(run));
    failures.extend(archive(run));
    failures
}

/// Each installation shows the lines it has to, once each, as they were said, and nothing else.
fn shown(run: &Observed, seat: &SeatView) -> Vec<Failure> {
    let by = || seat.label.clone();
    let mut open: BTreeSet<usize> = seat.expected.iter().copied().collect();
    let mut failures = Vec::new();
    for message in &seat.view.messages {
        let Some(index) = run.line_of(message.id).filter(|line| open.remove(line)) else {
            failures.push(Failure::Unexpected {
                by: by(),
                installation: message.id.installation.short(),
                number: message.id.number,
            });
            continue;
        };
        let said = &run.lines[index];
        if message.text != said.text || message.account != said.account {
            failures.push(Failure::Changed { by: by(), line: said.file_line });
        }
        let mut publishes = run.firsts(index).chain(run.retries(index));
        if !publishes.any(|publish| publish.what.hash == message.waku_hash) {
            failures.push(Failure::OtherHash { by: by(), line: said.file_line });
        }
    }
    let missing = open.iter().map(|line| run.lines[*line].file_line);
    failures.extend(missing.map(|line| Failure::NotShown { by: by(), line }));
    failures
}

/// Each line was said after those before it were read, so causal order is the script's order.
fn order(run: &Observed, seat: &SeatView) -> Vec<Failure> {
    let lines: Vec<usize> =
        seat.view.messages.iter().filter_map(|message| run.line_of(message.id)).collect();
    let wrong = lines.windows(2).filter(|pair| pair[0] > pair[1]);
    wrong
        .map(|pair| Failure::Order {
            by: seat.label.clone(),
            line: run.lines[pair[1]].file_line,
            after: run.lines[pair[0]].file_line,
        })
        .collect()
}

/// Each installation's numbers count from 1, without a hole and without a repeat.
fn numbers(run: &Observed) -> Vec<Failure> {
    let mut last: BTreeMap<InstallationId, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for line in &run.lines {
        let last = last.entry(line.id.installation).or_default();
        let (expected, got) = (*last + 1, line.id.number);
        if got != expected {
            failures.push(Failure::Number { line: line.file_line, expected, got });
        }
        *last = got;
    }
    failures
}

/// What an installation missed was reported before it was recovered.
fn reported(run: &Observed, seat: &SeatView) -> Vec<Failure> {
    let early = |state: &GapState| matches!(state, GapState::Missing | GapState::Fetching);
    let mut failures = Vec::new();
    for index in &seat.recovered {
        let said = &run.lines[*index];
        let mut before = seat.states.get(&said.id).into_iter().flatten();
        let gap = seat.view.gaps.iter().any(|gap| id_of(gap) == said.id);
        if !gap || !before.next().is_some_and(early) {
            let by = seat.label.clone();
            failures.push(Failure::NotReported { by, line: said.file_line });
        }
    }
    let lost = &run.lines[run.lost];
    let stays_out = !seat.expected.contains(&run.lost);
    if stays_out && !seat.view.gaps.iter().any(|gap| id_of(gap) == lost.id) {
        failures.push(Failure::NotReported { by: seat.label.clone(), line: lost.file_line });
    }
    failures
}

/// Every gap is recovered, save the one of the lost line, which says what was tried.
fn gaps(run: &Observed, seat: &SeatView) -> Vec<Failure> {
    let mut failures = Vec::new();
    for gap in &seat.view.gaps {
        let line = run.line_of(id_of(gap));
        let lost = line == Some(run.lost);
        let expected = if lost { GapState::Unavailable } else { GapState::Recovered };
        if gap.state != expected {
            failures.push(Failure::Stands {
                by: seat.label.clone(),
                installation: gap.installation.short(),
                number: gap.number,
                expected,
                got: gap.state,
            });
        }
        let Some(said) = line.map(|line| &run.lines[line]) else { continue };
        let (by, line) = (seat.label.clone(), said.file_line);
        if gap.account != said.account {
            failures.push(Failure::GapAccount { by: by.clone(), line });
        }
        if lost {
            failures.extend(given_up(run, gap, &by, line));
        }
    }
    failures
}

fn given_up(run: &Observed, gap: &GapView, by: &str, line: usize) -> Vec<Failure> {
    let mut failures = Vec::new();
    if gap.evidence != (Evidence::Claimed { by: run.holder }) {
        failures.push(Failure::NoClaim { by: by.to_owned(), line });
    }
    if gap.tried.is_empty() {
        failures.push(Failure::NothingTried { by: by.to_owned(), line });
    }
    failures
}

/// One first publish a line; outside the store's cut, that very one is in the store.
fn firsts(run: &Observed) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (index, said) in run.lines.iter().enumerate() {
        let line = said.file_line;
        let got = run.firsts(index).count();
        if got != 1 {
            failures.push(Failure::Firsts { line, got });
        }
        let held = |kind| run.publishes_of(index, kind).any(|p| run.archive.contains(&p.what.hash));
        match said.phase {
            Phase::OneLinkUp if held("message") || held("retry") => {
                failures.push(Failure::LostArchived { line });
            }
            Phase::AllUp | Phase::NodeCutOff if got > 0 && !held("message") => {
                failures.push(Failure::FirstNotArchived { line });
            }
            _ => {}
        }
    }
    failures
}

/// The store holds exactly what was published while it was there; what was published while it was
/// cut off it may have heard of later.
fn archive(run: &Observed) -> Vec<Failure> {
    let known: BTreeSet<&str> = run.publishes.iter().map(|p| p.what.hash.as_str()).collect();
    let must = run.publishes.iter().filter(|publish| publish.reaches_store);
    let lacking = must.filter(|publish| !run.archive.contains(&publish.what.hash)).map(|publish| {
        let (hash, kind) = (publish.what.hash.clone(), publish.what.kind.clone());
        Failure::NotArchived { hash, kind }
    });
    let strangers = run.archive.iter().filter(|hash| !known.contains(hash.as_str()));
    lacking.chain(strangers.map(|hash| Failure::Stranger { hash: hash.clone() })).collect()
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
