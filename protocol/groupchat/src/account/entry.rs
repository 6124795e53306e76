//! One entry of an account log: its form, its hash and its signatures.
//!
//! A body is protobuf in its one canonical encoding and is carried as opaque bytes, so hash and
//! signatures never depend on an encoder. An [`Entry`] value is well formed and well signed; whether
//! its signer had the right to it is for [`super::Log`] to say.

use std::fmt;

use prost::Message as _;

use super::keys::{InstallationKey, RootKey, Signature, verify, verify_again};
use super::proto;
use crate::kdf::{self, label};
use crate::{AccountId, EntryHash, InstallationId, Timestamp};

/// Most bytes of an encoded entry.
pub const ENTRY_BYTES: usize = 2048;
/// Most parents of an entry; with all other fields at their most it stays under [`ENTRY_BYTES`].
pub const ENTRY_PARENTS: usize = 32;
/// Most installations of an account that are live at a time.
pub const MOST_LIVE: usize = 20;

/// Who signed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Author {
    /// The account's root.
    Root,
    /// One of its installations.
    Installation(InstallationId),
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The account begins. By the root, without parents.
    Create {
        /// As in [`EntryKind::Root`].
        counter: u64,
        /// The first installation.
        installation: InstallationId,
    },
    /// An installation comes in.
    Add {
        /// The new one.
        installation: InstallationId,
    },
    /// The signer, an installation, leaves.
    Remove,
    /// The signer, an installation, puts others out.
    Revoke {
        /// Ascending, 1 to [`MOST_LIVE`].
        installations: Vec<InstallationId>,
    },
    /// The registration secret changed.
    RotateCard {
        /// [`super::RegistrationSecret::commitment`] of the new one.
        commitment: [u8; 32],
    },
    /// The root says who is live.
    Root {
        /// The highest known and 1, or UTC seconds, whichever is more.
        counter: u64,
        /// Ascending, at most [`MOST_LIVE`].
        live: Vec<InstallationId>,
    },
}

/// The signed part of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBody {
    /// The account it belongs to.
    pub account: AccountId,
    /// Entries that its author knew of, ascending, at most [`ENTRY_PARENTS`]. Empty in
    /// [`EntryKind::Create`], may be empty in [`EntryKind::Root`].
    pub parents: Vec<EntryHash>,
    /// The author's clock, in whole seconds; shown to people, decides nothing.
    pub time: Timestamp,
    /// Who signs.
    pub author: Author,
    /// What it says.
    pub kind: EntryKind,
}

/// Why bytes are not an entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Over [`ENTRY_BYTES`].
    #[error("{0} bytes, at most {ENTRY_BYTES}")]
    TooLarge(usize),
    /// Not the protobuf message, or a field of a wrong length or out of range.
    #[error("malformed")]
    Malformed,
    /// A kind that is not known here.
    #[error("of an unknown kind")]
    UnknownKind,
    /// Decodes, but is not the one encoding of what it says.
    #[error("not in canonical encoding")]
    NotCanonical,
    /// Parents out of order or repeated, too many, or against the rule of its kind.
    #[error("its parents break the rules of its kind")]
    Parents,
    /// Signed by the root where an installation must, or the other way round.
    #[error("its signer may not sign this kind")]
    Author,
    /// Installations out of order or repeated, too many, or naming the signer or the root.
    #[error("it names installations against the rules of its kind")]
    Names,
    /// A signature that does not hold, is missing, or has no place in this kind.
    #[error("its signatures do not hold")]
    Signature,
}

/// A well-formed, well-signed entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    hash: EntryHash,
    body: EntryBody,
    body_bytes: Vec<u8>,
    signature: Signature,
    join_signature: Option<Signature>,
}

impl Entry {
    /// The first entry of an account: the root and its first installation sign.
    pub fn create(root: &RootKey, first: &InstallationKey, now: Timestamp) -> Self {
        let body = EntryBody {
            account: root.account(),
            parents: Vec::new(),
            time: now,
            author: Author::Root,
            kind: EntryKind::Create { counter: now.as_secs(), installation: first.id() },
        };
        let bytes = body.encode();
        let signature = root.sign(label::LOG_ENTRY, &bytes);
        let join_signature = Some(first.sign(label::LOG_ENTRY_JOIN, &bytes));
        Self { hash: hash_of(&bytes), body, body_bytes: bytes, signature, join_signature }
    }

    /// An entry of a kind that its author signs alone; for an add see [`AddProposal`].
    ///
    /// # Errors
    /// Where `body` breaks the rules of its kind, or the key is not its author's.
    pub fn sign(body: EntryBody, key: SigningKey<'_>) -> Result<Self, EntryError> {
        let bytes = body.encode();
        Self::new(bytes.clone(), key.sign(&body, &bytes)?, None)
    }

    /// Checks form and signatures.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        let entry = proto::LogEntry::decode(bytes).map_err(|_| EntryError::Malformed)?;
        if entry.encode_to_vec() != bytes {
            return Err(EntryError::NotCanonical);
        }
        let join = match entry.join_signature.as_slice() {
            [] => None,
            join => Some(join.try_into().map_err(|_| EntryError::Signature)?),
        };
        let signature = entry.signature.try_into().map_err(|_| EntryError::Signature)?;
        Self::new(entry.body, signature, join)
    }

    /// The bytes that [`Entry::decode`] takes.
    pub fn encode(&self) -> Vec<u8> {
        proto::LogEntry {
            body: self.body_bytes.clone(),
            signature: self.signature.to_vec(),
            join_signature: self.join_signature.map(|s| s.to_vec()).unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Its name: SHA-256 over the label and the body. Signatures do not enter.
    pub fn hash(&self) -> EntryHash {
        self.hash
    }

    /// What was signed.
    pub fn body(&self) -> &EntryBody {
        &self.body
    }

    fn new(
        bytes: Vec<u8>,
        signature: Signature,
        join: Option<Signature>,
    ) -> Result<Self, EntryError> {
        let body = EntryBody::decode(&bytes)?;
        body.check()?;
        let signer = body.signer();
        let joins = match (body.joining(), &join) {
            (Some(new), Some(join)) => {
                verify_again(new.as_bytes(), label::LOG_ENTRY_JOIN, &bytes, join)
            }
            (None, None) => true,
            _ => false,
        };
        if !joins || !verify_again(&signer, label::LOG_ENTRY, &bytes, &signature) {
            return Err(EntryError::Signature);
        }
        let hash = hash_of(&bytes);
        Ok(Self { hash, body, body_bytes: bytes, signature, join_signature: join })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {:?} by {:?})", self.hash.short(), self.body.kind, self.body.author)
    }
}

/// A key that signs entries.
#[derive(Clone, Copy, Debug)]
pub enum SigningKey<'k> {
    /// The root's.
    Root(&'k RootKey),
    /// An installation's.
    Installation(&'k InstallationKey),
}

impl SigningKey<'_> {
    /// Who it signs as.
    pub fn author(&self) -> Author {
        match self {
            Self::Root(_) => Author::Root,
            Self::Installation(key) => Author::Installation(key.id()),
        }
    }

    fn sign(&self, body: &EntryBody, bytes: &[u8]) -> Result<Signature, EntryError> {
        let fits = match self {
            Self::Root(key) => body.author == Author::Root && key.account() == body.account,
            Self::Installation(key) => body.author == Author::Installation(key.id()),
        };
        match self {
            _ if !fits => Err(EntryError::Author),
            Self::Root(key) => Ok(key.sign(label::LOG_ENTRY, bytes)),
            Self::Installation(key) => Ok(key.sign(label::LOG_ENTRY, bytes)),
        }
    }
}

/// An add entry that its author signed and the new installation has yet to sign.
#[derive(Clone, PartialEq, Eq)]
pub struct AddProposal {
    body: EntryBody,
    body_bytes: Vec<u8>,
    signature: Signature,
}

impl AddProposal {
    /// Signs an add of `installation`, with these parents.
    ///
    /// # Errors
    /// Where the fields break the rules of an add.
    pub fn sign(
        account: AccountId,
        parents: Vec<EntryHash>,
        installation: InstallationId,
        key: SigningKey<'_>,
        now: Timestamp,
    ) -> Result<Self, EntryError> {
        let author = key.author();
        let kind = EntryKind::Add { installation };
        let body = EntryBody { account, parents, time: now, author, kind };
        let bytes = body.encode();
        let signature = key.sign(&body, &bytes)?;
        Self::from_parts(bytes, signature)
    }

    /// From the two fields that travel; checks form and signature.
    pub fn from_parts(body_bytes: Vec<u8>, signature: Signature) -> Result<Self, EntryError> {
        if body_bytes.len() > ENTRY_BYTES {
            return Err(EntryError::TooLarge(body_bytes.len()));
        }
        let body = EntryBody::decode(&body_bytes)?;
        body.check()?;
        if !matches!(body.kind, EntryKind::Add { .. }) {
            return Err(EntryError::UnknownKind);
        }
        if !verify(&body.signer(), label::LOG_ENTRY, &body_bytes, &signature) {
            return Err(EntryError::Signature);
        }
        Ok(Self { body, body_bytes, signature })
    }

    /// The encoded body and its author's signature.
    pub fn parts(&self) -> (&[u8], &Signature) {
        (&self.body_bytes, &self.signature)
    }

    /// What the author signed.
    pub fn body(&self) -> &EntryBody {
        &self.body
    }

    /// The new installation's signature.
    pub fn join(&self, key: &InstallationKey) -> Signature {
        key.sign(label::LOG_ENTRY_JOIN, &self.body_bytes)
    }

    /// The whole entry, with what [`AddProposal::join`] gave.
    pub fn complete(self, join: Signature) -> Result<Entry, EntryError> {
        Entry::new(self.body_bytes, self.signature, Some(join))
    }
}

impl fmt::Debug for AddProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddProposal({:?} by {:?})", self.body.kind, self.body.author)
    }
}

fn hash_of(body: &[u8]) -> EntryHash {
    EntryHash::from_bytes(kdf::hash(label::LOG_ENTRY_HASH, &[body]))
}
