//! All MLS messages that come in.

use openmls::framing::errors::ProtocolMessageError;
use openmls::group::{MlsGroup, ProcessMessageError, StagedCommit};
use openmls::messages::proposals::Proposal;
use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::{
    LeafNodeIndex, MlsMessageIn, ProcessedMessageContent, ProtocolMessage, Sender,
};

use super::error::{Failure, MlsError, Refused};
use super::leaf::{ExtensionList, Member, from_extensions};
use super::package::{self, Package};
use super::provider::Provider;
use crate::segment::WHOLE_BYTES;

/// Most bytes of an MLS message that are read: what goes in segments.
pub(crate) const MAX_LEN: usize = WHOLE_BYTES;

/// What came in.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Decrypted, and its sender's signature holds.
    Application {
        sender: Member,
        content: Vec<u8>,
    },
    /// A commit that is valid by RFC 9420 and by the rules of this module.
    Commit(Box<Staged>),
    /// One that this installation made.
    Own,
    Refused(Refused),
}

/// A commit that can be merged.
#[derive(Debug)]
pub(crate) struct Staged {
    staged: StagedCommit,
    /// Who made it: a leaf of the state before.
    pub(crate) sender: Member,
    /// Who comes in. Whether its identity is its own, the caller checks.
    pub(crate) adds: Vec<Package>,
    /// Leaves of the state before that go.
    pub(crate) removes: Vec<Member>,
    /// All extensions, if the commit sets them.
    pub(crate) extensions: Option<ExtensionList>,
    /// The epoch after it.
    pub(crate) epoch: u64,
    /// Its authenticated data.
    pub(crate) bound: Vec<u8>,
}

impl Staged {
    /// Whether it removes this installation.
    pub(crate) fn removes_self(&self) -> bool {
        self.staged.self_removed()
    }

    /// Moves the group into the state after it.
    pub(crate) fn merge(
        self,
        group: &mut MlsGroup,
        provider: &Provider<'_>,
    ) -> Result<(), MlsError> {
        tracing::debug!(
            epoch = self.epoch,
            adds = self.adds.len(),
            removes = self.removes.len(),
            sets_extensions = self.extensions.is_some(),
            "a commit is merged"
        );
        group
            .merge_staged_commit(provider, self.staged)
            .map_err(MlsError::doing("merging a commit"))
    }
}

/// Whether these bytes begin as a PublicMessage of MLS 1.0 does (RFC 9420, section 6). Reading one
/// uses up no key.
pub(crate) fn is_public(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 1, 0, 1])
}

/// Reads an MLS message of the group's state. The keys of an application message are used up.
pub(crate) fn receive(
    group: &mut MlsGroup,
    provider: &Provider<'_>,
    bytes: &[u8],
) -> Result<Inbound, MlsError> {
    let inbound = match process(group, provider, bytes) {
        Ok(inbound) => inbound,
        Err(Failure::Refused(refused)) => Inbound::Refused(refused),
        Err(Failure::Fault(fault)) => return Err(fault),
    };
    if let Inbound::Refused(refused) = &inbound {
        tracing::debug!(%refused, "an MLS message is refused");
    }
    Ok(inbound)
}

fn process(
    group: &mut MlsGroup,
    provider: &Provider<'_>,
    bytes: &[u8],
) -> Result<Inbound, Failure> {
    let message = decode(group, bytes)?;
    let processed = group.process_message(provider, message).map_err(failure)?;
    let sender = match processed.sender() {
        Sender::Member(index) => leaf(group, *index)?,
        _ => return Err(Refused::Sender.into()),
    };
    let bound = processed.aad().to_vec();
    match processed.into_content() {
        ProcessedMessageContent::ApplicationMessage(content) => {
            Ok(Inbound::Application { sender, content: content.into_bytes() })
        }
        ProcessedMessageContent::StagedCommitMessage(staged) => {
            inspect(group, provider, sender, *staged, bound).map(|s| Inbound::Commit(Box::new(s)))
        }
        ProcessedMessageContent::OwnPendingCommit | ProcessedMessageContent::OwnPrivateMessage => {
            Ok(Inbound::Own)
        }
        ProcessedMessageContent::ProposalMessage(_)
        | ProcessedMessageContent::ExternalJoinProposalMessage(_) => Err(Refused::Proposal.into()),
    }
}

fn decode(group: &MlsGroup, bytes: &[u8]) -> Result<ProtocolMessage, Refused> {
    if bytes.len() > MAX_LEN {
        return Err(Refused::TooLarge { len: bytes.len(), max: MAX_LEN });
    }
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .map_err(|_| Refused::Malformed("message"))?
        .try_into_protocol_message()
        .map_err(|_: ProtocolMessageError| Refused::Malformed("message"))?;
    if message.group_id() != group.group_id() {
        return Err(Refused::Group);
    }
    if message.epoch() != group.epoch() {
        return Err(Refused::Epoch);
    }
    Ok(message)
}

fn failure(error: ProcessMessageError<super::error::StorageError>) -> Failure {
    match error {
        ProcessMessageError::StorageError(error) => Failure::Fault(error.into()),
        error => Failure::Refused(Refused::Message(Box::new(error))),
    }
}

fn leaf(group: &MlsGroup, index: LeafNodeIndex) -> Result<Member, Failure> {
    let member = group.member_at(index).ok_or(Refused::Sender)?;
    Ok(Member::from_openmls(&member).ok_or(MlsError::Stored("a leaf's form"))?)
}

/// The rules of this module, which RFC 9420 leaves to the application.
fn inspect(
    group: &MlsGroup,
    provider: &Provider<'_>,
    sender: Member,
    staged: StagedCommit,
    bound: Vec<u8>,
) -> Result<Staged, Failure> {
    let (mut adds, mut removes, mut sets_extensions) = (Vec::new(), Vec::new(), false);
    for queued in staged.queued_proposals() {
        match queued.proposal() {
            Proposal::Add(add) => {
                adds.push(package::accept(provider, add.key_package().clone())?);
            }
            Proposal::Remove(remove) => removes.push(leaf(group, remove.removed())?),
            Proposal::GroupContextExtensions(_) => sets_extensions = true,
            _ => return Err(Refused::Proposal.into()),
        }
    }
    check_own_leaf(group, &sender, &staged)?;
    let context = staged.group_context();
    let extensions = from_extensions(context.extensions()).ok_or(Refused::Extension)?;
    let epoch = context.epoch().as_u64();
    let extensions = sets_extensions.then_some(extensions);
    Ok(Staged { staged, sender, adds, removes, extensions, epoch, bound })
}

/// A path renews a leaf's keys, not who it is.
fn check_own_leaf(group: &MlsGroup, sender: &Member, staged: &StagedCommit) -> Result<(), Refused> {
    let Some(new) = staged.update_path_leaf_node() else { return Ok(()) };
    let old = group.public_group().leaf(LeafNodeIndex::new(sender.leaf)).ok_or(Refused::Sender)?;
    let same = new.credential() == old.credential()
        && new.signature_key() == old.signature_key()
        && new.capabilities() == old.capabilities()
        && new.extensions() == old.extensions();
    if same { Ok(()) } else { Err(Refused::LeafChanged) }
}
