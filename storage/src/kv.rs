//! The key-value store of the chat core, on RocksDB.
//!
//! Keys and values are the core's own, kept as they come in the column family `state`. Beside it,
//! in `default`, is the database's format (`kv 1`). One batch of the core is one write batch of
//! RocksDB, which is one record of the write-ahead log: it is replayed whole or not at all. The log
//! is synced before a commit returns.

use std::fmt;
use std::path::Path;

use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, ReadOptions, WriteBatch, WriteOptions};
use waku_groupchat_core::{Batch, Pair, Store, StoreError};

use crate::open::{self, DiskFull, Layout, OpenError};
use crate::tuning;

const STATE: &str = "state";

/// In the column family `default`: the id of the seal file, if there is one.
const SEAL_MARK: &[u8] = b"seal";

const LAYOUT: Layout = Layout { kind: "kv", families: &[STATE], steps: &[] };

/// A [`Store`] in a directory. One process at a time can open it.
pub struct KvStore {
    db: DB,
}

impl KvStore {
    /// Opens the store in this directory; makes both if they are not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the directory cannot be used, is open elsewhere, holds something else or a
    /// newer format, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let options = tuning::kv_database();
        Ok(Self { db: open::open(path.as_ref(), &LAYOUT, &options, tuning::kv_family())? })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.db.path()
    }

    /// What [`Self::set_seal_mark`] wrote.
    pub(crate) fn seal_mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(SEAL_MARK).map_err(|e| self.error("reading the mark of the seal", e))
    }

    /// Says that what is in it is sealed, and to which seal file it belongs.
    pub(crate) fn set_seal_mark(&self, mark: &[u8]) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        let written = self.db.put_opt(SEAL_MARK, mark, &options);
        written.map_err(|e| self.error("writing the mark of the seal", e))
    }

    fn state(&self) -> &ColumnFamily {
        self.db.cf_handle(STATE).expect("opening the database opens this column family")
    }

    fn error(&self, context: &'static str, source: rocksdb::Error) -> StoreError {
        let path = self.path().display().to_string();
        match open::is_full(&source) {
            true => StoreError::new(context, DiskFull { path, source }),
            false => StoreError::new(context, DatabaseError { path, source }),
        }
    }
}

impl Store for KvStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.state(), key).map_err(|e| self.error("reading a key", e))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.scan_from(prefix, prefix, usize::MAX)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(prefix));
        let mode = IteratorMode::From(prefix.max(from), Direction::Forward);
        self.db
            .iterator_cf_opt(self.state(), options, mode)
            .take(limit)
            .map(|pair| pair.map(|(key, value)| (key.into_vec(), value.into_vec())))
            .collect::<Result<_, _>>()
            .map_err(|e| self.error("reading a range of keys", e))
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let state = self.state();
        let mut write = WriteBatch::default();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => write.put_cf(state, key, value),
                None => write.delete_cf(state, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(write, &options).map_err(|e| self.error("writing a batch", e))
    }
}

impl fmt::Debug for KvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvStore").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// What RocksDB says, and where.
#[derive(Debug, thiserror::Error)]
#[error("database {path}")]
struct DatabaseError {
    path: String,
    source: rocksdb::Error,
}
