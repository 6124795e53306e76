//! Changes that were asked for and do not stand for good yet, as people and programs see them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::order::roles::Role;
use crate::{AccountId, InstallationId, Timestamp};

/// Something that was asked for here in a group and does not stand for good yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeView {
    /// What was asked for.
    pub change: AskedChange,
    /// How far it is.
    pub state: ChangeState,
    /// When it is tried next, if that is to be waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

/// What was asked for. `Debug` hides texts.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum AskedChange {
    /// Another name and description.
    Profile {
        /// The name.
        name: String,
        /// The description.
        description: String,
    },
    /// Another policy.
    Policy,
    /// An account's role.
    Role {
        /// Whose.
        account: AccountId,
        /// The role to be.
        role: Role,
    },
    /// Taking an installation out.
    Remove {
        /// Which.
        installation: InstallationId,
    },
    /// New keys of the own leaf.
    Keys,
    /// Adding an account.
    Add {
        /// Which.
        account: AccountId,
    },
}

impl fmt::Debug for AskedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile { .. } => f.write_str("Profile"),
            Self::Policy => f.write_str("Policy"),
            Self::Role { account, role } => write!(f, "Role({account}, {role:?})"),
            Self::Remove { installation } => write!(f, "Remove({installation})"),
            Self::Keys => f.write_str("Keys"),
            Self::Add { account } => write!(f, "Add({account})"),
        }
    }
}

/// How far something is that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeState {
    /// The account's registration record is looked for.
    Searching,
    /// It waits for its turn: a commit is on its way, another one took its place, or this installation
    /// is not in the group.
    Waiting,
    /// Its commit is on its way to relay peers.
    Publishing,
    /// It is carried out, and can lose its place to a commit that others made at the same time.
    Made,
}
