//! What has to hold of a run. Each check gives the [`Failure`]s it found, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::views::{Evidence, GapState, GapView};

pub use super::failure::Failure;
use super::observed::{Observed, Phase, SeatView};
use super::scenario::{View, id_of};

/// All that does not hold of a run; empty for a good one.
pub fn failures(run: &Observed) -> Vec<Failure> {
    let mut failures: Vec<Failure> =
        run.seats.iter().flat_map(|seat| [shown(run, seat), order(run, seat)].concat()).collect();
    failures.extend(names(run));
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
        let mut publishes = run.firsts(index).chain(run.retries(index)).chain(run.repairs());
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

/// All installations show one name in one epoch, and it is one that was given last. Where two were
/// given at the same time, somebody's gave way.
fn names(run: &Observed) -> Vec<Failure> {
    let mut failures = Vec::new();
    let Some(first) = run.seats.first().map(|seat| &seat.view) else { return failures };
    for seat in &run.seats {
        let (by, View { name, epoch, .. }) = (seat.label.clone(), &seat.view);
        if (name, epoch) != (&first.name, &first.epoch) {
            failures.push(Failure::Apart {
                by: by.clone(),
                name: name.clone(),
                epoch: *epoch,
                first: first.name.clone(),
                first_epoch: first.epoch,
            });
        }
        if !run.names.contains(name) {
            failures.push(Failure::OtherName { by, name: name.clone() });
        }
    }
    if run.at_once > 0 && run.seats.iter().all(|seat| seat.reordered == 0) {
        failures.push(Failure::NotReordered);
    }
    failures
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
