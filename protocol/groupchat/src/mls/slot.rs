//! What is sealed to a key package's init key: slots of an invitation's envelope, found by trial,
//! and answers to who cannot follow a group.
//!
//! HPKE base mode (RFC 9180) of the groups' ciphersuite: `encapsulated key (32) ‖ ciphertext ‖
//! tag (16)`.

use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::{KeyPackage, KeyPackageBundle, KeyPackageIn, ProtocolVersion};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::storage::StorageProvider as _;
use openmls_traits::types::HpkeCiphertext;
use zeroize::Zeroizing;

use super::error::MlsError;
use super::leaf::SUITE;
use super::provider::Provider;

/// What is sealed to a key package, as HPKE's info.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// A slot of an invitation's envelope.
    Slot,
    /// An answer to a member that cannot follow its group.
    Rejoin,
}

impl Use {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::Slot => b"waku-groupchat/1 invitation slot",
            Self::Rejoin => b"waku-groupchat/1 rejoin answer",
        }
    }
}

/// Length of an encapsulated X25519 key.
const KEM_LEN: usize = 32;

/// Seals something to whoever holds the private keys of a key package; `None` for one that does not
/// parse.
pub(crate) fn seal(
    provider: &Provider<'_>,
    package: &[u8],
    what: Use,
    plain: &[u8],
) -> Option<Vec<u8>> {
    let package = parse(provider, package)?;
    let init_key = package.hpke_init_key().as_slice();
    let sealed =
        provider.crypto().hpke_seal(SUITE.hpke_config(), init_key, what.info(), &[], plain).ok()?;
    Some([sealed.kem_output.as_slice(), sealed.ciphertext.as_slice()].concat())
}

/// Opens what was sealed to an own key package.
pub(crate) struct Opener(Zeroizing<Vec<u8>>);

impl Opener {
    /// `None` if the private keys are not here.
    pub(crate) fn new(provider: &Provider<'_>, package: &[u8]) -> Result<Option<Self>, MlsError> {
        let Some(package) = parse(provider, package) else { return Ok(None) };
        let reference = package
            .hash_ref(provider.crypto())
            .map_err(MlsError::doing("naming an own key package"))?;
        let bundle: Option<KeyPackageBundle> = provider.storage().key_package(&reference)?;
        Ok(bundle.map(|bundle| Self(Zeroizing::new(bundle.init_private_key().to_vec()))))
    }

    /// The plaintext, if it is for this key package and this use.
    pub(crate) fn open(
        &self,
        provider: &Provider<'_>,
        what: Use,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (kem_output, ciphertext) = sealed.split_at_checked(KEM_LEN)?;
        let sealed = HpkeCiphertext {
            kem_output: kem_output.to_vec().into(),
            ciphertext: ciphertext.to_vec().into(),
        };
        provider
            .crypto()
            .hpke_open(SUITE.hpke_config(), &sealed, &self.0, what.info(), &[])
            .ok()
            .map(Zeroizing::new)
    }
}

fn parse(provider: &Provider<'_>, package: &[u8]) -> Option<KeyPackage> {
    KeyPackageIn::tls_deserialize_exact_bytes(package)
        .ok()?
        .validate(provider.crypto(), ProtocolVersion::Mls10)
        .ok()
}
