//! The link request: what a new installation shows, and the topics and keys that come from it.
//!
//! ```text
//! text  = bech32m, prefix "wgcl"                      115 characters
//! bytes = version (1) = 1 ‖ new installation's public key (32) ‖ one-time secret (32)
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::CryptoRng;
use waku_groupchat_waku::{ContentTopic, WakuMessage};
use zeroize::Zeroizing;

use super::keys::{LinkSecret, is_public_key};
use super::parts::{Assembler, PARTS, PartOutcome, PartPlaces};
use super::text::{self, TextError};
use crate::kdf::label;
use crate::seal::SealError;
use crate::{InstallationId, Timestamp};

/// How long a request is good; one try each.
pub const LINK_REQUEST_LIFE: Duration = Duration::from_secs(300);

const PREFIX: &str = "wgcl";
const VERSION: u8 = 1;
const BYTES: usize = 1 + 2 * 32;

/// A new installation's wish to be taken into an account.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkRequest {
    installation: InstallationId,
    secret: LinkSecret,
}

/// Why a text is not a link request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkRequestError {
    /// It does not start with `wgcl1`.
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
    /// Its installation is no Ed25519 public key, or one of small order.
    #[error("its installation key is not a usable Ed25519 public key")]
    Key,
}

impl From<TextError> for LinkRequestError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Prefix => Self::Prefix,
            TextError::Mistyped => Self::Mistyped,
        }
    }
}

/// A step of linking, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkStep {
    /// Existing to new: I accept, and have chosen what I will reveal.
    Commitment = 1,
    /// New to existing: a random number.
    Nonce = 2,
    /// Existing to new: what was committed to.
    Reveal = 3,
    /// Existing to new: join this account.
    Offer = 4,
    /// New to existing: I join.
    Answer = 5,
    /// Existing to new: you are in, and this is what an installation holds.
    Done = 6,
}

impl LinkStep {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::Commitment, Self::Nonce, Self::Reveal, Self::Offer, Self::Answer, Self::Done];

    /// Its number, which enters topics, keys and transcript.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl LinkRequest {
    /// A fresh request of the installation with this key.
    pub fn new(installation: InstallationId, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { installation, secret: LinkSecret::generate(rng) }
    }

    /// The installation that wants in.
    pub fn installation(&self) -> InstallationId {
        self.installation
    }

    /// The topics of a step, in the order of the parts.
    pub fn topics(&self, step: LinkStep) -> [ContentTopic; PARTS] {
        self.places(step).topics().clone()
    }

    /// Seals a step into as many parts as it needs; nearly always one.
    pub fn seal(
        &self,
        step: LinkStep,
        bytes: &[u8],
        timestamp: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<WakuMessage>, SealError> {
        self.places(step).seal_needed(bytes, timestamp, rng)
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.installation.as_bytes());
        bytes.extend_from_slice(self.secret.as_bytes());
        bytes
    }

    fn places(&self, step: LinkStep) -> PartPlaces {
        let (topic, key) = (label::LINK_TOPIC, label::LINK_KEY);
        PartPlaces::derive(self.secret.as_bytes(), topic, key, &[step.number()])
    }
}

impl FromStr for LinkRequest {
    type Err = LinkRequestError;

    fn from_str(text: &str) -> Result<Self, LinkRequestError> {
        let bytes = text::decode(PREFIX, text)?;
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => return Err(LinkRequestError::Version(*version)),
            None => return Err(LinkRequestError::Length(0)),
        }
        let wrong_length = || LinkRequestError::Length(bytes.len());
        let (installation, secret) = bytes[1..].split_first_chunk().ok_or_else(wrong_length)?;
        let secret = LinkSecret::from_slice(secret).ok_or_else(wrong_length)?;
        if !is_public_key(installation) {
            return Err(LinkRequestError::Key);
        }
        Ok(Self { installation: InstallationId::from_bytes(*installation), secret })
    }
}

impl fmt::Display for LinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode(PREFIX, &self.to_bytes()))
    }
}

impl fmt::Debug for LinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkRequest({}, ..)", self.installation.short())
    }
}

/// Puts the bytes of one step together from its parts.
pub struct LinkAssembler {
    step: LinkStep,
    parts: Assembler,
}

impl LinkAssembler {
    /// For a step after this request.
    pub fn new(request: &LinkRequest, step: LinkStep) -> Self {
        Self { step, parts: Assembler::new(request.places(step)) }
    }

    /// The topics it listens on.
    pub fn topics(&self) -> &[ContentTopic; PARTS] {
        self.parts.topics()
    }

    /// Takes in a message; [`PartOutcome::Whole`] has the bytes of a step, not yet checked.
    pub fn push(&mut self, message: &WakuMessage) -> PartOutcome {
        self.parts.push(message)
    }
}

impl fmt::Debug for LinkAssembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkAssembler({:?})", self.step)
    }
}
