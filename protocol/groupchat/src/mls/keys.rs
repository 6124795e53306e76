//! Namespaces, and where everything lies in the store.
//!
//! ```text
//! mls/1/g/ tag entity                    signature keys, key packages, PSKs, encryption keys
//! mls/1/s/ group(16) state(32) tag entity    everything that belongs to one state of one group
//! ```
//!
//! `1` is OpenMLS's storage version. A tag is one byte ([`Tag`]); an entity is the postcard form of
//! what OpenMLS names it by, with the group id for what belongs to a group. Values are postcard,
//! but for the join configuration: reading its retention policy needs a self-describing format, so
//! it is JSON.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::GroupId;

const GLOBAL: &[u8] = b"mls/1/g/";
const STATES: &[u8] = b"mls/1/s/";

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

/// Where a [`MlsStorage`](super::storage::MlsStorage) puts what belongs to a group. What belongs to
/// none lies in the global part, whichever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// No group: reading one finds nothing, writing one is an error.
    Global,
    /// One state of one group.
    State {
        /// The group.
        group: GroupId,
        /// Its state.
        state: StateId,
    },
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The key of a record that belongs to no group.
pub(crate) fn global(tag: Tag, entity: &[u8]) -> Vec<u8> {
    [GLOBAL, &[tag as u8], entity].concat()
}

/// The key of a record of a state.
pub(crate) fn scoped(group: &GroupId, state: &StateId, tag: Tag, entity: &[u8]) -> Vec<u8> {
    let mut key = state_prefix(group, state);
    key.push(tag as u8);
    key.extend_from_slice(entity);
    key
}

/// What all keys of a state start with.
pub(crate) fn state_prefix(group: &GroupId, state: &StateId) -> Vec<u8> {
    [STATES, group.as_bytes().as_slice(), state.as_bytes()].concat()
}
