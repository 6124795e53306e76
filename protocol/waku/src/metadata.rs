//! What a peer says of its cluster and shards (66/WAKU2-METADATA).
//!
//! The dialling side sends its own, the other answers with its own; both are one frame
//! ([`crate::framing`]).

use prost::Message;

use crate::error::check_len;
use crate::{DecodeError, proto};

/// The protocol id.
pub const PROTOCOL: &str = "/vac/waku/metadata/1.0.0";

/// Most bytes of an encoded message. 1024 shards of three bytes and the rest fit.
pub const MAX_ENCODED_LEN: usize = 4 * 1024;

/// A node's cluster and shards; request and response alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakuMetadata {
    /// The cluster (field 1).
    pub cluster_id: Option<u32>,
    /// The shards it is subscribed to (field 2, packed).
    pub shards: Vec<u32>,
}

impl WakuMetadata {
    /// Its protobuf bytes.
    pub fn encode(&self) -> Vec<u8> {
        proto::WakuMetadata { cluster_id: self.cluster_id, shards: self.shards.clone() }
            .encode_to_vec()
    }

    /// From protobuf bytes, at most [`MAX_ENCODED_LEN`]. Shards may be packed or not.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len("metadata", bytes.len(), MAX_ENCODED_LEN)?;
        let proto::WakuMetadata { cluster_id, shards } = proto::WakuMetadata::decode(bytes)?;
        Ok(Self { cluster_id, shards })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let metadata = WakuMetadata { cluster_id: Some(16), shards: vec![0, 300] };
        let bytes = [0x08, 16, 0x12, 3, 0, 0xac, 0x02];
        assert_eq!(metadata.encode(), bytes);
        assert_eq!(WakuMetadata::decode(&bytes), Ok(metadata.clone()));
        let unpacked = [0x08, 16, 0x10, 0, 0x10, 0xac, 0x02];
        assert_eq!(WakuMetadata::decode(&unpacked), Ok(metadata));
        assert_eq!(WakuMetadata::decode(&[]), Ok(WakuMetadata::default()));
        assert!(WakuMetadata::decode(&[0; MAX_ENCODED_LEN + 1]).is_err());
    }
}
