//! The recovery record: from it, the phrase alone brings the account back, and who holds the card
//! learns of a root entry.
//!
//! It is published beside the registration record, in the same form and number of parts
//! ([`super::parts`]), on topics and under keys of the recovery secret, which stays as long as the
//! phrase does. What only the phrase may read is sealed to its HPKE key (RFC 9180, base mode):
//!
//! ```text
//! sealed = encapsulated key (32) ‖ AEAD(RecoveryContent) ‖ tag (16)
//! info   = "waku-groupchat/1 recovery content"
//! aad    = account (32) ‖ u64 day
//! ```

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use prost::Message as _;
use rand::CryptoRng;
use waku_groupchat_waku::{ContentTopic, WakuMessage};
use zeroize::{Zeroize as _, Zeroizing};

use super::card::Card;
use super::keys::{
    InstallationKey, Phrase, RecoveryKey, RecoverySecret, RegistrationSecret, verify,
};
use super::log::Log;
use super::parts::{Assembler, PARCEL_BYTES, PARTS, PartOutcome, PartPlaces, PartRefused};
use super::proto;
use super::record::{RecordError, checked_expiry, checked_log};
use crate::kdf::label;
use crate::seal::SealError;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// HPKE's info.
const INFO: &[u8] = b"waku-groupchat/1 recovery content";
/// Bytes of an encapsulated X25519 key, and of the tag.
const KEM_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Bytes of a record beside its log, its heads and what is sealed, at most.
const FRAME_BYTES: usize = 512;

/// Bytes of an account's id by which a record knows it.
pub const KNOWN_BYTES: usize = 8;

/// A group that the account is in, and what it takes to come back into it.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryGroup {
    /// The group.
    pub group: GroupId,
    /// The name of its newest state.
    pub state: [u8; 32],
    /// The secret of that state's topics for who cannot follow.
    pub secret: Zeroizing<[u8; 32]>,
    /// The first bytes of some accounts in it.
    pub known: Vec<[u8; KNOWN_BYTES]>,
}

impl fmt::Debug for RecoveryGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryGroup({}, {} accounts known)", self.group, self.known.len())
    }
}

/// What only the phrase reads of a recovery record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryContent {
    /// The registration secret of the card.
    pub registration: RegistrationSecret,
    /// The groups that the account is in, those first that count most.
    pub groups: Vec<RecoveryGroup>,
}

/// A recovery record whose signature and fields were checked.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryRecord {
    /// The account.
    pub account: AccountId,
    /// The UTC day it is for.
    pub day: u64,
    /// Who signed it; live in `log`.
    pub installation: InstallationId,
    /// When it stops being good, as in a registration record.
    pub expiry: Timestamp,
    /// The whole account log, as its signer knew it.
    pub log: Log,
    sealed: Vec<u8>,
}

impl RecoveryContent {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let group = |group: &RecoveryGroup| proto::RecoveryGroup {
            group: group.group.as_bytes().to_vec(),
            state: group.state.to_vec(),
            secret: group.secret.to_vec(),
            known: group.known.concat(),
        };
        let mut content = proto::RecoveryContent {
            registration_secret: self.registration.as_bytes().to_vec(),
            groups: self.groups.iter().map(group).collect(),
        };
        let bytes = Zeroizing::new(content.encode_to_vec());
        wipe(&mut content);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut content = proto::RecoveryContent::decode(bytes).ok()?;
        let group = |group: &proto::RecoveryGroup| {
            let (known, rest) = group.known.as_chunks::<KNOWN_BYTES>();
            let group = RecoveryGroup {
                group: GroupId::from_slice(&group.group)?,
                state: group.state.as_slice().try_into().ok()?,
                secret: Zeroizing::new(group.secret.as_slice().try_into().ok()?),
                known: known.to_vec(),
            };
            rest.is_empty().then_some(group)
        };
        let registration = RegistrationSecret::from_slice(&content.registration_secret);
        let groups: Option<Vec<RecoveryGroup>> = content.groups.iter().map(group).collect();
        wipe(&mut content);
        Some(Self { registration: registration?, groups: groups? })
    }

    /// The first groups of it that fit so many bytes.
    fn within(&self, bytes: usize) -> Self {
        let mut fitting = self.clone();
        while fitting.encode().len() > bytes && fitting.groups.pop().is_some() {}
        fitting
    }
}

fn wipe(content: &mut proto::RecoveryContent) {
    content.registration_secret.zeroize();
    content.groups.iter_mut().for_each(|group| group.secret.zeroize());
}

impl RecoveryRecord {
    /// Signs a record: the bytes for [`seal_recovery`]. Groups that do not fit, the last ones, are
    /// left out; how many are in it.
    ///
    /// # Errors
    /// Where readers would refuse it, whatever the time.
    pub fn sign(
        key: &InstallationKey,
        log: &Log,
        day: u64,
        (to, content): (&RecoveryKey, &RecoveryContent),
        expiry: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, usize), RecordError> {
        let heads: Vec<Vec<u8>> = log.heads().iter().map(|h| h.as_bytes().to_vec()).collect();
        let taken = log.encode().len() + heads.len() * (KEM_BYTES + 2) + FRAME_BYTES;
        let content = content.within(PARCEL_BYTES.saturating_sub(taken));
        let sealed = seal_content(to, &associated(log.account(), day), &content.encode(), rng)
            .ok_or(RecordError::Malformed)?;
        let body = proto::RecoveryBody {
            account: log.account().as_bytes().to_vec(),
            day,
            installation: key.id().as_bytes().to_vec(),
            heads,
            log_entries: log.encoded_entries(),
            sealed,
            expiry: expiry.as_secs(),
        }
        .encode_to_vec();
        let signature = key.sign(label::RECOVERY_RECORD, &body).to_vec();
        let bytes = proto::RecoveryRecord { body, signature }.encode_to_vec();
        Self::verify(&bytes, log.account(), day, Timestamp::ZERO)?;
        Ok((bytes, content.groups.len()))
    }

    /// Checks what [`RecoveryRecord::sign`] gave: of `account`, for `day`, and not expired at `now`.
    pub fn verify(
        bytes: &[u8],
        account: AccountId,
        day: u64,
        now: Timestamp,
    ) -> Result<Self, RecordError> {
        if bytes.len() > PARCEL_BYTES {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        let record = proto::RecoveryRecord::decode(bytes).map_err(|_| RecordError::Malformed)?;
        let body =
            proto::RecoveryBody::decode(&*record.body).map_err(|_| RecordError::Malformed)?;
        let claimed = AccountId::from_slice(&body.account).ok_or(RecordError::Malformed)?;
        if claimed != account {
            return Err(RecordError::Account(claimed));
        }
        if body.day != day {
            return Err(RecordError::Day(body.day));
        }
        let expiry = checked_expiry(body.expiry, day, now)?;
        let installation =
            InstallationId::from_slice(&body.installation).ok_or(RecordError::Malformed)?;
        let signer = installation.as_bytes();
        if !verify(signer, label::RECOVERY_RECORD, &record.body, &record.signature) {
            return Err(RecordError::Signature);
        }
        let log = checked_log(account, &body.heads, &body.log_entries, None)?;
        if !log.is_live(&installation) {
            return Err(RecordError::NotLive(installation));
        }
        Ok(Self { account, day, installation, expiry, log, sealed: body.sealed })
    }

    /// What is sealed to the phrase; `None` if it is sealed to another one, or is not what it should
    /// be.
    pub fn open(&self, phrase: &Phrase) -> Option<RecoveryContent> {
        let seed = phrase.recovery_hpke_seed();
        let (secret, _) = X25519HkdfSha256::derive_keypair(seed.as_slice());
        let (encapsulated, sealed) = self.sealed.split_at_checked(KEM_BYTES)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let content = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &encapsulated,
            INFO,
            sealed,
            &associated(self.account, self.day),
        );
        RecoveryContent::decode(&Zeroizing::new(content.ok()?))
    }
}

impl fmt::Debug for RecoveryRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryRecord(day {}, {:?})", self.day, self.log)
    }
}

fn associated(account: AccountId, day: u64) -> Vec<u8> {
    [account.as_bytes().as_slice(), &day.to_be_bytes()].concat()
}

fn seal_content(
    to: &RecoveryKey,
    associated: &[u8],
    content: &[u8],
    rng: &mut impl CryptoRng,
) -> Option<Vec<u8>> {
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.as_bytes()).ok()?;
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &key, INFO, content, associated, rng)
    .ok()?;
    let encapsulated = encapsulated.to_bytes();
    debug_assert_eq!(sealed.len(), content.len() + TAG_BYTES);
    Some([encapsulated.as_slice(), &sealed].concat())
}

/// The topics of an account's recovery record on a day, in the order of the parts.
pub fn recovery_topics(secret: &RecoverySecret, day: u64) -> [ContentTopic; PARTS] {
    places(secret, day).topics().clone()
}

/// Seals what [`RecoveryRecord::sign`] gave into its four parts; each leaves at a time of its own.
pub fn seal_recovery(
    secret: &RecoverySecret,
    day: u64,
    record: &[u8],
    timestamps: [Timestamp; PARTS],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<[WakuMessage; PARTS], SealError> {
    places(secret, day).seal_all(record, timestamps, rng)
}

fn places(secret: &RecoverySecret, day: u64) -> PartPlaces {
    let (topic, key) = (label::RECOVERY_TOPIC, label::RECOVERY_KEY);
    PartPlaces::derive(secret.as_bytes(), topic, key, &day.to_be_bytes())
}

/// What became of a message that may be a part of a recovery record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryOutcome {
    /// On none of the topics.
    NotOurs,
    /// Taken; no record is whole yet, or the part was here before.
    Taken,
    /// A whole, checked record.
    Record(Box<RecoveryRecord>),
    /// It is not a part.
    RefusedPart(PartRefused),
    /// A whole record that is not used.
    Refused(RecordError),
}

/// Puts one account's recovery records of one day together, and checks them.
pub struct RecoveryAssembler {
    account: AccountId,
    day: u64,
    parts: Assembler,
}

impl RecoveryAssembler {
    /// For the card's account and this day.
    pub fn new(card: &Card, day: u64) -> Self {
        Self::of(card.account, &card.recovery, day)
    }

    /// For this account, its recovery secret and this day.
    pub fn of(account: AccountId, secret: &RecoverySecret, day: u64) -> Self {
        Self { account, day, parts: Assembler::new(places(secret, day)) }
    }

    /// Takes in a message. Of several records of a day, all are given.
    pub fn push(&mut self, message: &WakuMessage, now: Timestamp) -> RecoveryOutcome {
        match self.parts.push(message) {
            PartOutcome::NotOurs => RecoveryOutcome::NotOurs,
            PartOutcome::Taken | PartOutcome::Duplicate => RecoveryOutcome::Taken,
            PartOutcome::Refused(reason) => RecoveryOutcome::RefusedPart(reason),
            PartOutcome::Whole(bytes) => {
                match RecoveryRecord::verify(&bytes, self.account, self.day, now) {
                    Ok(record) => RecoveryOutcome::Record(Box::new(record)),
                    Err(reason) => RecoveryOutcome::Refused(reason),
                }
            }
        }
    }
}

impl fmt::Debug for RecoveryAssembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryAssembler({}, day {})", self.account.short(), self.day)
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
