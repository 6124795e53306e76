//! The archive on disk: reading a page.
//!
//! What a query selects is one or more runs of index entries, each in the archive's order: all of
//! `order`, one shard's part of `shards`, or each content topic's part of `topics`. They are walked
//! together, always taking the lowest (or highest) head, until the page is full; its messages are
//! read only then. So a page costs what it holds, whatever else is archived. All of it reads one
//! snapshot.

use std::collections::{BTreeMap, BTreeSet};

use rocksdb::{DBRawIterator, PrefixRange, ReadOptions, Snapshot};
use waku_groupchat_waku::store::StoreEntry;
use waku_groupchat_waku::{MessageHash, WakuMessage};

use super::keys::{
    HASHES, Labels, MESSAGES, ORDER, Position, SHARDS, TOPICS, decode_shard, decode_timestamp,
    encode_shard, index_key, tag,
};
use super::query::Window;
use super::{ArchiveError, ArchivePage, ArchiveQuery, RocksArchive};

impl RocksArchive {
    pub(super) fn read_page(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError> {
        query.check()?;
        let reader = Reader { archive: self, snapshot: self.db.snapshot() };
        let cursor = query.cursor.map(|hash| reader.cursor(hash)).transpose()?;
        let Some(window) = query.window(cursor) else {
            return Ok(ArchivePage::default());
        };
        let found = if query.hashes.is_empty() {
            reader.filter(query, window)?
        } else {
            reader.look_up(query, window)?
        };
        let (page, cursor) = query.page(found);
        let messages = if query.include_data {
            reader.messages(&page)?
        } else {
            page.iter().map(hash_alone).collect()
        };
        Ok(ArchivePage { messages, cursor })
    }
}

fn hash_alone(position: &Position) -> StoreEntry {
    StoreEntry { hash: position.hash(), message: None, pubsub_topic: None }
}

/// The archive at one moment.
struct Reader<'a> {
    archive: &'a RocksArchive,
    snapshot: Snapshot<'a>,
}

impl Reader<'_> {
    fn cursor(&self, hash: MessageHash) -> Result<Position, ArchiveError> {
        self.positions(&[hash])?.pop().flatten().ok_or(ArchiveError::UnknownCursor(hash))
    }

    /// Where these messages lie, in the order of `hashes`.
    fn positions(&self, hashes: &[MessageHash]) -> Result<Vec<Option<Position>>, ArchiveError> {
        let family = self.archive.family(HASHES);
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        let keys = hashes.iter().map(MessageHash::as_bytes);
        let values = self.archive.db.batched_multi_get_cf_opt(family, keys, false, &options);
        hashes
            .iter()
            .zip(values)
            .map(|(hash, value)| {
                let value = value.map_err(|e| self.archive.error("looking up hashes", e))?;
                let Some(value) = value else { return Ok(None) };
                let timestamp = value.as_ref().try_into();
                let timestamp = timestamp.map_err(|_| self.archive.corrupt("a timestamp"))?;
                Ok(Some(Position::new(decode_timestamp(timestamp), hash)))
            })
            .collect()
    }

    fn look_up(&self, query: &ArchiveQuery, window: Window) -> Result<Vec<Position>, ArchiveError> {
        let mut named = BTreeSet::new();
        for position in self.positions(&query.hashes)?.into_iter().flatten() {
            if window.contains(&position) && self.is_on(query, &position)? {
                named.insert(position);
            }
        }
        let wanted = query.wanted();
        Ok(if query.forward {
            named.into_iter().take(wanted).collect()
        } else {
            named.into_iter().rev().take(wanted).collect()
        })
    }

    /// Whether the message is on the query's pubsub topic, if it names one.
    fn is_on(&self, query: &ArchiveQuery, position: &Position) -> Result<bool, ArchiveError> {
        let Some(topic) = query.pubsub_topic else { return Ok(true) };
        let labels = self
            .snapshot
            .get_pinned_cf(self.archive.family(ORDER), position.as_bytes())
            .map_err(|e| self.archive.error("reading the order", e))?
            .and_then(|value| Labels::decode(&value))
            .ok_or_else(|| self.archive.corrupt("a hash without its order entry"))?;
        Ok(labels.pubsub_topic == topic)
    }

    fn filter(&self, query: &ArchiveQuery, window: Window) -> Result<Vec<Position>, ArchiveError> {
        let mut runs = self.runs(query, window);
        let mut heads = BTreeMap::new();
        for (index, run) in runs.iter().enumerate() {
            heads.extend(run.head(self.archive)?.map(|position| (position, index)));
        }
        let mut found = Vec::new();
        while found.len() < query.wanted() {
            let next = if query.forward { heads.pop_first() } else { heads.pop_last() };
            let Some((position, index)) = next else { break };
            found.push(position);
            let run = &mut runs[index];
            run.step(query.forward);
            heads.extend(run.head(self.archive)?.map(|position| (position, index)));
        }
        Ok(found)
    }

    /// The runs that hold exactly what the query selects, each standing at its first entry.
    fn runs(&self, query: &ArchiveQuery, window: Window) -> Vec<Run<'_>> {
        let Some(topic) = query.pubsub_topic else {
            return vec![self.run(ORDER, Vec::new(), window, query.forward)];
        };
        let shard = encode_shard(topic).to_vec();
        if query.content_topics.is_empty() {
            return vec![self.run(SHARDS, shard, window, query.forward)];
        }
        // A set, for a topic named twice would give its messages twice.
        let tags: BTreeSet<_> = query.content_topics.iter().map(tag).collect();
        tags.iter()
            .map(|tag| self.run(TOPICS, [&shard, tag.as_slice()].concat(), window, query.forward))
            .collect()
    }

    fn run(&self, family: &'static str, prefix: Vec<u8>, window: Window, forward: bool) -> Run<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix.clone()));
        options.set_iterate_lower_bound(index_key(&prefix, &window.from));
        if let Some(to) = window.to {
            options.set_iterate_upper_bound(index_key(&prefix, &to));
        }
        let mut entries = self.snapshot.raw_iterator_cf_opt(self.archive.family(family), options);
        if forward {
            entries.seek_to_first();
        } else {
            entries.seek_to_last();
        }
        Run { entries, prefix: prefix.len() }
    }

    fn messages(&self, page: &[Position]) -> Result<Vec<StoreEntry>, ArchiveError> {
        let family = self.archive.family(MESSAGES);
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        let keys = page.iter().map(Position::as_bytes);
        let values = self.archive.db.batched_multi_get_cf_opt(family, keys, true, &options);
        page.iter()
            .zip(values)
            .map(|(position, value)| {
                let value = value
                    .map_err(|e| self.archive.error("reading messages", e))?
                    .ok_or_else(|| self.archive.corrupt("an index entry without its message"))?;
                self.entry(position, &value)
            })
            .collect()
    }

    fn entry(&self, position: &Position, value: &[u8]) -> Result<StoreEntry, ArchiveError> {
        let (shard, encoded) =
            value.split_first_chunk().ok_or_else(|| self.archive.corrupt("a message"))?;
        let message = WakuMessage::decode(encoded).map_err(|source| ArchiveError::Corrupt {
            path: self.archive.path().to_owned(),
            what: "a message",
            source: Some(Box::new(source)),
        })?;
        Ok(StoreEntry {
            hash: position.hash(),
            message: Some(message),
            pubsub_topic: Some(decode_shard(*shard)),
        })
    }
}

/// Entries of one index under one prefix, within the query's window.
struct Run<'a> {
    entries: DBRawIterator<'a>,
    prefix: usize,
}

impl Run<'_> {
    /// The entry where it stands; none at its end.
    fn head(&self, archive: &RocksArchive) -> Result<Option<Position>, ArchiveError> {
        let Some(key) = self.entries.key() else {
            self.entries.status().map_err(|e| archive.error("walking an index", e))?;
            return Ok(None);
        };
        let position = key.get(self.prefix..).and_then(Position::from_slice);
        position.map(Some).ok_or_else(|| archive.corrupt("an index entry"))
    }

    fn step(&mut self, forward: bool) {
        if forward {
            self.entries.next();
        } else {
            self.entries.prev();
        }
    }
}
