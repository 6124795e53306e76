//! Tests of recovery records.

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::account::{Entry, day_start};

const DAY: u64 = 20_454;
const NOW: Timestamp = day_start(DAY);
const EXPIRY: Timestamp = day_start(DAY + 30);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([9; 32])
}

fn phrase() -> Phrase {
    Phrase::from_entropy([1; 32])
}

fn device(number: u8) -> InstallationKey {
    InstallationKey::from_bytes(&[100 + number; 32])
}

fn log() -> Log {
    let root = phrase().root();
    let mut log = Log::new(root.account());
    log.insert(Entry::create(&root, &device(0), NOW));
    log
}

fn content(groups: usize) -> RecoveryContent {
    let group = |n: usize| RecoveryGroup {
        group: GroupId::from_bytes([n as u8; 16]),
        state: [n as u8; 32],
        secret: Zeroizing::new([7; 32]),
        known: vec![[n as u8; KNOWN_BYTES]; 3],
    };
    let registration = RegistrationSecret::from_bytes([5; 32]);
    RecoveryContent { registration, groups: (0..groups).map(group).collect() }
}

fn signed(log: &Log, content: &RecoveryContent) -> (Vec<u8>, usize) {
    let to = phrase().recovery_key();
    RecoveryRecord::sign(&device(0), log, DAY, (&to, content), EXPIRY, &mut rng()).expect("good")
}

fn body_of(record: &[u8]) -> proto::RecoveryBody {
    let record = proto::RecoveryRecord::decode(record).expect("ours");
    proto::RecoveryBody::decode(&*record.body).expect("ours")
}

fn again(key: &InstallationKey, body: &proto::RecoveryBody) -> Vec<u8> {
    let body = body.encode_to_vec();
    let signature = key.sign(label::RECOVERY_RECORD, &body).to_vec();
    proto::RecoveryRecord { body, signature }.encode_to_vec()
}

#[test]
fn who_has_the_phrase_reads_all_of_it_and_who_has_the_card_the_log() {
    let (log, content) = (log(), content(3));
    let (record, groups) = signed(&log, &content);
    assert_eq!(groups, 3);
    let secret = phrase().recovery_secret();
    let messages = seal_recovery(&secret, DAY, &record, [NOW; PARTS], &mut rng()).expect("fits");
    assert!(messages.iter().all(|message| message.payload.len() == 16_384));
    assert_eq!(messages.each_ref().map(|m| m.content_topic.clone()), recovery_topics(&secret, DAY));
    let mut assembler = RecoveryAssembler::of(log.account(), &secret, DAY);
    let RecoveryOutcome::Record(found) = assembler.push(&messages[0], NOW) else {
        panic!("a record")
    };
    assert_eq!((found.account, &found.log), (log.account(), &log));
    assert_eq!(found.open(&phrase()), Some(content));
    assert_eq!(found.open(&Phrase::from_entropy([2; 32])), None);
    let mut tomorrow = RecoveryAssembler::of(log.account(), &secret, DAY + 1);
    assert_eq!(tomorrow.push(&messages[0], NOW), RecoveryOutcome::NotOurs);
    assert!(!format!("{found:?} {:?}", found.open(&phrase())).contains("5, 5"));
}

#[test]
fn what_was_sealed_for_another_day_does_not_open() {
    let (record, _) = signed(&log(), &content(1));
    let mut body = body_of(&record);
    body.day = DAY + 1;
    let lifted = again(&device(0), &body);
    let lifted = RecoveryRecord::verify(&lifted, log().account(), DAY + 1, NOW).expect("signed");
    assert_eq!(lifted.open(&phrase()), None);
}

#[test]
fn many_groups_are_left_out_where_they_do_not_fit() {
    let (record, groups) = signed(&log(), &content(1000));
    assert!(record.len() <= PARCEL_BYTES);
    let opened = RecoveryRecord::verify(&record, log().account(), DAY, NOW).expect("good");
    let opened = opened.open(&phrase()).expect("sealed to it");
    assert_eq!(opened.groups.len(), groups);
    assert!((300..1000).contains(&groups), "{groups}");
    assert_eq!(opened.groups[..], content(groups).groups[..]);
}

#[test]
fn each_fault_has_its_name() {
    let (record, _) = signed(&log(), &content(1));
    let account = log().account();
    let verify = |record: &[u8]| RecoveryRecord::verify(record, account, DAY, NOW).err();
    let changed = |change: &dyn Fn(&mut proto::RecoveryBody)| {
        let mut body = body_of(&record);
        change(&mut body);
        verify(&again(&device(0), &body))
    };
    let other = Phrase::from_entropy([2; 32]).root().account();
    assert_eq!(verify(&record), None);
    assert_eq!(verify(b"\xff"), Some(RecordError::Malformed));
    assert_eq!(changed(&|b| b.account = vec![1]), Some(RecordError::Malformed));
    let foreign = changed(&|b| b.account = other.as_bytes().to_vec());
    assert_eq!(foreign, Some(RecordError::Account(other)));
    assert_eq!(changed(&|b| b.day = 1), Some(RecordError::Day(1)));
    assert_eq!(changed(&|b| b.expiry = NOW.as_secs()), Some(RecordError::Expired));
    assert_eq!(changed(&|b| b.expiry = u64::MAX / 2_000_000_000), Some(RecordError::Expiry));
    assert_eq!(changed(&|b| b.heads.clear()), Some(RecordError::Heads));
    let unsigned = again(&device(1), &body_of(&record));
    assert_eq!(verify(&unsigned), Some(RecordError::Signature));
    let mut body = body_of(&record);
    body.installation = device(1).id().as_bytes().to_vec();
    let stranger = RecordError::NotLive(device(1).id());
    assert_eq!(verify(&again(&device(1), &body)), Some(stranger));
    assert!(matches!(changed(&|b| b.log_entries.push(vec![1])), Some(RecordError::Log(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let account = log().account();
        prop_assert!(RecoveryRecord::verify(&bytes, account, DAY, NOW).is_err());
        let mut body = body_of(&signed(&log(), &content(0)).0);
        body.sealed = bytes.clone();
        let record = RecoveryRecord::verify(&again(&device(0), &body), account, DAY, NOW);
        prop_assert!(record.expect("signed").open(&phrase()).is_none());
        let _ = RecoveryContent::decode(&bytes);
    }
}
