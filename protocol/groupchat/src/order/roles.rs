//! Roles, rights, and the policy that says which role gives which right.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// What an account is in a group. Each role has all that the ones before it have.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Anybody in the group.
    #[default]
    Member,
    /// Named so by an owner.
    Admin,
    /// Who made the group, and whom owners name so.
    Owner,
}

/// Something that a role may be needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Add accounts.
    Add,
    /// Remove accounts of at most the own role.
    Remove,
    /// Set name and description.
    Profile,
    /// Give and take roles up to the own one.
    Roles,
    /// Change the policy itself.
    Policy,
}

impl Right {
    /// All of them, in the order of [`Policy`]'s fields.
    pub const ALL: [Self; 5] = [Self::Add, Self::Remove, Self::Profile, Self::Roles, Self::Policy];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Rights(u8);

impl Rights {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn with(self, right: Right) -> Self {
        Self(self.0 | right.bit())
    }

    pub(crate) fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Whether all of `other` are in it.
    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// What is in both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::ops::BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(Right::ALL.into_iter().filter(|r| self.has(*r))).finish()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The least role that each right needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// For [`Right::Add`].
    pub add: Role,
    /// For [`Right::Remove`].
    pub remove: Role,
    /// For [`Right::Profile`].
    pub profile: Role,
    /// For [`Right::Roles`].
    pub roles: Role,
    /// For [`Right::Policy`].
    pub policy: Role,
}

impl Default for Policy {
    /// Everybody adds and sets name and description; admins remove; admins name admins; owners
    /// change the policy.
    fn default() -> Self {
        Self {
            add: Role::Member,
            remove: Role::Admin,
            profile: Role::Member,
            roles: Role::Admin,
            policy: Role::Owner,
        }
    }
}

impl Policy {
    /// The least role that has a right.
    #[must_use]
    pub fn needs(&self, right: Right) -> Role {
        match right {
            Right::Add => self.add,
            Right::Remove => self.remove,
            Right::Profile => self.profile,
            Right::Roles => self.roles,
            Right::Policy => self.policy,
        }
    }
}

/// Who is more than a member, and what each role may do: one state's answer to who may commit what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Authority {
    pub(crate) owners: BTreeSet<AccountId>,
    pub(crate) admins: BTreeSet<AccountId>,
    pub(crate) policy: Policy,
}

impl Authority {
    /// A new group's: its maker owns it.
    pub(crate) fn of_owner(owner: AccountId) -> Self {
        Self { owners: [owner].into(), ..Self::default() }
    }

    /// An account's role. A role that nobody holds falls to the next one below, so that a group is
    /// never without somebody who may do a thing.
    pub(crate) fn role(&self, account: AccountId) -> Role {
        if self.owners.contains(&account) {
            return Role::Owner;
        }
        let admin = self.admins.contains(&account);
        match (self.owners.is_empty(), self.admins.is_empty()) {
            (true, true) => Role::Owner,
            (true, false) if admin => Role::Owner,
            _ if admin => Role::Admin,
            _ => Role::Member,
        }
    }

    /// What an account may do.
    pub(crate) fn rights(&self, account: AccountId) -> Rights {
        let role = self.role(account);
        Right::ALL.into_iter().filter(|right| role >= self.policy.needs(*right)).collect()
    }

    /// The role that the lists name, without what falls to it.
    pub(crate) fn named(&self, account: AccountId) -> Role {
        if self.owners.contains(&account) {
            Role::Owner
        } else if self.admins.contains(&account) {
            Role::Admin
        } else {
            Role::Member
        }
    }

    /// Names an account's role.
    pub(crate) fn name(&mut self, account: AccountId, role: Role) {
        self.owners.remove(&account);
        self.admins.remove(&account);
        match role {
            Role::Owner => self.owners.insert(account),
            Role::Admin => self.admins.insert(account),
            Role::Member => true,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 32])
    }

    #[test]
    fn rights_follow_the_role_and_the_policy() {
        let mut authority = Authority::of_owner(account(1));
        authority.name(account(2), Role::Admin);
        let everyday: Rights = [Right::Add, Right::Profile].into_iter().collect();
        assert_eq!(authority.rights(account(3)), everyday);
        assert_eq!(authority.rights(account(2)), everyday.with(Right::Remove).with(Right::Roles));
        assert_eq!(authority.rights(account(1)), Right::ALL.into_iter().collect());
    }

    #[test]
    fn a_role_that_nobody_holds_falls_to_the_next() {
        let mut authority = Authority::of_owner(account(1));
        authority.name(account(2), Role::Admin);
        authority.name(account(1), Role::Member);
        assert_eq!(authority.role(account(2)), Role::Owner);
        assert_eq!(authority.role(account(1)), Role::Member);
        authority.name(account(2), Role::Member);
        assert_eq!(authority.role(account(1)), Role::Owner);
    }

    #[test]
    fn a_set_of_rights_covers_its_parts() {
        let some: Rights = [Right::Add, Right::Roles].into_iter().collect();
        assert!(some.covers(Rights::NONE) && some.covers(some));
        assert!(!some.covers(Rights::NONE.with(Right::Policy)));
        assert_eq!(some.and(Rights::NONE.with(Right::Roles)), Rights::NONE.with(Right::Roles));
    }
}
