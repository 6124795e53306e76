//! Linking: how an account takes in a further installation, once both sides show the same digits
//! ([`super::link_compare`]) and a person has said that they do.
//!
//! ```text
//! new                                   existing
//!  │ ◀──────── offer: account, log, add entry signed by the existing one
//!  │ answer: its signature under the add, its first key package ────────▶
//!  │ ◀──────── done: secrets, log with the add, key packages
//! ```
//!
//! Every step but the commitment is signed by its sender over the hash of the request and all steps
//! before, so a step of another linking, a repeated one or one out of order is refused. The functions
//! here keep nothing: they take the bytes of the earlier steps again, so a linking survives a restart
//! wherever those are kept.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::card::Card;
use super::entry::{AddProposal, Entry, EntryError, MOST_LIVE, SigningKey};
use super::keys::{InstallationKey, RecoveryKey, RecoverySecret, RegistrationSecret};
use super::link_compare::Compared;
use super::link_request::{LinkRequest, LinkStep};
use super::link_step::{Answer, Offer, open_step, sign_step, wipe};
use super::log::{EntryRefused, Inserted, Log, LogError};
use super::parts::PARCEL_BYTES;
use super::proto;
use super::proto::link_step_body::Content;
use super::record::{KEY_PACKAGE_BYTES, KeyPackages, decode_key_packages, encode_key_packages};
use crate::{AccountId, InstallationId, Timestamp};

/// What every installation of an account holds, besides its own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSecrets {
    /// Finds registration records and inbox.
    pub registration: RegistrationSecret,
    /// Finds recovery records.
    pub recovery: RecoverySecret,
    /// Seals to the phrase.
    pub recovery_key: RecoveryKey,
}

impl AccountSecrets {
    /// The account's contact card.
    pub fn card(&self, account: AccountId) -> Card {
        let (registration, recovery) = (self.registration.clone(), self.recovery.clone());
        Card { account, registration, recovery }
    }
}

/// Why a step of linking is refused, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not the protobuf message, a field of a wrong length, or another step.
    #[error("malformed, or another step")]
    Malformed,
    /// Over what a step can carry.
    #[error("{0} bytes, at most {PARCEL_BYTES}")]
    TooLarge(usize),
    /// It does not follow the request and the steps before.
    #[error("it belongs to another linking")]
    Transcript,
    /// What was revealed is not what was committed to.
    #[error("what it reveals is not what was committed to")]
    Commitment,
    /// Its signature does not hold, or its sender is another than before.
    #[error("its signature does not hold")]
    Signature,
    /// The account's key is unusable.
    #[error("its account key is not a usable Ed25519 public key")]
    Account,
    /// The log in it is not whole.
    #[error("its log: {0}")]
    Log(#[from] LogError),
    /// The add entry is not one.
    #[error("its add entry: {0}")]
    Entry(#[from] EntryError),
    /// The add entry names somebody else, or does not go with the log.
    #[error("its add entry does not go with the request and the log")]
    Add,
    /// An installation that has to be live is not.
    #[error("installation {0} is not live in the account")]
    NotLive(InstallationId),
    /// The new installation is live already.
    #[error("installation {0} is live in the account already")]
    AlreadyLive(InstallationId),
    /// There are as many live installations as there can be.
    #[error("the account has {MOST_LIVE} live installations, the most there can be")]
    Full,
    /// A key package out of order, empty, too large, or of an installation that is not live.
    #[error("its key packages break the rules")]
    KeyPackages,
}

/// Starts linking on the new installation.
pub fn make_request(key: &InstallationKey, rng: &mut (impl CryptoRng + ?Sized)) -> LinkRequest {
    LinkRequest::new(key.id(), rng)
}

/// The offer of the existing installation with `key`: the bytes of [`LinkStep::Offer`].
pub fn make_offer(
    request: &LinkRequest,
    compared: &Compared,
    key: &InstallationKey,
    log: &Log,
    now: Timestamp,
) -> Result<Vec<u8>, LinkError> {
    may_offer(request, key.id(), log)?;
    if compared.by != key.id() {
        return Err(LinkError::Signature);
    }
    let signer = SigningKey::Installation(key);
    let parents = log.parents_for_new();
    let add = AddProposal::sign(log.account(), parents, request.installation(), signer, now)?;
    let (add_body, add_signature) = add.parts();
    let offer = proto::LinkOffer {
        account: log.account().as_bytes().to_vec(),
        log_entries: log.encoded_entries(),
        add_body: add_body.to_vec(),
        add_signature: add_signature.to_vec(),
    };
    sign_step(key, compared.transcript, Content::Offer(offer))
}

/// Whether installation `by` can take in the one that asks.
pub fn may_offer(request: &LinkRequest, by: InstallationId, log: &Log) -> Result<(), LinkError> {
    check_room(log, by, request.installation())
}

/// What the new installation knows after an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The account that it joins.
    pub account: AccountId,
    /// The installation that takes it in.
    pub by: InstallationId,
    /// The bytes of [`LinkStep::Answer`].
    pub answer: Vec<u8>,
}

/// The account that an offer is of, so that a key package for it can be made before answering.
pub fn offered(
    request: &LinkRequest,
    compared: &Compared,
    offer: &[u8],
) -> Result<AccountId, LinkError> {
    Ok(Offer::open(request, compared, offer)?.log.account())
}

/// Checks an offer and answers it, on the new installation with `key`.
pub fn answer_offer(
    request: &LinkRequest,
    compared: &Compared,
    key: &InstallationKey,
    offer: &[u8],
    key_package: Vec<u8>,
) -> Result<Answered, LinkError> {
    if !(1..=KEY_PACKAGE_BYTES).contains(&key_package.len()) {
        return Err(LinkError::KeyPackages);
    }
    let offer = Offer::open(request, compared, offer)?;
    check_room(&offer.log, offer.sender, request.installation())?;
    let join_signature = offer.add.join(key).to_vec();
    let answer = proto::LinkAnswer { join_signature, key_package };
    let answer = sign_step(key, offer.transcript, Content::Answer(answer))?;
    Ok(Answered { account: offer.log.account(), by: offer.sender, answer })
}

/// What the existing installation knows after an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Finished {
    /// The add entry.
    pub entry: Entry,
    /// The log with it.
    pub log: Log,
    /// The new installation's first key package.
    pub key_package: Vec<u8>,
    /// The bytes of [`LinkStep::Done`]; they hold the account's secrets.
    pub done: Zeroizing<Vec<u8>>,
}

/// Checks an answer to `offer`, on the existing installation with `key`. `log` is the log as it is
/// now, which may have grown since the offer.
#[allow(clippy::too_many_arguments)]
pub fn finish(
    request: &LinkRequest,
    compared: &Compared,
    key: &InstallationKey,
    offer: &[u8],
    answer: &[u8],
    log: &Log,
    secrets: &AccountSecrets,
    key_packages: &KeyPackages,
) -> Result<Finished, LinkError> {
    let offer = Offer::open(request, compared, offer)?;
    let answer = Answer::open(request, offer, answer)?;
    let mut log = log.clone();
    match log.insert(answer.entry.clone()) {
        Inserted::Applied | Inserted::Duplicate => {}
        Inserted::Waiting => return Err(LinkError::Add),
        Inserted::Refused(EntryRefused::NotLive) => return Err(LinkError::NotLive(key.id())),
        Inserted::Refused(_) => return Err(LinkError::Add),
    }
    let live = log.live();
    if !live.contains_key(&request.installation()) {
        return Err(LinkError::NotLive(request.installation()));
    }
    let known = key_packages.iter().filter(|(owner, _)| live.contains_key(owner));
    let done = proto::LinkDone {
        registration_secret: secrets.registration.as_bytes().to_vec(),
        recovery_secret: secrets.recovery.as_bytes().to_vec(),
        recovery_key: secrets.recovery_key.as_bytes().to_vec(),
        log_entries: log.encoded_entries(),
        key_packages: encode_key_packages(known),
    };
    let done = Zeroizing::new(sign_step(key, answer.transcript, Content::Done(done))?);
    Ok(Finished { entry: answer.entry, log, key_package: answer.key_package, done })
}

/// What the new installation has in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The account's log, with this installation live.
    pub log: Log,
    /// The account's secrets.
    pub secrets: AccountSecrets,
    /// Key packages of live installations, those that are known.
    pub key_packages: KeyPackages,
}

/// Checks what ends the linking, on the new installation.
pub fn accept_done(
    request: &LinkRequest,
    compared: &Compared,
    offer: &[u8],
    answer: &[u8],
    done: &[u8],
) -> Result<Linked, LinkError> {
    let offer = Offer::open(request, compared, offer)?;
    let (by, offered) = (offer.sender, offer.log.clone());
    let answer = Answer::open(request, offer, answer)?;
    let step = open_step(done, answer.transcript, LinkStep::Done)?;
    let Content::Done(mut done) = step.content else { return Err(LinkError::Malformed) };
    let secrets = decode_secrets(&done);
    wipe(&mut done);
    if step.sender != Some(by) {
        return Err(LinkError::Signature);
    }
    let log = Log::from_entries(offered.account(), &done.log_entries)?;
    if !log.covers(&offered) || !log.contains(&answer.entry.hash()) {
        return Err(LinkError::Add);
    }
    let live = log.live();
    if !live.contains_key(&request.installation()) {
        return Err(LinkError::NotLive(request.installation()));
    }
    let key_packages = decode_key_packages(done.key_packages)
        .filter(|packages| packages.keys().all(|owner| live.contains_key(owner)))
        .ok_or(LinkError::KeyPackages)?;
    Ok(Linked { log, secrets: secrets.ok_or(LinkError::Malformed)?, key_packages })
}

/// Whether `by` can take in `new`.
fn check_room(log: &Log, by: InstallationId, new: InstallationId) -> Result<(), LinkError> {
    let live = log.live();
    if !live.contains_key(&by) {
        return Err(LinkError::NotLive(by));
    }
    if live.contains_key(&new) {
        return Err(LinkError::AlreadyLive(new));
    }
    if live.len() >= MOST_LIVE {
        return Err(LinkError::Full);
    }
    Ok(())
}

fn decode_secrets(done: &proto::LinkDone) -> Option<AccountSecrets> {
    Some(AccountSecrets {
        registration: RegistrationSecret::from_slice(&done.registration_secret)?,
        recovery: RecoverySecret::from_slice(&done.recovery_secret)?,
        recovery_key: RecoveryKey::from_slice(&done.recovery_key)?,
    })
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
