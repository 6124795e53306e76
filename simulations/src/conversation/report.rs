//! `run-report.json`: the run for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use waku_groupchat_core::api::views::{Evidence, GapState, TryView};
use waku_groupchat_core::{AccountId, InstallationId};

use super::checks::Failure;
use super::observed::{Observed, Phase, SeatView};
use super::scenario::id_of;

/// The whole report. Keys are in snake case.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub ok: bool,
    /// What does not, for people.
    pub failures: Vec<String>,
    /// The seed: `make run SEED=…` runs with it again.
    pub seed: u64,
    /// The script's file.
    pub script: String,
    /// The lines, in the order in which they were said.
    pub messages: Vec<MessageReport>,
    /// What each installation shows.
    pub installations: Vec<InstallationReport>,
    /// Every gap that an installation reported.
    pub gaps: Vec<GapReport>,
    /// First publishes of lines, by lines: 1 where each was one relay publish.
    pub publishes_per_message: f64,
    /// All relay publishes.
    pub publishes: Publishes,
    /// Seconds from the start to the end of each step, and `total`.
    pub durations: BTreeMap<String, f64>,
}

/// A line.
#[derive(Debug, Serialize)]
pub struct MessageReport {
    /// Its line in the script's file, from 1.
    pub line: usize,
    /// Who said it.
    pub speaker: String,
    /// The speaker's account.
    pub account: AccountId,
    /// The installation that sent it.
    pub installation: InstallationId,
    /// Its number there.
    pub number: u64,
    /// Size of the text in bytes.
    pub bytes: usize,
    /// The text.
    pub text: String,
    /// What was cut meanwhile.
    pub links: Phase,
    /// How often it was published for the first time: 1.
    pub first_publishes: usize,
    /// How often it was published again.
    pub retries: usize,
    /// Its Waku hashes, the first publish's first.
    pub waku_hashes: Vec<String>,
    /// Whether the store holds the first publish.
    pub archived: bool,
}

/// An installation.
#[derive(Debug, Serialize)]
pub struct InstallationReport {
    /// Its name for people.
    pub name: String,
    /// Its account, by name.
    pub speaker: String,
    /// Its account.
    pub account: AccountId,
    /// The installation.
    pub installation: InstallationId,
    /// The node it runs on.
    pub node: String,
    /// That node's HTTP address.
    pub address: String,
    /// Whether it was stopped for good; then the rest is what it showed before.
    pub stopped: bool,
    /// The group's name, as it shows it.
    pub group_name: String,
    /// The group's epoch, as it shows it.
    pub epoch: u64,
    /// The names that it saw the group have, in order.
    pub names: Vec<String>,
    /// How often changes gave way to others made at the same time, as it saw it.
    pub reordered: usize,
    /// The lines it shows, in its order, by their line in the script's file.
    pub shows: Vec<usize>,
}

/// A gap that an installation reported.
#[derive(Debug, Serialize)]
pub struct GapReport {
    /// The installation that reported it, by name.
    pub reported_by: String,
    /// The sender's account.
    pub account: AccountId,
    /// The sender's account, by name.
    pub speaker: String,
    /// The sender.
    pub installation: InstallationId,
    /// The sender's number for the message.
    pub number: u64,
    /// How it is known.
    pub evidence: Evidence,
    /// Where it stands.
    pub state: GapState,
    /// The states it went through.
    pub states: Vec<GapState>,
    /// What was tried, in order.
    pub tried: Vec<TryView>,
}

/// Relay publishes, counted.
#[derive(Debug, Default, Serialize)]
pub struct Publishes {
    /// First publishes of lines.
    pub first: usize,
    /// Of these, in the store.
    pub first_archived: usize,
    /// Lines published again.
    pub retries: usize,
    /// Of all, those of accounts' own groups, which more than one installation makes.
    pub of_own_groups: usize,
    /// All publishes by kind.
    pub by_kind: BTreeMap<String, usize>,
    /// Publishes while their node could reach the store: the store has to hold them.
    pub while_store_reached: usize,
    /// Messages in the store.
    pub archived: usize,
    /// Of these, published while the store was cut off, and heard of later.
    pub archived_later: usize,
}

impl Report {
    /// The report of a run that went through.
    pub fn new(run: &Observed, failures: &[Failure], run_of: RunOf) -> Self {
        let publishes = Publishes::new(run);
        Self {
            ok: failures.is_empty(),
            failures: failures.iter().map(ToString::to_string).collect(),
            seed: run_of.seed,
            script: run_of.script,
            messages: (0..run.lines.len()).map(|line| MessageReport::new(run, line)).collect(),
            installations: run.seats.iter().map(|s| InstallationReport::new(run, s)).collect(),
            gaps: run.seats.iter().flat_map(|seat| GapReport::all(run, seat)).collect(),
            publishes_per_message: publishes.first as f64 / run.lines.len().max(1) as f64,
            publishes,
            durations: run_of.durations,
        }
    }

    /// The report of a run that did not go through: why, and nothing else.
    pub fn broken_off(why: String, run_of: RunOf) -> Self {
        Self {
            ok: false,
            failures: vec![why],
            seed: run_of.seed,
            script: run_of.script,
            messages: Vec::new(),
            installations: Vec::new(),
            gaps: Vec::new(),
            publishes_per_message: 0.0,
            publishes: Publishes::default(),
            durations: run_of.durations,
        }
    }

    /// Writes it, indented.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(std::fs::write(file, text)?)
    }
}

/// What belongs to a run besides what was observed.
#[derive(Clone, Debug)]
pub struct RunOf {
    /// The seed.
    pub seed: u64,
    /// The script's file.
    pub script: String,
    /// As in [`Report`].
    pub durations: BTreeMap<String, f64>,
}

impl MessageReport {
    fn new(run: &Observed, index: usize) -> Self {
        let line = &run.lines[index];
        let held = |hash: &String| run.archive.contains(hash);
        let publishes = run.firsts(index).chain(run.retries(index));
        Self {
            line: line.file_line,
            speaker: line.speaker.clone(),
            account: line.account,
            installation: line.id.installation,
            number: line.id.number,
            bytes: line.text.len(),
            text: line.text.clone(),
            links: line.phase,
            first_publishes: run.firsts(index).count(),
            retries: run.retries(index).count(),
            waku_hashes: publishes.map(|publish| publish.what.hash.clone()).collect(),
            archived: run.firsts(index).any(|publish| held(&publish.what.hash)),
        }
    }
}

impl InstallationReport {
    fn new(run: &Observed, seat: &SeatView) -> Self {
        let lines = seat.view.messages.iter().filter_map(|message| run.line_of(message.id));
        Self {
            name: seat.label.clone(),
            speaker: seat.speaker.clone(),
            account: seat.account,
            installation: seat.installation,
            node: seat.node.0.clone(),
            address: seat.node.1.clone(),
            stopped: seat.stopped,
            group_name: seat.view.name.clone(),
            epoch: seat.view.epoch,
            names: seat.named.clone(),
            reordered: seat.reordered,
            shows: lines.map(|line| run.lines[line].file_line).collect(),
        }
    }
}

impl GapReport {
    fn all<'a>(run: &'a Observed, seat: &'a SeatView) -> impl Iterator<Item = Self> + 'a {
        seat.view.gaps.iter().map(|gap| {
            let sender = run.seats.iter().find(|other| other.account == gap.account);
            Self {
                reported_by: seat.label.clone(),
                account: gap.account,
                speaker: sender.map(|sender| sender.speaker.clone()).unwrap_or_default(),
                installation: gap.installation,
                number: gap.number,
                evidence: gap.evidence,
                state: gap.state,
                states: seat.states.get(&id_of(gap)).cloned().unwrap_or_default(),
                tried: gap.tried.clone(),
            }
        })
    }
}

impl Publishes {
    fn new(run: &Observed) -> Self {
        let lines = || 0..run.lines.len();
        let held = |hash: &String| run.archive.contains(hash);
        let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
        for publish in &run.publishes {
            *by_kind.entry(publish.what.kind.clone()).or_default() += 1;
        }
        let reached: BTreeSet<&String> =
            run.publishes.iter().filter(|p| p.reaches_store).map(|p| &p.what.hash).collect();
        Self {
            first: lines().map(|line| run.firsts(line).count()).sum(),
            first_archived: lines()
                .flat_map(|line| run.firsts(line))
                .filter(|publish| held(&publish.what.hash))
                .count(),
            retries: lines().map(|line| run.retries(line).count()).sum(),
            of_own_groups: run.of_own_groups().count(),
            by_kind,
            while_store_reached: reached.len(),
            archived: run.archive.len(),
            archived_later: run.archive.iter().filter(|hash| !reached.contains(hash)).count(),
        }
    }
}
