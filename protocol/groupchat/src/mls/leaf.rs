//! What a leaf is here: an installation, with what groups need of it.

use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey,
    Extension, ExtensionType, Extensions, GroupContext, LeafNode, Lifetime, ProtocolVersion,
    RequiredCapabilitiesExtension, UnknownExtension,
};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::{SignatureScheme, VerifiableCiphersuite};

use super::error::MlsError;
use crate::InstallationId;
use crate::account::InstallationKey;

/// The ciphersuite of every group (RFC 9420, section 17.1): 0x0003.
pub(crate) const SUITE: Ciphersuite =
    Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// Types of GroupContext extensions, from the range for private use (RFC 9420, section 17.3). Every
/// leaf lists all of them and every group requires all of them, so that a group can take any of
/// them up later.
pub(crate) const EXTENSION_TYPES: [u16; 8] =
    [0xf7a0, 0xf7a1, 0xf7a2, 0xf7a3, 0xf7a4, 0xf7a5, 0xf7a6, 0xf7a7];

/// GroupContext extensions as type and content, in the group's order.
pub(crate) type ExtensionList = Vec<(u16, Vec<u8>)>;

/// A leaf of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Where it stands in the tree now; another leaf may stand there later.
    pub(crate) leaf: u32,
    /// The identity in its basic credential.
    pub(crate) identity: Vec<u8>,
    /// Its signature key.
    pub(crate) installation: InstallationId,
}

impl Member {
    /// `None` for another credential than a basic one, or another key than of 32 bytes.
    pub(super) fn new(leaf: u32, credential: &Credential, key: &[u8]) -> Option<Self> {
        let basic = BasicCredential::try_from(credential.clone()).ok()?;
        let installation = InstallationId::from_slice(key)?;
        Some(Self { leaf, identity: basic.identity().to_vec(), installation })
    }

    pub(super) fn from_openmls(member: &openmls::group::Member) -> Option<Self> {
        Self::new(member.index.u32(), &member.credential, &member.signature_key)
    }
}

/// An installation's key signs for its leaf. MLS's labels keep what it signs apart from the
/// project's own signatures.
impl Signer for InstallationKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign_for_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

pub(super) fn credential(installation: &InstallationId, identity: &[u8]) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(identity.to_vec()).into(),
        signature_key: installation.as_bytes().as_slice().into(),
    }
}

pub(super) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&extension_types()),
        Some(&[]),
        Some(&[CredentialType::Basic]),
    )
}

/// Whether a leaf can be in any group of this kind.
pub(super) fn is_capable(leaf: &LeafNode) -> bool {
    let its = leaf.capabilities();
    its.versions().contains(&ProtocolVersion::Mls10)
        && its.ciphersuites().contains(&VerifiableCiphersuite::from(SUITE))
        && its.credentials().contains(&CredentialType::Basic)
        && extension_types().iter().all(|wanted| its.extensions().contains(wanted))
}

fn extension_types() -> Vec<ExtensionType> {
    group_types().into_iter().chain([ExtensionType::LastResort]).collect()
}

fn group_types() -> [ExtensionType; EXTENSION_TYPES.len()] {
    EXTENSION_TYPES.map(ExtensionType::Unknown)
}

/// What every group requires of its leaves. A commit may only set extensions that are required.
fn required() -> Extension {
    let required =
        RequiredCapabilitiesExtension::new(&group_types(), &[], &[CredentialType::Basic]);
    Extension::RequiredCapabilities(required)
}

/// From the epoch to the end of time: no check depends on the wall clock.
pub(super) fn unbounded() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// The list as a GroupContext has it: with what is required of leaves before it.
pub(super) fn to_extensions(list: &[(u16, Vec<u8>)]) -> Result<Extensions<GroupContext>, MlsError> {
    let unknown = |(kind, content): &(u16, Vec<u8>)| {
        Extension::Unknown(*kind, UnknownExtension(content.clone()))
    };
    let extensions = [required()].into_iter().chain(list.iter().map(unknown)).collect();
    Extensions::from_vec(extensions).map_err(MlsError::doing("listing extensions"))
}

/// `None` if the first is not [`required`], or another one is not of [`EXTENSION_TYPES`].
pub(super) fn from_extensions(extensions: &Extensions<GroupContext>) -> Option<ExtensionList> {
    let mut extensions = extensions.iter();
    extensions.next().filter(|first| **first == required())?;
    extensions
        .map(|extension| match extension {
            Extension::Unknown(kind, content) if EXTENSION_TYPES.contains(kind) => {
                Some((*kind, content.0.clone()))
            }
            _ => None,
        })
        .collect()
}
