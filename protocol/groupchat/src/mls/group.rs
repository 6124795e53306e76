//! Groups: create, load, commit, send, export.
//!
//! Handshakes are PublicMessages, application messages PrivateMessages (RFC 9420, section 6); the
//! seal around both hides and pads them. OpenMLS keeps no past epochs: each state is one of its own.

use openmls::group::{
    CreateCommitError, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{GroupId as MlsGroupId, LeafNodeIndex, SenderRatchetConfiguration};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::{MlsError, Refused};
#[cfg(test)]
use super::leaf::{ExtensionList, Member, from_extensions};
use super::leaf::{SUITE, capabilities, credential, to_extensions, unbounded};
use super::package::Package;
use super::provider::Provider;
use crate::account::InstallationKey;
use crate::{GroupId, InstallationId};

/// How many messages of one sender may be read after a later one of it was.
const OUT_OF_ORDER: u32 = 256;

/// How many messages of one sender in a row may be missing: what is further ahead is refused, before
/// its keys are derived.
pub(super) const MAX_FORWARD: u32 = 10_000;

/// What making a commit gives.
#[derive(Debug)]
pub(crate) struct OwnCommit {
    /// MLSMessage (RFC 9420, section 6).
    pub(crate) commit: Vec<u8>,
    /// Welcome (RFC 9420, section 12.4.3.1) for all that were added; without the ratchet tree.
    pub(crate) welcome: Option<Vec<u8>>,
}

/// Makes the provider's group, with the own leaf alone in it.
pub(crate) fn create(
    provider: &Provider<'_>,
    signer: &InstallationKey,
    identity: &[u8],
    extensions: &[(u16, Vec<u8>)],
) -> Result<MlsGroup, MlsError> {
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .capabilities(capabilities())
        .lifetime(unbounded())
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(0)
        .max_past_epochs(0)
        .use_ratchet_tree_extension(false)
        .sender_ratchet_configuration(sender_ratchets())
        .with_group_context_extensions(to_extensions(extensions)?)
        .build();
    let group = mls_group_id(&provider.group("creating a group")?);
    let credential = credential(&signer.id(), identity);
    MlsGroup::new_with_group_id(provider, signer, &config, group, credential)
        .map_err(MlsError::doing("creating a group"))
}

/// How an invited installation sets its group up: as [`create`] does.
pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(0)
        .max_past_epochs(0)
        .use_ratchet_tree_extension(false)
        .sender_ratchet_configuration(sender_ratchets())
        .build()
}

fn sender_ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, MAX_FORWARD)
}

pub(super) fn mls_group_id(group: &GroupId) -> MlsGroupId {
    MlsGroupId::from_slice(group.as_bytes())
}

/// Loads the provider's state; `None` if there is none. The keys of own messages that were counted
/// and not written are used up then.
pub(crate) fn load(provider: &Provider<'_>) -> Result<Option<MlsGroup>, MlsError> {
    let group = mls_group_id(&provider.group("loading a group")?);
    let Some(mut group) = MlsGroup::load(provider.storage(), &group)? else { return Ok(None) };
    let unwritten = provider.unwritten();
    for _ in 0..unwritten.storage().sealed()? {
        // the only way to move on that OpenMLS offers; what is sealed is let go
        group
            .create_message(&unwritten, &Unsigned, &[])
            .map_err(MlsError::doing("passing over used keys"))?;
    }
    Ok(Some(group))
}

/// How many own messages were sealed since the secrets of the provider's state were written.
pub(crate) fn sealed(provider: &Provider<'_>) -> Result<u32, MlsError> {
    Ok(provider.storage().sealed()?)
}

/// Signs nothing: for what nobody gets.
struct Unsigned;

impl Signer for Unsigned {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(vec![0; 64])
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SUITE.signature_algorithm()
    }
}

/// What a commit does.
#[derive(Default)]
pub(crate) struct Proposals<'a> {
    pub(crate) adds: Vec<Package>,
    /// Who goes. Those who are not in the group are passed over.
    pub(crate) removes: &'a [InstallationId],
    /// All extensions, to set them anew.
    pub(crate) extensions: Option<&'a [(u16, Vec<u8>)]>,
    /// New keys for the own leaf, even if nothing else asks for them.
    pub(crate) update: bool,
    /// The commit's authenticated data (RFC 9420, section 6.1): signed with it, and a part of the
    /// state after it.
    pub(crate) bound: Vec<u8>,
}

/// Makes one commit.
///
/// It waits in the group until [`merge_pending`]. What is refused is an addition that does not fit:
/// an installation or a key that is in the group already.
pub(crate) fn commit(
    group: &mut MlsGroup,
    provider: &Provider<'_>,
    signer: &InstallationKey,
    proposals: Proposals<'_>,
) -> Result<Result<OwnCommit, Refused>, MlsError> {
    const DOING: &str = "making a commit";
    let Proposals { adds, removes, extensions, update, bound } = proposals;
    let leaves: Vec<LeafNodeIndex> = group
        .members()
        .filter(|m| removes.iter().any(|gone| m.signature_key == gone.as_bytes()))
        .map(|m| m.index)
        .collect();
    group.set_aad(bound);
    let mut builder = group
        .commit_builder()
        .consume_proposal_store(false)
        .force_self_update(update)
        .propose_removals(leaves)
        .propose_adds(adds.into_iter().map(|package| package.inner));
    if let Some(extensions) = extensions {
        builder = builder
            .propose_group_context_extensions(to_extensions(extensions)?)
            .map_err(MlsError::doing(DOING))?;
    }
    let built = builder.load_psks(provider.storage()).map_err(MlsError::doing(DOING))?.build(
        provider.rand(),
        provider.crypto(),
        signer,
        |_| true,
    );
    let bundle = match built {
        Ok(complete) => complete.stage_commit(provider).map_err(MlsError::doing(DOING))?,
        Err(CreateCommitError::ProposalValidationError(error)) => {
            return Ok(Err(Refused::Addition(error)));
        }
        Err(error) => return Err(MlsError::doing(DOING)(error)),
    };
    let (commit, welcome, _) = bundle.into_contents();
    Ok(Ok(OwnCommit {
        commit: commit.tls_serialize_detached().map_err(MlsError::doing(DOING))?,
        welcome: welcome
            .map(|welcome| welcome.tls_serialize_detached())
            .transpose()
            .map_err(MlsError::doing(DOING))?,
    }))
}

/// Moves the group into the state after its own commit.
pub(crate) fn merge_pending(group: &mut MlsGroup, provider: &Provider<'_>) -> Result<(), MlsError> {
    group.merge_pending_commit(provider).map_err(MlsError::doing("merging the own commit"))
}

/// [`encrypt`] with a provider that does not write: the message is counted instead.
pub(crate) fn encrypt_counted(
    group: &mut MlsGroup,
    provider: &Provider<'_>,
    signer: &InstallationKey,
    content: &[u8],
) -> Result<Vec<u8>, MlsError> {
    let before = sealed(provider)?;
    let message = encrypt(group, provider, signer, content)?;
    provider.storage().note_sealed(before.saturating_add(1))?;
    Ok(message)
}

/// An application message as MLSMessage bytes.
pub(crate) fn encrypt(
    group: &mut MlsGroup,
    provider: &Provider<'_>,
    signer: &InstallationKey,
    content: &[u8],
) -> Result<Vec<u8>, MlsError> {
    group
        .create_message(provider, signer, content)
        .map_err(MlsError::doing("encrypting a message"))?
        .tls_serialize_detached()
        .map_err(MlsError::doing("encoding a message"))
}

/// A secret of this state (RFC 9420, section 8.5).
pub(crate) fn export<const N: usize>(
    group: &MlsGroup,
    provider: &Provider<'_>,
    label: &str,
    context: &[u8],
) -> Result<Zeroizing<[u8; N]>, MlsError> {
    let mut bytes = group
        .export_secret(provider.crypto(), label, context, N)
        .map_err(MlsError::doing("exporting a secret"))?;
    let mut secret = Zeroizing::new([0; N]);
    secret.copy_from_slice(&bytes);
    bytes.zeroize();
    Ok(secret)
}

/// The ratchet tree (RFC 9420, section 12.4.3.3) that a Welcome needs beside it.
pub(crate) fn ratchet_tree(group: &MlsGroup) -> Result<Vec<u8>, MlsError> {
    group
        .export_ratchet_tree()
        .tls_serialize_detached()
        .map_err(MlsError::doing("encoding the ratchet tree"))
}

#[cfg(test)]
/// All leaves, in the tree's order.
pub(crate) fn members(group: &MlsGroup) -> Result<Vec<Member>, MlsError> {
    group
        .members()
        .map(|member| Member::from_openmls(&member).ok_or(MlsError::Stored("a leaf's form")))
        .collect()
}

#[cfg(test)]
/// The GroupContext's extensions.
pub(crate) fn extensions(group: &MlsGroup) -> Result<ExtensionList, MlsError> {
    from_extensions(group.extensions()).ok_or(MlsError::Stored("an extension's type"))
}

/// The HPKE key of an installation's leaf, if it has one.
pub(crate) fn leaf_key(group: &MlsGroup, installation: &InstallationId) -> Option<Vec<u8>> {
    group
        .members()
        .find(|member| member.signature_key == installation.as_bytes())
        .map(|member| member.encryption_key)
}

/// The number of commits on the path to this state.
pub(crate) fn epoch(group: &MlsGroup) -> u64 {
    group.epoch().as_u64()
}
