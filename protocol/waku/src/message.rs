//! The Waku message (14/WAKU2-MESSAGE).

use std::fmt;

use prost::Message;

use crate::error::check_len;
use crate::{ContentTopic, DecodeError, MessageHash, PubsubTopic, proto};

/// A Waku message.
///
/// [`Self::encode`] is canonical: fields at their default are left out, except payload and content
/// topic, which nwaku's decoder wants present.
#[derive(Clone, PartialEq, Eq)]
pub struct WakuMessage {
    /// What it carries (field 1).
    pub payload: Vec<u8>,
    /// What receivers filter by (field 2). Any text that a peer put there.
    pub content_topic: ContentTopic,
    /// Kind of payload encryption (field 3); 0 means the application's own business.
    pub version: u32,
    /// Nanoseconds since the Unix epoch by the sender's clock (field 10).
    pub timestamp: Option<i64>,
    /// Application metadata (field 11), at most [`Self::MAX_META_LEN`] bytes; empty means absent.
    pub meta: Vec<u8>,
    /// RLN proof (field 21, 17/WAKU2-RLN-RELAY); empty means absent.
    pub rate_limit_proof: Vec<u8>,
    /// Whether a Store is asked not to keep it (field 31).
    pub ephemeral: bool,
}

impl WakuMessage {
    /// Most bytes that [`Self::decode`] takes: the largest limit of a known network. A node's own
    /// limit ([`crate::relay::MAX_MESSAGE_SIZE`] unless configured) is checked by the node.
    pub const MAX_ENCODED_LEN: usize = 1024 * 1024;

    /// Most bytes of `meta` (14/WAKU2-MESSAGE).
    pub const MAX_META_LEN: usize = 64;

    /// A message of version 0 without meta and proof that Stores keep.
    pub fn new(content_topic: ContentTopic, payload: Vec<u8>, timestamp_ns: i64) -> Self {
        Self {
            payload,
            content_topic,
            version: 0,
            timestamp: Some(timestamp_ns),
            meta: Vec::new(),
            rate_limit_proof: Vec::new(),
            ephemeral: false,
        }
    }

    /// Its protobuf bytes.
    pub fn encode(&self) -> Vec<u8> {
        proto::WakuMessage::from(self.clone()).encode_to_vec()
    }

    /// From protobuf bytes: at most [`Self::MAX_ENCODED_LEN`] of them, with a content topic, and
    /// a meta of at most [`Self::MAX_META_LEN`] bytes. Unknown fields are skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len("message", bytes.len(), Self::MAX_ENCODED_LEN)?;
        proto::WakuMessage::decode(bytes)?.try_into()
    }

    /// Its deterministic hash on a pubsub topic (14/WAKU2-MESSAGE, deterministic message hashing).
    ///
    /// An absent timestamp counts as zero, as in nwaku.
    pub fn hash(&self, pubsub_topic: &PubsubTopic) -> MessageHash {
        MessageHash::compute(&pubsub_topic.to_string(), self)
    }
}

impl fmt::Debug for WakuMessage {
    /// Lengths instead of contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakuMessage")
            .field("content_topic", &self.content_topic.as_str())
            .field("payload_len", &self.payload.len())
            .field("timestamp", &self.timestamp)
            .field("version", &self.version)
            .field("meta_len", &self.meta.len())
            .field("ephemeral", &self.ephemeral)
            .finish_non_exhaustive()
    }
}

impl From<WakuMessage> for proto::WakuMessage {
    fn from(message: WakuMessage) -> Self {
        Self {
            payload: Some(message.payload),
            content_topic: Some(message.content_topic.into_string()),
            version: Some(message.version).filter(|v| *v != 0),
            timestamp: message.timestamp,
            meta: Some(message.meta).filter(|m| !m.is_empty()),
            rate_limit_proof: Some(message.rate_limit_proof).filter(|p| !p.is_empty()),
            ephemeral: Some(message.ephemeral).filter(|e| *e),
        }
    }
}

impl TryFrom<proto::WakuMessage> for WakuMessage {
    type Error = DecodeError;

    fn try_from(message: proto::WakuMessage) -> Result<Self, DecodeError> {
        let meta = message.meta.unwrap_or_default();
        check_len("meta", meta.len(), Self::MAX_META_LEN)?;
        let topic = message.content_topic.ok_or(DecodeError::Missing("content_topic"))?;
        Ok(Self {
            payload: message.payload.unwrap_or_default(),
            content_topic: ContentTopic::from_wire(topic),
            version: message.version.unwrap_or(0),
            timestamp: message.timestamp,
            meta,
            rate_limit_proof: message.rate_limit_proof.unwrap_or_default(),
            ephemeral: message.ephemeral.unwrap_or(false),
        })
    }
}
