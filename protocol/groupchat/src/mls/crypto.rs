//! The core's random numbers, and OpenMLS's cryptography drawing from them.
//!
//! Everything random in the core comes from one seed, so a simulation repeats byte for byte.
//! OpenMLS takes its randomness from [`CoreRng`], except where it seals with HPKE: its RustCrypto
//! provider asks the operating system there. [`CoreCrypto`] therefore seals with the `hpke` crate
//! and a generator of its own for each seal. OpenMLS seals the parts of a commit's path on several
//! threads, in no fixed order, so that generator's seed depends on what is sealed and not on how
//! many came before: HKDF-SHA256 of a fresh secret of this provider and all inputs. Everything
//! else is RustCrypto's.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable, HpkeError, OpModeS, Serializable};
use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext,
    HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use rand::{Rng as _, RngExt as _, SeedableRng as _, TryCryptoRng, TryRng};
use rand_chacha::ChaCha20Rng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{ed25519, verified};

/// How what is signed begins (RFC 9420, section 5.1.2) in leaves and key packages.
const COMES_AGAIN: [&[u8]; 2] = [b"\x13MLS 1.0 LeafNodeTBS", b"\x15MLS 1.0 KeyPackageTBS"];

/// The core's random numbers: ChaCha20 from a seed. Clones share one stream.
#[derive(Clone)]
pub(crate) struct CoreRng(Arc<Mutex<ChaCha20Rng>>);

impl CoreRng {
    /// `seed` has to be fresh randomness of the operating system, or a simulation's own.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(ChaCha20Rng::from_seed(seed))))
    }

    /// Another stream, seeded from this one.
    pub(crate) fn split(&self) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        self.fill(seed.as_mut_slice());
        Self::new(*seed)
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.lock().fill_bytes(bytes);
    }

    /// Uniform in `0..n`; 0 for `n` = 0.
    pub(crate) fn below(&self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.lock().random_range(0..n) }
    }

    /// Uniform from zero up to `limit`, exclusive; zero for a zero limit.
    pub(crate) fn duration_below(&self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos))
    }

    fn lock(&self) -> MutexGuard<'_, ChaCha20Rng> {
        // A generator has no state that a panic could leave half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CoreRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CoreRng(..)")
    }
}

impl TryRng for CoreRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.lock().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.lock().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.lock().fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for CoreRng {}

impl OpenMlsRand for CoreRng {
    type Error = Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Infallible> {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Infallible> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        Ok(bytes)
    }
}

/// RustCrypto, with seals that repeat from the seed.
#[derive(Clone)]
pub(crate) struct CoreCrypto<'c> {
    inner: &'c RustCrypto,
    seal_secret: Zeroizing<[u8; 32]>,
}

/// What the `hpke` crate takes as info without panicking; more goes to RustCrypto.
const MAX_INFO: usize = 60_000;

impl<'c> CoreCrypto<'c> {
    pub(crate) fn new(inner: &'c RustCrypto, rng: &CoreRng) -> Self {
        let mut seal_secret = Zeroizing::new([0; 32]);
        rng.fill(seal_secret.as_mut_slice());
        Self { inner, seal_secret }
    }

    /// The generator for one seal. Only equal inputs share one, and their seals are equal bytes,
    /// which tell nothing but that.
    fn seal_rng(&self, inputs: [&[u8]; 4]) -> Result<ChaCha20Rng, CryptoError> {
        let lengths = inputs.map(|part| (part.len() as u64).to_be_bytes());
        let mut info: Vec<&[u8]> = vec![b"waku-groupchat/1 hpke randomness"];
        for (length, part) in lengths.iter().zip(inputs) {
            info.extend([length.as_slice(), part]);
        }
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.seal_secret.as_slice())
            .expand_multi_info(&info, seed.as_mut_slice())
            .map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        Ok(ChaCha20Rng::from_seed(*seed))
    }

    fn seal(
        &self,
        public: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        let recipient = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public)
            .map_err(|_| CryptoError::InvalidLength)?;
        let mut rng = self.seal_rng([public, info, aad, plaintext])?;
        let (kem_output, ciphertext) = hpke::single_shot_seal_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(
            &OpModeS::Base, &recipient, info, plaintext, aad, &mut rng
        )
        .map_err(|error| match error {
            HpkeError::EncapError => CryptoError::SenderSetupError,
            _ => CryptoError::HpkeEncryptionError,
        })?;
        Ok(HpkeCiphertext {
            kem_output: kem_output.to_bytes().to_vec().into(),
            ciphertext: ciphertext.into(),
        })
    }
}

impl OpenMlsCrypto for CoreCrypto<'_> {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.inner.supports(ciphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.inner.supported_ciphersuites()
    }

    fn hkdf_extract(
        &self,
        hash: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.inner.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], data: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.inner.hmac(hash, key, data)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.inner.hkdf_expand(hash, prk, info, len)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.inner.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.inner.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.inner.aead_decrypt(alg, key, data, nonce, aad)
    }

    /// Not used: the core makes its own signature keys.
    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.inner.signature_key_gen(alg)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        public: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if alg != SignatureScheme::ED25519 {
            return self.inner.verify_signature(alg, data, public, signature);
        }
        let verify = || ed25519::holds(public, data, signature);
        // a member's messages come once, its leaf with each tree
        let holds = match COMES_AGAIN.iter().any(|tbs| data.starts_with(tbs)) {
            true => verified::holds("MLS Ed25519", public, data, signature, verify),
            false => verify(),
        };
        if holds { Ok(()) } else { Err(CryptoError::InvalidSignature) }
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.inner.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        public: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        match config {
            HpkeConfig(
                HpkeKemType::DhKem25519,
                HpkeKdfType::HkdfSha256,
                HpkeAeadType::ChaCha20Poly1305,
            ) if info.len() <= MAX_INFO => self.seal(public, info, aad, plaintext),
            config => self.inner.hpke_seal(config, public, info, aad, plaintext),
        }
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        secret: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.inner.hpke_open(config, input, secret, info, aad)
    }

    /// Not used: there are no external commits.
    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        public: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        self.inner.hpke_setup_sender_and_export(config, public, info, context, len)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        secret: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.inner.hpke_setup_receiver_and_export(config, enc, secret, info, context, len)
    }

    fn derive_hpke_keypair(
        &self,
        config: HpkeConfig,
        ikm: &[u8],
    ) -> Result<HpkeKeyPair, CryptoError> {
        self.inner.derive_hpke_keypair(config, ikm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: fn() -> HpkeConfig = || {
        HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305)
    };

    #[test]
    fn seals_repeat_from_the_seed_and_rustcrypto_opens_them() {
        let rust = RustCrypto::default();
        let pair = rust.derive_hpke_keypair(CONFIG(), &[7; 32]).expect("a key pair");
        let seal = |seed: u8, info: &[u8]| {
            CoreCrypto::new(&rust, &CoreRng::new([seed; 32]))
                .hpke_seal(CONFIG(), &pair.public, info, b"aad", b"secret")
                .expect("a seal")
        };
        let first = seal(1, b"info");
        assert_eq!(first, seal(1, b"info"));
        assert_ne!(first, seal(2, b"info"));
        assert_ne!(first.kem_output, seal(1, b"other").kem_output);
        let long = vec![0; 70_000];
        for (sealed, info) in [(first, b"info".as_slice()), (seal(1, &long), &long)] {
            let opened = rust.hpke_open(CONFIG(), &sealed, &pair.private, info, b"aad");
            assert_eq!(opened.as_deref(), Ok(b"secret".as_slice()));
        }
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        let rust = RustCrypto::default();
        let crypto = CoreCrypto::new(&rust, &CoreRng::new([1; 32]));
        for public in [vec![0; 32], vec![9; 31], Vec::new()] {
            assert!(crypto.hpke_seal(CONFIG(), &public, b"", b"", b"x").is_err());
        }
    }

    #[test]
    fn what_comes_again_is_named_with_its_length() {
        for tbs in COMES_AGAIN {
            assert_eq!(usize::from(tbs[0]), tbs.len() - 1);
        }
    }

    #[test]
    fn clones_share_a_stream_and_splits_do_not() {
        let rng = CoreRng::new([3; 32]);
        let clone = rng.clone();
        assert_ne!(rng.random_array::<16>(), clone.random_array::<16>());
        let fresh = CoreRng::new([3; 32]);
        assert_ne!(fresh.split().below(u64::MAX), fresh.below(u64::MAX));
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.duration_below(Duration::ZERO), Duration::ZERO);
        assert!((0..100).all(|_| rng.below(3) < 3));
    }
}
