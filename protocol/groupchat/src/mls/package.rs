//! Key packages: making own ones, and checking others'.
//!
//! All are last-resort packages (usable more than once) with an unbounded MLS lifetime; the expiry
//! that counts is that of the registration record around them.

use curve25519_dalek::MontgomeryPoint;
use openmls::prelude::tls_codec::{self, DeserializeBytes as _, Serialize as _, VLBytes};
use openmls::prelude::{KeyPackage, KeyPackageIn, ProtocolVersion};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;

use super::error::{MlsError, Refused};
use super::leaf::{Member, SUITE, capabilities, credential, is_capable, unbounded};
use super::provider::Provider;
use crate::InstallationId;
use crate::account::InstallationKey;

/// Most bytes of a key package that are read. Own ones have about 350.
pub(crate) const MAX_LEN: usize = 2048;

/// Names a key package: KeyPackageRef (RFC 9420, section 5.2).
pub(crate) type Reference = [u8; 32];

/// An own key package, whose private keys are in the store.
#[derive(Clone, Debug)]
pub(crate) struct OwnPackage {
    /// KeyPackage (RFC 9420, section 10).
    pub(crate) bytes: Vec<u8>,
}

/// A key package that passed all checks.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(super) inner: KeyPackage,
    pub(crate) reference: Reference,
    /// The identity in its basic credential. Whether it may use it, the caller checks.
    pub(crate) identity: Vec<u8>,
    /// Its signature key.
    pub(crate) installation: InstallationId,
    /// The HPKE key that its leaf begins with.
    pub(crate) leaf_key: Vec<u8>,
}

impl Package {
    /// KeyPackage (RFC 9420, section 10).
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        self.inner.tls_serialize_detached().ok()
    }
}

/// Makes a key package and keeps its private keys.
pub(crate) fn create(
    provider: &Provider<'_>,
    signer: &InstallationKey,
    identity: &[u8],
) -> Result<OwnPackage, MlsError> {
    let bundle = KeyPackage::builder()
        .key_package_lifetime(unbounded())
        .leaf_node_capabilities(capabilities())
        .mark_as_last_resort()
        .build(SUITE, provider, signer, credential(&signer.id(), identity))
        .map_err(MlsError::doing("making a key package"))?;
    let bytes = bundle
        .key_package()
        .tls_serialize_detached()
        .map_err(MlsError::doing("encoding a key package"))?;
    Ok(OwnPackage { bytes })
}

/// Forgets the private keys of an own key package.
pub(crate) fn forget(provider: &Provider<'_>, bytes: &[u8]) -> Result<(), MlsError> {
    let Ok(package) = check(provider, bytes) else { return Ok(()) };
    let reference = package
        .inner
        .hash_ref(provider.crypto())
        .map_err(MlsError::doing("naming an own key package"))?;
    Ok(provider.storage().delete_key_package(&reference)?)
}

/// Reads another's key package: signatures, suite, last resort, lifetime, capabilities, keys.
pub(crate) fn check(provider: &Provider<'_>, bytes: &[u8]) -> Result<Package, Refused> {
    if bytes.len() > MAX_LEN {
        return Err(Refused::TooLarge { len: bytes.len(), max: MAX_LEN });
    }
    let package = KeyPackageIn::tls_deserialize_exact_bytes(bytes)
        .map_err(|_| Refused::Malformed("key package"))?
        .validate(provider.crypto(), ProtocolVersion::Mls10)
        .map_err(Refused::KeyPackage)?;
    accept(provider, package)
}

/// What is asked of a key package beyond RFC 9420; also when another's commit adds it.
pub(super) fn accept(provider: &Provider<'_>, package: KeyPackage) -> Result<Package, Refused> {
    let leaf = package.leaf_node();
    if package.ciphersuite() != SUITE {
        return Err(Refused::Suite);
    }
    let extended = package.extensions().iter().count() > 1 || leaf.extensions().iter().count() > 0;
    if !package.last_resort() || extended || *package.life_time() != unbounded() {
        return Err(Refused::PackageKind);
    }
    if !is_capable(leaf) {
        return Err(Refused::Capabilities);
    }
    let member =
        Member::new(0, leaf.credential(), leaf.signature_key().as_slice()).ok_or(Refused::Leaf)?;
    if !can_seal_to(package.hpke_init_key()) || !can_seal_to(leaf.encryption_key()) {
        return Err(Refused::WeakKey);
    }
    let leaf_key = key_bytes(leaf.encryption_key()).ok_or(Refused::Malformed("key package"))?;
    let reference = reference(provider, &package).ok_or(Refused::Malformed("key package"))?;
    Ok(Package {
        leaf_key,
        inner: package,
        reference,
        identity: member.identity,
        installation: member.installation,
    })
}

/// Nothing can be sealed to a point of small order, and a commit that has to would fail. All that
/// HPKE asks of an X25519 key is that the shared secret is not zero (RFC 9180, section 7.1.4), and
/// as its private keys are multiples of 8, that is so if and only if 8 times the point is.
fn can_seal_to(key: &impl tls_codec::Serialize) -> bool {
    let key = key_bytes(key).and_then(|key| <[u8; 32]>::try_from(key).ok());
    key.is_some_and(|key| is_of_large_order(MontgomeryPoint(key)))
}

fn is_of_large_order(point: MontgomeryPoint) -> bool {
    let eight = [true, false, false, false].into_iter();
    point.mul_bits_be(eight).to_bytes() != [0; 32]
}

/// OpenMLS shows an HPKE key in its TLS form alone.
fn key_bytes(key: &impl tls_codec::Serialize) -> Option<Vec<u8>> {
    let encoded = key.tls_serialize_detached().ok()?;
    Some(VLBytes::tls_deserialize_exact_bytes(&encoded).ok()?.as_slice().to_vec())
}

fn reference(provider: &Provider<'_>, package: &KeyPackage) -> Option<Reference> {
    package.hash_ref(provider.crypto()).ok()?.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use openmls_rust_crypto::RustCrypto;
    use openmls_traits::crypto::OpenMlsCrypto as _;
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::mls::crypto::{CoreCrypto, CoreRng};

    /// u of the points of small order on the curve and its twist, below the prime.
    const SMALL_ORDER: [&str; 5] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    #[test]
    fn the_keys_that_can_be_sealed_to_are_those_that_hpke_seals_to() {
        let rust = RustCrypto::default();
        let crypto = CoreCrypto::new(&rust, &CoreRng::new([1; 32]));
        let seals =
            |key: &[u8; 32]| crypto.hpke_seal(SUITE.hpke_config(), key, b"", b"", b"").is_ok();
        let mut keys: Vec<[u8; 32]> = SMALL_ORDER
            .iter()
            .map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex"))
            .map(|bytes| bytes.try_into().expect("32 bytes"))
            .collect();
        // the prime, and the prime and 1: other forms of 0 and 1
        for first in [0xed, 0xee] {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (first, 0x7f);
            keys.push(key);
        }
        // the highest bit does not count
        keys.extend(keys.clone().into_iter().map(|mut key| {
            key[31] |= 0x80;
            key
        }));
        assert!(keys.iter().all(|key| !seals(key)));
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            keys.push(rng.random());
        }
        for low in 0..20 {
            let mut key = [0; 32];
            key[0] = low;
            keys.push(key);
        }
        for key in keys {
            assert_eq!(is_of_large_order(MontgomeryPoint(key)), seals(&key), "{key:x?}");
        }
    }
}
