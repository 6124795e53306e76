//! The queue of what is to be published, with what is due at hand.

use std::collections::{BTreeMap, BTreeSet};

use super::records::{OutgoingKind, OutgoingRecord, OutgoingState};
use crate::{GroupId, MessageId, Timestamp};

/// Entries by sequence. An entry that the driver holds is due at no time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: BTreeMap<u64, OutgoingRecord>,
    waiting: BTreeSet<(Timestamp, u64)>,
    published: BTreeSet<(Timestamp, u64)>,
    /// Messages of each group.
    messages: BTreeMap<GroupId, usize>,
}

impl Queue {
    /// Puts an entry in, to be handed out or confirmed when it is due.
    pub(super) fn insert(&mut self, sequence: u64, record: OutgoingRecord) {
        self.remove(sequence);
        match record.state {
            OutgoingState::Waiting => self.waiting.insert((record.due, sequence)),
            OutgoingState::Published => self.published.insert((record.due, sequence)),
        };
        self.keep(sequence, record);
    }

    /// Puts an entry in that the driver holds.
    pub(super) fn insert_in_flight(&mut self, sequence: u64, record: OutgoingRecord) {
        self.remove(sequence);
        self.keep(sequence, record);
    }

    fn keep(&mut self, sequence: u64, record: OutgoingRecord) {
        if let OutgoingKind::Message { id, .. } = record.kind {
            *self.messages.entry(id.group).or_default() += 1;
        }
        self.entries.insert(sequence, record);
    }

    pub(super) fn remove(&mut self, sequence: u64) -> Option<OutgoingRecord> {
        let record = self.entries.remove(&sequence)?;
        self.waiting.remove(&(record.due, sequence));
        self.published.remove(&(record.due, sequence));
        if let OutgoingKind::Message { id, .. } = record.kind
            && let Some(count) = self.messages.get_mut(&id.group)
        {
            *count = count.saturating_sub(1);
        }
        Some(record)
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&OutgoingRecord> {
        self.entries.get(&sequence)
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.entries.last_key_value().map(|(sequence, _)| *sequence)
    }

    /// The entry that carries a message.
    pub(super) fn find_message(&self, message: MessageId) -> Option<u64> {
        let is_it = |record: &OutgoingRecord| matches!(record.kind, OutgoingKind::Message { id, .. } if id == message);
        self.entries.iter().find(|(_, record)| is_it(record)).map(|(sequence, _)| *sequence)
    }

    /// Whether something of this kind was never handed out.
    pub(super) fn any_unsent(&self, kind: impl Fn(&OutgoingKind) -> bool) -> bool {
        self.entries.values().any(|record| record.attempts == 0 && kind(&record.kind))
    }

    /// How many messages of a group are in the queue.
    pub(super) fn messages_of(&self, group: &GroupId) -> usize {
        self.messages.get(group).copied().unwrap_or_default()
    }

    /// Bytes of everything that waits.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.entries.values().map(|record| record.content.len()).sum()
    }

    /// When the next entry is to be handed out.
    pub(super) fn next_waiting(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// When the next entry is to be confirmed.
    pub(super) fn next_published(&self) -> Option<Timestamp> {
        self.published.first().map(|(due, _)| *due)
    }

    /// Entries to be handed out by `now`, in the order they were made, at most `limit`.
    pub(super) fn due_waiting(&self, now: Timestamp, limit: usize) -> Vec<u64> {
        let mut due = due(&self.waiting, now);
        due.truncate(limit);
        due
    }

    /// Entries to be confirmed by `now`.
    pub(super) fn due_published(&self, now: Timestamp) -> Vec<u64> {
        due(&self.published, now)
    }

    /// Moves the dues of entries that the driver does not hold.
    pub(super) fn reschedule(&mut self, due: impl Fn(&OutgoingRecord) -> Timestamp) {
        let (mut waiting, mut published) = (BTreeSet::new(), BTreeSet::new());
        for (set, fresh) in [(&self.waiting, &mut waiting), (&self.published, &mut published)] {
            for &(_, sequence) in set {
                if let Some(record) = self.entries.get_mut(&sequence) {
                    record.due = due(record);
                    fresh.insert((record.due, sequence));
                }
            }
        }
        self.waiting = waiting;
        self.published = published;
    }
}

fn due(set: &BTreeSet<(Timestamp, u64)>, now: Timestamp) -> Vec<u64> {
    let mut due: Vec<u64> = set.range(..=(now, u64::MAX)).map(|&(_, sequence)| sequence).collect();
    due.sort_unstable();
    due
}
