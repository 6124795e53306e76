//! Invitations to a group that this installation was in before.
//!
//! Who left or was taken out can be invited again, and goes on with what it has: its messages, its
//! numbers, and what it counts of others. While it is in the group, as far as it knows, such an
//! invitation only waits: whoever knows the card could make up a group of the same id, so nobody is
//! asked to exchange a group that works for another one.

use sha2::{Digest, Sha256};

use super::group::Group;
use super::records::{AgainRecord, GroupRecord, InvitationRecord, StateName, key, write};
use super::rejoin::ComesBy;
use super::{Fault, Inner, Stop, Tx};
use crate::api::{Answer, CommandError, Event};
use crate::limits::INVITATION_AGE;
use crate::{GroupId, InstallationId, Timestamp};

/// Why changes that were asked for before are not made.
const CAME_ANEW: &str = "this installation was not in the group in between";

impl Group {
    /// The invitation that people can answer now.
    pub(super) fn open_invitation(&self) -> Option<&InvitationRecord> {
        let again = self.again.as_ref().filter(|again| again.told && self.is_out());
        self.record.invitation.as_ref().or_else(|| again?.record.invitation.as_ref())
    }

    /// Whether this installation was in the group and is not, or cannot follow it any more.
    fn is_out(&self) -> bool {
        self.ask.waiting || self.is_over() || self.tip().is_some_and(|tip| tip.keys.is_none())
    }
}

impl Inner {
    /// An invitation to a group that is known: whoever invited this installation at first and had to
    /// do it again leads it there; from all others it is an invitation like a first one.
    pub(super) fn invited_back(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        inviter: InstallationId,
        record: GroupRecord,
    ) -> Result<(), Fault> {
        if self.led_back(tx, id, inviter, &record)? {
            return Ok(());
        }
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let known = group.again.as_ref().and_then(|again| again.record.invitation.as_ref());
        let newer = known
            .zip(record.invitation.as_ref())
            .is_none_or(|(known, new)| known.from == new.from && known.at < new.at);
        if newer && group.parameters() == super::agreed::Parameters::of(&record) {
            let told = group.again.as_ref().is_some_and(|again| again.told);
            let again = AgainRecord { inviter, record, came: tx.now, told };
            self.keep_again(tx, id, Some(again))?;
        }
        self.tell_of_again(tx, id)
    }

    /// Whether the invitation is of who invited at first, and was taken without asking.
    fn led_back(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        inviter: InstallationId,
        record: &GroupRecord,
    ) -> Result<bool, Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(false) };
        let inside = group.open_tip().is_some();
        let waited = group.ask.waiting;
        let leaving = group.record.leaving;
        if !inside || leaving || !self.invited_again(tx, id, inviter, record.clone())? {
            return Ok(false);
        }
        if let Some(invitation) = &record.invitation {
            answered(tx, id, invitation);
        }
        if waited {
            self.emit(tx, Event::Rejoined { group: id })?;
        }
        Ok(true)
    }

    pub(super) fn keep_again(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        again: Option<AgainRecord>,
    ) -> Result<(), Fault> {
        match &again {
            Some(again) => write(tx.overlay, again_key(id), again)?,
            None => tx.overlay.delete(again_key(id)),
        }
        if let Some(group) = self.groups.get_mut(&id) {
            group.again = again;
        }
        Ok(())
    }

    /// Tells of an invitation that waited, once this installation knows that it is out.
    pub(super) fn tell_of_again(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id).filter(|group| group.is_out()) else {
            return Ok(());
        };
        let Some(mut again) = group.again.clone().filter(|again| !again.told) else {
            return Ok(());
        };
        if self.led_back(tx, id, again.inviter, &again.record)? {
            return self.keep_again(tx, id, None);
        }
        let Some(invitation) = &again.record.invitation else { return Ok(()) };
        let (name, from) = (invitation.agreed.name.clone(), invitation.from);
        again.told = true;
        self.keep_again(tx, id, Some(again))?;
        self.emit(tx, Event::Invitation { group: id, name, from })
    }

    /// Goes on in the group, by the invitation that people accepted.
    pub(super) fn accept_again(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<Answer, Stop> {
        let group = self.groups.get(&id);
        let open = group.filter(|group| group.open_invitation().is_some());
        let Some(again) = open.and_then(|group| group.again.clone()) else {
            return Err(Stop::Command(CommandError::NoInvitation(id)));
        };
        self.keep_again(tx, id, None)?;
        if let Some(invitation) = &again.record.invitation {
            answered(tx, id, invitation);
        }
        self.give_up_wishes(tx, id, CAME_ANEW)?;
        let inside = self.groups.get(&id).and_then(Group::open_tip).is_some();
        let by = ComesBy { inviter: again.inviter, common: self.last_open(id), anew: true };
        if !self.come_back(tx, id, again.record, by)? {
            return Err(Stop::Command(CommandError::NoInvitation(id)));
        }
        if inside {
            self.emit(tx, Event::Joined { group: id })?;
        }
        self.wait_for_quiet(tx, id);
        self.plan_leaf_update(tx, id, true)?;
        Ok(Answer::Done)
    }

    pub(super) fn decline_again(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<Answer, Stop> {
        let open = self.groups.get(&id).and_then(|group| group.open_invitation());
        let Some(invitation) = open else {
            return Err(Stop::Command(CommandError::NoInvitation(id)));
        };
        answered(tx, id, invitation);
        self.keep_again(tx, id, None)?;
        Ok(Answer::Done)
    }

    /// What waited for too long is forgotten; the account that invited does not repeat it any more.
    pub(super) fn prune_again(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let old = |again: &AgainRecord| tx.now.since(again.came) > INVITATION_AGE;
        let old = self.groups.iter().filter(|(_, group)| group.again.as_ref().is_some_and(old));
        let old: Vec<GroupId> = old.map(|(id, _)| *id).collect();
        old.into_iter().try_for_each(|id| self.keep_again(tx, id, None))
    }
}

impl Inner {
    /// The newest state on the way that this installation was in, if it was taken out after it.
    fn last_open(&self, id: GroupId) -> Option<StateName> {
        let state = self.groups.get(&id)?.line.as_ref()?.last_open()?;
        state.keys.as_ref().map(|keys| keys.name)
    }
}

/// An invitation was accepted or declined: what repeats it is passed over.
pub(super) fn answered(tx: &Tx<'_>, id: GroupId, invitation: &InvitationRecord) {
    let at = answered_key(id, invitation);
    tx.overlay.put(at, tx.now.as_secs().to_be_bytes().to_vec());
}

pub(super) fn was_answered(
    tx: &Tx<'_>,
    id: GroupId,
    invitation: &InvitationRecord,
) -> Result<bool, Fault> {
    Ok(tx.overlay.get(&answered_key(id, invitation))?.is_some())
}

/// When an answer may be forgotten: the invitation is not repeated any more.
pub(super) fn is_old_answer(now: Timestamp, when: Timestamp) -> bool {
    now.since(when) > INVITATION_AGE * 2
}

fn answered_key(id: GroupId, invitation: &InvitationRecord) -> Vec<u8> {
    let name: [u8; 32] = Sha256::digest(&invitation.welcome).into();
    key("answered/", &[id.as_bytes(), &name[..16]])
}

fn again_key(id: GroupId) -> Vec<u8> {
    key("again/", &[id.as_bytes()])
}
