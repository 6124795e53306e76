//! Waku's types and codecs: messages, topics, sharding, hashes, Store v3, metadata. No IO.
//!
//! | module | what |
//! |---|---|
//! | crate root | [`WakuMessage`], [`MessageHash`], [`ContentTopic`], [`PubsubTopic`], [`autoshard`] |
//! | [`relay`] | protocol id and limits of the relay |
//! | [`store`] | Store v3 requests and responses |
//! | [`metadata`] | what a peer says of its cluster and shards |
//! | [`framing`] | length-prefixed frames, as all request/response protocols use them |
//!
//! Decoders take bytes from strangers: they check sizes and counts before they allocate, and never
//! panic. The bytes and test vectors are in `docs/spec/waku.md`.
//!
//! ```
//! use waku_groupchat_waku::{autoshard, ContentTopic, WakuMessage};
//!
//! let topic: ContentTopic = "/toychat/2/huilong/proto".parse()?;
//! let shard = autoshard(1, 8, &topic)?;
//! assert_eq!(shard.to_string(), "/waku/2/rs/1/3");
//!
//! let message = WakuMessage::new(topic, b"hello".to_vec(), 1_700_000_000_000_000_000);
//! let bytes = message.encode();
//! assert_eq!(WakuMessage::decode(&bytes)?, message);
//! println!("{}", message.hash(&shard));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod framing;
mod hash;
mod message;
pub mod metadata;
mod proto;
pub mod relay;
pub mod store;
mod topic;
mod wire;

pub use error::{DecodeError, ParseHashError, TopicError};
pub use hash::{MessageHash, gossip_message_id};
pub use message::WakuMessage;
pub use topic::{ContentTopic, ContentTopicParts, PubsubTopic, autoshard};
