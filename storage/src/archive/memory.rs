//! The archive in memory, for tests and simulations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;

use parking_lot::RwLock;
use waku_groupchat_waku::MessageHash;
use waku_groupchat_waku::store::StoreEntry;

use super::keys::{Position, Totals, bytes_of};
use super::query::Window;
use super::{
    Archive, ArchiveError, ArchivePage, ArchiveQuery, ArchivedMessage, InsertReport, PruneReport,
    RetentionPolicy,
};

/// An [`Archive`] that lives as long as the value. It looks at every message of a query's time
/// range: meant for some ten thousands of messages.
pub struct MemoryArchive {
    policy: RetentionPolicy,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    messages: BTreeMap<Position, Kept>,
    positions: HashMap<MessageHash, Position>,
    totals: Totals,
}

struct Kept {
    message: ArchivedMessage,
    bytes: u64,
}

impl MemoryArchive {
    /// An empty archive that keeps everything.
    pub fn new() -> Self {
        Self::with_retention(RetentionPolicy::default())
    }

    /// An empty archive.
    pub fn with_retention(policy: RetentionPolicy) -> Self {
        Self { policy, held: RwLock::default() }
    }
}

impl Default for MemoryArchive {
    fn default() -> Self {
        Self::new()
    }
}

impl Archive for MemoryArchive {
    fn insert(&self, batch: &[ArchivedMessage]) -> Result<InsertReport, ArchiveError> {
        let sizes: Vec<_> = batch.iter().map(|m| m.message.encode().len()).collect();
        for (message, size) in batch.iter().zip(&sizes) {
            message.check(*size)?;
        }
        let mut held = self.held.write();
        let before = held.messages.len();
        for (message, size) in batch.iter().zip(sizes) {
            held.insert(message, size);
        }
        let inserted = held.messages.len() - before;
        Ok(InsertReport { inserted, duplicates: batch.len() - inserted })
    }

    fn query(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError> {
        query.check()?;
        let held = self.held.read();
        let cursor = query.cursor.map(|hash| held.position(&hash)).transpose()?;
        let Some(window) = query.window(cursor) else {
            return Ok(ArchivePage::default());
        };
        let found = if query.hashes.is_empty() {
            held.filter(query, window)
        } else {
            held.look_up(query, window)
        };
        let (page, cursor) = query.page(found);
        let messages =
            page.iter().filter_map(|position| held.entry(position, query.include_data)).collect();
        Ok(ArchivePage { messages, cursor })
    }

    fn contains(&self, hashes: &[MessageHash]) -> Result<Vec<bool>, ArchiveError> {
        let held = self.held.read();
        Ok(hashes.iter().map(|hash| held.positions.contains_key(hash)).collect())
    }

    fn len(&self) -> usize {
        self.held.read().messages.len()
    }

    fn oldest(&self) -> Result<Option<i64>, ArchiveError> {
        Ok(self.held.read().messages.first_key_value().map(|(position, _)| position.timestamp()))
    }

    fn newest(&self) -> Result<Option<i64>, ArchiveError> {
        Ok(self.held.read().messages.last_key_value().map(|(position, _)| position.timestamp()))
    }

    fn prune(&self, now_ns: i64) -> Result<PruneReport, ArchiveError> {
        let keeps_from = self.policy.keeps_from(now_ns);
        let mut guard = self.held.write();
        let held = &mut *guard;
        let mut report = PruneReport::default();
        while let Some(oldest) = held.messages.first_entry()
            && self.policy.removes(keeps_from, oldest.key().timestamp(), &held.totals)
        {
            let (position, kept) = oldest.remove_entry();
            held.positions.remove(&position.hash());
            held.totals.remove(kept.bytes);
            report.removed += 1;
            report.bytes += kept.bytes;
        }
        Ok(report)
    }
}

impl Held {
    fn insert(&mut self, message: &ArchivedMessage, encoded_len: usize) {
        if self.positions.contains_key(&message.hash) {
            return;
        }
        let position = Position::new(message.message.timestamp.unwrap_or(0), &message.hash);
        // Four bytes for cluster and shard: as on disk, so that limits mean the same.
        let bytes = bytes_of(encoded_len as u64 + 4);
        self.positions.insert(message.hash, position);
        self.messages.insert(position, Kept { message: message.clone(), bytes });
        self.totals.add(bytes);
    }

    fn position(&self, cursor: &MessageHash) -> Result<Position, ArchiveError> {
        self.positions.get(cursor).copied().ok_or(ArchiveError::UnknownCursor(*cursor))
    }

    fn filter(&self, query: &ArchiveQuery, window: Window) -> Vec<Position> {
        let to = window.to.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.messages.range((Bound::Included(window.from), to));
        let selected = range
            .filter(|(_, kept)| {
                let message = &kept.message;
                query.pubsub_topic.is_none_or(|topic| topic == message.pubsub_topic)
                    && (query.content_topics.is_empty()
                        || query.content_topics.contains(&message.message.content_topic))
            })
            .map(|(position, _)| *position);
        if query.forward {
            selected.take(query.wanted()).collect()
        } else {
            selected.rev().take(query.wanted()).collect()
        }
    }

    fn look_up(&self, query: &ArchiveQuery, window: Window) -> Vec<Position> {
        let named: BTreeSet<_> = query
            .hashes
            .iter()
            .filter_map(|hash| self.positions.get(hash))
            .filter(|position| window.contains(position))
            .filter(|position| {
                query.pubsub_topic.is_none_or(|topic| {
                    self.messages.get(position).is_some_and(|k| k.message.pubsub_topic == topic)
                })
            })
            .copied()
            .collect();
        if query.forward {
            named.into_iter().take(query.wanted()).collect()
        } else {
            named.into_iter().rev().take(query.wanted()).collect()
        }
    }

    fn entry(&self, position: &Position, include_data: bool) -> Option<StoreEntry> {
        let kept = &self.messages.get(position)?.message;
        Some(StoreEntry {
            hash: kept.hash,
            message: include_data.then(|| kept.message.clone()),
            pubsub_topic: include_data.then_some(kept.pubsub_topic),
        })
    }
}

impl fmt::Debug for MemoryArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryArchive")
            .field("policy", &self.policy)
            .field("messages", &self.len())
            .finish()
    }
}
