//! Encoding of an entry's body, and the rules of each kind that need no other entry.

use prost::Message as _;

use super::entry::{Author, ENTRY_PARENTS, EntryBody, EntryError, EntryKind, MOST_LIVE};
use super::proto::log_entry_body::Kind;
use super::proto::{self, LogEntryBody};
use crate::{AccountId, EntryHash, InstallationId, Timestamp};

/// Beyond this a time in seconds does not fit nanoseconds.
const LAST_SECOND: u64 = u64::MAX / 1_000_000_000;

impl EntryBody {
    /// The installation that comes in by this entry, which signs it too.
    pub fn joining(&self) -> Option<InstallationId> {
        match self.kind {
            EntryKind::Create { installation, .. } | EntryKind::Add { installation } => {
                Some(installation)
            }
            _ => None,
        }
    }

    /// The public key that signs it.
    pub(super) fn signer(&self) -> [u8; 32] {
        match self.author {
            Author::Root => *self.account.as_bytes(),
            Author::Installation(id) => *id.as_bytes(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        LogEntryBody {
            account: self.account.as_bytes().to_vec(),
            parents: self.parents.iter().map(|p| p.as_bytes().to_vec()).collect(),
            time: self.time.as_secs(),
            signer: self.signer().to_vec(),
            kind: Some(encode_kind(&self.kind)),
        }
        .encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let body = LogEntryBody::decode(bytes).map_err(|_| EntryError::Malformed)?;
        let kind = body.kind.as_ref().ok_or(EntryError::UnknownKind)?;
        if body.encode_to_vec() != bytes {
            return Err(EntryError::NotCanonical);
        }
        let account = AccountId::from_slice(&body.account).ok_or(EntryError::Malformed)?;
        let author = if body.signer == body.account {
            Author::Root
        } else {
            Author::Installation(installation(&body.signer)?)
        };
        let parents = body
            .parents
            .iter()
            .map(|p| EntryHash::from_slice(p).ok_or(EntryError::Malformed))
            .collect::<Result<_, _>>()?;
        if body.time > LAST_SECOND {
            return Err(EntryError::Malformed);
        }
        let time = Timestamp::from_secs(body.time);
        Ok(Self { account, parents, time, author, kind: decode_kind(kind)? })
    }

    /// The rules that an entry keeps by itself.
    pub(super) fn check(&self) -> Result<(), EntryError> {
        let by_root = self.author == Author::Root;
        let rootless = self.parents.is_empty();
        let (author, parents) = match &self.kind {
            EntryKind::Create { .. } => (by_root, rootless),
            EntryKind::Root { .. } => (by_root, true),
            EntryKind::Add { .. } | EntryKind::RotateCard { .. } => (true, !rootless),
            EntryKind::Remove | EntryKind::Revoke { .. } => (!by_root, !rootless),
        };
        if !author {
            return Err(EntryError::Author);
        }
        if !parents || self.parents.len() > ENTRY_PARENTS || !ascending(&self.parents) {
            return Err(EntryError::Parents);
        }
        if !self.names_are_right() {
            return Err(EntryError::Names);
        }
        Ok(())
    }

    fn names_are_right(&self) -> bool {
        let one;
        let (names, least): (&[InstallationId], usize) = match &self.kind {
            EntryKind::Create { installation, .. } | EntryKind::Add { installation } => {
                one = [*installation];
                (&one, 1)
            }
            EntryKind::Revoke { installations } => (installations, 1),
            EntryKind::Root { live, .. } => (live, 0),
            EntryKind::Remove | EntryKind::RotateCard { .. } => (&[], 0),
        };
        (least..=MOST_LIVE).contains(&names.len())
            && ascending(names)
            && names.iter().all(|name| {
                *name.as_bytes() != self.signer() && name.as_bytes() != self.account.as_bytes()
            })
    }
}

fn encode_kind(kind: &EntryKind) -> Kind {
    let list = |ids: &[InstallationId]| ids.iter().map(|i| i.as_bytes().to_vec()).collect();
    match kind {
        EntryKind::Create { counter, installation } => Kind::Create(proto::Create {
            counter: *counter,
            installation: installation.as_bytes().to_vec(),
        }),
        EntryKind::Add { installation } => {
            Kind::Add(proto::Add { installation: installation.as_bytes().to_vec() })
        }
        EntryKind::Remove => Kind::Remove(proto::Remove {}),
        EntryKind::Revoke { installations } => {
            Kind::Revoke(proto::Revoke { installations: list(installations) })
        }
        EntryKind::RotateCard { commitment } => {
            Kind::RotateCard(proto::RotateCard { commitment: commitment.to_vec() })
        }
        EntryKind::Root { counter, live } => {
            Kind::Root(proto::Root { counter: *counter, live: list(live) })
        }
    }
}

fn decode_kind(kind: &Kind) -> Result<EntryKind, EntryError> {
    let list = |ids: &[Vec<u8>]| ids.iter().map(|i| installation(i)).collect::<Result<_, _>>();
    Ok(match kind {
        Kind::Create(k) => {
            EntryKind::Create { counter: k.counter, installation: installation(&k.installation)? }
        }
        Kind::Add(k) => EntryKind::Add { installation: installation(&k.installation)? },
        Kind::Remove(proto::Remove {}) => EntryKind::Remove,
        Kind::Revoke(k) => EntryKind::Revoke { installations: list(&k.installations)? },
        Kind::RotateCard(k) => EntryKind::RotateCard {
            commitment: k.commitment.as_slice().try_into().map_err(|_| EntryError::Malformed)?,
        },
        Kind::Root(k) => EntryKind::Root { counter: k.counter, live: list(&k.live)? },
    })
}

fn installation(bytes: &[u8]) -> Result<InstallationId, EntryError> {
    InstallationId::from_slice(bytes).ok_or(EntryError::Malformed)
}

fn ascending<T: Ord>(items: &[T]) -> bool {
    items.windows(2).all(|pair| pair[0] < pair[1])
}
