//! From version 1 to 2: a state of a group has one name, and what OpenMLS keeps of it lies as a
//! base and what changed.

use serde::Deserialize;

use super::Fault;
use super::records::{
    GroupRecord, InvitationRecord, PendingCommit, PendingInvitations, Secret32, StateRecord,
    decode, write,
};
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
        write(overlay, key, &GroupRecord::from(record))?;
        return Ok(Progress::Part);
    }
    Ok(Progress::Done)
}

/// [`StateRecord`] in version 1.
#[derive(Deserialize)]
struct FirstState {
    live: StateId,
    base: StateId,
    epoch: u64,
    wire: Secret32,
    since: Timestamp,
}

/// [`GroupRecord`] in version 1.
#[derive(Deserialize)]
struct FirstGroup {
    name: String,
    description: String,
    creator: InstallationId,
    nonce: [u8; 16],
    period: u64,
    states: Vec<FirstState>,
    joined: u64,
    log: Vec<Vec<u8>>,
    members: Vec<(InstallationId, AccountId)>,
    came_at: Vec<(InstallationId, u64)>,
    baselines: Vec<(InstallationId, u64)>,
    pending: Option<FirstPending>,
    invitation: Option<InvitationRecord>,
}

/// [`PendingCommit`] in version 1.
#[derive(Deserialize)]
struct FirstPending {
    next: FirstState,
    outgoing: u64,
    name: String,
    description: String,
    log: Vec<Vec<u8>>,
    members: Vec<(InstallationId, AccountId)>,
    invitations: Option<PendingInvitations>,
}

impl From<FirstState> for StateRecord {
    fn from(first: FirstState) -> Self {
        let FirstState { live, base: _, epoch, wire, since } = first;
        Self { id: live, epoch, wire, since }
    }
}

impl From<FirstPending> for PendingCommit {
    fn from(first: FirstPending) -> Self {
        let FirstPending { next, outgoing, name, description, log, members, invitations } = first;
        Self { next: next.into(), outgoing, name, description, log, members, invitations }
    }
}

impl From<FirstGroup> for GroupRecord {
    fn from(first: FirstGroup) -> Self {
        Self {
            name: first.name,
            description: first.description,
            creator: first.creator,
            nonce: first.nonce,
            period: first.period,
            states: first.states.into_iter().map(StateRecord::from).collect(),
            joined: first.joined,
            log: first.log,
            members: first.members,
            came_at: first.came_at,
            baselines: first.baselines,
            pending: first.pending.map(PendingCommit::from),
            invitation: first.invitation,
        }
    }
}
