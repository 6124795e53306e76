//! The contact card: what one account gives another to be reachable.
//!
//! ```text
//! text  = bech32m, prefix "wgc"                       166 characters
//! bytes = version (1) = 1 ‖ root public key (32) ‖ registration secret (32) ‖ recovery secret (32)
//! ```
//!
//! Who holds it can find the account's records and invite it, so it is shown only where a person
//! asks for it; `Debug` names the account alone.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::keys::{RecoverySecret, RegistrationSecret, is_public_key};
use super::text::{self, TextError};
use crate::AccountId;

const PREFIX: &str = "wgc";
const VERSION: u8 = 1;
const BYTES: usize = 1 + 3 * 32;

/// A contact card.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    /// The account: its root's public key.
    pub account: AccountId,
    /// Finds its registration records and inbox.
    pub registration: RegistrationSecret,
    /// Finds its recovery records.
    pub recovery: RecoverySecret,
}

/// Why a text is not a contact card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// It does not start with `wgc1`.
    #[error("it does not start with {PREFIX}1, so it is something else or mistyped")]
    Prefix,
    /// Its checksum or its characters are wrong.
    #[error("it is mistyped or cut off: its checksum is wrong")]
    Mistyped,
    /// A version that is not known here.
    #[error("it is of version {0}; this program knows version {VERSION}")]
    Version(u8),
    /// The checksum holds, but it is too short or too long for its version.
    #[error("it holds {0} bytes, not {BYTES}")]
    Length(usize),
    /// Its root key is no Ed25519 public key, or one of small order.
    #[error("its account key is not a usable Ed25519 public key")]
    Key,
}

impl From<TextError> for CardError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Prefix => Self::Prefix,
            TextError::Mistyped => Self::Mistyped,
        }
    }
}

impl FromStr for Card {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let bytes = text::decode(PREFIX, text)?;
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => return Err(CardError::Version(*version)),
            None => return Err(CardError::Length(0)),
        }
        let wrong_length = || CardError::Length(bytes.len());
        let bytes: &[u8; BYTES] = bytes.as_slice().try_into().map_err(|_| wrong_length())?;
        let (root, rest) = bytes[1..].split_first_chunk().ok_or_else(wrong_length)?;
        let (registration, recovery) = rest.split_first_chunk().ok_or_else(wrong_length)?;
        if !is_public_key(root) {
            return Err(CardError::Key);
        }
        Ok(Self {
            account: AccountId::from_bytes(*root),
            registration: RegistrationSecret::from_bytes(*registration),
            recovery: RecoverySecret::from_slice(recovery).ok_or_else(wrong_length)?,
        })
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.account.as_bytes());
        bytes.extend_from_slice(self.registration.as_bytes());
        bytes.extend_from_slice(self.recovery.as_bytes());
        f.write_str(&text::encode(PREFIX, &bytes))
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Card({}, ..)", self.account.short())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::account::Phrase;

    fn card(seed: [u8; 32]) -> Card {
        let phrase = Phrase::from_entropy(seed);
        Card {
            account: phrase.root().account(),
            registration: RegistrationSecret::from_bytes([7; 32]),
            recovery: phrase.recovery_secret(),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Card, CardError> {
        text::encode(PREFIX, bytes).parse()
    }

    #[test]
    fn each_fault_has_its_name() {
        let text = card([1; 32]).to_string();
        assert_eq!(text.len(), 166);
        assert!(text.starts_with("wgc1q"));
        assert_eq!("hello".parse::<Card>(), Err(CardError::Prefix));
        assert_eq!(text[..165].parse::<Card>(), Err(CardError::Mistyped));
        assert_eq!(parse(&[]), Err(CardError::Length(0)));
        assert_eq!(parse(&[2; BYTES]), Err(CardError::Version(2)));
        assert_eq!(parse(&[1; BYTES - 1]), Err(CardError::Length(BYTES - 1)));
        assert_eq!(parse(&[1; BYTES + 1]), Err(CardError::Length(BYTES + 1)));
        let mut weak = [0; BYTES];
        weak[0] = VERSION;
        assert_eq!(parse(&weak), Err(CardError::Key));
    }

    #[test]
    fn its_secrets_are_not_shown() {
        let card = card([1; 32]);
        assert_eq!(format!("{card:?}"), format!("Card({}, ..)", card.account.short()));
    }

    proptest! {
        #[test]
        fn round_trips(seed: [u8; 32]) {
            let card = card(seed);
            prop_assert_eq!(card.to_string().parse(), Ok(card.clone()));
            prop_assert_eq!(card.to_string().to_uppercase().parse(), Ok(card));
        }

        #[test]
        fn three_wrong_characters_are_noticed(
            seed: [u8; 32],
            wrong in proptest::collection::btree_map(4..166_usize, "[02-9ac-hj-np-z]", 1..=3),
        ) {
            let text = card(seed).to_string();
            let mut mistyped = text.clone();
            for (at, character) in wrong {
                mistyped.replace_range(at..=at, &character);
            }
            prop_assert!(mistyped == text || mistyped.parse::<Card>() == Err(CardError::Mistyped));
        }

        #[test]
        fn never_panics(text in "\\PC*", bytes in proptest::collection::vec(0..=255_u8, 0..120)) {
            let _ = text.parse::<Card>();
            let _ = parse(&bytes);
        }
    }
}
