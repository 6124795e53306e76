//! What happens to the conversation, phase by phase (see [`Phases`](super::plan::Phases)).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::sleep;
use waku_groupchat_core::api::views::{GapState, GapView, GroupView, MessageView};
use waku_groupchat_core::api::{Event, EventRecord};
use waku_groupchat_core::{AccountId, GroupId, InstallationId, MessageId};

use super::events::Events;
use super::network::{Network, STORE};
use super::plan::{Cast, Plan};
use super::script::Script;
use super::ui::Ui;

/// How long one line may take to everybody who can hear it.
pub(super) const HEARD: Duration = Duration::from_secs(30);
/// How long gaps may take to be reported, recovered or given up.
pub(super) const GAPS: Duration = Duration::from_secs(60);
/// How long a relay node remembers a message for peers that come later: the message cache of
/// gossipsub, six heartbeats of a second, and one more.
const RELAY_MEMORY: Duration = Duration::from_secs(7);

/// A chat node with an account.
#[derive(Debug)]
pub struct Member {
    /// Its account.
    pub account: AccountId,
    /// Its installation.
    pub installation: InstallationId,
    /// What it reports.
    pub events: Events,
    /// What it showed before it was stopped for good.
    pub last_view: Option<View>,
}

/// What an installation shows.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its messages, in its order.
    pub messages: Vec<MessageView>,
    /// All gaps it ever reported.
    pub gaps: Vec<GapView>,
    /// The group's name.
    pub name: String,
    /// The group's epoch.
    pub epoch: u64,
}

/// The group, and what was said in it.
#[derive(Debug)]
pub struct Talk<'a> {
    /// What is said.
    pub script: &'a Script,
    /// Who plays which part.
    pub plan: &'a Plan,
    /// By seat.
    pub members: Vec<Member>,
    /// The group.
    pub group: GroupId,
    /// The name of each line's message, as far as it was said.
    pub said: Vec<MessageId>,
}

/// The node of a seat.
pub fn node_of(seat: usize) -> usize {
    seat + 1
}

impl Talk<'_> {
    /// Carries the whole script.
    pub async fn carry(&mut self, network: &mut Network, ui: &Ui) -> anyhow::Result<()> {
        let phases = self.plan.phases.clone();
        let Cast { cut_off, .. } = self.plan.cast;
        let away = node_of(cut_off);
        ui.talk(self.script.lines.len());
        self.say_and_name(network, ui, phases.calm).await?;
        ui.done("first_lines", "everybody heard the first lines");

        ui.doing("cutting a node off");
        network.rewire(network.full().without(&[away])).await?;
        self.say(network, ui, phases.missed).await?;
        network.rewire(network.full().without(&[away, STORE])).await?;
        self.say(network, ui, phases.dark).await?;
        let name = self.name(cut_off);
        ui.done("cut_off", &format!("{name} was cut off, and then the store as well"));

        ui.doing("waiting until the relay has forgotten those lines");
        // Else the relay itself would fill the gaps: it offers recent messages to new peers.
        sleep(RELAY_MEMORY).await;
        network.rewire(network.full().without(&[STORE])).await?;
        self.say(network, ui, phases.shown).await?;
        self.gaps_are_reported().await?;
        ui.done(
            "gaps_reported",
            &format!("{name} is back, the store is not: its gaps are reported"),
        );

        ui.doing("waiting for the gaps to be filled");
        network.rewire(network.full()).await?;
        self.gaps_are_filled().await?;
        ui.done("gaps_recovered", "the store is back: the gaps are recovered");
        self.say_and_name(network, ui, phases.healed).await?;
        self.lose_one(network, ui).await
    }

    /// What a seat shows: now, or before it was stopped.
    pub async fn view(&self, network: &Network, seat: usize) -> anyhow::Result<View> {
        if let Some(view) = &self.members[seat].last_view {
            return Ok(view.clone());
        }
        let client = &network.node(node_of(seat)).client;
        let messages = client.messages(self.group).await?;
        let GroupView { name, epoch, .. } = client.group(self.group).await?;
        Ok(View { messages, gaps: client.gaps(self.group).await?, name, epoch })
    }

    /// The states in which a seat's events showed a gap, in order.
    pub fn shown_states(&self, seat: usize, message: MessageId) -> Vec<GapState> {
        let gap = |record: EventRecord| match record.event {
            Event::Gap { gap } => (id_of(&gap) == message).then_some(gap.state),
            _ => None,
        };
        self.members[seat].events.so_far().into_iter().filter_map(gap).collect()
    }

    /// Says these lines one after the other, each once those before were heard by everybody who
    /// can hear them.
    pub(super) async fn say(
        &mut self,
        network: &Network,
        ui: &Ui,
        lines: std::ops::Range<usize>,
    ) -> anyhow::Result<()> {
        for line in lines {
            let seat = self.plan.seat_for(self.script, line);
            let said = &self.script.lines[line];
            ui.line(line, &self.plan.label(seat), &said.text);
            let client = &network.node(node_of(seat)).client;
            let id = client.send(self.group, &said.text).await.with_context(|| {
                format!("line {}: {} cannot say it", said.file_line, self.name(seat))
            })?;
            self.said.push(id);
            for hearer in self.hearers(network, line, seat) {
                self.heard(hearer, line, id).await?;
            }
        }
        Ok(())
    }

    /// The seats that can hear a line.
    fn hearers(&self, network: &Network, line: usize, speaker: usize) -> Vec<usize> {
        let Cast { cut_off, holder, .. } = self.plan.cast;
        if line == self.plan.phases.lost {
            return vec![holder];
        }
        let away = self.plan.phases.away().contains(&line).then_some(cut_off);
        (0..self.members.len())
            .filter(|seat| *seat != speaker && Some(*seat) != away)
            .filter(|seat| network.node(node_of(*seat)).runs())
            .collect()
    }

    async fn heard(&self, seat: usize, line: usize, message: MessageId) -> anyhow::Result<()> {
        let what = format!("{} hears line {}", self.name(seat), self.script.lines[line].file_line);
        let it = |event: &Event| matches!(event, Event::Message { id, .. } if *id == message);
        Ok(self.members[seat].events.until_one(what, HEARD, it).await?)
    }

    /// Waits until the node that was cut off has reported what it missed.
    async fn gaps_are_reported(&self) -> anyhow::Result<()> {
        let what = format!("{} reports what it missed", self.name(self.plan.cast.cut_off));
        self.gaps_until(what, |state| state != GapState::Withdrawn).await
    }

    /// Waits until it has recovered that, and shows all it missed.
    async fn gaps_are_filled(&self) -> anyhow::Result<()> {
        let cut_off = self.plan.cast.cut_off;
        let what = format!("{} recovers what it missed", self.name(cut_off));
        self.gaps_until(what, |state| state == GapState::Recovered).await?;
        for line in self.plan.phases.away() {
            self.heard(cut_off, line, self.said[line]).await?;
        }
        Ok(())
    }

    async fn gaps_until(
        &self,
        what: String,
        good: impl Fn(GapState) -> bool,
    ) -> anyhow::Result<()> {
        let noticed = self.plan.noticed(self.script).into_iter();
        let noticed: BTreeSet<MessageId> = noticed.map(|line| self.said[line]).collect();
        let all = |records: &[EventRecord]| {
            let shown = records.iter().filter_map(|record| match &record.event {
                Event::Gap { gap } if good(gap.state) => Some(id_of(gap)),
                _ => None,
            });
            shown.collect::<BTreeSet<_>>().is_superset(&noticed).then_some(())
        };
        Ok(self.members[self.plan.cast.cut_off].events.until(what, GAPS, all).await?)
    }

    /// One line reaches a single other node, which claims it; both are then stopped for good.
    async fn lose_one(&mut self, network: &mut Network, ui: &Ui) -> anyhow::Result<()> {
        let Cast { loser, holder, .. } = self.plan.cast;
        let phases = self.plan.phases.clone();
        let (from, to) = (self.name(loser), self.name(holder));
        network.rewire(network.full().split(&[node_of(loser), node_of(holder)])).await?;
        self.say(network, ui, phases.lost..phases.lost + 1).await?;
        let lost = self.said[phases.lost];
        self.stop(network, loser).await?;
        let what = format!("a line of {from} reached {to} alone, and {from} is stopped for good");
        ui.done("sender_stopped", &what);

        // A restart also empties the holder's relay memory, so that only the chat can tell.
        network.restart(node_of(holder)).await?;
        network.rewire(network.full()).await?;
        self.nobody_else_has(network, lost).await?;
        self.say(network, ui, phases.claimed).await?;
        network.stored().await?;
        self.stop(network, holder).await?;
        let what = format!("{to} went on after a restart, and is stopped for good as well");
        ui.done("holder_stopped", &what);
        ui.doing("waiting until the others give up on that line");

        for seat in self.staying() {
            let what = format!("{} gives up on the lost line", self.name(seat));
            let given_up = |records: &[EventRecord]| {
                let last = records.iter().rev().find_map(|record| match &record.event {
                    Event::Gap { gap } if id_of(gap) == lost => Some(gap.state),
                    _ => None,
                });
                (last == Some(GapState::Unavailable)).then_some(())
            };
            self.members[seat].events.until(what, GAPS, given_up).await?;
        }
        ui.done("unavailable", "the others report that line as unavailable");
        Ok(())
    }

    /// The seats that run to the end.
    pub fn staying(&self) -> Vec<usize> {
        let Cast { loser, holder, .. } = self.plan.cast;
        (0..self.members.len()).filter(|seat| ![loser, holder].contains(seat)).collect()
    }

    /// Keeps what a seat shows, and kills its node.
    async fn stop(&mut self, network: &mut Network, seat: usize) -> anyhow::Result<()> {
        let view = self.view(network, seat).await?;
        self.members[seat].last_view = Some(view);
        network.kill(node_of(seat)).await
    }

    /// The line is at its sender and its holder alone: neither read nor archived elsewhere.
    async fn nobody_else_has(&self, network: &Network, lost: MessageId) -> anyhow::Result<()> {
        for seat in self.staying() {
            let view = self.view(network, seat).await?;
            let has = view.messages.iter().any(|message| message.id == lost);
            ensure!(!has, "{} has the line that only one node should have", self.name(seat));
        }
        let publishes = network.ledger().publishes().iter();
        let of_lost: BTreeSet<&str> = publishes
            .filter(|p| p.what.installation == Some(lost.installation))
            .filter(|p| p.what.number == Some(lost.number))
            .map(|p| p.what.hash.as_str())
            .collect();
        let archived = network.node(STORE).client.archived(&network.topic()).await?;
        let held = archived.iter().any(|hash| of_lost.contains(hash.as_str()));
        ensure!(!held, "the store has the line that only one node should have");
        Ok(())
    }

    fn name(&self, seat: usize) -> String {
        self.plan.label(seat)
    }
}

/// The message that a gap is about.
pub fn id_of(gap: &GapView) -> MessageId {
    MessageId { group: gap.group, installation: gap.installation, number: gap.number }
}
