//! Keys and fixed-size values of the archive on disk.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `messages` | position | cluster, shard, message (protobuf) |
//! | `order` | position | cluster, shard, size (4), tag |
//! | `shards` | cluster, shard, position | nothing |
//! | `topics` | cluster, shard, tag, position | nothing |
//! | `hashes` | message hash (32) | timestamp (8) |
//! | `default` | `format` | `archive 1` |
//! | `default` | `totals` | messages (8), bytes (8) |
//!
//! - A position (40) is the timestamp (8) and the message hash (32). Its bytes sort as the pair does:
//!   the timestamp is big-endian with its sign bit flipped, so negative ones come first.
//! - Cluster and shard are 2 bytes each. The tag (32) is the SHA-256 of the content topic, which
//!   peers may choose of any length. Size is the length of the value in `messages`.
//! - All integers are big-endian.
//!
//! Column families, rather than prefixes in one: each table then holds keys of one kind, so a walk
//! through an index never meets messages, and each has filters and buffers that fit it. Messages lie
//! apart from `order` so that a query without data, and retention, never read them.

use sha2::{Digest, Sha256};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic};

pub(super) const MESSAGES: &str = "messages";
pub(super) const ORDER: &str = "order";
pub(super) const SHARDS: &str = "shards";
pub(super) const TOPICS: &str = "topics";
pub(super) const HASHES: &str = "hashes";
pub(super) const TOTALS_KEY: &[u8] = b"totals";

/// What a message takes besides its value in `messages`: keys and values of all five families.
const INDEX_BYTES: u64 = 40 + (40 + 40) + 44 + 76 + (32 + 8);

/// A place in the archive's order: by timestamp, then by hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position([u8; Self::LEN]);

impl Position {
    pub(super) const LEN: usize = 40;

    pub(super) fn new(timestamp: i64, hash: &MessageHash) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&encode_timestamp(timestamp));
        bytes[8..].copy_from_slice(hash.as_bytes());
        Self(bytes)
    }

    /// Before every message of this timestamp, after every one before it.
    pub(super) fn start_of(timestamp: i64) -> Self {
        Self::new(timestamp, &MessageHash::from_bytes([0; 32]))
    }

    /// The next higher one; none after the last.
    pub(super) fn next(self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Some(Self(bytes));
            }
        }
        None
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn timestamp(&self) -> i64 {
        let (timestamp, _) = self.0.split_first_chunk().expect("a position is longer");
        decode_timestamp(*timestamp)
    }

    pub(super) fn hash(&self) -> MessageHash {
        let (_, hash) = self.0.split_last_chunk().expect("a position is longer");
        MessageHash::from_bytes(*hash)
    }
}

/// Big-endian with the sign bit flipped: bytes sort as the numbers do.
pub(super) fn encode_timestamp(timestamp: i64) -> [u8; 8] {
    (timestamp.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

pub(super) fn decode_timestamp(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}

/// Cluster and shard.
pub(super) fn encode_shard(topic: PubsubTopic) -> [u8; 4] {
    let mut bytes = [0; 4];
    bytes[..2].copy_from_slice(&topic.cluster().to_be_bytes());
    bytes[2..].copy_from_slice(&topic.shard().to_be_bytes());
    bytes
}

pub(super) fn decode_shard(bytes: [u8; 4]) -> PubsubTopic {
    let [a, b, c, d] = bytes;
    PubsubTopic::new(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// Where a message is listed, as `order` has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) pubsub_topic: PubsubTopic,
    /// Length of the value in `messages`.
    pub(super) size: u32,
    pub(super) tag: [u8; 32],
}

impl Labels {
    pub(super) fn encode(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..4].copy_from_slice(&encode_shard(self.pubsub_topic));
        bytes[4..8].copy_from_slice(&self.size.to_be_bytes());
        bytes[8..].copy_from_slice(&self.tag);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (shard, rest) = bytes.split_first_chunk()?;
        let (size, tag) = rest.split_first_chunk()?;
        Some(Self {
            pubsub_topic: decode_shard(*shard),
            size: u32::from_be_bytes(*size),
            tag: tag.try_into().ok()?,
        })
    }

    /// What the message counts towards a limit on size.
    pub(super) fn bytes(&self) -> u64 {
        bytes_of(u64::from(self.size))
    }

    /// Prefix of the message's key in `topics`.
    pub(super) fn topic_prefix(&self) -> Vec<u8> {
        [encode_shard(self.pubsub_topic).as_slice(), &self.tag].concat()
    }
}

/// What a message counts towards a limit on size, by the length of its value in `messages`.
pub(super) fn bytes_of(value_len: u64) -> u64 {
    value_len + INDEX_BYTES
}

/// The tag of a content topic.
pub(super) fn tag(topic: &ContentTopic) -> [u8; 32] {
    Sha256::digest(topic.as_str()).into()
}

/// A prefix and a position, as index keys are made.
pub(super) fn index_key(prefix: &[u8], position: &Position) -> Vec<u8> {
    [prefix, position.as_bytes()].concat()
}

/// How much an archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) messages: u64,
    /// By [`bytes_of`].
    pub(super) bytes: u64,
}

impl Totals {
    pub(super) fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn encode(&self) -> [u8; 16] {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&self.messages.to_be_bytes());
        value[8..].copy_from_slice(&self.bytes.to_be_bytes());
        value
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (messages, bytes) = value.split_first_chunk()?;
        Some(Self {
            messages: u64::from_be_bytes(*messages),
            bytes: u64::from_be_bytes(bytes.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [i64; 7] = [i64::MIN, -2, -1, 0, 1, 1_700_000_000_000_000_000, i64::MAX];

    #[test]
    fn positions_sort_by_time_then_hash() {
        let hashes = [0x00, 0x7f, 0x80, 0xff].map(|byte| MessageHash::from_bytes([byte; 32]));
        let sorted: Vec<_> = TIMES.iter().flat_map(|t| hashes.iter().map(|h| (*t, *h))).collect();
        let positions: Vec<_> = sorted.iter().map(|(t, h)| Position::new(*t, h)).collect();
        assert!(positions.is_sorted());
        let back: Vec<_> = positions.iter().map(|p| (p.timestamp(), p.hash())).collect();
        assert_eq!(back, sorted);
    }

    #[test]
    fn the_next_position_is_the_first_after_it() {
        let low = MessageHash::from_bytes([0; 32]);
        let high = MessageHash::from_bytes([0xff; 32]);
        for time in TIMES {
            let next = Position::new(time, &high).next();
            let expected = time.checked_add(1).map(|t| Position::new(t, &low));
            assert!(next == expected, "after {time}");
        }
        let mut one = [0; 32];
        one[31] = 1;
        assert!(
            Position::start_of(5).next() == Some(Position::new(5, &MessageHash::from_bytes(one)))
        );
    }

    #[test]
    fn values_round_trip() {
        let labels =
            Labels { pubsub_topic: PubsubTopic::new(1, 65535), size: 70_000, tag: [9; 32] };
        assert!(Labels::decode(&labels.encode()) == Some(labels));
        assert!(Labels::decode(&labels.encode()[1..]).is_none());
        let totals = Totals { messages: 3, bytes: u64::MAX };
        assert_eq!(Totals::decode(&totals.encode()), Some(totals));
        assert_eq!(Totals::decode(b"short"), None);
    }
}
