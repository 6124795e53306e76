//! From version 1 to 2: a state of a group has one name, and what OpenMLS keeps of it lies as a
//! base and what changed.

use serde::{Deserialize, Serialize};

use super::Fault;
use super::records::{PendingInvitations, Secret32, decode, write};
use super::schema::Progress;
use crate::mls::{MlsError, StateId, first};
use crate::store::Overlay;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// One group a part.
pub(super) fn states_as_differences(overlay: &Overlay<'_>) -> Result<Progress, Fault> {
    for (key, value) in overlay.scan(b"group/")? {
        let group = key
            .get(b"group/".len()..)
            .and_then(GroupId::from_slice)
            .ok_or(Fault::Bug("a key without its group"))?;
        if !first::holds(overlay, &group)? {
            continue;
        }
        let record: FirstGroup = decode(&value)?;
        let states = record.states.iter().chain(record.pending.as_ref().map(|p| &p.next));
        for state in states {
            first::take_over(overlay, group, state.live, state.base).map_err(MlsError::from)?;
        }
        first::delete(overlay, &group)?;
        write(overlay, key, &SecondGroup::from(record))?;
        return Ok(Progress::Part);
    }
    Ok(Progress::Done)
}

/// A state in version 1.
#[derive(Deserialize)]
struct FirstState {
    live: StateId,
    base: StateId,
    epoch: u64,
    wire: Secret32,
    since: Timestamp,
}

/// A state in version 2.
#[derive(Serialize, Deserialize)]
pub(super) struct SecondState {
    pub(super) id: StateId,
    pub(super) epoch: u64,
    pub(super) wire: Secret32,
    pub(super) since: Timestamp,
}

/// A group in version 1, and with [`SecondState`] in version 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldGroup<S> {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) creator: InstallationId,
    pub(super) nonce: [u8; 16],
    pub(super) period: u64,
    pub(super) states: Vec<S>,
    pub(super) joined: u64,
    pub(super) log: Vec<Vec<u8>>,
    pub(super) members: Vec<(InstallationId, AccountId)>,
    pub(super) came_at: Vec<(InstallationId, u64)>,
    pub(super) baselines: Vec<(InstallationId, u64)>,
    pub(super) pending: Option<OldPending<S>>,
    pub(super) invitation: Option<OldInvitation>,
}

type FirstGroup = OldGroup<FirstState>;
pub(super) type SecondGroup = OldGroup<SecondState>;

/// An own commit on its way in version 1, and with [`SecondState`] in version 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldPending<S> {
    pub(super) next: S,
    pub(super) outgoing: u64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) log: Vec<Vec<u8>>,
    pub(super) members: Vec<(InstallationId, AccountId)>,
    pub(super) invitations: Option<PendingInvitations>,
}

/// An invitation in versions 1 and 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldInvitation {
    pub(super) from: AccountId,
    pub(super) welcome: Vec<u8>,
    pub(super) tree: Vec<u8>,
    pub(super) at: Timestamp,
}

impl From<FirstState> for SecondState {
    fn from(first: FirstState) -> Self {
        let FirstState { live, base: _, epoch, wire, since } = first;
        Self { id: live, epoch, wire, since }
    }
}

impl From<OldPending<FirstState>> for OldPending<SecondState> {
    fn from(first: OldPending<FirstState>) -> Self {
        let OldPending { next, outgoing, name, description, log, members, invitations } = first;
        Self { next: next.into(), outgoing, name, description, log, members, invitations }
    }
}

impl From<FirstGroup> for SecondGroup {
    fn from(first: FirstGroup) -> Self {
        Self {
            name: first.name,
            description: first.description,
            creator: first.creator,
            nonce: first.nonce,
            period: first.period,
            states: first.states.into_iter().map(SecondState::from).collect(),
            joined: first.joined,
            log: first.log,
            members: first.members,
            came_at: first.came_at,
            baselines: first.baselines,
            pending: first.pending.map(OldPending::from),
            invitation: first.invitation,
        }
    }
}
