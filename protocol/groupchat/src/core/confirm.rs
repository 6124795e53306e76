//! What became of a publish: taken by relay peers, held by a Store, acknowledged by members.
//!
//! Once relay peers took an entry of the queue, store peers are asked, by time range alone, for the
//! hashes they hold; an entry that is not among them goes out again, later each time.

use super::fetch::Fetching;
use super::outbox::{message_key, out_key};
use super::records::{
    MessageRecord, OutgoingKind, OutgoingRecord, OutgoingState, PartRecord, Sending, read, write,
};
use super::{Fault, Inner, Tx};
use crate::api::{Event, FetchResult, FetchSource, FetchWhat, PublishId, PublishResult};
use crate::limits::TIMESTAMP_JITTER;
use crate::order::mutation::{Mutation, is_active};
use crate::store::StoreError;
use crate::{GroupId, InstallationId, MessageId};

/// An entry that peers took, and that no Store ever showed, is let go after this many publishes:
/// where there is no Store, nothing can confirm it.
const UNCONFIRMED_PUBLISHES: u32 = 8;

impl Inner {
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
    pub(super) fn confirm_due(&mut self, tx: &mut Tx<'_>) {
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
        let never = is_active(Mutation::NothingResent);
        if alone && enough || never && matches!(record.kind, OutgoingKind::Message { .. }) {
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
        match state.state().filter(|_| moved) {
            Some(state) => self.emit(tx, Event::MessageState { id, state }),
            None => Ok(()),
        }
    }

    pub(super) fn set_message(
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
