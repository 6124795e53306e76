//! Publishing until it is confirmed.
//!
//! Everything that leaves stands in one queue on disk, in the order it was made. An entry is
//! sealed anew, with a new timestamp and nonce, each time it is handed to the driver, so a retry
//! shares no bytes with the first publish but carries the same MLS bytes. Once relay peers took
//! it, store peers are asked, by time range alone, for the hashes they hold; an entry that is not
//! among them goes out again, later each time.
//!
//! What is over one message is queued as its segments, an entry each: so each is published, confirmed
//! and repeated by itself. What follows from a publish follows when peers took all of them.

use std::time::Duration;

use prost::Message as _;
use waku_groupchat_waku::{MessageHash, WakuMessage};

use super::fetch::Fetching;
use super::loaded::Place;
use super::records::{
    MessageRecord, OutgoingKind, OutgoingRecord, OutgoingState, PartRecord, Sending, key, read,
    write,
};
use super::topics::{group_key, group_topic, period, rejoin_key, rejoin_topic};
use super::{Fault, Inner, Tx};
use crate::account::{RegistrationSecret, inbox_key, inbox_topic};
use crate::api::{
    Event, FetchResult, FetchSource, FetchWhat, Publish, PublishId, PublishKind, PublishResult,
};
use crate::kdf::{derive_key, derive_topic, label};
use crate::limits::{SENT_KEPT, TIME_AHEAD, TIMESTAMP_JITTER};
use crate::mls::{self, StateId};
use crate::proto::group as pb;
use crate::seal::{SizeClass, seal_message};
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
/// An entry that peers took, and that no Store ever showed, is let go after this many publishes:
/// where there is no Store, nothing can confirm it.
const UNCONFIRMED_PUBLISHES: u32 = 8;

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

    /// A message whose state is not the tip any more goes out as a message of the tip, if nobody
    /// had it under the old one or that one is out of the window: the same core in new MLS bytes.
    fn seal_under_tip(&mut self, tx: &Tx<'_>, record: &mut OutgoingRecord) -> Result<(), Fault> {
        let OutgoingKind::Message { id, state } = record.kind else { return Ok(()) };
        let Some(tip) = self.groups.get(&id.group).and_then(|g| g.tip()) else { return Ok(()) };
        let (tip, open) = (tip.id, tip.keys.is_some());
        let unread = record.attempts == 0 || self.wire_of(&id.group, &state).is_none();
        if tip == state || !unread || !open {
            return Ok(());
        }
        let Some(at) = message_key(tx, id)? else { return Ok(()) };
        let Some(message) = read::<MessageRecord>(tx.overlay, &at)? else { return Ok(()) };
        let application = pb::Application {
            core: message.core,
            signature: message.signature,
            frontier: Vec::new(),
            note: None,
            passed_over: self.passed_over(id.group),
        };
        record.content = self.encrypt_frame(tx, id.group, Some(id), tip, &application)?;
        record.kind = OutgoingKind::Message { id, state: tip };
        Ok(())
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

    /// An application message under a state, as the content of a payload. The ratchet that it took
    /// is written with whatever says that it is to be sent, in one batch: no key is used twice,
    /// whenever the process ends.
    pub(super) fn encrypt_frame(
        &mut self,
        tx: &Tx<'_>,
        group: GroupId,
        message: Option<MessageId>,
        state: StateId,
        application: &pb::Application,
    ) -> Result<Vec<u8>, Fault> {
        let own = self.account.as_ref().ok_or(Fault::Bug("a message without an account"))?;
        let signing = own.key();
        let place = Place::now(group, state);
        let sealed = self.with_mls(tx, place, true, |mls_group, provider| {
            mls::group::encrypt(mls_group, provider, &signing, &application.encode_to_vec())
        })?;
        if let Some(loaded) = self.loaded.get_mut(&place) {
            loaded.unwritten = 0;
        }
        self.mark_seen(tx, group, &sealed);
        self.note_made(tx, group, state, &sealed)?;
        if let Some(message) = message {
            self.note_sealed(tx, state, message);
        }
        let mark = super::copied::mark(&signing, &sealed);
        let body = Some(pb::frame::Body::Application(sealed));
        Ok(pb::Frame { body, mark }.encode_to_vec())
    }

    fn sealed(
        &self,
        record: &OutgoingRecord,
        timestamp: Timestamp,
    ) -> Result<Option<WakuMessage>, Fault> {
        let (key, topic, class) = match &record.kind {
            OutgoingKind::Message { id: MessageId { group, .. }, state }
            | OutgoingKind::Commit { group, state }
            | OutgoingKind::CommitAgain { group, state }
            | OutgoingKind::Note { group, state, .. } => {
                let Some((wire, length)) = self.wire_of(group, state) else { return Ok(None) };
                let period = period(timestamp, Duration::from_secs(length));
                let class = SizeClass::fitting(record.content.len());
                (group_key(&wire, period), group_topic(&wire, period), class)
            }
            OutgoingKind::InvitationShared { content_key, .. } => (
                derive_key(&content_key.0, label::INVITATION_KEY, &[]),
                derive_topic(&content_key.0, label::INVITATION_TOPIC, &[]),
                SizeClass::fitting(record.content.len()),
            ),
            OutgoingKind::InvitationEnvelope { registration_secret, .. } => {
                let period = period(timestamp, self.config.registration_period);
                let secret = RegistrationSecret::from_bytes(registration_secret.0);
                (
                    inbox_key(&secret, period),
                    inbox_topic(&secret, period),
                    Some(super::invite::ENVELOPE_CLASS),
                )
            }
            OutgoingKind::Rejoin { group, name } => {
                let Some(secret) = self.rejoin_secret(group, name) else { return Ok(None) };
                let day = period(timestamp, crate::limits::PERIOD);
                let class = SizeClass::fitting(record.content.len());
                (rejoin_key(&secret, day), rejoin_topic(&secret, day), class)
            }
            OutgoingKind::Registration { period, part } => {
                return self.seal_part(&record.content, *period, *part, timestamp).map(Some);
            }
            OutgoingKind::Link => {
                return WakuMessage::decode(&record.content)
                    .map(Some)
                    .map_err(|_| Fault::Bug("a queued message that does not decode"));
            }
        };
        // segments are of one class, whatever is in them
        let class = if record.part.is_some() { Some(segment::CLASS) } else { class };
        let class = class.ok_or(Fault::Bug("a queue entry over the largest class"))?;
        let mut rng = self.rng.clone();
        seal_message(&key, topic, timestamp, &record.content, class, &mut rng)
            .map(Some)
            .map_err(|_| Fault::Bug("a queue entry that cannot be sealed"))
    }

    /// The wire secret of a kept state, and the group's period in seconds.
    fn wire_of(&self, group: &GroupId, state: &StateId) -> Option<([u8; 32], u64)> {
        let group = self.groups.get(group)?;
        let keys = group.state(*state)?.keys.as_ref()?;
        Some((keys.wire.0, group.record.period))
    }

    /// What became of a publish.
    pub(super) fn published(
        &mut self,
        tx: &mut Tx<'_>,
        id: PublishId,
        result: PublishResult,
    ) -> Result<(), Fault> {
        let Some((_, sequence)) = self.in_flight.remove(&id) else { return Ok(()) };
        let Some(mut record) = self.outgoing.remove(sequence) else { return Ok(()) };
        if record.kind.is_said_once() {
            tx.overlay.delete(out_key(sequence));
            return Ok(());
        }
        match result {
            PublishResult::Failed { .. } => {
                let delay = self.backoff(self.config.publish_retry / 8, record.failures);
                record.failures += 1;
                record.due = tx.now + delay;
                // what nobody took was not published
                record.sent.pop();
                record.attempts -= 1;
            }
            PublishResult::Published { peers } => {
                let delay = self.backoff(self.config.publish_retry, record.attempts - 1);
                let delay = delay * 2u32.pow(record.attempts.saturating_sub(7).min(6));
                record.state = OutgoingState::Published;
                record.failures = 0;
                record.due = tx.now + delay;
                record.part = record.part.map(|part| PartRecord { taken: true, ..part });
                self.taken(tx, sequence, &record, peers)?;
                if matches!(record.kind, OutgoingKind::Link) {
                    // one try: the person who links sees that nothing follows
                    tx.overlay.delete(out_key(sequence));
                    return Ok(());
                }
            }
        }
        write(tx.overlay, out_key(sequence), &record)?;
        self.outgoing.insert(sequence, record);
        Ok(())
    }

    /// Whether peers took all the other segments of an entry. One that is not in the queue any more
    /// is in a Store.
    fn others_taken(&self, sequence: u64, part: PartRecord) -> bool {
        (part.first..part.first + part.count)
            .filter(|other| *other != sequence)
            .filter_map(|other| self.outgoing.get(other)?.part)
            .all(|other| other.taken)
    }

    /// What follows from the first peers having taken an entry.
    fn taken(
        &mut self,
        tx: &mut Tx<'_>,
        sequence: u64,
        record: &OutgoingRecord,
        peers: usize,
    ) -> Result<(), Fault> {
        let first = match record.part {
            None => sequence,
            Some(part) if self.others_taken(sequence, part) => part.first,
            Some(_) => return Ok(()),
        };
        match &record.kind {
            OutgoingKind::Message { id, .. } => {
                let further = |state| matches!(state, Some(Sending::Queued) | None);
                let peers = u32::try_from(peers).unwrap_or(u32::MAX);
                self.move_on(tx, *id, Sending::Published(peers), further)
            }
            OutgoingKind::Commit { group, .. } => self.commit_published(tx, *group, first),
            OutgoingKind::Registration { period, .. } => self.registered(tx, *period),
            _ => Ok(()),
        }
    }

    /// Asks store peers which of the due entries they hold.
    fn confirm_due(&mut self, tx: &mut Tx<'_>) {
        let due = self.outgoing.due_published(tx.now);
        let sent = || due.iter().filter_map(|s| self.outgoing.get(*s)).flat_map(|o| &o.sent);
        let times = || sent().map(|(_, time)| *time);
        let (Some(from), Some(to)) = (times().min(), times().max()) else { return };
        self.fetch(
            tx,
            Fetching::Confirm { entries: due },
            FetchSource::StorePeers,
            FetchWhat::Hashes,
            from,
            to + TIMESTAMP_JITTER,
        );
    }

    /// What store peers hold of the entries that were asked for.
    pub(super) fn confirmed(
        &mut self,
        tx: &mut Tx<'_>,
        entries: &[u64],
        result: &FetchResult,
    ) -> Result<(), Fault> {
        for &sequence in entries {
            let Some(record) = self.outgoing.get(sequence) else { continue };
            let stored = record.sent.iter().any(|(hash, _)| result.hashes.contains(hash));
            if stored {
                self.stored(tx, sequence)?;
            } else {
                self.not_stored(tx, sequence, result.complete())?;
            }
        }
        Ok(())
    }

    fn stored(&mut self, tx: &mut Tx<'_>, sequence: u64) -> Result<(), Fault> {
        let Some(record) = self.outgoing.remove(sequence) else { return Ok(()) };
        tx.overlay.delete(out_key(sequence));
        match record.kind {
            OutgoingKind::Message { id, .. } => {
                let further = |state| !matches!(state, Some(Sending::Acknowledged));
                self.move_on(tx, id, Sending::Stored, further)
            }
            _ => Ok(()),
        }
    }

    /// A Store that answers without an entry has it published again, now. Where none answers, the
    /// entry waits for one; where there never was one, it is published some more times, until
    /// somebody acknowledges it.
    fn not_stored(&mut self, tx: &Tx<'_>, sequence: u64, answered: bool) -> Result<(), Fault> {
        let base = self.config.publish_retry;
        let Some(mut record) = self.outgoing.remove(sequence) else { return Ok(()) };
        let alone = !answered && !self.clock.store_seen;
        let enough = record.attempts >= UNCONFIRMED_PUBLISHES || self.is_acknowledged(&record);
        if alone && enough {
            tx.overlay.delete(out_key(sequence));
            return Ok(());
        }
        if answered || alone {
            record.state = OutgoingState::Waiting;
            record.failures = 0;
            record.due = tx.now;
        } else {
            record.due = tx.now + self.backoff(base, record.failures);
            record.failures += 1;
        }
        write(tx.overlay, out_key(sequence), &record)?;
        self.outgoing.insert(sequence, record);
        Ok(())
    }

    /// A member of another account holds all own messages of a group up to this number, since it
    /// is in the group. They stay in the queue: others find what they miss in a Store, so that has
    /// to have it.
    pub(super) fn acknowledged(
        &mut self,
        tx: &mut Tx<'_>,
        group: GroupId,
        by: &InstallationId,
        upto: u64,
    ) -> Result<(), Fault> {
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return Ok(()) };
        let Some(g) = self.groups.get_mut(&group) else { return Ok(()) };
        let upto = upto.min(g.send.number);
        let known = g.send.acknowledged;
        // who came later never had what was sent before
        let heard_from = g.record.came_at.iter().find(|(i, _)| i == by).map_or(0, |(_, n)| *n);
        if upto <= known || heard_from > known {
            return Ok(());
        }
        g.send.acknowledged = upto;
        g.save_send(tx, &group)?;
        for number in known + 1..=upto {
            let id = MessageId { group, installation: own, number };
            self.move_on(tx, id, Sending::Acknowledged, |_| true)?;
        }
        Ok(())
    }

    /// New peers: what waits for a retry need not wait longer.
    pub(super) fn hurry_outgoing(&mut self, tx: &Tx<'_>) {
        let now = tx.now;
        self.outgoing.reschedule(|record| {
            if record.failures > 0 { record.due.min(now) } else { record.due }
        });
    }

    fn is_acknowledged(&self, record: &OutgoingRecord) -> bool {
        match record.kind {
            OutgoingKind::Message { id, .. } => {
                self.groups.get(&id.group).is_some_and(|group| id.number <= group.send.acknowledged)
            }
            _ => false,
        }
    }

    fn move_on(
        &mut self,
        tx: &mut Tx<'_>,
        id: MessageId,
        state: Sending,
        further: impl Fn(Option<Sending>) -> bool,
    ) -> Result<(), Fault> {
        let mut moved = false;
        self.set_message(tx, id, |m| {
            if further(m.sending) {
                m.sending = Some(state);
                moved = true;
            }
        })?;
        if moved { self.emit(tx, Event::MessageState { id, state: state.into() }) } else { Ok(()) }
    }

    fn set_message(
        &self,
        tx: &Tx<'_>,
        id: MessageId,
        change: impl FnOnce(&mut MessageRecord),
    ) -> Result<(), StoreError> {
        let Some(at) = message_key(tx, id)? else { return Ok(()) };
        let Some(mut message) = read::<MessageRecord>(tx.overlay, &at)? else { return Ok(()) };
        change(&mut message);
        write(tx.overlay, at, &message)
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
        OutgoingKind::Registration { .. } => PublishKind::Registration,
        OutgoingKind::Rejoin { group, .. } => PublishKind::Rejoin(group),
        OutgoingKind::Link => PublishKind::Link,
    }
}
