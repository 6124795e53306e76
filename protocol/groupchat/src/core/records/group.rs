//! What is kept of a group: itself, its states, and what members ask to change.

use serde::{Deserialize, Serialize};

use super::{CardRecord, InvitationRecord, PendingInvitations, Secret32};
use crate::core::agreed::Agreed;
use crate::mls::StateId;
use crate::order::Commit;
use crate::order::roles::{Policy, Role};
use crate::{AccountId, InstallationId, Timestamp};

/// What is derived from a state, and opens what is sealed under it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StateKeys {
    /// Exported: topics and seals are derived from it.
    pub(crate) wire: Secret32,
    /// Exported: decides between commits that leave the state and weigh the same.
    pub(crate) tie: Secret32,
    /// Exported: by which members name the state to each other.
    pub(crate) name: [u8; 32],
}

/// One state of a group. Its id names its namespace in the store, here alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    pub(crate) id: StateId,
    pub(crate) epoch: u64,
    /// `None` in a state that this installation is not in: a commit took it out.
    pub(crate) keys: Option<StateKeys>,
    /// When it became known here.
    pub(crate) since: Timestamp,
    pub(crate) agreed: Agreed,
    /// What led to it; `None` in the oldest one.
    pub(crate) commit: Option<Commit>,
    /// Log entries that the commit attached.
    pub(crate) attached: Vec<Vec<u8>>,
    /// The own changes and invited accounts that the commit, an own one, carries out.
    pub(crate) fulfils: Vec<Wish>,
}

/// Something that was asked for here and that a commit carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// [`IntentRecord`] of this account.
    Add(AccountId),
    /// [`ChangeRecord`] of this sequence.
    Change(u64),
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) creator: InstallationId,
    /// With the creator, what the group's id is made of.
    pub(crate) nonce: [u8; 16],
    /// Topic period in seconds.
    pub(crate) period: u64,
    /// The oldest kept state; `None` while invited.
    pub(crate) root: Option<StateId>,
    /// Epoch at which this installation joined.
    pub(crate) joined: u64,
    /// Who came after this installation, and the own last number then.
    pub(crate) came_at: Vec<(InstallationId, u64)>,
    /// Numbers that lie before the join.
    pub(crate) baselines: Vec<(InstallationId, u64)>,
    /// Proven revoked by entries attached up to the root.
    pub(crate) revoked: Vec<InstallationId>,
    /// An own commit that is not published yet.
    pub(crate) pending: Option<PendingCommit>,
    /// While invited: what joining needs.
    pub(crate) invitation: Option<InvitationRecord>,
    /// Commits that took this installation out and that others were read to have passed over, by
    /// the first bytes of their ties.
    pub(crate) passed_over: Vec<u64>,
    /// When this installation's leaf gets new keys.
    pub(crate) update_at: Timestamp,
    /// The member's last word was that it leaves.
    pub(crate) leaving: bool,
}

/// A leaf of the oldest kept state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LeafRecord {
    pub(crate) account: AccountId,
    /// The state that it came with; `None` if it was there before this installation.
    pub(crate) since: Option<StateId>,
}

/// An own commit on its way: published before it is applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingCommit {
    /// The state after it, ready in the store.
    pub(crate) next: StateRecord,
    /// The queue entry that carries it.
    pub(crate) outgoing: u64,
    /// Sent once it is applied.
    pub(crate) invitations: Option<PendingInvitations>,
}

/// A change of a group that somebody here asked for, kept until it stands for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangeRecord {
    pub(crate) change: Change,
    /// The state whose commit carries it out; made again if that does not stand.
    pub(crate) done: Option<StateId>,
    /// When a commit is tried.
    pub(crate) due: Timestamp,
}

/// Something that was asked for and carried out, and whose commit is not kept any more: a long split
/// can still show that it does not stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum PastWish {
    Change(Change),
    Add(CardRecord),
}

/// What a member asks for, other than adding accounts. `Debug` hides texts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    Profile {
        name: String,
        description: String,
    },
    Remove {
        installation: InstallationId,
    },
    Leave {
        installation: InstallationId,
        core: Vec<u8>,
        signature: Vec<u8>,
    },
    Role {
        account: AccountId,
        role: Role,
    },
    Policy(Policy),
    /// New keys for the own leaf.
    Update,
    /// Another installation of the own account comes in.
    AddOwn {
        installation: InstallationId,
    },
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Profile { .. } => "Profile",
            Self::Remove { .. } => "Remove",
            Self::Leave { .. } => "Leave",
            Self::Role { .. } => "Role",
            Self::Policy(_) => "Policy",
            Self::Update => "Update",
            Self::AddOwn { .. } => "AddOwn",
        })
    }
}
