//! The plain peer: SQLite with the table and indexes of nwaku's archive.
//!
//! Table, indexes and queries follow nwaku's SQLite driver, in the order that Store v3 has: the
//! message hash is the primary key, one index by time, one by content topic, pubsub topic and
//! time. As nwaku does, it writes ahead (WAL). It is kinder to SQLite than nwaku is: batches are
//! written in one transaction each, and only checkpoints are synced, as the archive's log is not
//! synced at each write either.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use waku_groupchat_storage::{ArchiveQuery, ArchivedMessage};

/// The database's schema.
const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS Message (
    pubsubTopic BLOB NOT NULL,
    contentTopic BLOB NOT NULL,
    payload BLOB,
    version INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    messageHash BLOB NOT NULL,
    meta BLOB,
    CONSTRAINT messageIndex PRIMARY KEY (messageHash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS i_ts ON Message (timestamp);
CREATE INDEX IF NOT EXISTS i_query ON Message (contentTopic, pubsubTopic, timestamp, messageHash);
";

const COLUMNS: &str = "messageHash, pubsubTopic, contentTopic, payload, version, timestamp, meta";

/// Statements that are kept prepared.
const STATEMENTS: usize = 16;

/// An archive in SQLite.
#[derive(Debug)]
pub struct Sqlite {
    db: Connection,
}

impl Sqlite {
    /// Opens it; makes it if it is not there.
    pub fn open(file: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(file)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.execute_batch(SCHEMA)?;
        Ok(Self { db })
    }

    /// Adds messages in one transaction; those that are there stay as they are.
    pub fn insert(&mut self, batch: &[ArchivedMessage]) -> rusqlite::Result<usize> {
        let transaction = self.db.transaction()?;
        let mut inserted = 0;
        {
            let text = format!("INSERT OR IGNORE INTO Message ({COLUMNS}) VALUES (?,?,?,?,?,?,?)");
            let mut insert = transaction.prepare_cached(&text)?;
            for ArchivedMessage { hash, pubsub_topic, message } in batch {
                inserted += insert.execute(params![
                    hash.as_bytes(),
                    pubsub_topic.to_string().as_bytes(),
                    message.content_topic.as_str().as_bytes(),
                    message.payload,
                    message.version,
                    message.timestamp,
                    message.meta,
                ])?;
            }
        }
        transaction.commit()?;
        Ok(inserted)
    }

    /// A page, forward from the query's start; gives how many messages it has.
    pub fn query(&self, query: &ArchiveQuery) -> rusqlite::Result<usize> {
        let mut conditions = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        if !query.hashes.is_empty() {
            conditions.push(format!("messageHash IN ({})", places(query.hashes.len())));
            values.extend(query.hashes.iter().map(|hash| Value::Blob(hash.as_bytes().to_vec())));
        }
        if !query.content_topics.is_empty() {
            conditions.push(format!("contentTopic IN ({})", places(query.content_topics.len())));
            let topics = query.content_topics.iter().map(|topic| topic.as_str().as_bytes());
            values.extend(topics.map(|topic| Value::Blob(topic.to_vec())));
        }
        if let Some(topic) = query.pubsub_topic {
            conditions.push("pubsubTopic = ?".to_owned());
            values.push(Value::Blob(topic.to_string().into_bytes()));
        }
        if let Some(start) = query.time_start {
            conditions.push("timestamp >= ?".to_owned());
            values.push(Value::Integer(start));
        }
        if let Some(end) = query.time_end {
            conditions.push("timestamp < ?".to_owned());
            values.push(Value::Integer(end));
        }
        let text = format!(
            "SELECT {COLUMNS} FROM Message WHERE {} ORDER BY timestamp ASC, messageHash ASC \
             LIMIT {}",
            conditions.join(" AND "),
            // One more than a page: whether there is a next one.
            query.limit + 1
        );
        let mut select = self.db.prepare_cached(&text)?;
        let mut rows = select.query(params_from_iter(values))?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            std::hint::black_box(read(row)?);
            found += 1;
        }
        Ok(found.min(query.limit))
    }
}

/// A row's blobs and its time, as whoever answers a query takes them.
fn read(row: &Row<'_>) -> rusqlite::Result<([Vec<u8>; 4], i64)> {
    Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?], row.get(5)?))
}

fn places(count: usize) -> String {
    vec!["?"; count].join(",")
}

#[cfg(test)]
mod tests {
    use waku_groupchat_storage::{Archive, MemoryArchive};

    use super::super::sample::{STEP, Sample, Sizes, content_topic, pubsub_topic, time};
    use super::*;

    #[test]
    fn pages_are_as_long_as_the_archives() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sqlite = Sqlite::open(&folder.path().join("db")).expect("opened");
        let memory = MemoryArchive::new();
        let sample = Sample { seed: 1, sizes: Sizes::Fixed(30) };
        let batch = sample.batch(0, 300);
        assert_eq!(sqlite.insert(&batch).expect("inserted"), 300);
        assert_eq!(sqlite.insert(&batch).expect("there"), 0);
        memory.insert(&batch).expect("inserted");
        let all = ArchiveQuery { limit: 100, ..ArchiveQuery::default() };
        let message = sample.message(7);
        for query in [
            ArchiveQuery { time_start: Some(time(100)), ..all.clone() },
            ArchiveQuery {
                time_start: Some(time(100)),
                time_end: Some(time(100) + 20 * STEP),
                ..all.clone()
            },
            ArchiveQuery { hashes: vec![message.hash], ..all.clone() },
            ArchiveQuery { pubsub_topic: Some(pubsub_topic(3)), ..all.clone() },
            ArchiveQuery {
                pubsub_topic: Some(message.pubsub_topic),
                content_topics: vec![message.message.content_topic.clone(), content_topic(5)],
                ..all
            },
        ] {
            let expected = memory.query(&query).expect("a page").messages.len();
            assert!(expected > 0);
            assert_eq!(sqlite.query(&query).expect("a page"), expected, "{query:?}");
        }
    }
}
