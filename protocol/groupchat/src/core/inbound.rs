//! What arrives: from its topic to what is in its frame, or a reason why not.
//!
//! What members say is read in [`super::reading`], commits in [`super::commits`].

use prost::Message as _;
use sha2::{Digest, Sha256};
use waku_groupchat_waku::{MessageHash, WakuMessage};

use super::records::key;
use super::topics::{Target, group_key};
use super::{Fault, Inner, Tx};
use crate::api::{Event, Output, RefusedReason};
use crate::limits::REFUSALS_TOLD_EVERY;
use crate::mls::StateId;
use crate::proto::group as pb;
use crate::seal::open_message;
use crate::segment::{self, Outcome, Segment};
use crate::{GroupId, InstallationId, Timestamp};

/// What a payload of a group came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    pub(super) group: GroupId,
    /// The state that it is sealed under.
    pub(super) state: StateId,
    pub(super) epoch: u64,
    pub(super) hash: MessageHash,
    /// The message's timestamp.
    pub(super) at: Timestamp,
    /// Over the relay, just now.
    pub(super) heard: bool,
}

impl Inner {
    /// `heard`: it came over the relay just now.
    pub(super) fn message(
        &mut self,
        tx: &mut Tx<'_>,
        message: &WakuMessage,
        heard: bool,
    ) -> Result<(), Fault> {
        let Some(timestamp) = message.timestamp else { return Ok(()) };
        let at = Timestamp::from_waku(timestamp);
        if heard && timestamp != 0 {
            self.peer_clock.heard_shard(tx.now, at);
        }
        let Some((target, period)) = self.target(&message.content_topic, at, tx.now) else {
            return Ok(());
        };
        match target {
            Target::Group { group, state } => {
                self.group_message(tx, (group, state), period, message, (at, heard))
            }
            Target::Inbox { period } => {
                let Some(own) = &self.account else { return Ok(()) };
                let secret = own.registration();
                self.envelope(tx, &secret, period, message)
            }
            Target::ReturnInbox { group, period } => {
                let Some(record) = self.returns.get(&group) else { return Ok(()) };
                let secret = record.inbox();
                self.envelope(tx, &secret, period, message)
            }
            Target::Contact { account, period } => {
                self.contact_part(tx, (account, period), message)
            }
            Target::Recovery { period } => self.recovery_part(tx, period, message),
            Target::OwnRecord { period } => self.own_record_part(tx, period, message),
            Target::OwnRecovery { period } => self.own_recovery_part(tx, period, message),
            Target::Record { group, account, period } => {
                self.record_part(tx, (group, account), period, message)
            }
            Target::Rejoin { group, name } => self.rejoin_message(tx, group, name, period, message),
            Target::InvitationShared => self.shared_part(tx, message),
            Target::Link => self.link_message(tx, message),
        }
    }

    /// Tells that something was refused: each time for counting, and as an event at most once in
    /// a while for each group and reason.
    pub(super) fn refuse(
        &mut self,
        tx: &mut Tx<'_>,
        group: Option<GroupId>,
        installation: Option<InstallationId>,
        reason: RefusedReason,
    ) -> Result<(), Fault> {
        tx.outputs.push(Output::Refused(reason));
        // anybody can send junk to a topic: it must not push out the events that count
        let told = self.refused.entry((group, reason)).or_default();
        if tx.now.since(*told) < REFUSALS_TOLD_EVERY && *told != Timestamp::ZERO {
            return Ok(());
        }
        *told = tx.now;
        self.emit(tx, Event::Refused { group, installation, reason })
    }

    fn group_message(
        &mut self,
        tx: &mut Tx<'_>,
        (id, state): (GroupId, StateId),
        period: u64,
        message: &WakuMessage,
        (at, heard): (Timestamp, bool),
    ) -> Result<(), Fault> {
        let Some(found) = self.groups.get(&id).and_then(|g| g.state(state)) else {
            return Ok(());
        };
        let hash = message.hash(&self.config.pubsub_topic);
        let carrier = Carrier { group: id, state, epoch: found.epoch, hash, at, heard };
        let Some(keys) = &found.keys else { return Ok(()) };
        let key = group_key(&keys.wire.0, period);
        let Ok(content) = open_message(&key, message) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Seal);
        };
        match frame_body(&content) {
            Some(pb::frame::Body::Segment(segment)) => self.group_segment(tx, carrier, segment),
            body => self.group_frame(tx, carrier, &content, body),
        }
    }

    /// A segment, and what it completes. The whole is known by its name once its content is, so that
    /// what comes of it later, or again, is passed over without being put together.
    fn group_segment(
        &mut self,
        tx: &mut Tx<'_>,
        carrier: Carrier,
        segment: pb::Segment,
    ) -> Result<(), Fault> {
        let id = carrier.group;
        let Some(segment) = Segment::parse(segment) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
        };
        let name = segment.name;
        if self.seen(tx, id, name.as_bytes())? {
            return Ok(());
        }
        match self.segments.push(segment::Place::Group(id, carrier.state), segment, tx.now) {
            Outcome::Taken | Outcome::Duplicate => Ok(()),
            Outcome::Refused => self.refuse(tx, Some(id), None, RefusedReason::Malformed),
            Outcome::Whole(content) => {
                // a segment of segments is none
                let whole = |b: &pb::frame::Body| !matches!(b, pb::frame::Body::Segment(_));
                let body = frame_body(&content).filter(whole);
                self.group_frame(tx, carrier, &content, body)?;
                if self.seen(tx, id, &content)? {
                    self.mark_seen(tx, id, name.as_bytes());
                }
                Ok(())
            }
        }
    }

    /// What is in a frame, whether it came in one message or in segments, of which `carrier` is the
    /// last then.
    fn group_frame(
        &mut self,
        tx: &mut Tx<'_>,
        carrier: Carrier,
        content: &[u8],
        body: Option<pb::frame::Body>,
    ) -> Result<(), Fault> {
        let Carrier { group: id, state, at, .. } = carrier;
        // A handshake is known by all of it: a member may send its commit with other log entries.
        let known_by = match &body {
            Some(pb::frame::Body::Application(bytes)) => bytes,
            Some(pb::frame::Body::Handshake(_)) => content,
            Some(
                pb::frame::Body::Segment(_)
                | pb::frame::Body::Shared(_)
                | pb::frame::Body::Rejoin(_),
            )
            | None => {
                return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
            }
        };
        if self.seen(tx, id, known_by)? {
            if matches!(body, Some(pb::frame::Body::Handshake(_))) {
                self.answered_elsewhere(id, state);
            }
            return Ok(());
        }
        if self.is_of_a_copy(tx, id, content)? {
            return self.copy_noticed(tx, id);
        }
        match &body {
            Some(pb::frame::Body::Handshake(handshake)) => {
                let line = self.groups.get(&id).and_then(|g| g.line.as_ref());
                if line.is_none_or(|line| !line.graph.contains(state)) {
                    // it leaves an own commit that is not published yet: it comes again with that
                    return Ok(());
                }
                self.mark_seen(tx, id, content);
                if self.commit_received(tx, id, state, handshake, (content, at))? {
                    self.heard(tx, id, at)?;
                }
                Ok(())
            }
            _ => self.application(tx, id, state, known_by, carrier),
        }
    }

    /// Whether these MLS bytes, or this handshake, were here before.
    pub(super) fn seen(&self, tx: &Tx<'_>, group: GroupId, bytes: &[u8]) -> Result<bool, Fault> {
        Ok(tx.overlay.get(&seen_key(group, bytes))?.is_some())
    }

    pub(super) fn mark_seen(&self, tx: &Tx<'_>, group: GroupId, bytes: &[u8]) {
        let when = tx.now.as_secs().to_be_bytes().to_vec();
        tx.overlay.put(seen_key(group, bytes), when);
    }
}

/// What is in the content of a payload, if it is a frame.
pub(super) fn frame_body(content: &[u8]) -> Option<pb::frame::Body> {
    pb::Frame::decode(content).ok()?.body
}

fn seen_key(group: GroupId, bytes: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    key("seen/", &[group.as_bytes(), &digest[..16]])
}
