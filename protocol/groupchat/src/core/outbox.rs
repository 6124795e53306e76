//! The queue of what leaves, until it is confirmed.
//!
//! Everything that leaves stands in one queue on disk, in the order it was made. An entry is
//! sealed anew ([`super::sealing`]), with a new timestamp and nonce, each time it is handed to the
//! driver, so a retry shares no bytes with the first publish but carries the same MLS bytes. What
//! became of it is for [`super::confirm`].
//!
//! What is over one message is queued as its segments, an entry each: so each is published, confirmed
//! and repeated by itself. What follows from a publish follows when peers took all of them.

use std::time::Duration;

use prost::Message as _;
use waku_groupchat_waku::MessageHash;

use super::fetch::Fetching;
use super::records::{OutgoingKind, OutgoingRecord, OutgoingState, PartRecord, key, write};
use super::topics::period;
use super::{Fault, Inner, Tx};
use crate::api::{Publish, PublishId, PublishKind};
use crate::limits::{SENT_KEPT, TIME_AHEAD, TIMESTAMP_JITTER};
use crate::proto::group as pb;
use crate::seal::SizeClass;
use crate::segment::{self, Split};
use crate::store::StoreError;
use crate::{GroupId, InstallationId, MessageId, Timestamp};

/// The hash of an own message that was never handed out.
pub(super) const UNSENT: MessageHash = MessageHash::from_bytes([0; 32]);
/// How long something waits to be tried again while it is not settled whether this installation
/// is in its group.
const HELD_BACK_FOR: Duration = Duration::from_secs(30);
/// Publishes handed to the driver at a time.
const IN_FLIGHT: usize = 32;

/// What may not leave any more is looked at again after this.
const STOPPED_LOOK: Duration = Duration::from_secs(86_400);

impl Inner {
    /// Puts something into the queue; what is over one message has to be a frame, of at most
    /// [`segment::WHOLE_BYTES`]. The sequence of its first entry.
    pub(super) fn enqueue(
        &mut self,
        tx: &Tx<'_>,
        kind: OutgoingKind,
        content: Vec<u8>,
        due: Timestamp,
    ) -> Result<u64, Fault> {
        if SizeClass::fitting(content.len()).is_some() {
            return self.enqueue_entry(tx, kind, content, due, None);
        }
        let split = segment::split(&content).map_err(|_| Fault::Bug("a queue entry too long"))?;
        self.enqueue_split(tx, &kind, split, due)
    }

    /// Puts the segments of a frame into the queue. The sequence of the first.
    pub(super) fn enqueue_split(
        &mut self,
        tx: &Tx<'_>,
        kind: &OutgoingKind,
        split: Split,
        due: Timestamp,
    ) -> Result<u64, Fault> {
        if let OutgoingKind::Commit { group, .. } = kind {
            self.mark_seen(tx, *group, split.name.as_bytes());
        }
        let (first, count) = (self.next_sequence(), split.segments.len() as u64);
        for segment in split.segments {
            let content =
                pb::Frame { body: Some(pb::frame::Body::Segment(segment)), mark: Vec::new() };
            let part = Some(PartRecord { first, count, taken: false });
            self.enqueue_entry(tx, kind.clone(), content.encode_to_vec(), due, part)?;
        }
        Ok(first)
    }

    /// Never one that an answer of the driver may still name.
    fn next_sequence(&self) -> u64 {
        self.outgoing.last().map_or(0, |last| last + 1).max(self.sequence)
    }

    fn enqueue_entry(
        &mut self,
        tx: &Tx<'_>,
        kind: OutgoingKind,
        content: Vec<u8>,
        due: Timestamp,
        part: Option<PartRecord>,
    ) -> Result<u64, Fault> {
        let sequence = self.next_sequence();
        self.sequence = sequence + 1;
        let record = OutgoingRecord {
            kind,
            content,
            state: OutgoingState::Waiting,
            due,
            attempts: 0,
            failures: 0,
            sent: Vec::new(),
            part,
        };
        write(tx.overlay, out_key(sequence), &record)?;
        self.outgoing.insert(sequence, record);
        Ok(sequence)
    }

    pub(super) fn next_outgoing(&self) -> Option<Timestamp> {
        let goes_out = !self.peer_clock.is_off() && self.in_flight.len() < IN_FLIGHT;
        let waiting = self.outgoing.next_waiting().filter(|_| goes_out);
        let published = self.outgoing.next_published().filter(|_| !self.confirming());
        waiting.into_iter().chain(published).min()
    }

    fn confirming(&self) -> bool {
        self.fetches.values().any(|(_, f)| matches!(f, Fetching::Confirm { .. }))
    }

    /// Hands out what is due, in order, and asks for what should be in a Store by now.
    pub(super) fn outgoing_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let room = match self.peer_clock.is_off() {
            false => IN_FLIGHT.saturating_sub(self.in_flight.len()),
            true => 0,
        };
        for sequence in self.outgoing.due_waiting(tx.now, room) {
            self.hand_out(tx, sequence)?;
        }
        if !self.confirming() {
            self.confirm_due(tx);
        }
        Ok(())
    }

    fn hand_out(&mut self, tx: &mut Tx<'_>, sequence: u64) -> Result<(), Fault> {
        let timestamp = self.waku_time(tx.now);
        let Some(mut record) = self.outgoing.remove(sequence) else { return Ok(()) };
        if self.is_out_of_date(&record, tx.now) {
            tx.overlay.delete(out_key(sequence));
            return Ok(());
        }
        if self.holds_back(&record) {
            // until it is read which of two branches the others stand on
            record.due = tx.now + HELD_BACK_FOR;
            self.outgoing.insert(sequence, record);
            return Ok(());
        }
        let early = match self.may_leave(&record.kind) {
            true => self.too_early(tx, &record, timestamp)?,
            false => Some(tx.now + STOPPED_LOOK),
        };
        if let Some(due) = early {
            record.due = due;
            write(tx.overlay, out_key(sequence), &record)?;
            self.outgoing.insert(sequence, record);
            return Ok(());
        }
        let id = PublishId(self.next_id());
        self.seal_under_tip(tx, &mut record)?;
        let Some(message) = self.sealed(&record, timestamp)? else {
            // the group is gone, or a commit's state: nobody could read it
            tx.overlay.delete(out_key(sequence));
            return Ok(());
        };
        let hash = message.hash(&self.config.pubsub_topic);
        let mut kind = publish_kind(&record);
        record.attempts += 1;
        record.sent.push((hash, Timestamp::from_waku(message.timestamp.unwrap_or_default())));
        if record.sent.len() > SENT_KEPT {
            record.sent.remove(0);
        }
        write(tx.overlay, out_key(sequence), &record)?;
        if let OutgoingKind::Message { id, .. } = record.kind
            && record.attempts == 1
        {
            let mut again = false;
            self.set_message(tx, id, |m| {
                again = m.waku_hash != UNSENT;
                m.waku_hash = if again { m.waku_hash } else { hash };
            })?;
            if again {
                kind = PublishKind::Retry(id);
            }
        }
        self.outgoing.insert_in_flight(sequence, record);
        self.in_flight.insert(id, (tx.now, sequence));
        tx.outputs.push(crate::api::Output::Publish(Publish { id, kind, hash, message }));
        Ok(())
    }

    /// Whether something has been followed by what takes its place: a registration record of the day
    /// before yesterday, which nobody took.
    fn is_out_of_date(&self, record: &OutgoingRecord, now: Timestamp) -> bool {
        match record.kind {
            OutgoingKind::Registration { period: of, .. }
            | OutgoingKind::Recovery { period: of, .. } => {
                of + 1 < period(now, self.config.registration_period)
            }
            _ => false,
        }
    }

    /// When a message may go out that was written while the clock was far ahead: its time must not
    /// lie further before its envelope than others take.
    fn too_early(
        &self,
        tx: &Tx<'_>,
        record: &OutgoingRecord,
        timestamp: Timestamp,
    ) -> Result<Option<Timestamp>, Fault> {
        let OutgoingKind::Message { id, .. } = record.kind else { return Ok(None) };
        let time = tx.overlay.get(&place_key(id.group, &id.installation, id.number))?;
        let Some(time) = time.and_then(|time| time.try_into().ok()) else { return Ok(None) };
        let time = Timestamp::from_nanos(u64::from_be_bytes(time));
        let early = time.since(timestamp + TIME_AHEAD);
        Ok((!early.is_zero()).then(|| tx.now + early + TIMESTAMP_JITTER * 2))
    }

    /// Whether something has to wait: it belongs to a group that this installation may not be in.
    fn holds_back(&self, record: &OutgoingRecord) -> bool {
        let group = match &record.kind {
            OutgoingKind::Message { id, .. } => &id.group,
            // some have it, so all have to: where two remove each other, nobody else may tell
            OutgoingKind::Commit { .. } if record.attempts > 0 => return false,
            OutgoingKind::Commit { group, .. } => group,
            _ => return false,
        };
        self.groups.get(group).is_some_and(|group| {
            group.unsettled() || group.tip().is_some_and(|tip| tip.keys.is_none())
        })
    }
}

/// The key of a message's record, by its name.
pub(super) fn message_key(tx: &Tx<'_>, id: MessageId) -> Result<Option<Vec<u8>>, StoreError> {
    let time = tx.overlay.get(&place_key(id.group, &id.installation, id.number))?;
    Ok(time.map(|time| {
        key(
            "message/",
            &[id.group.as_bytes(), &time, id.installation.as_bytes(), &id.number.to_be_bytes()],
        )
    }))
}

/// Where the time of a message is kept, under its name.
pub(super) fn place_key(group: GroupId, installation: &InstallationId, number: u64) -> Vec<u8> {
    key("place/", &[group.as_bytes(), installation.as_bytes(), &number.to_be_bytes()])
}

pub(super) fn out_key(sequence: u64) -> Vec<u8> {
    key("out/", &[&sequence.to_be_bytes()])
}

fn publish_kind(record: &OutgoingRecord) -> PublishKind {
    match record.kind {
        OutgoingKind::Message { id, .. } if record.attempts == 0 => PublishKind::Message(id),
        OutgoingKind::Message { id, .. } => PublishKind::Retry(id),
        OutgoingKind::Commit { group, .. } => PublishKind::Commit(group),
        OutgoingKind::InvitationShared { group, .. } => PublishKind::InvitationShared(group),
        OutgoingKind::InvitationEnvelope { group, .. } => PublishKind::InvitationEnvelope(group),
        OutgoingKind::CommitAgain { group, .. }
        | OutgoingKind::Note { group, repair: true, .. } => PublishKind::Repair(group),
        OutgoingKind::Note { group, repair: false, .. } => PublishKind::Sync(group),
        OutgoingKind::History { group, .. } => PublishKind::History(group),
        OutgoingKind::Registration { .. } | OutgoingKind::Recovery { .. } => {
            PublishKind::Registration
        }
        OutgoingKind::Rejoin { group, .. } => PublishKind::Rejoin(group),
        OutgoingKind::Link => PublishKind::Link,
    }
}
