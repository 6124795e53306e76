//! Welcomes: splitting one, putting one together, joining by one.
//!
//! OpenMLS makes one Welcome for all that a commit adds. Each invited account gets its own part,
//! and all get the shared part, so it is taken apart by its TLS encoding (RFC 9420, sections 2.1.2
//! and 12.4.3.1) and put together again with one entry:
//!
//! ```text
//! Welcome:  suite(2)  secrets<V>: { entry … entry }  encrypted_group_info<V>
//! shared:   suite(2)  encrypted_group_info<V>
//! entry:    new_member<V>  kem_output<V>  ciphertext<V>
//! ```
//!
//! An entry is sealed with the encrypted group info as its context, so a changed shared part opens
//! with none.

use openmls::group::JoinBuilder;
use openmls::group::{MlsGroup, ProcessedWelcome, StagedWelcome, WelcomeError};
use openmls::messages::Welcome;
use openmls::prelude::RatchetTreeIn;
use openmls::prelude::tls_codec::DeserializeBytes as _;

use super::error::{Failure, MlsError, Refused, StorageError};
use super::group::join_config;
use super::leaf::{ExtensionList, Member, SUITE, from_extensions};
use super::package::Reference;
use super::provider::Provider;
use crate::GroupId;
use crate::segment::WHOLE_BYTES;

/// Most bytes of a Welcome or a part of one that are read: what goes in segments.
pub(crate) const MAX_LEN: usize = WHOLE_BYTES;

/// Most bytes of a ratchet tree that are read: some thousand leaves.
pub(crate) const MAX_TREE_LEN: usize = WHOLE_BYTES;

/// A Welcome, taken apart.
#[derive(Debug)]
pub(crate) struct Split {
    /// What all that are invited need.
    pub(crate) shared: Vec<u8>,
    /// What one key package needs: EncryptedGroupSecrets.
    pub(crate) entries: Vec<(Reference, Vec<u8>)>,
}

/// Takes a Welcome apart.
pub(crate) fn split(welcome: &[u8]) -> Result<Split, Refused> {
    let mut reader = Reader::new(welcome)?;
    let suite = reader.take(2)?;
    let mut secrets = Reader { rest: reader.vector()? };
    let info = reader.raw_vector()?;
    reader.end()?;
    let mut entries = Vec::new();
    while !secrets.rest.is_empty() {
        let (reference, entry) = secrets.entry()?;
        entries.push((reference, entry.to_vec()));
    }
    Ok(Split { shared: [suite, info].concat(), entries })
}

/// Puts a Welcome together from the shared part and one entry.
pub(crate) fn assemble(shared: &[u8], entry: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut reader = Reader::new(shared)?;
    let suite = reader.take(2)?;
    let info = reader.raw_vector()?;
    reader.end()?;
    let mut one = Reader::new(entry)?;
    one.entry()?;
    one.end()?;
    Ok([suite, &length_prefix(entry.len()), entry, info].concat())
}

/// Reads TLS vectors with lengths of the fewest possible bytes, as RFC 9420 asks.
struct Reader<'b> {
    rest: &'b [u8],
}

const MALFORMED: Refused = Refused::Malformed("welcome");

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_LEN {
            return Err(Refused::TooLarge { len: bytes.len(), max: MAX_LEN });
        }
        Ok(Self { rest: bytes })
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A vector's content.
    fn vector(&mut self) -> Result<&'b [u8], Refused> {
        let len = self.length()?;
        self.take(len)
    }

    /// A vector with its length before it.
    fn raw_vector(&mut self) -> Result<&'b [u8], Refused> {
        let start = self.rest;
        self.vector()?;
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// The next EncryptedGroupSecrets: whose it is, and all its bytes.
    fn entry(&mut self) -> Result<(Reference, &'b [u8]), Refused> {
        let start = self.rest;
        let reference = self.vector()?.try_into().map_err(|_| MALFORMED)?;
        self.vector()?;
        self.vector()?;
        Ok((reference, &start[..start.len() - self.rest.len()]))
    }

    fn length(&mut self) -> Result<usize, Refused> {
        let first = *self.rest.first().ok_or(MALFORMED)?;
        let prefix_len = match first >> 6 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return Err(MALFORMED),
        };
        let prefix = self.take(prefix_len)?;
        let len = prefix[1..]
            .iter()
            .fold(usize::from(first & 0x3f), |len, byte| (len << 8) | usize::from(*byte));
        if length_prefix(len).len() == prefix_len { Ok(len) } else { Err(MALFORMED) }
    }

    fn end(&self) -> Result<(), Refused> {
        if self.rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }
}

/// A vector's length in the fewest bytes (RFC 9420, section 2.1.2); those here are below 2^30.
fn length_prefix(len: usize) -> Vec<u8> {
    let bytes = (len as u32).to_be_bytes();
    match len {
        0..=0x3f => bytes[3..].to_vec(),
        0x40..=0x3fff => vec![bytes[2] | 0x40, bytes[3]],
        _ => vec![bytes[0] | 0x80, bytes[1], bytes[2], bytes[3]],
    }
}

/// A group that can be joined, to be looked at first.
#[derive(Debug)]
pub(crate) struct Joining {
    staged: StagedWelcome,
    pub(crate) group: GroupId,
    pub(crate) epoch: u64,
    pub(crate) extensions: ExtensionList,
    pub(crate) members: Vec<Member>,
    /// Who made the commit and the Welcome.
    pub(crate) sender: Member,
}

/// Opens a Welcome for an own key package. Nothing is written; any provider will do.
pub(crate) fn open(
    provider: &Provider<'_>,
    welcome: &[u8],
    ratchet_tree: &[u8],
) -> Result<Result<Joining, Refused>, MlsError> {
    match stage(provider, welcome, ratchet_tree) {
        Ok(joining) => Ok(Ok(joining)),
        Err(Failure::Refused(refused)) => Ok(Err(refused)),
        Err(Failure::Fault(fault)) => Err(fault),
    }
}

fn stage(provider: &Provider<'_>, welcome: &[u8], tree: &[u8]) -> Result<Joining, Failure> {
    for (len, max) in [(welcome.len(), MAX_LEN), (tree.len(), MAX_TREE_LEN)] {
        if len > max {
            return Err(Refused::TooLarge { len, max }.into());
        }
    }
    let welcome =
        Welcome::tls_deserialize_exact_bytes(welcome).map_err(|_| Refused::Malformed("welcome"))?;
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree)
        .map_err(|_| Refused::Malformed("ratchet tree"))?;
    if welcome.ciphersuite() != SUITE {
        return Err(Refused::Suite.into());
    }
    let processed =
        ProcessedWelcome::new_from_welcome(provider, &join_config(), welcome).map_err(failure)?;
    let staged = JoinBuilder::new(provider, processed)
        .with_ratchet_tree(tree)
        .skip_lifetime_validation()
        .replace_old_group()
        .build()
        .map_err(failure)?;
    inspect(staged)
}

fn inspect(staged: StagedWelcome) -> Result<Joining, Failure> {
    let context = staged.group_context();
    let group = GroupId::from_slice(context.group_id().as_slice()).ok_or(Refused::Group)?;
    let epoch = context.epoch().as_u64();
    let extensions = from_extensions(context.extensions()).ok_or(Refused::Extension)?;
    let members: Vec<Member> = staged
        .members()
        .map(|member| Member::from_openmls(&member).ok_or(Refused::Leaf))
        .collect::<Result<_, _>>()?;
    let sender = members
        .iter()
        .find(|member| member.leaf == staged.welcome_sender_index().u32())
        .cloned()
        .ok_or(Refused::Sender)?;
    Ok(Joining { staged, group, epoch, extensions, members, sender })
}

fn failure(error: WelcomeError<StorageError>) -> Failure {
    match error {
        WelcomeError::StorageError(error) => Failure::Fault(error.into()),
        error => Failure::Refused(Refused::Welcome(Box::new(error))),
    }
}

impl Joining {
    /// Joins: writes the group into the provider's state, which has to be one of this group.
    pub(crate) fn finish(self, provider: &Provider<'_>) -> Result<MlsGroup, MlsError> {
        const DOING: &str = "joining a group";
        if provider.group(DOING)? != self.group {
            return Err(MlsError::Namespace(DOING));
        }
        self.staged.into_group(provider).map_err(MlsError::doing(DOING))
    }
}
