//! What members ask to change: kept until it stands for good, and made again if it does not.
//!
//! Everything that is due for a group goes into one commit. A change that is not valid where the
//! group stands now is given up, and said; one whose commit lost its place waits a random time
//! that grows with the number of commits that competed, so that not all try again at once.

use std::time::Duration;

use super::commits::Plan;
use super::group::Group;
use super::records::{Change, ChangeRecord, Wish};
use super::{Fault, Inner, Stop, Tx};
use crate::api::{Answer, CommandError};
use crate::limits::WAITING_CHANGES;
use crate::order::roles::{Policy, Role};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// A word that does not fit the leaf of who leaves is tried again after this time.
const UNFIT_WORD: Duration = Duration::from_secs(600);

impl Inner {
    pub(super) fn set_profile(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        name: String,
        description: String,
    ) -> Result<Answer, Stop> {
        super::commands::profile(&name, &description)?;
        self.ask(tx, id, vec![Change::Profile { name, description }])
    }

    /// Takes out all installations of these accounts.
    pub(super) fn remove_accounts(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        accounts: &[AccountId],
    ) -> Result<Answer, Stop> {
        let own = self.own()?.account;
        let members = self.inside(id)?.members();
        let mut changes = Vec::new();
        for account in accounts {
            if *account == own {
                return Err(Stop::Command(CommandError::OwnAccount));
            }
            let before = changes.len();
            let installations = members.iter().filter(|(_, a)| a == account);
            changes.extend(installations.map(|(i, _)| Change::Remove { installation: *i }));
            if changes.len() == before {
                return Err(Stop::Command(CommandError::NotAMember(*account)));
            }
        }
        self.ask(tx, id, changes)
    }

    pub(super) fn set_role(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        account: AccountId,
        role: Role,
    ) -> Result<Answer, Stop> {
        if !self.inside(id)?.members().iter().any(|(_, a)| *a == account) {
            return Err(Stop::Command(CommandError::NotAMember(account)));
        }
        self.ask(tx, id, vec![Change::Role { account, role }])
    }

    pub(super) fn set_policy(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        policy: Policy,
    ) -> Result<Answer, Stop> {
        self.ask(tx, id, vec![Change::Policy(policy)])
    }

    pub(super) fn update_leaf(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<Answer, Stop> {
        self.ask(tx, id, vec![Change::Update])
    }

    /// Checks that a change could be made now, and keeps it.
    fn ask(&mut self, tx: &mut Tx<'_>, id: GroupId, changes: Vec<Change>) -> Result<Answer, Stop> {
        let group = self.inside(id)?;
        self.is_the_only_one()?;
        let waiting = group.changes.values().filter(|c| c.done.is_none()).count();
        if waiting + changes.len() > WAITING_CHANGES {
            return Err(Stop::Command(CommandError::Busy { waiting }));
        }
        for change in changes {
            self.may_change(id, &change)?;
            self.keep_change(tx, id, change, tx.now)?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn keep_change(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        change: Change,
        due: Timestamp,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let sequence = group.changes.last_key_value().map_or(0, |(last, _)| last + 1);
        group.changes.insert(sequence, ChangeRecord { change, done: None, due });
        group.save_change(tx, &id, sequence)?;
        Ok(())
    }

    /// Whether the tip allows a change, as far as roles and members say.
    fn may_change(&self, id: GroupId, change: &Change) -> Result<(), Stop> {
        let own = self.own()?.account;
        let group = self.joined(id)?;
        let authority = &group.tip().ok_or(Fault::Bug("a group without a state"))?.agreed.authority;
        let needs = |right| {
            if authority.rights(own).has(right) {
                Ok(())
            } else {
                let needed = authority.policy.needs(right);
                let reason = format!("this needs the role {needed:?} in the group");
                Err(Stop::Command(CommandError::NotAllowed(reason.to_lowercase())))
            }
        };
        let above = |account| {
            let higher = authority.role(account) > authority.role(own);
            let reason = "that account's role is above the own one".to_owned();
            if higher { Err(Stop::Command(CommandError::NotAllowed(reason))) } else { Ok(()) }
        };
        use crate::order::roles::Right;
        match change {
            Change::Profile { .. } => needs(Right::Profile),
            Change::Policy(_) => needs(Right::Policy),
            Change::Update | Change::Leave { .. } | Change::AddOwn { .. } => Ok(()),
            Change::Role { account, role } => {
                if *account == own && *role < authority.named(own) {
                    return Ok(());
                }
                needs(Right::Roles)?;
                above(*account)?;
                if *role > authority.role(own) {
                    let reason = "nobody gives a role above the own one".to_owned();
                    return Err(Stop::Command(CommandError::NotAllowed(reason)));
                }
                Ok(())
            }
            // anybody takes out who departed
            Change::Remove { installation } if group.departed.contains(installation) => Ok(()),
            Change::Remove { installation } => match group.account_of(installation) {
                Some(account) if account != own => {
                    needs(Right::Remove)?;
                    above(account)
                }
                _ => Ok(()),
            },
        }
    }

    pub(super) fn next_change(&self) -> Option<Timestamp> {
        self.groups
            .iter()
            .filter(|(id, _)| self.may_take_out(**id))
            .flat_map(|(_, group)| group.changes.values().filter(|c| group.may_make(c)))
            .map(|change| change.due)
            .min()
    }

    /// Commits what is due in each group, one commit a group.
    pub(super) fn changes_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(_, g)| g.changes.values().any(|c| g.may_make(c) && c.due <= tx.now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if self.may_take_out(id) {
                self.commit_changes(tx, id)?;
            }
        }
        Ok(())
    }

    fn commit_changes(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let open: Vec<(u64, Change)> = group
            .changes
            .iter()
            .filter(|(_, c)| group.may_make(c) && c.due <= tx.now)
            .map(|(sequence, c)| (*sequence, c.change.clone()))
            .collect();
        let mut plan = self.empty_plan(id)?;
        for (sequence, change) in open {
            if self.is_so(id, &plan, &change) {
                let tip = self.groups.get(&id).and_then(|g| g.tip()).map(|tip| tip.id);
                self.mark_wishes(tx, id, &[Wish::Change(sequence)], tip, tx.now)?;
                continue;
            }
            if let Err(stop) = self.may_change(id, &change) {
                self.change_failed(tx, id, sequence, stop)?;
                continue;
            }
            match self.word_fits(tx, id, &change) {
                Ok(true) => {}
                Err(Stop::Fault(fault)) => return Err(fault),
                Ok(false) | Err(Stop::Command(_)) => {
                    // a commit that is not here yet may change that, or a word that follows it
                    self.put_off(tx, id, sequence, tx.now + UNFIT_WORD)?;
                    continue;
                }
            }
            if let Change::AddOwn { installation } = &change
                && !self.plan_own(tx, &mut plan, *installation)
            {
                self.forget_change(tx, id, sequence)?;
                continue;
            }
            plan.take(sequence, change);
        }
        if plan.fulfils.is_empty() {
            return self.close_fulfilled(tx, id);
        }
        self.drop_roles_of_gone(id, &mut plan);
        plan.attached.extend(self.proof_of_departed(id, &plan.removes));
        let fulfils = plan.fulfils.clone();
        match self.commit(tx, id, plan) {
            Ok(()) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
            // each is allowed, but not together, or not as MLS sees it
            Err(Stop::Command(error)) => {
                for wish in fulfils {
                    if let Wish::Change(sequence) = wish {
                        self.change_failed(tx, id, sequence, Stop::Command(error.clone()))?;
                    }
                }
                Ok(())
            }
        }
    }

    /// A plan that changes nothing.
    pub(super) fn empty_plan(&self, id: GroupId) -> Result<Plan, Fault> {
        let group = self.groups.get(&id).ok_or(Fault::Bug("a plan for an unknown group"))?;
        let tip = group.tip().ok_or(Fault::Bug("a plan without a state"))?;
        Ok(Plan {
            agreed: tip.agreed.clone(),
            adds: Vec::new(),
            removes: Vec::new(),
            words: Vec::new(),
            swap: None,
            attached: Vec::new(),
            invitees: None,
            update: false,
            fulfils: Vec::new(),
        })
    }

    /// Whether a change is so already, with what the plan does.
    fn is_so(&self, id: GroupId, plan: &Plan, change: &Change) -> bool {
        let Some(group) = self.groups.get(&id) else { return true };
        match change {
            Change::Profile { name, description } => {
                plan.agreed.name == *name && plan.agreed.description == *description
            }
            Change::Policy(policy) => plan.agreed.authority.policy == *policy,
            Change::Role { account, role } => {
                let gone = !group.members().iter().any(|(_, a)| a == account);
                gone || plan.agreed.authority.named(*account) == *role
            }
            Change::Remove { installation } | Change::Leave { installation, .. } => {
                group.account_of(installation).is_none()
            }
            Change::Update => plan.update,
            Change::AddOwn { installation } => group.account_of(installation).is_some(),
        }
    }

    /// Who goes loses its role with that.
    fn drop_roles_of_gone(&self, id: GroupId, plan: &mut Plan) {
        let Some(group) = self.groups.get(&id) else { return };
        let goes = |i: &InstallationId| {
            plan.removes.contains(i) || plan.words.iter().any(|(leaver, _)| leaver == i)
        };
        let mut gone: Vec<AccountId> = Vec::new();
        let mut stay: std::collections::BTreeSet<AccountId> = std::collections::BTreeSet::new();
        for (installation, account) in group.members() {
            if goes(&installation) {
                gone.push(account);
            } else {
                stay.insert(account);
            }
        }
        for account in gone.into_iter().filter(|account| !stay.contains(account)) {
            plan.agreed.authority.name(account, Role::Member);
        }
    }
}

impl Group {
    /// Whether a change is open, and this installation the one to make it: who leaves takes out others
    /// that go, and does nothing else.
    fn may_make(&self, record: &ChangeRecord) -> bool {
        let takes_out = match &record.change {
            Change::Leave { .. } => true,
            Change::Remove { installation } => self.departed.contains(installation),
            _ => false,
        };
        record.done.is_none() && (takes_out || !self.record.leaving)
    }
}

impl Plan {
    /// Takes a change in.
    fn take(&mut self, sequence: u64, change: Change) {
        self.fulfils.push(Wish::Change(sequence));
        match change {
            Change::Profile { name, description } => {
                (self.agreed.name, self.agreed.description) = (name, description);
            }
            Change::Policy(policy) => self.agreed.authority.policy = policy,
            Change::Role { account, role } => self.agreed.authority.name(account, role),
            Change::Remove { installation } => self.removes.push(installation),
            Change::Leave { installation, core, signature } => {
                self.words.push((installation, pb::SignedWord { core, signature }));
            }
            Change::Update => self.update = true,
            // whom it brings stands in the plan already
            Change::AddOwn { .. } => {}
        }
    }
}

impl Change {
    /// What of the group it concerns: of two that concern the same, the later one counts.
    pub(super) fn is_about(&self) -> (u8, [u8; 32]) {
        match self {
            Self::Profile { .. } => (0, [0; 32]),
            Self::Policy(_) => (1, [0; 32]),
            Self::Update => (2, [0; 32]),
            Self::Role { account, .. } => (3, *account.as_bytes()),
            Self::Remove { installation } => (4, *installation.as_bytes()),
            Self::Leave { installation, .. } => (5, *installation.as_bytes()),
            Self::AddOwn { installation } => (6, *installation.as_bytes()),
        }
    }

    /// Whether somebody here asked for it: the others follow from what members do.
    pub(super) fn was_asked(&self) -> bool {
        !matches!(self, Self::Leave { .. } | Self::Update | Self::AddOwn { .. })
    }

    /// Its name for people and programs.
    pub(super) fn kind(&self) -> crate::api::ChangeKind {
        use crate::api::ChangeKind;
        match self {
            Self::Profile { .. } => ChangeKind::Profile,
            Self::Remove { .. } | Self::Leave { .. } => ChangeKind::Remove,
            Self::Role { .. } => ChangeKind::Role,
            Self::Policy(_) => ChangeKind::Policy,
            Self::Update => ChangeKind::Update,
            Self::AddOwn { .. } => ChangeKind::Installation,
        }
    }
}
