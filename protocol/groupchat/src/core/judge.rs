//! Whether a commit may be: decided by the state that it leaves, and by what it brings, alone.
//!
//! Every honest member decides alike, whenever it sees the commit. Newer account log entries that
//! somebody holds decide nothing here; they lead to commits of their own.

use std::collections::BTreeSet;

use super::agreed::{Agreed, Parameters};
use super::effect::{Moves, Parent};
use super::log_set::LogSet;
use crate::order::mutation::{Mutation, is_active};
use crate::order::roles::{Authority, Right, Rights};
use crate::{AccountId, InstallationId};

/// Why a commit is not valid, though MLS takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Breach {
    /// Its author lacks a right.
    #[error("its author lacks the right: {0:?}")]
    Right(Right),
    /// It takes out, names or unnames an account above its author.
    #[error("it concerns an account whose role is above its author's")]
    Rank,
    /// It gives a role to an account that is not in the group after it, or leaves one with it.
    #[error("it leaves a role with an account that is not in the group")]
    RoleOfNobody,
    /// An added installation that is not live in its account's log.
    #[error("an added installation is not proven by its account's log")]
    Unproven,
    /// Something that never changes is changed.
    #[error("it changes what never changes")]
    Parameters,
    /// The digest of log entries is not that of those before and those that it brings.
    #[error("its digest of log entries is wrong")]
    LogDigest,
}

/// A commit with what it changes: made by [`Parent::proposed`].
pub(super) struct Proposed<'a> {
    pub(super) parent: &'a Parent,
    pub(super) author: (InstallationId, AccountId),
    pub(super) moves: &'a Moves,
    pub(super) after: (&'a Agreed, &'a Parameters),
    /// The entries attached before, and those that it brings.
    pub(super) log: &'a LogSet,
}

impl Proposed<'_> {
    /// The rights that it uses, if it may be.
    pub(super) fn judge(&self) -> Result<Rights, Breach> {
        if is_active(Mutation::NoPolicyCheck) {
            return Ok(self.adds().unwrap_or(Rights::NONE));
        }
        if self.parent.parameters != *self.after.1 {
            return Err(Breach::Parameters);
        }
        if self.after.0.log_digest != self.log.digest() {
            return Err(Breach::LogDigest);
        }
        let uses = self.adds()? | self.removes()? | self.profile() | self.roles()? | self.policy();
        let has = self.authority().rights(self.author.1);
        match Right::ALL.into_iter().find(|right| uses.has(*right) && !has.has(*right)) {
            Some(right) => Err(Breach::Right(right)),
            None => Ok(uses),
        }
    }

    fn authority(&self) -> &Authority {
        &self.parent.agreed.authority
    }

    /// An account adds its own installations without any right, and so does anybody for an account
    /// that is in the group: its own log proves them.
    fn adds(&self) -> Result<Rights, Breach> {
        let mut uses = Rights::NONE;
        for &(installation, account) in &self.moves.adds {
            if !self.log.is_live(account, installation) {
                return Err(Breach::Unproven);
            }
            let present = || self.parent.members.values().any(|member| *member == account);
            let swapped = self.moves.swaps.contains(&installation);
            if account != self.author.1 && !swapped && !present() {
                uses = uses.with(Right::Add);
            }
        }
        Ok(uses)
    }

    /// An account removes its own installations without any right, and anybody those that are not
    /// live any more.
    fn removes(&self) -> Result<Rights, Breach> {
        let (mut uses, own) = (Rights::NONE, self.authority().role(self.author.1));
        for installation in &self.moves.removes {
            let Some(&account) = self.parent.members.get(installation) else { continue };
            if account == self.author.1 || !self.log.is_live(account, *installation) {
                continue;
            }
            if self.authority().role(account) > own {
                return Err(Breach::Rank);
            }
            uses = uses.with(Right::Remove);
        }
        Ok(uses)
    }

    fn profile(&self) -> Rights {
        let (before, after) = (&self.parent.agreed, self.after.0);
        let same = before.name == after.name && before.description == after.description;
        if same { Rights::NONE } else { Rights::NONE.with(Right::Profile) }
    }

    fn policy(&self) -> Rights {
        let same = self.authority().policy == self.after.0.authority.policy;
        if same { Rights::NONE } else { Rights::NONE.with(Right::Policy) }
    }

    /// Roles are named for who is in the group, by who stands at least as high as the role before
    /// and the role after. Who goes loses its role with that; anybody may step down.
    fn roles(&self) -> Result<Rights, Breach> {
        let (before, after) = (self.authority(), &self.after.0.authority);
        let present = self.accounts_after();
        let own = before.role(self.author.1);
        let (mut uses, mut named) = (Rights::NONE, BTreeSet::new());
        for authority in [before, after] {
            named.extend(authority.owners.iter().chain(&authority.admins).copied());
        }
        for account in named {
            let (was, is) = (before.named(account), after.named(account));
            if !present.contains(&account) {
                if is != crate::order::roles::Role::Member {
                    return Err(Breach::RoleOfNobody);
                }
                continue;
            }
            let steps_down = account == self.author.1 && is < was;
            if was == is || steps_down {
                continue;
            }
            if was.max(is) > own {
                return Err(Breach::Rank);
            }
            uses = uses.with(Right::Roles);
        }
        Ok(uses)
    }

    fn accounts_after(&self) -> BTreeSet<AccountId> {
        let Moves { adds, removes, leaving, swaps } = self.moves;
        let gone =
            |i: &InstallationId| [removes, leaving, swaps].iter().any(|list| list.contains(i));
        let stay =
            self.parent.members.iter().filter(|(i, _)| !gone(i)).map(|(_, account)| *account);
        stay.chain(adds.iter().map(|(_, account)| *account)).collect()
    }
}
