//! The phrase, the keys and secrets that come from it, and an installation's own key.
//!
//! ```text
//! 24 words ── entropy (32) ──┬─ "account root"    → seed of the root's Ed25519 key
//!                            ├─ "recovery secret" → recovery secret
//!                            └─ "recovery hpke"   → HPKE DeriveKeyPair → recovery key
//! ```
//!
//! The words' entropy has 256 bits already, so it enters HKDF as it is; BIP-39's seed, which
//! stretches weaker phrases and takes a passphrase, is not used.

use std::fmt;
use std::str::FromStr;

use bip39::{Language, Mnemonic};
use ed25519_dalek::{Signer as _, SigningKey};
use hpke::Serializable as _;
use hpke::kem::{Kem as _, X25519HkdfSha256};
use rand::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::kdf::{self, Label, label};
use crate::{AccountId, InstallationId, ed25519, verified};

/// Number of words of a phrase.
pub const PHRASE_WORDS: usize = 24;

/// An Ed25519 signature (RFC 8032).
pub type Signature = [u8; 64];

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 32 bytes, wiped when dropped, compared in constant time, never shown.
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// A fresh random one.
            pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
                let mut bytes = [0; 32];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// From a slice of exactly 32 bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret! {
    /// What finds an account's registration records and inbox. In the card; rotates.
    RegistrationSecret
}
secret! {
    /// What finds an account's recovery records. In the card; stays with the phrase.
    RecoverySecret
}
secret! {
    /// The one-time secret of a link request.
    LinkSecret
}

impl RegistrationSecret {
    /// What a rotate entry says of this secret: who holds the secret sees that it is the current
    /// one, and nobody learns it from the log.
    pub fn commitment(&self) -> [u8; 32] {
        kdf::hash(label::CARD_COMMITMENT, &[&self.0])
    }

    /// This secret, hidden from all but who knows `former`: `XOR KDF(former, "card update",
    /// commitment)`.
    pub fn masked(&self, former: &Self) -> [u8; 32] {
        mask(&self.0, former, &self.commitment())
    }

    /// The secret of this commitment out of what [`RegistrationSecret::masked`] gave; `None` where
    /// another one was masked, or by another one.
    pub fn unmasked(masked: &[u8; 32], former: &Self, commitment: &[u8; 32]) -> Option<Self> {
        let secret = Self(mask(masked, former, commitment));
        (secret.commitment() == *commitment).then_some(secret)
    }
}

fn mask(bytes: &[u8; 32], by: &RegistrationSecret, commitment: &[u8; 32]) -> [u8; 32] {
    let pad = kdf::derive::<32>(&by.0, label::CARD_UPDATE, commitment);
    std::array::from_fn(|at| bytes[at] ^ pad[at])
}

/// The phrase's HPKE public key, to which recovery records are sealed: DHKEM(X25519,
/// HKDF-SHA256), RFC 9180, section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryKey([u8; 32]);

impl RecoveryKey {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From a slice of exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A recovery phrase: 24 English words (BIP-39) for 32 random bytes. Shown once, kept nowhere.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Phrase {
    entropy: [u8; 32],
}

/// Why a text is not a recovery phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Not 24 words.
    #[error("a recovery phrase has {PHRASE_WORDS} words, this has {0}")]
    Count(usize),
    /// A word that is not in the list.
    #[error("word {0} is not in the word list")]
    Word(usize),
    /// All words are in the list, but they do not belong together.
    #[error("the words do not belong together: one of them is wrong, or their order")]
    Checksum,
}

impl Phrase {
    /// A fresh random phrase.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut entropy = [0; 32];
        rng.fill_bytes(&mut entropy);
        Self { entropy }
    }

    /// The phrase of these 32 bytes.
    pub const fn from_entropy(entropy: [u8; 32]) -> Self {
        Self { entropy }
    }

    /// Its words, in order.
    pub fn words(&self) -> Vec<&'static str> {
        self.mnemonic().words().collect()
    }

    /// The root key.
    pub fn root(&self) -> RootKey {
        RootKey(SigningKey::from_bytes(&kdf::derive(&self.entropy, label::ACCOUNT_ROOT, &[])))
    }

    /// The recovery secret.
    pub fn recovery_secret(&self) -> RecoverySecret {
        RecoverySecret(*kdf::derive(&self.entropy, label::RECOVERY_SECRET, &[]))
    }

    /// The input of HPKE's DeriveKeyPair (RFC 9180, section 7.1.3) for the recovery key.
    pub fn recovery_hpke_seed(&self) -> Zeroizing<[u8; 32]> {
        kdf::derive(&self.entropy, label::RECOVERY_HPKE, &[])
    }

    /// The recovery key, public part.
    pub fn recovery_key(&self) -> RecoveryKey {
        RecoveryKey(hpke_public(self.recovery_hpke_seed().as_slice()))
    }

    fn mnemonic(&self) -> Mnemonic {
        Mnemonic::from_entropy_in(Language::English, &self.entropy)
            .expect("32 bytes are one of the five lengths")
    }
}

impl FromStr for Phrase {
    type Err = PhraseError;

    /// Takes the words in any case, with any white space between them.
    fn from_str(text: &str) -> Result<Self, PhraseError> {
        let text = Zeroizing::new(text.to_lowercase());
        let count = text.split_whitespace().count();
        if count != PHRASE_WORDS {
            return Err(PhraseError::Count(count));
        }
        let mnemonic =
            Mnemonic::parse_in(Language::English, text.as_str()).map_err(|error| match error {
                bip39::Error::UnknownWord(index) => PhraseError::Word(index + 1),
                _ => PhraseError::Checksum,
            })?;
        let bytes = Zeroizing::new(mnemonic.to_entropy());
        let entropy = bytes.as_slice().try_into().map_err(|_| PhraseError::Count(count))?;
        Ok(Self { entropy })
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(..)")
    }
}

/// DHKEM(X25519, HKDF-SHA256).DeriveKeyPair, the public part.
fn hpke_public(seed: &[u8]) -> [u8; 32] {
    let (_, public) = X25519HkdfSha256::derive_keypair(seed);
    public.to_bytes().into()
}

/// The account's root key. It signs the log's first entry, then leaves memory.
#[derive(Clone)]
pub struct RootKey(SigningKey);

impl RootKey {
    /// The account that it is the root of.
    pub fn account(&self) -> AccountId {
        AccountId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` under the label's prefix.
    pub fn sign(&self, label: Label, message: &[u8]) -> Signature {
        sign(&self.0, label, message)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({})", self.account().short())
    }
}

/// An installation's signing key (Ed25519). It is never shared, and is its MLS signature key too.
#[derive(Clone)]
pub struct InstallationKey(SigningKey);

impl InstallationKey {
    /// A fresh random one.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        Self::from_bytes(&seed)
    }

    /// From its 32-byte seed (RFC 8032, section 5.1.5).
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its 32-byte seed.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The installation's name: the public key.
    pub fn id(&self) -> InstallationId {
        InstallationId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` under the label's prefix.
    pub fn sign(&self, label: Label, message: &[u8]) -> Signature {
        sign(&self.0, label, message)
    }

    /// Signs what MLS asks it to, which has MLS's own labels before it.
    pub(crate) fn sign_for_mls(&self, payload: &[u8]) -> Signature {
        self.0.sign(payload).to_bytes()
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationKey({})", self.id().short())
    }
}

fn sign(key: &SigningKey, label: Label, message: &[u8]) -> Signature {
    key.sign(&signed_bytes(label, message)).to_bytes()
}

/// Whether `signature` is one by `public` over `message` under the label's prefix. Strict: public
/// keys of small order and signatures that a stranger could have changed are refused.
#[must_use]
pub fn verify(public: &[u8; 32], label: Label, message: &[u8], signature: &[u8]) -> bool {
    ed25519::holds(public, &signed_bytes(label, message), signature)
}

/// [`verify`] for what comes by again and again.
pub(crate) fn verify_again(
    public: &[u8; 32],
    label: Label,
    message: &[u8],
    signature: &[u8],
) -> bool {
    verified::holds(label.as_str(), public, message, signature, || {
        verify(public, label, message, signature)
    })
}

/// Whether these bytes are a public key under which [`verify`] can hold.
#[must_use]
pub fn is_public_key(public: &[u8; 32]) -> bool {
    ed25519::is_public_key(public)
}

fn signed_bytes(label: Label, message: &[u8]) -> Vec<u8> {
    let mut bytes = label.prefix();
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn phrases_parse_as_people_type_them() {
        let phrase = Phrase::from_entropy([0; 32]);
        let words = phrase.words();
        // BIP-39, test vectors: 32 zero bytes.
        assert_eq!(words[..23], ["abandon"; 23]);
        assert_eq!(words[23], "art");
        let typed = format!("  {}\n", words.join("  ").to_uppercase());
        assert_eq!(typed.parse(), Ok(phrase));
        assert_eq!("abandon art".parse::<Phrase>(), Err(PhraseError::Count(2)));
        let wrong = words.join(" ").replace("art", "artt");
        assert_eq!(wrong.parse::<Phrase>(), Err(PhraseError::Word(24)));
        let wrong = words.join(" ").replace("art", "abandon");
        assert_eq!(wrong.parse::<Phrase>(), Err(PhraseError::Checksum));
    }

    #[test]
    fn hpke_key_pair_is_rfc_9180s() {
        // RFC 9180, appendix A.1.1: ikmE and pkEm of DHKEM(X25519, HKDF-SHA256).
        let seed = HEXLOWER
            .decode(b"7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234")
            .expect("hex");
        let public = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431";
        assert_eq!(HEXLOWER.encode(&hpke_public(&seed)), public);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let phrase = Phrase::from_entropy([1; 32]);
        assert_eq!(format!("{phrase:?}"), "Phrase(..)");
        assert_eq!(format!("{:?}", phrase.recovery_secret()), "RecoverySecret(..)");
        let key = InstallationKey::from_bytes(&[1; 32]);
        assert_eq!(format!("{key:?}"), format!("InstallationKey({})", key.id().short()));
    }

    #[test]
    fn a_new_secret_is_shown_to_who_has_the_former_one() {
        let [former, new, other] = [1, 2, 3].map(|n| RegistrationSecret::from_bytes([n; 32]));
        let masked = new.masked(&former);
        let said = new.commitment();
        assert_eq!(RegistrationSecret::unmasked(&masked, &former, &said), Some(new));
        assert_eq!(RegistrationSecret::unmasked(&masked, &other, &said), None);
        assert_eq!(RegistrationSecret::unmasked(&masked, &former, &other.commitment()), None);
        let mut changed = masked;
        changed[7] ^= 1;
        assert_eq!(RegistrationSecret::unmasked(&changed, &former, &said), None);
    }

    #[test]
    fn keys_of_small_order_are_none() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(!is_public_key(&identity));
        assert!(is_public_key(InstallationKey::from_bytes(&[1; 32]).id().as_bytes()));
    }

    proptest! {
        #[test]
        fn phrases_round_trip(entropy: [u8; 32]) {
            let phrase = Phrase::from_entropy(entropy);
            prop_assert_eq!(phrase.words().join(" ").parse(), Ok(phrase));
        }

        #[test]
        fn signatures_hold_for_one_label_key_and_message(
            seed: [u8; 32],
            message in proptest::collection::vec(any::<u8>(), 0..100),
            at in 0..64_usize,
            bit in 0..8_u32,
        ) {
            let key = InstallationKey::from_bytes(&seed);
            let public = *key.id().as_bytes();
            let mut signature = key.sign(label::LINK_STEP, &message);
            prop_assert!(verify(&public, label::LINK_STEP, &message, &signature));
            prop_assert!(!verify(&public, label::LOG_ENTRY, &message, &signature));
            prop_assert!(!verify(&public, label::LINK_STEP, &[&message[..], b"x"].concat(), &signature));
            prop_assert!(!verify(&public, label::LINK_STEP, &message, &signature[..63]));
            signature[at] ^= 1 << bit;
            prop_assert!(!verify(&public, label::LINK_STEP, &message, &signature));
        }
    }
}
