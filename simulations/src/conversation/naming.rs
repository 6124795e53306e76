//! Names that members give the group: one alone, or two at the same time on two sides of a cut.

use std::ops::Range;

use anyhow::Context;
use waku_groupchat_core::api::views::GroupView;

use super::network::Network;
use super::plan::{Naming, Renaming};
use super::scenario::{GAPS, HEARD, Talk, node_of};
use super::ui::Ui;
use super::wait::until;

impl Talk<'_> {
    /// Says these lines, and gives the group the names that stand among them or right after.
    pub(super) async fn say_and_name(
        &mut self,
        network: &mut Network,
        ui: &Ui,
        lines: Range<usize>,
    ) -> anyhow::Result<()> {
        let plan = self.plan;
        let here = |renaming: &&Renaming| (lines.start..=lines.end).contains(&renaming.before);
        let mut next = lines.start;
        for renaming in plan.renamings.iter().filter(here) {
            self.say(network, ui, next..renaming.before).await?;
            next = renaming.before;
            self.name_group(network, ui, renaming).await?;
        }
        self.say(network, ui, next..lines.end).await
    }

    async fn name_group(
        &self,
        network: &mut Network,
        ui: &Ui,
        renaming: &Renaming,
    ) -> anyhow::Result<()> {
        match renaming.names.as_slice() {
            [one, other] => self.name_at_once(network, ui, renaming, [one, other]).await,
            names => {
                for naming in names {
                    self.give(network, naming).await?;
                    for seat in 0..self.members.len() {
                        self.shows(network, seat, naming).await?;
                    }
                    let Naming { seat, name } = naming;
                    ui.done("named", &format!("{} names the group {name}", self.label(*seat)));
                }
                Ok(())
            }
        }
    }

    /// Cuts the network in half, with one of the two on each side beside somebody who sees its name
    /// there; the store is on the second one's side. Both changes stand until the halves meet. Then
    /// one gives way to the other, and is made again after it.
    async fn name_at_once(
        &self,
        network: &mut Network,
        ui: &Ui,
        renaming: &Renaming,
        [one, other]: [&Naming; 2],
    ) -> anyhow::Result<()> {
        let witnesses = self.plan.witnesses(renaming);
        let (beside_one, beside_other) = witnesses.context("two nodes beside the two that name")?;
        ui.doing("cutting the network in half");
        let before = self.group_at(network, one.seat).await?.epoch;
        let island = [node_of(one.seat), node_of(beside_one)];
        network.rewire(network.full().split(&island)).await?;
        for naming in [one, other] {
            self.give(network, naming).await?;
        }
        for (naming, seats) in [(one, [one.seat, beside_one]), (other, [other.seat, beside_other])]
        {
            for seat in seats {
                self.shows(network, seat, naming).await?;
            }
        }
        network.rewire(network.full()).await?;
        let name = self.one_name(network, before + 2).await?;
        let (one, other) = (self.label(one.seat), self.label(other.seat));
        ui.done(
            "named_at_once",
            &format!("{one} and {other} name the group at once, in two halves: all have {name}"),
        );
        Ok(())
    }

    async fn give(&self, network: &Network, Naming { seat, name }: &Naming) -> anyhow::Result<()> {
        let about = self.group_at(network, *seat).await?.description;
        let client = &network.node(node_of(*seat)).client;
        let named = client.rename(self.group, name, &about).await;
        named.with_context(|| format!("{} cannot name the group {name}", self.label(*seat)))
    }

    /// Waits until a seat shows a name.
    async fn shows(&self, network: &Network, seat: usize, naming: &Naming) -> anyhow::Result<()> {
        let name = &naming.name;
        until(format!("{} shows the name {name}", self.label(seat)), HEARD, async || {
            Ok((self.group_at(network, seat).await?.name == *name).then_some(()))
        })
        .await
    }

    /// Waits until all seats show one name in one epoch, this one at least, and gives the name.
    async fn one_name(&self, network: &Network, least: u64) -> anyhow::Result<String> {
        until("all show one name in one epoch", GAPS, async || {
            let mut shown = Vec::new();
            for seat in 0..self.members.len() {
                let GroupView { name, epoch, .. } = self.group_at(network, seat).await?;
                shown.push((name, epoch));
            }
            shown.dedup();
            Ok((shown.len() == 1 && shown[0].1 >= least).then(|| shown.remove(0).0))
        })
        .await
    }

    async fn group_at(&self, network: &Network, seat: usize) -> anyhow::Result<GroupView> {
        Ok(network.node(node_of(seat)).client.group(self.group).await?)
    }

    fn label(&self, seat: usize) -> String {
        self.plan.label(seat)
    }
}
