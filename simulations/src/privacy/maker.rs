//! Records by the hundred thousand: the core's own logs, records, parcels, seals and topics, and its
//! schedule written again, without the cores. For the question how many installations an account
//! has, where one record of an account says little about the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::Timestamp;
use waku_groupchat_core::account::{
    AddProposal, Entry, InstallationKey, KeyPackages, Log, PARTS, Phrase, Record as Signed,
    RecoveryContent, RecoveryRecord, RegistrationSecret, SigningKey, seal_record, seal_recovery,
};
use waku_groupchat_core::limits::{
    RECORD_PERIODS, RECORD_SPREAD, RECORD_WITHIN, TIMESTAMP_JITTER, TIMESTAMP_STEP,
};

use super::sight::{Record, Sight};
use crate::network::START;

const DAY: Duration = Duration::from_secs(86_400);
/// About what a key package of the core takes.
const PACKAGE: usize = 330;

/// An account whose records can be made for any day.
pub struct Maker {
    account: usize,
    key: InstallationKey,
    secret: RegistrationSecret,
    phrase: Phrase,
    log: Log,
    packages: KeyPackages,
}

impl Maker {
    /// An account with so many installations, 1 to 20.
    ///
    /// # Panics
    ///
    /// If its log is refused.
    pub fn new(account: usize, installations: usize, rng: &mut ChaCha20Rng) -> Self {
        let phrase = Phrase::generate(rng);
        let root = phrase.root();
        let key = InstallationKey::generate(rng);
        let mut log = Log::new(root.account());
        let insert = |log: &mut Log, entry: Entry| {
            let inserted = log.insert(entry);
            assert!(!format!("{inserted:?}").contains("Refused"), "{inserted:?}");
        };
        insert(&mut log, Entry::create(&root, &key, START));
        let mut packages = BTreeMap::from([(key.id(), bytes(PACKAGE, rng))]);
        for _ in 1..installations {
            let new = InstallationKey::generate(rng);
            let signer = SigningKey::Installation(&key);
            let parents = log.parents_for_new();
            let proposal = AddProposal::sign(root.account(), parents, new.id(), signer, START);
            let proposal = proposal.expect("an add");
            let join = proposal.join(&new);
            insert(&mut log, proposal.complete(join).expect("both signed"));
            packages.insert(new.id(), bytes(PACKAGE, rng));
        }
        assert_eq!(log.live().len(), installations);
        let secret = RegistrationSecret::generate(rng);
        Self { account, key, secret, phrase, log, packages }
    }

    /// Its registration and recovery records of a day, as they come to an observer.
    ///
    /// # Panics
    ///
    /// If the core refuses it.
    pub fn record(&self, day: u64, rng: &mut ChaCha20Rng) -> Record {
        let start = START + DAY * u32::try_from(day).expect("some years");
        let number = start.as_secs() / DAY.as_secs();
        let spread = DAY / RECORD_SPREAD;
        let begin = start + below(DAY / RECORD_WITHIN, rng);
        let expiry = begin + DAY * u32::try_from(RECORD_PERIODS).expect("a few");
        let signed = Signed::sign(&self.key, &self.log, number, &self.packages, expiry);
        let registration = self.secret.clone();
        let content = RecoveryContent { registration, groups: Vec::new() };
        let to = (&self.phrase.recovery_key(), &content);
        let recovery = RecoveryRecord::sign(&self.key, &self.log, number, to, expiry, rng);
        let mut times =
            || -> [Timestamp; PARTS] { std::array::from_fn(|_| begin + below(spread, rng)) };
        let leaves = [times(), times()];
        let [first, second] = leaves.map(|at| at.map(|at| rounded(at, rng)));
        let parts = seal_record(&self.secret, number, &signed.expect("a record"), first, rng);
        let (recovery, _) = recovery.expect("a record");
        let secret = self.phrase.recovery_secret();
        let others = seal_recovery(&secret, number, &recovery, second, rng);
        let parts = [parts.expect("four parts"), others.expect("four parts")];
        let mut sights: Vec<_> = leaves
            .into_iter()
            .flatten()
            .zip(parts.into_iter().flatten())
            .map(|(at, message)| {
                let way = Duration::from_millis(30) + below(Duration::from_millis(570), rng);
                Sight { came: at + way, message: Arc::new(message) }
            })
            .collect();
        sights.sort_by_key(|sight| sight.came);
        let installations = self.packages.len();
        Record { account: self.account, day, installations, recovery: false, sights }
    }
}

/// The core's timestamp: jittered, then rounded.
fn rounded(at: Timestamp, rng: &mut ChaCha20Rng) -> Timestamp {
    let shifted = (at + below(TIMESTAMP_JITTER * 2, rng)) - TIMESTAMP_JITTER;
    let step = u64::try_from(TIMESTAMP_STEP.as_nanos()).expect("seconds");
    Timestamp::from_nanos((shifted.as_nanos() + step / 2) / step * step)
}

fn below(most: Duration, rng: &mut ChaCha20Rng) -> Duration {
    Duration::from_nanos(rng.random_range(0..=most.as_nanos() as u64))
}

fn bytes(length: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}
