//! All that a run gave: what was said, what each installation shows, what was published, what the
//! store holds. Everything that is checked, printed and reported is a function of this.

use std::collections::{BTreeMap, BTreeSet};

use waku_groupchat_core::api::Event;
use waku_groupchat_core::api::views::GapState;
use waku_groupchat_core::{AccountId, InstallationId, MessageId};

use super::ledger::Publish;
use super::meet::GROUP_NAME;
use super::network::{Network, STORE};
use super::scenario::{Talk, View, id_of, node_of};

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The lines, in the order in which they were said.
    pub lines: Vec<SaidLine>,
    /// The names that the group could have at the end: the last one that was given, or either of
    /// two that were given at the same time.
    pub names: Vec<String>,
    /// Names that were given at the same time as another.
    pub at_once: usize,
    /// The installations.
    pub seats: Vec<SeatView>,
    /// Index of the line that reached a single other node.
    pub lost: usize,
    /// The installation that claims it.
    pub holder: InstallationId,
    /// Every publish that a node logged.
    pub publishes: Vec<Publish>,
    /// The hashes that the store node holds.
    pub archive: BTreeSet<String>,
}

/// A line that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidLine {
    /// Its line in the script's file, from 1.
    pub file_line: usize,
    /// The speaker's name.
    pub speaker: String,
    /// The speaker's account.
    pub account: AccountId,
    /// The name of its message.
    pub id: MessageId,
    /// The text.
    pub text: String,
    /// What was cut while it was said.
    pub phase: Phase,
}

/// What was cut while a line was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing.
    AllUp,
    /// One node.
    NodeCutOff,
    /// One node and the store.
    NodeAndStoreCutOff,
    /// The store.
    StoreCutOff,
    /// Everything but one link of its sender.
    OneLinkUp,
}

/// What an installation shows.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatView {
    /// Its name for people.
    pub label: String,
    /// The node it runs on, and that node's address.
    pub node: (String, String),
    /// Its account, by name.
    pub speaker: String,
    /// Its account.
    pub account: AccountId,
    /// The installation.
    pub installation: InstallationId,
    /// Whether it was stopped for good; then this is what it showed before.
    pub stopped: bool,
    /// Indices of the lines it has to show, in order.
    pub expected: Vec<usize>,
    /// Indices of the lines it has to have reported as missing, and recovered.
    pub recovered: Vec<usize>,
    /// What it shows.
    pub view: View,
    /// The states in which its events showed each gap, in order.
    pub states: BTreeMap<MessageId, Vec<GapState>>,
    /// The names that its events showed the group to have, in order.
    pub named: Vec<String>,
    /// How often its events said that changes gave way to others made at the same time.
    pub reordered: usize,
}

impl Observed {
    /// Asks every node that still runs.
    pub async fn new(network: &mut Network, talk: &Talk<'_>) -> anyhow::Result<Self> {
        network.stored().await?;
        let lines: Vec<SaidLine> =
            talk.said.iter().enumerate().map(|(line, id)| said(talk, line, *id)).collect();
        let mut seats = Vec::new();
        for seat in 0..talk.members.len() {
            seats.push(seat_view(network, talk, seat).await?);
        }
        let archive = network.node(STORE).client.archived(&network.topic()).await?;
        let renamings = &talk.plan.renamings;
        let names = match renamings.last() {
            Some(last) => last.names.iter().map(|naming| naming.name.clone()).collect(),
            None => vec![GROUP_NAME.to_owned()],
        };
        Ok(Self {
            lines,
            names,
            at_once: renamings.iter().map(|r| r.names.len()).filter(|names| *names > 1).sum(),
            seats,
            lost: talk.plan.phases.lost,
            holder: talk.members[talk.plan.cast.holder].installation,
            publishes: network.ledger().publishes().to_vec(),
            archive: archive.into_iter().collect(),
        })
    }

    /// The line of a message.
    pub fn line_of(&self, id: MessageId) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id)
    }

    /// The publishes of a line of this kind.
    pub fn publishes_of<'a>(
        &'a self,
        line: usize,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Publish> {
        let id = self.lines[line].id;
        self.publishes.iter().filter(move |publish| {
            let what = &publish.what;
            what.kind == kind
                && what.group == Some(id.group)
                && what.installation == Some(id.installation)
                && what.number == Some(id.number)
        })
    }

    /// The publishes of groups that nobody sees: each account's own, of its installations.
    pub fn of_own_groups(&self) -> impl Iterator<Item = &Publish> {
        let group = self.lines.first().map(|line| line.id.group);
        self.publishes.iter().filter(move |p| p.what.group.is_some() && p.what.group != group)
    }

    /// The publishes of a line for the first time.
    pub fn firsts(&self, line: usize) -> impl Iterator<Item = &Publish> {
        self.publishes_of(line, "message")
    }

    /// What members published for others that missed it. The log does not say whose line it is.
    pub fn repairs(&self) -> impl Iterator<Item = &Publish> {
        self.publishes.iter().filter(|publish| publish.what.kind == "repair")
    }

    /// The publishes of a line again.
    pub fn retries(&self, line: usize) -> impl Iterator<Item = &Publish> {
        self.publishes_of(line, "retry")
    }
}

fn said(talk: &Talk<'_>, line: usize, id: MessageId) -> SaidLine {
    let seat = talk.plan.seat_for(talk.script, line);
    let phases = &talk.plan.phases;
    let phase = match line {
        _ if line == phases.lost => Phase::OneLinkUp,
        _ if phases.missed.contains(&line) => Phase::NodeCutOff,
        _ if phases.dark.contains(&line) => Phase::NodeAndStoreCutOff,
        _ if phases.shown.contains(&line) => Phase::StoreCutOff,
        _ => Phase::AllUp,
    };
    let said = &talk.script.lines[line];
    SaidLine {
        file_line: said.file_line,
        speaker: talk.script.speakers[said.speaker].clone(),
        account: talk.members[seat].account,
        id,
        text: said.text.clone(),
        phase,
    }
}

async fn seat_view(network: &Network, talk: &Talk<'_>, seat: usize) -> anyhow::Result<SeatView> {
    let (plan, member, lost) = (talk.plan, &talk.members[seat], talk.plan.phases.lost);
    let cast = plan.cast;
    let expected = (0..talk.said.len()).filter(|line| match seat {
        _ if seat == cast.loser => *line <= lost,
        _ if seat == cast.holder => true,
        _ => *line != lost,
    });
    let recovered = if seat == cast.cut_off { plan.noticed(talk.script) } else { Vec::new() };
    let view = talk.view(network, seat).await?;
    let states = view.gaps.iter().map(|gap| (id_of(gap), talk.shown_states(seat, id_of(gap))));
    let node = network.node(node_of(seat));
    let events = member.events.so_far().into_iter().map(|record| record.event);
    let (mut named, mut reordered) = (Vec::new(), 0);
    for event in events {
        match event {
            Event::ProfileChanged { group, name, .. } if group == talk.group => named.push(name),
            Event::Reordered { group, .. } if group == talk.group => reordered += 1,
            _ => {}
        }
    }
    Ok(SeatView {
        label: plan.label(seat),
        node: (node.name.clone(), node.client.base().to_owned()),
        speaker: plan.accounts[plan.seats[seat].account].clone(),
        account: member.account,
        installation: member.installation,
        stopped: !node.runs(),
        expected: expected.collect(),
        recovered,
        states: states.collect(),
        named,
        reordered,
        view,
    })
}
