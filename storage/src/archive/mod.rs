//! The message archive: what a Store server and the chat ask for messages.
//!
//! Messages lie in one order, by timestamp and then by hash. A query selects some of them and walks
//! that order from a cursor, forward or backward; its page is always ascending. Both backends share
//! the query's meaning ([`query`]) and the order's encoding ([`keys`]).

mod keys;
mod memory;
mod query;
mod retention;
mod rocks;
mod rocks_query;

use std::path::PathBuf;

use waku_groupchat_waku::store::StoreEntry;
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

pub use memory::MemoryArchive;
pub use query::{ArchiveQuery, InvalidQuery};
pub use retention::{ParseRetentionError, RetentionPolicy};
pub use rocks::RocksArchive;

/// An archive of messages. Its calls block; share it behind an `Arc`.
pub trait Archive: Send + Sync {
    /// Adds the messages that are not there yet, all or none; one that is there by its hash stays
    /// as it is. A crash of the process right afterwards loses nothing, one of the machine may lose
    /// the last moments' batches, each as a whole.
    ///
    /// The caller sees to it that no message is ephemeral.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unreadable`] for a message that could not be read back; else a local fault.
    fn insert(&self, batch: &[ArchivedMessage]) -> Result<InsertReport, ArchiveError>;

    /// One page of what the query selects.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::InvalidQuery`] and [`ArchiveError::UnknownCursor`] are the asker's; else a
    /// local fault.
    fn query(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError>;

    /// Which of these messages are there, in the order of `hashes`.
    ///
    /// # Errors
    ///
    /// A local fault.
    fn contains(&self, hashes: &[MessageHash]) -> Result<Vec<bool>, ArchiveError>;

    /// How many messages there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lowest timestamp in nanoseconds.
    ///
    /// # Errors
    ///
    /// A local fault.
    fn oldest(&self) -> Result<Option<i64>, ArchiveError>;

    /// The highest timestamp in nanoseconds.
    ///
    /// # Errors
    ///
    /// A local fault.
    fn newest(&self) -> Result<Option<i64>, ArchiveError>;

    /// Removes the oldest messages until the archive's [`RetentionPolicy`] holds at this time.
    ///
    /// # Errors
    ///
    /// A local fault; what was removed before it stays removed.
    fn prune(&self, now_ns: i64) -> Result<PruneReport, ArchiveError>;
}

/// A message as it is archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedMessage {
    /// Its hash on the pubsub topic, as the caller knows it.
    pub hash: MessageHash,
    /// Where it was published.
    pub pubsub_topic: PubsubTopic,
    /// The message. Without a timestamp it lies at zero; the caller gives it the time it came.
    pub message: WakuMessage,
}

impl ArchivedMessage {
    /// A message under its hash.
    pub fn new(pubsub_topic: PubsubTopic, message: WakuMessage) -> Self {
        Self { hash: message.hash(&pubsub_topic), pubsub_topic, message }
    }

    /// That what is written can be read: the decoder of [`WakuMessage`] has these limits.
    fn check(&self, encoded_len: usize) -> Result<(), ArchiveError> {
        let fits = encoded_len <= WakuMessage::MAX_ENCODED_LEN
            && self.message.meta.len() <= WakuMessage::MAX_META_LEN;
        if fits { Ok(()) } else { Err(ArchiveError::Unreadable(self.hash)) }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InsertReport {
    /// Messages that are new.
    pub inserted: usize,
    /// Messages that were there, or twice in the batch.
    pub duplicates: usize,
}

/// A page of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivePage {
    /// Ascending by (timestamp, hash). Message and pubsub topic only if data was asked for.
    pub messages: Vec<StoreEntry>,
    /// Where the next page continues: the hash at this page's far end, the newest going forward,
    /// the oldest going backward. None if there is nothing further.
    pub cursor: Option<MessageHash>,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Messages.
    pub removed: u64,
    /// Their bytes, as [`RetentionPolicy`] counts them.
    pub bytes: u64,
}

/// Why an archive did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The query contradicts itself.
    #[error(transparent)]
    InvalidQuery(#[from] InvalidQuery),
    /// The cursor's message is not there: it never was, or retention removed it.
    #[error("no message {0} to continue from")]
    UnknownCursor(MessageHash),
    /// A message that is over the limits of the message decoder, so it is not archived.
    #[error("message {0} is over the limits of a Waku message")]
    Unreadable(MessageHash),
    /// What is on disk is damaged.
    #[error("archive {path} is corrupt: {what}")]
    Corrupt {
        /// The archive's directory.
        path: PathBuf,
        /// What is damaged.
        what: &'static str,
        /// How that was noticed, where something else noticed it.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// There is no space left.
    #[error("the disk is full at {path}: free some space there, and it goes on by itself")]
    DiskFull {
        /// The archive's directory.
        path: PathBuf,
        /// What the database says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database failed: a disk error.
    #[error("archive {path}: {context}")]
    Database {
        /// The archive's directory.
        path: PathBuf,
        /// What was being done.
        context: &'static str,
        /// What the database says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
