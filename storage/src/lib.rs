//! What a node keeps on disk: the message archive, and the key-value store of the chat core.
//!
//! - [`KvStore`] is RocksDB behind the core's [`Store`](waku_groupchat_core::Store): each batch is
//!   atomic and synced. Its twin in memory is the core's own `MemoryStore`.
//! - [`sealed`] encrypts it under a passphrase or a key file.
//! - [`Archive`] is what a Store server and the chat ask for messages: [`RocksArchive`] on disk,
//!   [`MemoryArchive`] for tests and simulations. [`RetentionPolicy`] says how much it keeps.
//!
//! Each database is a directory of its own that only its owner can enter, and that one process at a
//! time can open. All calls block on the disk: an async program makes them on a thread of their
//! own. With the feature `testing` there are `testing`'s conformance suites, which every backend
//! runs, and a store that fails on purpose.
//!
//! ```
//! use waku_groupchat_storage::{Archive, ArchiveQuery, ArchivedMessage, RetentionPolicy, RocksArchive};
//! use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};
//!
//! # let directory = tempfile::tempdir()?;
//! let policy: RetentionPolicy = "time:2592000;size:30GB".parse()?;
//! let archive = RocksArchive::open(directory.path().join("archive"), policy)?;
//!
//! let topic = PubsubTopic::new(1, 0);
//! let content: ContentTopic = "/app/1/chat/proto".parse()?;
//! let message = WakuMessage::new(content.clone(), b"hello".to_vec(), 1_700_000_000_000_000_000);
//! archive.insert(&[ArchivedMessage::new(topic, message)])?;
//!
//! let page = archive.query(&ArchiveQuery {
//!     pubsub_topic: Some(topic),
//!     content_topics: vec![content],
//!     ..ArchiveQuery::default()
//! })?;
//! assert_eq!(page.messages.len(), 1);
//! assert_eq!(page.cursor, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod kv;
mod open;
pub mod sealed;
#[cfg(feature = "testing")]
pub mod testing;
mod tuning;

pub use archive::{
    Archive, ArchiveError, ArchivePage, ArchiveQuery, ArchivedMessage, InsertReport, InvalidQuery,
    MemoryArchive, ParseRetentionError, PruneReport, RetentionPolicy, RocksArchive,
};
pub use kv::KvStore;
pub use open::OpenError;
