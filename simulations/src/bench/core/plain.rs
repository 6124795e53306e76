//! Plain OpenMLS: RustCrypto, its own store in memory, one group object that lives on.

use anyhow::{Context as _, ensure};
use openmls::group::PURE_PLAINTEXT_WIRE_FORMAT_POLICY;
use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialType, CredentialWithKey, Extension,
    ExtensionType, Extensions, GroupContext, GroupId, JoinBuilder, KeyPackage, KeyPackageIn,
    LeafNodeIndex, Lifetime, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, ProcessedMessageContent, ProcessedWelcome, ProtocolVersion, RatchetTreeIn,
    RequiredCapabilitiesExtension, SenderRatchetConfiguration, UnknownExtension,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
/// The same extension types, ratchet windows and wire formats as the core's groups.
const TYPES: std::ops::RangeInclusive<u16> = 0xf7a0..=0xf7a7;
const RATCHETS: (u32, u32) = (256, 10_000);

/// One installation.
pub(in crate::bench) struct Plain {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    group: Option<MlsGroup>,
}

/// A commit with what those that it adds need.
pub(in crate::bench) struct Committed {
    pub(in crate::bench) commit: Vec<u8>,
    pub(in crate::bench) welcome: Option<Vec<u8>>,
    pub(in crate::bench) tree: Vec<u8>,
}

impl Committed {
    /// Bytes of what those that are added need.
    pub(in crate::bench) fn invitation(&self) -> usize {
        self.welcome.as_ref().map_or(0, Vec::len) + self.tree.len()
    }
}

/// A key package of somebody who is not heard of again.
pub(in crate::bench) fn stranger() -> anyhow::Result<Vec<u8>> {
    Plain::new()?.package()
}

impl Plain {
    /// One with an identity as long as the core's.
    pub(in crate::bench) fn new() -> anyhow::Result<Self> {
        let provider = OpenMlsRustCrypto::default();
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
        let credential = CredentialWithKey {
            credential: BasicCredential::new(vec![b'i'; 65]).into(),
            signature_key: signer.public().into(),
        };
        Ok(Self { provider, signer, credential, group: None })
    }

    pub(in crate::bench) fn package(&self) -> anyhow::Result<Vec<u8>> {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(Lifetime::init(0, u64::MAX))
            .leaf_node_capabilities(capabilities())
            .mark_as_last_resort()
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())?;
        Ok(bundle.key_package().tls_serialize_detached()?)
    }

    pub(in crate::bench) fn create(&mut self, name: &str) -> anyhow::Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .lifetime(Lifetime::init(0, u64::MAX))
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(0)
            .use_ratchet_tree_extension(false)
            .sender_ratchet_configuration(ratchets())
            .with_group_context_extensions(extensions(name)?)
            .build();
        let id = GroupId::from_slice(&[7; 16]);
        let credential = self.credential.clone();
        let group =
            MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, credential)?;
        self.group = Some(group);
        Ok(())
    }

    /// Checks key packages, adds them and sets the extensions by one commit, and applies it.
    pub(in crate::bench) fn commit(
        &mut self,
        adds: &[&[u8]],
        name: &str,
    ) -> anyhow::Result<Committed> {
        let group = self.group.as_mut().context("no group")?;
        let packages = adds
            .iter()
            .map(|bytes| {
                let package = KeyPackageIn::tls_deserialize_exact_bytes(bytes)?;
                Ok(package.validate(self.provider.crypto(), ProtocolVersion::Mls10)?)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (commit, welcome, _) = group
            .commit_builder()
            .propose_adds(packages)
            .propose_group_context_extensions(extensions(name)?)?
            .load_psks(self.provider.storage())?
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .stage_commit(&self.provider)?
            .into_contents();
        group.merge_pending_commit(&self.provider)?;
        let welcome = welcome.map(|welcome| welcome.tls_serialize_detached()).transpose()?;
        let tree = match welcome {
            Some(_) => group.export_ratchet_tree().tls_serialize_detached()?,
            None => Vec::new(),
        };
        Ok(Committed { commit: commit.tls_serialize_detached()?, welcome, tree })
    }

    pub(in crate::bench) fn join(&mut self, invitation: &Committed) -> anyhow::Result<()> {
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(0)
            .sender_ratchet_configuration(ratchets())
            .build();
        let welcome = invitation.welcome.as_deref().context("nobody was added")?;
        let welcome = openmls::messages::Welcome::tls_deserialize_exact_bytes(welcome)?;
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&invitation.tree)?;
        let processed = ProcessedWelcome::new_from_welcome(&self.provider, &config, welcome)?;
        let staged = JoinBuilder::new(&self.provider, processed)
            .with_ratchet_tree(tree)
            .skip_lifetime_validation()
            .build()?;
        self.group = Some(staged.into_group(&self.provider)?);
        Ok(())
    }

    pub(in crate::bench) fn send(&mut self, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        let group = self.group.as_mut().context("no group")?;
        let message = group.create_message(&self.provider, &self.signer, text)?;
        Ok(message.tls_serialize_detached()?)
    }

    /// Reads a message, or applies a commit.
    pub(in crate::bench) fn receive(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let group = self.group.as_mut().context("no group")?;
        let message = match MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.extract() {
            MlsMessageBodyIn::PrivateMessage(message) => {
                openmls::prelude::ProtocolMessage::from(message)
            }
            MlsMessageBodyIn::PublicMessage(message) => message.into(),
            _ => anyhow::bail!("not a message of a group"),
        };
        match group.process_message(&self.provider, message)?.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                ensure!(!message.into_bytes().is_empty(), "an empty message");
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                group.merge_staged_commit(&self.provider, *staged)?;
            }
            other => anyhow::bail!("unexpected: {other:?}"),
        }
        Ok(())
    }

    /// Takes one member out by a commit, and applies it; the commit's bytes.
    pub(in crate::bench) fn remove(&mut self, leaf: u32) -> anyhow::Result<usize> {
        let group = self.group.as_mut().context("no group")?;
        let leaf = LeafNodeIndex::new(leaf);
        let (commit, _, _) = group.remove_members(&self.provider, &self.signer, &[leaf])?;
        group.merge_pending_commit(&self.provider)?;
        Ok(commit.tls_serialize_detached()?.len())
    }

    /// All that is in its store.
    pub(in crate::bench) fn pairs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let values = self.provider.storage().values.read();
        let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        values.map_or_else(|_| Vec::new(), |values| values.iter().map(pair).collect())
    }

    /// Bytes in its store.
    pub(in crate::bench) fn stored(&self) -> usize {
        let values = self.provider.storage().values.read();
        values.map_or(0, |values| values.iter().map(|(key, value)| key.len() + value.len()).sum())
    }
}

fn ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(RATCHETS.0, RATCHETS.1)
}

fn types() -> Vec<ExtensionType> {
    TYPES.map(ExtensionType::Unknown).collect()
}

fn capabilities() -> Capabilities {
    let types: Vec<_> = types().into_iter().chain([ExtensionType::LastResort]).collect();
    let basic = [CredentialType::Basic];
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&types),
        Some(&[]),
        Some(&basic),
    )
}

/// Extensions as long as the core's: profile, parameters, digest.
fn extensions(name: &str) -> anyhow::Result<Extensions<GroupContext>> {
    let required = RequiredCapabilitiesExtension::new(&types(), &[], &[CredentialType::Basic]);
    let unknown = |kind, bytes: &[u8]| Extension::Unknown(kind, UnknownExtension(bytes.to_vec()));
    Ok(Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        unknown(0xf7a0, name.as_bytes()),
        unknown(0xf7a1, &[1; 56]),
        unknown(0xf7a2, &[2; 32]),
    ])?)
}
