//! The archive on disk: writing and removing. Reading is in `rocks_query`, the layout in `keys`.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::Path;

use parking_lot::Mutex;
use rocksdb::{ColumnFamily, DB, ErrorKind, IteratorMode, ReadOptions, WriteBatch};
use waku_groupchat_waku::{MessageHash, PubsubTopic};

use super::keys::{
    HASHES, Labels, MESSAGES, ORDER, Position, SHARDS, TOPICS, TOTALS_KEY, Totals, encode_shard,
    encode_timestamp, index_key, tag,
};
use super::{
    Archive, ArchiveError, ArchivePage, ArchiveQuery, ArchivedMessage, InsertReport, PruneReport,
    RetentionPolicy,
};
use crate::open::{self, Layout, OpenError};
use crate::tuning;

const LAYOUT: Layout =
    Layout { kind: "archive", families: &[MESSAGES, ORDER, SHARDS, TOPICS, HASHES], steps: &[] };

/// Messages that retention removes in one write batch. Between two, insertions go on.
const PRUNE_CHUNK: usize = 1_000;

/// Removed bytes after which the files of removed messages are compacted at once. RocksDB itself
/// would do it when more is written, which a node with little traffic may wait long for.
const COMPACT_AFTER: u64 = 16 * 1024 * 1024;

/// An [`Archive`] in a directory. One process at a time can open it.
pub struct RocksArchive {
    pub(super) db: DB,
    policy: RetentionPolicy,
    /// Held while writing: a message is new or not, and the totals are right, only between writes.
    totals: Mutex<Totals>,
}

impl RocksArchive {
    /// Opens the archive in this directory; makes both if they are not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the directory cannot be used, is open elsewhere, holds something else or a
    /// newer format, or is damaged.
    pub fn open(path: impl AsRef<Path>, policy: RetentionPolicy) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let (options, family) = tuning::archive(HASHES, MESSAGES);
        let db = open::open(path, &LAYOUT, &options, family)?;
        let stored = db
            .get(TOTALS_KEY)
            .map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
        let totals = stored.as_deref().and_then(Totals::decode).unwrap_or_default();
        Ok(Self { db, policy, totals: Mutex::new(totals) })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.db.path()
    }

    pub(super) fn family(&self, name: &'static str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("opening the database opens every column family of LAYOUT")
    }

    pub(super) fn error(&self, context: &'static str, source: rocksdb::Error) -> ArchiveError {
        let path = self.path().to_owned();
        let (kind, full) = (source.kind(), open::is_full(&source));
        let source = Box::new(source);
        match kind {
            ErrorKind::Corruption => {
                ArchiveError::Corrupt { path, what: context, source: Some(source) }
            }
            _ if full => ArchiveError::DiskFull { path, source },
            _ => ArchiveError::Database { path, context, source },
        }
    }

    pub(super) fn corrupt(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Corrupt { path: self.path().to_owned(), what, source: None }
    }

    /// Adds a message to the batch; gives the bytes that it counts.
    fn put(&self, write: &mut WriteBatch, message: &ArchivedMessage) -> Result<u64, ArchiveError> {
        let encoded = message.message.encode();
        message.check(encoded.len())?;
        let timestamp = message.message.timestamp.unwrap_or(0);
        let position = Position::new(timestamp, &message.hash);
        let shard = encode_shard(message.pubsub_topic);
        let value = [shard.as_slice(), &encoded].concat();
        let labels = Labels {
            pubsub_topic: message.pubsub_topic,
            size: u32::try_from(value.len()).unwrap_or(u32::MAX),
            tag: tag(&message.message.content_topic),
        };
        write.put_cf(self.family(MESSAGES), position.as_bytes(), value);
        write.put_cf(self.family(ORDER), position.as_bytes(), labels.encode());
        write.put_cf(self.family(SHARDS), index_key(&shard, &position), []);
        write.put_cf(self.family(TOPICS), index_key(&labels.topic_prefix(), &position), []);
        write.put_cf(self.family(HASHES), message.hash.as_bytes(), encode_timestamp(timestamp));
        Ok(labels.bytes())
    }

    /// Writes the batch with the totals that hold after it.
    fn write(
        &self,
        mut write: WriteBatch,
        context: &'static str,
        totals: &mut Totals,
        after: Totals,
    ) -> Result<(), ArchiveError> {
        write.put(TOTALS_KEY, after.encode());
        self.db.write(write).map_err(|e| self.error(context, e))?;
        *totals = after;
        Ok(())
    }

    /// The oldest messages, from this position on, that the policy removes; at most a chunk.
    fn due(
        &self,
        from: Option<Position>,
        keeps_from: Option<i64>,
        mut totals: Totals,
    ) -> Result<Vec<(Position, Labels)>, ArchiveError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        if let Some(from) = from {
            options.set_iterate_lower_bound(from.as_bytes());
        }
        let mut due = Vec::new();
        for row in self.db.iterator_cf_opt(self.family(ORDER), options, IteratorMode::Start) {
            let (key, value) = row.map_err(|e| self.error("reading the oldest messages", e))?;
            let position = Position::from_slice(&key).ok_or_else(|| self.corrupt("a position"))?;
            let labels = Labels::decode(&value).ok_or_else(|| self.corrupt("an order entry"))?;
            let removes = self.policy.removes(keeps_from, position.timestamp(), &totals);
            if !removes || due.len() == PRUNE_CHUNK {
                break;
            }
            totals.remove(labels.bytes());
            due.push((position, labels));
        }
        Ok(due)
    }

    /// Removes neighbours in the order. Where they are neighbours in the family too, as a range: one
    /// mark instead of many, which later walks would have to step over.
    fn remove(
        &self,
        due: &[(Position, Labels)],
        totals: &mut Totals,
    ) -> Result<PruneReport, ArchiveError> {
        let (Some((first, _)), Some((last, labels))) = (due.first(), due.last()) else {
            return Ok(PruneReport::default());
        };
        let mut write = WriteBatch::default();
        for family in [MESSAGES, ORDER].map(|name| self.family(name)) {
            write.delete_range_cf(family, first.as_bytes(), last.as_bytes());
            write.delete_cf(family, last.as_bytes());
        }
        let topics: BTreeSet<PubsubTopic> = due.iter().map(|(_, l)| l.pubsub_topic).collect();
        let shards = self.family(SHARDS);
        for shard in topics.into_iter().map(encode_shard) {
            write.delete_range_cf(shards, index_key(&shard, first), index_key(&shard, last));
        }
        write.delete_cf(shards, index_key(&encode_shard(labels.pubsub_topic), last));
        let mut after = *totals;
        for (position, labels) in due {
            write.delete_cf(self.family(TOPICS), index_key(&labels.topic_prefix(), position));
            write.delete_cf(self.family(HASHES), position.hash().as_bytes());
            after.remove(labels.bytes());
        }
        let bytes = totals.bytes.saturating_sub(after.bytes);
        self.write(write, "removing messages", totals, after)?;
        Ok(PruneReport { removed: due.len() as u64, bytes })
    }

    /// The timestamp at one end of the order.
    fn end(&self, mode: IteratorMode<'_>) -> Result<Option<i64>, ArchiveError> {
        let Some(row) = self.db.iterator_cf(self.family(ORDER), mode).next() else {
            return Ok(None);
        };
        let (key, _) = row.map_err(|e| self.error("reading an end of the order", e))?;
        let position = Position::from_slice(&key).ok_or_else(|| self.corrupt("a position"))?;
        Ok(Some(position.timestamp()))
    }
}

impl Archive for RocksArchive {
    fn insert(&self, batch: &[ArchivedMessage]) -> Result<InsertReport, ArchiveError> {
        let hashes: Vec<_> = batch.iter().map(|message| message.hash).collect();
        let mut totals = self.totals.lock();
        let known = self.contains(&hashes)?;
        let mut after = *totals;
        let mut write = WriteBatch::default();
        let mut report = InsertReport::default();
        let mut new = HashSet::new();
        for (message, known) in batch.iter().zip(known) {
            if known || !new.insert(message.hash) {
                report.duplicates += 1;
            } else {
                after.add(self.put(&mut write, message)?);
                report.inserted += 1;
            }
        }
        if report.inserted > 0 {
            self.write(write, "inserting messages", &mut totals, after)?;
        }
        Ok(report)
    }

    fn query(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError> {
        self.read_page(query)
    }

    fn contains(&self, hashes: &[MessageHash]) -> Result<Vec<bool>, ArchiveError> {
        let keys = hashes.iter().map(MessageHash::as_bytes);
        self.db
            .batched_multi_get_cf(self.family(HASHES), keys, false)
            .into_iter()
            .map(|found| Ok(found.map_err(|e| self.error("looking up hashes", e))?.is_some()))
            .collect()
    }

    fn len(&self) -> usize {
        usize::try_from(self.totals.lock().messages).unwrap_or(usize::MAX)
    }

    fn oldest(&self) -> Result<Option<i64>, ArchiveError> {
        self.end(IteratorMode::Start)
    }

    fn newest(&self) -> Result<Option<i64>, ArchiveError> {
        self.end(IteratorMode::End)
    }

    fn prune(&self, now_ns: i64) -> Result<PruneReport, ArchiveError> {
        let keeps_from = self.policy.keeps_from(now_ns);
        let mut report = PruneReport::default();
        let mut last = None;
        loop {
            let mut totals = self.totals.lock();
            let due = self.due(last, keeps_from, *totals)?;
            let removed = self.remove(&due, &mut totals)?;
            drop(totals);
            report.removed += removed.removed;
            report.bytes += removed.bytes;
            let Some((position, _)) = due.last() else { break };
            last = Some(*position);
        }
        if let Some(last) = last.filter(|_| report.bytes >= COMPACT_AFTER) {
            let (start, end) = (None::<&[u8]>, Some(last.as_bytes()));
            self.db.compact_range_cf(self.family(MESSAGES), start, end);
        }
        Ok(report)
    }
}

impl fmt::Debug for RocksArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksArchive")
            .field("path", &self.path())
            .field("policy", &self.policy)
            .field("messages", &self.len())
            .finish_non_exhaustive()
    }
}
