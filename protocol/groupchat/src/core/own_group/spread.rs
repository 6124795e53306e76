//! Bringing the account's installations into its groups: each by itself, after a random time of its
//! own, so that nobody sees from the times which groups belong to one account.

use std::collections::{BTreeMap, BTreeSet};

use super::{Mark, Own};
use crate::core::commits::Plan;
use crate::core::records::{Change, Secret32};
use crate::core::{Fault, Inner, Stop, Tx};
use crate::mls;
use crate::{AccountId, GroupId, InstallationId};

impl Inner {
    /// Who is live in the own account.
    pub(in crate::core) fn own_live(&self) -> BTreeSet<InstallationId> {
        let own = self.account.as_ref();
        own.and_then(|own| self.known.live_of(&own.account)).cloned().unwrap_or_default()
    }

    /// Sees to it that every live installation of the own account comes into every group that this
    /// one is in.
    pub(in crate::core) fn spread(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.own_live().len() < 2 || !self.is_live() {
            return Ok(());
        }
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        groups.into_iter().try_for_each(|id| self.spread_into(tx, id))
    }

    pub(in crate::core) fn spread_into(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<(), Fault> {
        let live = self.own_live();
        if live.len() < 2 || !self.is_live() {
            return Ok(());
        }
        let Some((own, group)) = self.account.as_ref().zip(self.groups.get(&id)) else {
            return Ok(());
        };
        let kind = self.kind_of(&group.record);
        let left = matches!(self.shared.marks.get(&id), Some(mark) if mark.mark != Mark::Joined);
        if !group.stays() || left || kind == Some(Own::Former) {
            return Ok(());
        }
        let asked = |i: &InstallationId| {
            let is_it =
                |c: &Change| matches!(c, Change::AddOwn { installation } if installation == i);
            group.changes.values().any(|c| c.done.is_none() && is_it(&c.change))
        };
        let packages = own.key_packages.iter().map(|(i, _)| i);
        let missing: Vec<InstallationId> = packages
            .filter(|i| live.contains(i) && group.account_of(i).is_none() && !asked(i))
            .copied()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (this, creator) = (own.installation, group.record.creator);
        let log = self.own_log()?.live();
        let within = self.config.installation_delay;
        for installation in missing {
            let bringer = log.get(&installation).and_then(|info| info.added_by);
            let brings = bringer == Some(this);
            // two that do it at once would lead it to two states of the group
            let alone = bringer.is_none_or(|by| !live.contains(&by));
            let wait = match (kind, brings || creator == this) {
                (Some(_), true) if brings || alone => std::time::Duration::ZERO,
                (None, true) => self.rng.duration_below(within),
                (Some(_), _) | (None, false) => within + self.rng.duration_below(within),
            };
            self.keep_change(tx, id, Change::AddOwn { installation }, tx.now + wait)?;
        }
        Ok(())
    }

    /// Puts an own installation into a plan; `false` if it cannot come in now.
    pub(in crate::core) fn plan_own(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        installation: InstallationId,
    ) -> bool {
        let Some(own) = &self.account else { return false };
        let known = own.key_packages.iter().find(|(i, _)| *i == installation);
        let (Some((_, bytes)), true) = (known, self.own_live().contains(&installation)) else {
            return false;
        };
        let Ok(package) = mls::package::check(&self.global_provider(tx), bytes) else {
            return false;
        };
        let slot = (package.reference, bytes.clone());
        plan.adds.push((own.account, package));
        plan.attached.extend_from_slice(&own.log);
        let invitees = plan.invitees.get_or_insert_default();
        match invitees.iter_mut().find(|(account, _, _)| *account == own.account) {
            Some((_, _, slots)) => slots.push(slot),
            None => {
                let secret = Secret32(own.registration_secret.0);
                invitees.push((own.account, secret, vec![slot]));
            }
        }
        true
    }

    /// Whether an invitation comes from another installation of the own account: then this one
    /// joins without being asked.
    pub(in crate::core) fn is_from_own(
        &self,
        id: GroupId,
        (inviter, from): (InstallationId, AccountId),
    ) -> bool {
        let Some(own) = &self.account else { return false };
        let Some(group) = self.groups.get(&id) else { return false };
        let own_alone = |(_, account): &(InstallationId, AccountId)| *account == own.account;
        let sound = self.kind_of(&group.record).is_none() || group.members().iter().all(own_alone);
        sound && self.is_own_live((inviter, from))
    }

    /// Whether this is a live installation of the own account.
    fn is_own_live(&self, (installation, account): (InstallationId, AccountId)) -> bool {
        let own = self.account.as_ref().is_some_and(|own| own.account == account);
        own && self.own_live().contains(&installation)
    }

    /// Whether it was said last that the account is in the group.
    fn account_joined(&self, id: GroupId) -> bool {
        self.mark_of(&id) == Some(Mark::Joined)
    }

    /// What was decided for the account in a group.
    pub(in crate::core) fn mark_of(&self, id: &GroupId) -> Option<Mark> {
        self.shared.marks.get(id).map(|record| record.mark)
    }

    /// Whether people need not be asked, as the account is in the group: but of a recovered account,
    /// only if somebody brings it in who is known to have been there.
    fn comes_unasked(&self, id: GroupId, by: &AccountId) -> bool {
        self.account_joined(id) && self.returns.get(&id).is_none_or(|record| record.knows(by))
    }

    /// Whether another installation of the own account brings this one into the group, or, of a group
    /// that is new here, said that the account is in it: nothing for people to answer.
    pub(in crate::core) fn is_for_account(
        &self,
        id: GroupId,
        from: (InstallationId, AccountId),
    ) -> bool {
        !self.groups.contains_key(&id) && self.comes_unasked(id, &from.1) || self.is_own_live(from)
    }

    /// Joins a group that another installation of the own account brings this one into.
    pub(in crate::core) fn joins_unasked(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        from: (InstallationId, AccountId),
    ) -> Result<bool, Fault> {
        let by_own = self.is_from_own(id, from);
        if !self.comes_unasked(id, &from.1) && !by_own {
            return Ok(false);
        }
        match self.accept_invitation(tx, id) {
            Ok(_) => {
                if by_own {
                    self.history_offered(tx, id)?;
                }
                Ok(true)
            }
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Command(_)) => Ok(false),
        }
    }

    /// This installation is in a group now, so the account is.
    pub(in crate::core) fn joined_for_all(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<(), Fault> {
        self.end_return(tx, id)?;
        self.tell_card_in(tx, id)?;
        if self.is_own_group(&id) {
            return self.tell_package(tx);
        }
        self.mark_group(tx, id, Mark::Joined)?;
        self.spread_into(tx, id)
    }

    /// A group stands elsewhere than before.
    pub(in crate::core) fn moved(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        before: &BTreeMap<InstallationId, AccountId>,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let grew =
            group.line.iter().flat_map(|l| l.members.keys()).any(|i| !before.contains_key(i));
        if grew && self.is_own_group(&id) {
            self.own_group_grew(tx, id);
        }
        self.spread_into(tx, id)
    }
}
