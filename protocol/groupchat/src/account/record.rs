//! The registration record: through it an account's installations are found and invited.
//!
//! Each day one live installation signs it and publishes it as a parcel of four parts
//! ([`super::parts`]), on topics and under keys of that day. Readers hold the contact card.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message as _;
use rand::CryptoRng;
use waku_groupchat_waku::{ContentTopic, WakuMessage};

use super::card::Card;
use super::day::day_start;
use super::keys::{InstallationKey, RegistrationSecret, verify};
use super::log::{Log, LogError};
use super::parts::{Assembler, PARCEL_BYTES, PARTS, PartOutcome, PartPlaces, PartRefused};
use super::proto;
use crate::kdf::label;
use crate::limits::RECORD_PERIODS;
use crate::seal::SealError;
use crate::{AccountId, InstallationId, Timestamp};

/// Most bytes of a key package.
pub const KEY_PACKAGE_BYTES: usize = 8 * 1024;

/// Key packages by installation, as bytes that MLS has yet to check.
pub type KeyPackages = BTreeMap<InstallationId, Vec<u8>>;

/// A record whose signature and fields were checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The account.
    pub account: AccountId,
    /// The UTC day it is for.
    pub day: u64,
    /// Who signed it; live in `log`.
    pub installation: InstallationId,
    /// When it stops being good, in whole seconds; at most [`RECORD_PERIODS`] days after its day.
    pub expiry: Timestamp,
    /// The whole account log, as its signer knew it.
    pub log: Log,
    /// At most one an installation, of live ones alone.
    pub key_packages: KeyPackages,
}

/// Why a record is not used, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not the protobuf message, or a field of a wrong length.
    #[error("malformed")]
    Malformed,
    /// Over the four parts.
    #[error("{0} bytes, at most {PARCEL_BYTES}")]
    TooLarge(usize),
    /// Of another account than the card's.
    #[error("it is of account {0}")]
    Account(AccountId),
    /// For another day than the one whose topics it came on.
    #[error("it is for day {0}")]
    Day(u64),
    /// No longer good.
    #[error("it expired")]
    Expired,
    /// Good for longer than records are.
    #[error("its expiry lies too far ahead")]
    Expiry,
    /// Its signature does not hold.
    #[error("its signature does not hold")]
    Signature,
    /// Its log is not whole.
    #[error("its log: {0}")]
    Log(#[from] LogError),
    /// Its heads are not those of its entries.
    #[error("its heads are not those of its entries")]
    Heads,
    /// It lacks entries that the reader holds.
    #[error("it lacks log entries that are known here")]
    Outdated,
    /// Its signer is not live.
    #[error("its signer {0} is not live")]
    NotLive(InstallationId),
    /// A key package out of order, empty, too large, or of an installation that is not live.
    #[error("its key packages break the rules")]
    KeyPackages,
}

impl Record {
    /// Signs a record: the bytes for [`seal_record`]. Key packages of installations that are not
    /// live are left out.
    ///
    /// # Errors
    /// Where readers would refuse it, whatever the time.
    pub fn sign(
        key: &InstallationKey,
        log: &Log,
        day: u64,
        key_packages: &KeyPackages,
        expiry: Timestamp,
    ) -> Result<Vec<u8>, RecordError> {
        let live = log.live();
        let body = proto::RecordBody {
            account: log.account().as_bytes().to_vec(),
            day,
            installation: key.id().as_bytes().to_vec(),
            heads: log.heads().iter().map(|h| h.as_bytes().to_vec()).collect(),
            log_entries: log.encoded_entries(),
            key_packages: encode_key_packages(
                key_packages.iter().filter(|(installation, _)| live.contains_key(installation)),
            ),
            expiry: expiry.as_secs(),
        }
        .encode_to_vec();
        let signature = key.sign(label::REGISTRATION_RECORD, &body).to_vec();
        let bytes = proto::Record { body, signature }.encode_to_vec();
        Self::verify(&bytes, log.account(), day, Some(log), Timestamp::ZERO)?;
        Ok(bytes)
    }

    /// Checks what [`Record::sign`] gave: of `account`, for `day`, with all entries of `known`, and
    /// not expired at `now`.
    pub fn verify(
        bytes: &[u8],
        account: AccountId,
        day: u64,
        known: Option<&Log>,
        now: Timestamp,
    ) -> Result<Self, RecordError> {
        if bytes.len() > PARCEL_BYTES {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        let record = proto::Record::decode(bytes).map_err(|_| RecordError::Malformed)?;
        let body = proto::RecordBody::decode(&*record.body).map_err(|_| RecordError::Malformed)?;
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
        if !verify(signer, label::REGISTRATION_RECORD, &record.body, &record.signature) {
            return Err(RecordError::Signature);
        }
        let log = checked_log(account, &body.heads, &body.log_entries, known)?;
        let live = log.live();
        if !live.contains_key(&installation) {
            return Err(RecordError::NotLive(installation));
        }
        let key_packages = decode_key_packages(body.key_packages)
            .filter(|packages| packages.keys().all(|owner| live.contains_key(owner)))
            .ok_or(RecordError::KeyPackages)?;
        Ok(Self { account, day, installation, expiry, log, key_packages })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (log, packages) = (&self.log, self.key_packages.len());
        write!(f, "Record(day {}, {log:?}, {packages} key packages)", self.day)
    }
}

pub(super) fn checked_expiry(
    expiry: u64,
    day: u64,
    now: Timestamp,
) -> Result<Timestamp, RecordError> {
    let expiry = Timestamp::from_secs(expiry);
    if expiry <= now {
        return Err(RecordError::Expired);
    }
    if expiry > day_start(day.saturating_add(1 + RECORD_PERIODS)) {
        return Err(RecordError::Expiry);
    }
    Ok(expiry)
}

pub(super) fn checked_log(
    account: AccountId,
    named: &[Vec<u8>],
    entries: &[Vec<u8>],
    known: Option<&Log>,
) -> Result<Log, RecordError> {
    let log = Log::from_entries(account, entries)?;
    let heads = log.heads();
    if !heads.iter().map(|h| h.as_bytes().as_slice()).eq(named.iter().map(Vec::as_slice)) {
        return Err(RecordError::Heads);
    }
    if known.is_some_and(|known| !log.covers(known)) {
        return Err(RecordError::Outdated);
    }
    Ok(log)
}

pub(super) fn encode_key_packages<'k>(
    packages: impl Iterator<Item = (&'k InstallationId, &'k Vec<u8>)>,
) -> Vec<proto::KeyPackage> {
    packages
        .map(|(installation, key_package)| proto::KeyPackage {
            installation: installation.as_bytes().to_vec(),
            key_package: key_package.clone(),
        })
        .collect()
}

/// Ascending by installation, none twice, none empty or too large.
pub(super) fn decode_key_packages(packages: Vec<proto::KeyPackage>) -> Option<KeyPackages> {
    let ascending = packages.windows(2).all(|p| p[0].installation < p[1].installation);
    let packages = packages.into_iter().map(|package| {
        let fits = (1..=KEY_PACKAGE_BYTES).contains(&package.key_package.len());
        let installation = InstallationId::from_slice(&package.installation)?;
        fits.then_some((installation, package.key_package))
    });
    if ascending { packages.collect() } else { None }
}

/// The topics of an account's record on a day, in the order of the parts.
pub fn record_topics(secret: &RegistrationSecret, day: u64) -> [ContentTopic; PARTS] {
    record_places(secret, day).topics().clone()
}

/// Seals what [`Record::sign`] gave into its four parts; each leaves at a time of its own.
pub fn seal_record(
    secret: &RegistrationSecret,
    day: u64,
    record: &[u8],
    timestamps: [Timestamp; PARTS],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<[WakuMessage; PARTS], SealError> {
    record_places(secret, day).seal_all(record, timestamps, rng)
}

fn record_places(secret: &RegistrationSecret, day: u64) -> PartPlaces {
    let (topic, key) = (label::REGISTRATION_TOPIC, label::REGISTRATION_KEY);
    PartPlaces::derive(secret.as_bytes(), topic, key, &day.to_be_bytes())
}

/// What became of a message that may be a part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// On none of the topics.
    NotOurs,
    /// Taken; no record is whole yet.
    Taken,
    /// It was here before.
    Duplicate,
    /// A whole, checked record.
    Record(Box<Record>),
    /// It is not a part.
    RefusedPart(PartRefused),
    /// A whole record that is not used.
    Refused(RecordError),
}

/// Puts one account's records of one day together, and checks them.
pub struct RecordAssembler {
    account: AccountId,
    day: u64,
    parts: Assembler,
}

impl RecordAssembler {
    /// For the card's account and this day.
    pub fn new(card: &Card, day: u64) -> Self {
        let parts = Assembler::new(record_places(&card.registration, day));
        Self { account: card.account, day, parts }
    }

    /// The topics it listens on.
    pub fn topics(&self) -> &[ContentTopic; PARTS] {
        self.parts.topics()
    }

    /// Takes in a message. `known` is what the reader holds of the account's log: a record that
    /// lacks some of it is refused. Of several records of a day, all are given.
    pub fn push(
        &mut self,
        message: &WakuMessage,
        known: Option<&Log>,
        now: Timestamp,
    ) -> RecordOutcome {
        match self.parts.push(message) {
            PartOutcome::NotOurs => RecordOutcome::NotOurs,
            PartOutcome::Taken => RecordOutcome::Taken,
            PartOutcome::Duplicate => RecordOutcome::Duplicate,
            PartOutcome::Refused(reason) => RecordOutcome::RefusedPart(reason),
            PartOutcome::Whole(bytes) => {
                match Record::verify(&bytes, self.account, self.day, known, now) {
                    Ok(record) => RecordOutcome::Record(Box::new(record)),
                    Err(reason) => RecordOutcome::Refused(reason),
                }
            }
        }
    }
}

impl fmt::Debug for RecordAssembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordAssembler({}, day {})", self.account.short(), self.day)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
