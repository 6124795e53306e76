//! The deterministic message hash (14/WAKU2-MESSAGE) and the relay's message id.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{DecodeError, ParseHashError, WakuMessage};

/// A Waku message's name on one pubsub topic, 32 bytes; shown as `0x` and lower-case hex.
///
/// In text formats it serialises as that text, in binary ones as its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash([u8; 32]);

impl MessageHash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From a slice of exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
        bytes.try_into().map(Self).map_err(|_| DecodeError::HashLength(bytes.len()))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first four bytes as hex, for logs.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }

    /// SHA-256 over pubsub topic, payload, content topic, meta, and the timestamp as 8 bytes
    /// big-endian (14/WAKU2-MESSAGE, deterministic message hashing).
    ///
    /// An absent meta is skipped. An absent timestamp is eight zero bytes, as in nwaku; the
    /// specification's text skips it.
    pub(crate) fn compute(pubsub_topic: &str, message: &WakuMessage) -> Self {
        let hash = Sha256::new()
            .chain_update(pubsub_topic)
            .chain_update(&message.payload)
            .chain_update(message.content_topic.as_str())
            .chain_update(&message.meta)
            .chain_update(message.timestamp.unwrap_or(0).to_be_bytes())
            .finalize();
        Self(hash.into())
    }
}

/// The gossipsub message id of a relay message: SHA-256 over the published bytes
/// (11/WAKU2-RELAY). It is not the Waku message hash.
pub fn gossip_message_id(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

impl fmt::Display for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageHash({})", self.short())
    }
}

impl FromStr for MessageHash {
    type Err = ParseHashError;

    /// 64 hex digits of either case, with `0x` before them or not.
    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 2 * Self::LEN {
            return Err(ParseHashError);
        }
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| ParseHashError)?;
        Self::from_slice(&bytes).map_err(|_| ParseHashError)
    }
}

impl Serialize for MessageHash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
    }
}

impl<'de> Deserialize<'de> for MessageHash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(d).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentTopic;

    /// 14/WAKU2-MESSAGE, section "Test vectors" (vacp2p/rfc-index,
    /// `waku/standards/core/14/message.md`). Their pubsub topic is the older, unsharded one.
    fn vector(payload: &str, meta: &str) -> String {
        let mut message = WakuMessage::new(
            ContentTopic::from_wire("/waku/2/default-content/proto"),
            HEXLOWER.decode(payload.as_bytes()).expect("hex"),
            0x1757_89bf_a23f_8400,
        );
        message.meta = HEXLOWER.decode(meta.as_bytes()).expect("hex");
        MessageHash::compute("/waku/2/default-waku/proto", &message).to_string()
    }

    #[test]
    fn rfc_vectors() {
        let payload = "010203045445535405060708";
        let secret = "73757065722d736563726574";
        let long: String = (0..64).map(|byte| format!("{byte:02x}")).collect();
        for (payload, meta, hash) in [
            (payload, secret, "0x64cce733fed134e83da02b02c6f689814872b1a0ac97ea56b76095c3c72bfe05"),
            (payload, &long, "0x7158b6498753313368b9af8f6e0a0a05104f68f972981da42a43bc53fb0c1b27"),
            (payload, "", "0xa2554498b31f5bcdfcbf7fa58ad1c2d45f0254f3f8110a85588ec3cf10720fd8"),
            ("", secret, "0x483ea950cb63f9b9d6926b262bb36194d3f40a0463ce8446228350bd44e96de4"),
        ] {
            assert_eq!(vector(payload, meta), hash);
        }
    }
}
