//! Tests of registration records.

use std::sync::LazyLock;

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use proptest::strategy::{Just, Strategy as _};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::account::{AddProposal, Entry, Phrase, SigningKey};

const DAY: u64 = 20_454;
const NOW: Timestamp = day_start(DAY);
const EXPIRY: Timestamp = day_start(DAY + 31);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([9; 32])
}

fn device(number: u8) -> InstallationKey {
    InstallationKey::from_bytes(&[100 + number; 32])
}

fn add(log: &mut Log, by: &InstallationKey, new: &InstallationKey) {
    let signer = SigningKey::Installation(by);
    let parents = log.parents_for_new();
    let proposal = AddProposal::sign(log.account(), parents, new.id(), signer, NOW);
    let proposal = proposal.expect("a good add");
    let join = proposal.join(new);
    log.insert(proposal.complete(join).expect("a good add"));
}

/// An account of `devices` devices, its card and its key packages of `bytes` bytes each.
fn account(devices: u8, bytes: usize) -> (Card, Log, KeyPackages) {
    let phrase = Phrase::from_entropy([1; 32]);
    let mut log = Log::new(phrase.root().account());
    log.insert(Entry::create(&phrase.root(), &device(0), NOW));
    for number in 1..devices {
        add(&mut log, &device(0), &device(number));
    }
    let registration = RegistrationSecret::from_bytes([7; 32]);
    let card = Card { account: log.account(), registration, recovery: phrase.recovery_secret() };
    let packages = (0..devices).map(|n| (device(n).id(), vec![n; bytes])).collect();
    (card, log, packages)
}

fn sealed(card: &Card, record: &[u8]) -> [WakuMessage; PARTS] {
    let times = [0, 1, 2, 3].map(Timestamp::from_secs);
    seal_record(&card.registration, DAY, record, times, &mut rng()).expect("fits")
}

/// Signs a body as it is.
fn signed(key: &InstallationKey, body: &proto::RecordBody) -> Vec<u8> {
    let body = body.encode_to_vec();
    let signature = key.sign(label::REGISTRATION_RECORD, &body).to_vec();
    proto::Record { body, signature }.encode_to_vec()
}

fn body_of(record: &[u8]) -> proto::RecordBody {
    let record = proto::Record::decode(record).expect("ours");
    proto::RecordBody::decode(&*record.body).expect("ours")
}

#[test]
fn a_card_holder_finds_all_installations() {
    let (card, log, packages) = account(3, 300);
    let record = Record::sign(&device(2), &log, DAY, &packages, EXPIRY).expect("good");
    let mut assembler = RecordAssembler::new(&card, DAY);
    let messages = sealed(&card, &record);
    assert_eq!(messages.each_ref().map(|m| m.content_topic.clone()), *assembler.topics());
    assert_eq!(record_topics(&card.registration, DAY), *assembler.topics());
    let found = assembler.push(&messages[0], None, NOW);
    let RecordOutcome::Record(found) = found else { panic!("{found:?}") };
    assert_eq!(found.installation, device(2).id());
    assert_eq!((&found.log, &found.key_packages, found.expiry), (&log, &packages, EXPIRY));
    assert_eq!(assembler.push(&messages[1], None, NOW), RecordOutcome::Taken);
    assert_eq!(assembler.push(&messages[0], None, NOW), RecordOutcome::Duplicate);
    let mut tomorrow = RecordAssembler::new(&card, DAY + 1);
    assert_eq!(tomorrow.push(&messages[0], None, NOW), RecordOutcome::NotOurs);
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let (card, log, packages) = account(2, 100);
    let record = Record::sign(&device(0), &log, DAY, &packages, EXPIRY).expect("good");
    let good = body_of(&record);
    let check = |change: &dyn Fn(&mut proto::RecordBody)| {
        let mut body = good.clone();
        change(&mut body);
        Record::verify(&signed(&device(0), &body), card.account, DAY, Some(&log), NOW)
            .expect_err("breaks a rule")
    };
    assert_eq!(check(&|b| b.day += 1), RecordError::Day(DAY + 1));
    let other = AccountId::from_bytes([3; 32]);
    let of_other = |b: &mut proto::RecordBody| b.account = other.as_bytes().to_vec();
    assert_eq!(check(&of_other), RecordError::Account(other));
    assert_eq!(check(&|b| b.expiry = NOW.as_secs()), RecordError::Expired);
    assert_eq!(check(&|b| b.expiry += 1), RecordError::Expiry);
    assert_eq!(check(&|b| b.heads.clear()), RecordError::Heads);
    assert_eq!(check(&|b| b.log_entries.reverse()), RecordError::Log(LogError::Parents));
    let twice = |b: &mut proto::RecordBody| b.log_entries.push(b.log_entries[0].clone());
    assert_eq!(check(&twice), RecordError::Log(LogError::Duplicate));
    assert_eq!(check(&|b| b.key_packages.reverse()), RecordError::KeyPackages);
    assert_eq!(check(&|b| b.key_packages[0].key_package.clear()), RecordError::KeyPackages);
    let large = |b: &mut proto::RecordBody| {
        b.key_packages[0].key_package = vec![0; KEY_PACKAGE_BYTES + 1];
    };
    assert_eq!(check(&large), RecordError::KeyPackages);
    let foreign = |b: &mut proto::RecordBody| b.key_packages[1].installation = vec![255; 32];
    assert_eq!(check(&foreign), RecordError::KeyPackages);
    let by_other = |b: &mut proto::RecordBody| {
        b.installation = device(1).id().as_bytes().to_vec();
    };
    assert_eq!(check(&by_other), RecordError::Signature);
}

#[test]
fn its_signer_must_be_live_and_its_log_not_behind() {
    let (card, log, packages) = account(1, 100);
    let mut body = body_of(&Record::sign(&device(0), &log, DAY, &packages, EXPIRY).expect("good"));
    body.installation = device(4).id().as_bytes().to_vec();
    let stranger = signed(&device(4), &body);
    let refused = Record::verify(&stranger, card.account, DAY, None, NOW);
    assert_eq!(refused, Err(RecordError::NotLive(device(4).id())));
    let refused = Record::sign(&device(4), &log, DAY, &packages, EXPIRY);
    assert_eq!(refused, Err(RecordError::NotLive(device(4).id())));

    let record = Record::sign(&device(0), &log, DAY, &packages, EXPIRY).expect("good");
    let mut known = log.clone();
    add(&mut known, &device(0), &device(1));
    let refused = Record::verify(&record, card.account, DAY, Some(&known), NOW);
    assert_eq!(refused, Err(RecordError::Outdated));
}

#[test]
fn too_large_a_record_is_not_made() {
    let (_, log, packages) = account(9, KEY_PACKAGE_BYTES);
    let refused = Record::sign(&device(0), &log, DAY, &packages, EXPIRY);
    assert!(matches!(refused, Err(RecordError::TooLarge(_))), "{refused:?}");
}

#[test]
fn key_packages_of_others_stay_out() {
    let (card, log, mut packages) = account(2, 100);
    packages.insert(device(9).id(), vec![0; 100]);
    let record = Record::sign(&device(0), &log, DAY, &packages, EXPIRY).expect("good");
    let record = Record::verify(&record, card.account, DAY, None, NOW).expect("good");
    assert_eq!(record.key_packages.len(), 2);
}

/// Two records of an account of 20 installations; with large key packages each needs all four parts.
static TWO_LARGE_RECORDS: LazyLock<(Card, Log, Vec<WakuMessage>)> = LazyLock::new(|| {
    let (card, log, packages) = account(20, 2_800);
    let records = [0, 1]
        .map(|n| Record::sign(&device(n), &log, DAY, &packages, EXPIRY).expect("good"))
        .map(|record| sealed(&card, &record));
    (card, log, records.concat())
});

proptest! {
    // Each moves half a megabyte.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn parts_come_in_any_order_and_of_two_records(
        order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (card, log, messages) = &*TWO_LARGE_RECORDS;
        let mut assembler = RecordAssembler::new(card, DAY);
        let mut found = Vec::new();
        for index in order {
            match assembler.push(&messages[index], Some(log), NOW) {
                RecordOutcome::Record(record) => found.push(record.installation),
                RecordOutcome::Taken => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        found.sort();
        let mut signers = vec![device(0).id(), device(1).id()];
        signers.sort();
        prop_assert_eq!(found, signers);
    }

    #[test]
    fn changed_bytes_are_refused(at: Index, bit in 0..8_u32) {
        let (card, log, packages) = account(2, 50);
        let mut record = Record::sign(&device(0), &log, DAY, &packages, EXPIRY).expect("good");
        let place = at.index(record.len());
        record[place] ^= 1 << bit;
        prop_assert!(Record::verify(&record, card.account, DAY, None, NOW).is_err());
        let mut messages = sealed(&card, &record);
        messages[0].payload[at.index(16_384)] ^= 1 << bit;
        let refused = RecordAssembler::new(&card, DAY).push(&messages[0], None, NOW);
        prop_assert!(matches!(refused, RecordOutcome::RefusedPart(_)));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (card, ..) = account(1, 1);
        let _ = Record::verify(&bytes, card.account, DAY, None, NOW);
        let message = &sealed(&card, &bytes)[0];
        RecordAssembler::new(&card, DAY).push(message, None, NOW);
    }
}
