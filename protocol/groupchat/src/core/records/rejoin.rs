//! What is kept for members that cannot follow their group, and of the own following.

use serde::{Deserialize, Serialize};

use super::{GroupRecord, Secret32};
use crate::mls::StateId;
use crate::{AccountId, InstallationId, Timestamp};

/// By which members name a state to each other.
pub(crate) type StateName = [u8; 32];

/// A state from which a member can come back: kept for long after the state itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RejoinRecord {
    /// Exported: opens what is said to and by who cannot follow from here, and nothing else.
    pub(crate) secret: Secret32,
    pub(crate) epoch: u64,
    /// When the state became known here.
    pub(crate) since: Timestamp,
    /// The HPKE key of the own leaf.
    pub(crate) leaf: Vec<u8>,
    /// The state before it; `None` where this installation came in.
    pub(crate) parent: Option<StateName>,
    /// Who made the commit that led here.
    pub(crate) author: Option<(InstallationId, AccountId)>,
    /// Who came with it.
    pub(crate) adds: Vec<(InstallationId, AccountId)>,
    /// Who went with it, those swapped among them.
    pub(crate) removes: Vec<(InstallationId, AccountId)>,
}

/// How well this installation follows a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AskRecord {
    /// The newest time at which somebody was read.
    pub(crate) heard: Timestamp,
    /// How often was asked since.
    pub(crate) attempts: u32,
    /// When the next request is made.
    pub(crate) due: Option<Timestamp>,
    /// Whether it was said that a member is waited for.
    pub(crate) waiting: bool,
    /// The common state of a long split that this side has lost: the way back is asked for, whoever
    /// is still read.
    pub(crate) lost: Option<StateName>,
    /// Others went on in a way that is not known here: that is asked for too.
    pub(crate) behind: bool,
    /// Key packages by which the own leaf may be swapped, the newest last.
    pub(crate) packages: Vec<AskedPackage>,
}

/// A key package of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AskedPackage {
    pub(crate) reference: [u8; 32],
    pub(crate) bytes: Vec<u8>,
    /// The HPKE key of the leaf that it makes.
    pub(crate) leaf: Vec<u8>,
    pub(crate) at: Timestamp,
}

/// What a member gets whose leaf an own commit swaps, once that is published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WelcomeRecord {
    /// Where it asked.
    pub(crate) name: StateName,
    pub(crate) content: Vec<u8>,
}

/// An invitation to a group that this installation was in before, or still is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AgainRecord {
    pub(crate) inviter: InstallationId,
    /// As that of a new group.
    pub(crate) record: GroupRecord,
    /// When it came.
    pub(crate) came: Timestamp,
    /// Whether people were told: not while this installation is in the group, as far as it knows.
    pub(crate) told: bool,
}

/// Invitations of one commit that are repeated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RepeatRecord {
    /// When they first left.
    pub(crate) since: Timestamp,
    /// When they leave again.
    pub(crate) due: Timestamp,
    /// What is kept of them.
    pub(crate) bytes: u64,
    /// The commit stands for good.
    pub(crate) settled: bool,
    pub(crate) waiting: Vec<WaitingEnvelope>,
}

/// An account that has not answered with all its installations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WaitingEnvelope {
    pub(crate) account: AccountId,
    pub(crate) registration_secret: Secret32,
    /// Another installation of it has.
    pub(crate) answered: bool,
    /// Key package and EncryptedGroupSecrets of each that has not.
    pub(crate) slots: Vec<(InstallationId, Vec<u8>, Vec<u8>)>,
}

/// Who invited this installation to a group, and the state that it came with.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct InviterRecord {
    pub(crate) inviter: InstallationId,
    pub(crate) state: Option<StateId>,
}

/// Where a member was last read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct HeardRecord {
    pub(crate) state: StateName,
    pub(crate) at: Timestamp,
}

/// Two sides of a group that went on apart from one state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SplitRecord {
    /// The own side: the hash of its first commit. Never changed: it was stated.
    pub(crate) own: [u8; 32],
    pub(crate) seen: Timestamp,
    /// Who said that it stands on which side.
    pub(crate) statements: Vec<(InstallationId, AccountId, [u8; 32])>,
    /// Whether the own side stands, once that is settled.
    pub(crate) stands: Option<bool>,
}
