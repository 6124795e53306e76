//! Names of states and records, and where everything lies in the store.
//!
//! ```text
//! mls/1/g/ tag entity                      signature keys, key packages, PSKs, encryption keys
//! mls/2/b/ group(16) state(32) tag entity  a record of a state as it began; never changed
//! mls/2/m/ group(16) state(32) tag entity  the same of a big record: the names of its chunks
//! mls/2/c/ group(16) hash(16)              a chunk, shared by the states of the group
//! mls/2/l/ group(16) state(32) tag entity  a record as it is now; nothing: it is gone
//! mls/2/l/ group(16) state(32) 1e          how many own messages were sealed since its secrets were written
//! ```
//!
//! The number is that of the layout. A tag is one byte ([`Tag`]); an entity is the postcard form of
//! what OpenMLS names it by, with the group id for what belongs to a group. Values are postcard,
//! but for the join configuration: reading its retention policy needs a self-describing format, so
//! it is JSON. None is empty.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::GroupId;

const GLOBAL: &[u8] = b"mls/1/g/";

/// One state of a group, as the core names it: any 32 bytes that occur once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct StateId([u8; 32]);

impl StateId {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateId({})", HEXLOWER.encode(&self.0[..4]))
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Tag {
    SignatureKeyPair = 0x01,
    KeyPackage = 0x02,
    Psk = 0x03,
    EncryptionKeyPair = 0x04,
    Tree = 0x10,
    Context = 0x11,
    InterimTranscriptHash = 0x12,
    Confirmation = 0x13,
    JoinConfig = 0x14,
    OwnLeafNodes = 0x15,
    GroupState = 0x16,
    OwnLeafIndex = 0x17,
    EpochSecrets = 0x18,
    ResumptionPsks = 0x19,
    MessageSecrets = 0x1a,
    EpochKeyPairs = 0x1b,
    ProposalRefs = 0x1c,
    Proposal = 0x1d,
    /// No record of OpenMLS: own messages since [`Tag::MessageSecrets`] were written, u32 big-endian.
    Sealed = 0x1e,
}

impl Tag {
    /// Whether the record belongs to no group.
    pub(crate) fn is_global(self) -> bool {
        matches!(
            self,
            Self::SignatureKeyPair | Self::KeyPackage | Self::Psk | Self::EncryptionKeyPair
        )
    }
}

/// A record: what it is, and which one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    tag: Tag,
    /// Tag and entity, as keys have them.
    rest: Vec<u8>,
}

impl Name {
    pub(super) fn new(tag: Tag, entity: &[u8]) -> Self {
        Self { tag, rest: [&[tag as u8], entity].concat() }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// What stands in a key behind its state.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// The key of a record that belongs to no group.
    pub(super) fn global(&self) -> Vec<u8> {
        [GLOBAL, &self.rest].concat()
    }

    /// The key of a record of a state.
    pub(super) fn of(&self, part: Part, group: &GroupId, state: &StateId) -> Vec<u8> {
        under(part, group, state, &self.rest)
    }
}

/// A part of what is kept of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Base,
    Manifests,
    Live,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Base, Self::Manifests, Self::Live];

    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Base => b"mls/2/b/",
            Self::Manifests => b"mls/2/m/",
            Self::Live => b"mls/2/l/",
        }
    }
}

/// The key of a record of a state, by what stands in it behind the state.
pub(super) fn under(part: Part, group: &GroupId, state: &StateId, rest: &[u8]) -> Vec<u8> {
    let mut key = group_prefix(part, group);
    key.extend_from_slice(state.as_bytes());
    key.extend_from_slice(rest);
    key
}

/// What all keys of a part of a group start with; the state follows.
pub(super) fn group_prefix(part: Part, group: &GroupId) -> Vec<u8> {
    [part.prefix(), group.as_bytes()].concat()
}

/// The state in a key of a part of a group, and what follows it.
pub(super) fn split(part: Part, key: &[u8]) -> Option<(StateId, &[u8])> {
    let rest = key.get(part.prefix().len() + GroupId::LEN..)?;
    let (state, rest) = rest.split_first_chunk()?;
    Some((StateId(*state), rest))
}

/// The key of a chunk.
pub(super) fn chunk(group: &GroupId, hash: &[u8; 16]) -> Vec<u8> {
    [b"mls/2/c/".as_slice(), group.as_bytes(), hash].concat()
}
