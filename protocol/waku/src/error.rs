//! Errors of this crate.

/// Bytes from the wire that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than the decoder takes.
    #[error("{what} of {len} bytes; at most {max} are taken")]
    TooLarge {
        /// What was being decoded.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More elements of a list than the decoder takes.
    #[error("{len} {what}; at most {max} are taken")]
    TooMany {
        /// What the list holds.
        what: &'static str,
        /// How many.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Not protobuf, or not of this message's types.
    #[error("malformed protobuf")]
    Protobuf(#[from] prost::DecodeError),
    /// A field that has to be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A message hash is not 32 bytes long.
    #[error("a message hash of {0} bytes instead of 32")]
    HashLength(usize),
    /// A pubsub topic is of no known form.
    #[error("a pubsub topic")]
    Topic(#[from] TopicError),
    /// A frame's length prefix is no canonical unsigned varint.
    #[error("malformed length prefix")]
    LengthPrefix,
}

/// A text that is not a topic of the expected form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// A content topic has to begin with a slash.
    #[error("content topic does not begin with a slash")]
    LeadingSlash,
    /// A content topic has four parts, or five with a generation.
    #[error(
        "content topic has {0} parts; expected /application/version/name/encoding, with /0 before it or not"
    )]
    Parts(usize),
    /// A part of a content topic is empty.
    #[error("content topic has an empty {0}")]
    EmptyPart(&'static str),
    /// A content topic's generation is not 0.
    #[error("content topic's generation is not 0, the only one there is")]
    Generation,
    /// A pubsub topic is not `/waku/2/rs/<cluster>/<shard>` with two numbers below 65536.
    #[error("pubsub topic is not /waku/2/rs/<cluster>/<shard>")]
    Pubsub,
    /// Autosharding over no shards.
    #[error("the number of shards is zero")]
    NoShards,
}

/// A text that is not a message hash: 64 hex digits, with `0x` before them or not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message hash is 0x and 64 hex digits")]
pub struct ParseHashError;

/// Refuses more than `max` bytes of `what`.
pub(crate) fn check_len(what: &'static str, len: usize, max: usize) -> Result<(), DecodeError> {
    if len > max { Err(DecodeError::TooLarge { what, len, max }) } else { Ok(()) }
}
