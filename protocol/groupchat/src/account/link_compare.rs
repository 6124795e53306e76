//! The first half of linking: both sides come to show the same digits.
//!
//! ```text
//! new                                   existing
//!  │ request text, shown to a person ────▶ │
//!  │ ◀──── commitment: hash(opening)       │  opening = its key ‖ 32 random bytes
//!  │ nonce ─────────────────────────────▶  │
//!  │ ◀──── reveal: opening                 │
//!  │ digits = hash(transcript so far ‖ opening), on both
//! ```
//!
//! Whoever stands between the two takes part in two linkings, and has to bring both to the same
//! digits. On the accepting side it is bound by its commitment before it sees the nonce; on the
//! asking side it gives its nonce before it sees the opening. Either way it fixes its own part of
//! the digits blindly, so each try has one chance in 100,000,000, and there is one try a request.
//! Everything that the opening does not fix stands in the transcript before it is shown, so no
//! encoding of a later step moves the digits.

use std::fmt;
use std::str::FromStr;

use rand::CryptoRng;
use subtle::ConstantTimeEq as _;

use super::keys::InstallationKey;
use super::link::LinkError;
use super::link_request::{LinkRequest, LinkStep};
use super::link_step::{Transcript, open_step, sign_step, unsigned_step};
use super::proto;
use super::proto::link_step_body::Content;
use crate::InstallationId;
use crate::kdf::{self, label};

/// How many digits are compared.
pub const CHECK_DIGITS: usize = 8;
/// One more than the highest number that they show.
const DIGITS_BELOW: u64 = 10_u64.pow(CHECK_DIGITS as u32);

/// What both sides of a linking show, for people to compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CheckDigits(u64);

/// A text that is not [`CHECK_DIGITS`] digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{CHECK_DIGITS} digits are compared")]
pub struct CheckDigitsError;

impl fmt::Display for CheckDigits {
    /// Two halves with a space between: `0123 4567`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04} {:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

impl fmt::Debug for CheckDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckDigits(..)")
    }
}

impl FromStr for CheckDigits {
    type Err = CheckDigitsError;

    /// Takes the digits with spaces or dashes between them, or without.
    fn from_str(text: &str) -> Result<Self, CheckDigitsError> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let good = digits.len() == CHECK_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| good).map(Self).ok_or(CheckDigitsError)
    }
}

/// What the accepting side reveals after it has the nonce: its key and 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkOpening([u8; 64]);

impl LinkOpening {
    /// A fresh one of the installation with this key.
    pub fn new(installation: InstallationId, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut random = [0; 32];
        rng.fill_bytes(&mut random);
        Self::from_parts(installation, random)
    }

    /// From the key and the random bytes.
    pub fn from_parts(installation: InstallationId, random: [u8; 32]) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(installation.as_bytes());
        bytes[32..].copy_from_slice(&random);
        Self(bytes)
    }

    /// The random bytes, to keep.
    pub fn random(&self) -> [u8; 32] {
        std::array::from_fn(|i| self.0[32 + i])
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn installation(&self) -> InstallationId {
        InstallationId::from_bytes(std::array::from_fn(|i| self.0[i]))
    }

    fn commitment(&self) -> [u8; 32] {
        kdf::hash(label::LINK_COMMITMENT, &[&self.0])
    }
}

impl fmt::Debug for LinkOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkOpening(..)")
    }
}

/// The bytes of [`LinkStep::Commitment`].
pub fn make_commitment(request: &LinkRequest, opening: &LinkOpening) -> Vec<u8> {
    let commitment = opening.commitment().to_vec();
    let content = Content::Commitment(proto::LinkCommitment { commitment });
    unsigned_step(Transcript::new(request), content)
}

/// Checks a commitment and answers it with a random number, on the new installation with `key`:
/// the bytes of [`LinkStep::Nonce`].
pub fn make_nonce(
    request: &LinkRequest,
    key: &InstallationKey,
    commitment: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, LinkError> {
    let committed = Committed::open(request, commitment)?;
    let mut nonce = vec![0; 32];
    rng.fill_bytes(&mut nonce);
    sign_step(key, committed.transcript, Content::Nonce(proto::LinkNonce { nonce }))
}

/// Checks a nonce and reveals what was committed to, on the existing installation with `key`: the
/// bytes of [`LinkStep::Reveal`].
pub fn make_reveal(
    request: &LinkRequest,
    key: &InstallationKey,
    commitment: &[u8],
    nonce: &[u8],
    opening: &LinkOpening,
) -> Result<Vec<u8>, LinkError> {
    let committed = Committed::open(request, commitment)?;
    let transcript = committed.with_nonce(request, nonce)?;
    let opening = opening.0.to_vec();
    sign_step(key, transcript, Content::Reveal(proto::LinkReveal { opening }))
}

/// A linking whose digits can be compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Compared {
    /// The installation that accepted the request.
    pub by: InstallationId,
    /// What both sides show.
    pub digits: CheckDigits,
    pub(super) transcript: Transcript,
}

impl Compared {
    /// From the first three steps, checked again; the same on both sides.
    ///
    /// # Errors
    /// Where a step is not the one that follows, or the opening is not what was committed to.
    pub fn open(
        request: &LinkRequest,
        commitment: &[u8],
        nonce: &[u8],
        reveal: &[u8],
    ) -> Result<Self, LinkError> {
        let committed = Committed::open(request, commitment)?;
        let transcript = committed.with_nonce(request, nonce)?;
        let step = open_step(reveal, transcript, LinkStep::Reveal)?;
        let Content::Reveal(reveal) = step.content else { return Err(LinkError::Malformed) };
        let opening = LinkOpening::from_slice(&reveal.opening).ok_or(LinkError::Malformed)?;
        if !bool::from(opening.commitment().ct_eq(&committed.commitment)) {
            return Err(LinkError::Commitment);
        }
        let by = opening.installation();
        if step.sender != Some(by) {
            return Err(LinkError::Signature);
        }
        let digits = digits(transcript, &opening);
        Ok(Self { by, digits, transcript: step.transcript })
    }
}

impl fmt::Debug for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compared(by {})", self.by.short())
    }
}

/// The transcript ends with the nonce, so that nothing but the opening is added after it.
fn digits(transcript: Transcript, opening: &LinkOpening) -> CheckDigits {
    let hash = kdf::hash(label::LINK_DIGITS, &[transcript.as_bytes(), &opening.0]);
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    CheckDigits(u64::from_be_bytes(first) % DIGITS_BELOW)
}

struct Committed {
    commitment: [u8; 32],
    transcript: Transcript,
}

impl Committed {
    fn open(request: &LinkRequest, bytes: &[u8]) -> Result<Self, LinkError> {
        let step = open_step(bytes, Transcript::new(request), LinkStep::Commitment)?;
        let Content::Commitment(content) = step.content else { return Err(LinkError::Malformed) };
        let commitment = content.commitment.try_into().map_err(|_| LinkError::Malformed)?;
        Ok(Self { commitment, transcript: step.transcript })
    }

    /// The transcript with the nonce, if the asking installation signed that.
    fn with_nonce(&self, request: &LinkRequest, nonce: &[u8]) -> Result<Transcript, LinkError> {
        let step = open_step(nonce, self.transcript, LinkStep::Nonce)?;
        let Content::Nonce(content) = step.content else { return Err(LinkError::Malformed) };
        if step.sender != Some(request.installation()) {
            return Err(LinkError::Signature);
        }
        if content.nonce.len() != 32 {
            return Err(LinkError::Malformed);
        }
        Ok(step.transcript)
    }
}

#[cfg(test)]
#[path = "link_compare_tests.rs"]
mod tests;
