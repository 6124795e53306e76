//! A copy of this database that is in use: noticed, and this installation stops.
//!
//! Two cores on one state give numbers twice and use keys twice. Each own message carries a mark
//! that only this installation's key makes, and is noted under the state it was made in for as long
//! as that is kept. One that comes from the network, is marked, and is not noted was made by a copy,
//! or by this database before it was put back to an older state, which is the same: its numbers are
//! given. The members of a group see the mark, but cannot make one, and it is bound to the bytes of
//! the MLS message. No clock enters: a message is not forgotten because the clock was wrong.
//!
//! Nothing is noticed at the start: a database that was moved to another place or machine looks as a
//! copied one does, and does no harm.

use prost::Message as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::records::{OutgoingKind, decode, key, write};
use super::{Fault, Inner, Stop, Tx};
use crate::account::InstallationKey;
use crate::api::{CommandError, Event};
use crate::kdf::{derive, label};
use crate::mls::StateId;
use crate::proto::group as pb;
use crate::proto::group::frame::Body;
use crate::{GroupId, Timestamp};

/// Where it is written that a copy was noticed.
pub(super) const KEY: &[u8] = b"copied";

/// Bytes of a mark.
const MARK: usize = 16;

/// A copy was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopiedRecord {
    /// In this group.
    group: GroupId,
    /// When.
    at: Timestamp,
}

/// The mark of an own MLS message.
pub(super) fn mark(own: &InstallationKey, mls: &[u8]) -> Vec<u8> {
    let context = Sha256::digest(mls);
    derive::<MARK>(&*own.to_bytes(), label::OWN_MARK, &context).to_vec()
}

/// MLS bytes and mark of a frame.
fn inside(frame: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let frame = pb::Frame::decode(frame).ok()?;
    match frame.body? {
        Body::Application(bytes) => Some((bytes, frame.mark)),
        Body::Handshake(handshake) => Some((handshake.commit, frame.mark)),
        _ => None,
    }
}

fn made_key(group: GroupId, mls: &[u8]) -> Vec<u8> {
    key("made/", &[group.as_bytes(), &Sha256::digest(mls)[..16]])
}

impl Inner {
    /// Notes an own MLS message, with the batch that has it sent.
    pub(super) fn note_made(
        &self,
        tx: &Tx<'_>,
        group: GroupId,
        state: StateId,
        mls: &[u8],
    ) -> Result<(), Fault> {
        Ok(write(tx.overlay, made_key(group, mls), &state)?)
    }

    /// As [`Self::note_made`], of what is in a frame.
    pub(super) fn note_frame(
        &self,
        tx: &Tx<'_>,
        group: GroupId,
        state: StateId,
        frame: &[u8],
    ) -> Result<(), Fault> {
        let (mls, _) = inside(frame).ok_or(Fault::Bug("an own frame without MLS bytes"))?;
        self.note_made(tx, group, state, &mls)
    }

    /// Whether what is in a frame was made with the own installation's key, and not here.
    pub(super) fn is_of_a_copy(
        &self,
        tx: &Tx<'_>,
        group: GroupId,
        frame: &[u8],
    ) -> Result<bool, Fault> {
        let Some(own) = &self.account else { return Ok(false) };
        let Some((mls, theirs)) = inside(frame) else { return Ok(false) };
        let ours = theirs.len() == MARK && mark(&own.key(), &mls).ct_eq(&theirs).into();
        Ok(ours && tx.overlay.get(&made_key(group, &mls))?.is_none())
    }

    /// Forgets the own messages of states that are not kept any more.
    pub(super) fn prune_made(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        for (id, group) in &self.groups {
            let kept: Vec<StateId> = group.states().map(|state| state.id).collect();
            for (made, state) in tx.overlay.scan(&key("made/", &[id.as_bytes()]))? {
                if !kept.contains(&decode(&state)?) {
                    tx.overlay.delete(made);
                }
            }
        }
        Ok(())
    }

    /// A message came that was made with the own key, and not here.
    pub(super) fn copy_noticed(&mut self, tx: &mut Tx<'_>, group: GroupId) -> Result<(), Fault> {
        if self.copied.is_some() {
            return Ok(());
        }
        let record = CopiedRecord { group, at: tx.now };
        self.copied = Some(record);
        write(tx.overlay, key("copied", &[]), &record)?;
        self.emit(tx, Event::Copied { group })
    }

    /// Whether something may be published: all, but with a copy in use only what takes no numbers
    /// and no keys of groups. By linking, the account gets an installation that can go on.
    pub(super) fn may_leave(&self, kind: &OutgoingKind) -> bool {
        let of_no_group = matches!(
            kind,
            OutgoingKind::Link | OutgoingKind::Registration { .. } | OutgoingKind::Recovery { .. }
        );
        // who leaves its account says so to the end
        (self.is_live() || self.known.left) && (self.copied.is_none() || of_no_group)
    }

    /// That no copy was noticed: else nothing new is made.
    pub(super) fn is_the_only_one(&self) -> Result<(), Stop> {
        match self.copied {
            None => Ok(()),
            Some(_) => Err(Stop::Command(CommandError::Copied)),
        }
    }
}
