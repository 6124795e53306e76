//! Decoders never panic: on random bytes, and on good ones that were changed.

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use proptest::sample::Index;
use proptest::strategy::{Just, Strategy};
use prost::Message;

use super::*;
use crate::account::InstallationKey;
use crate::core::agreed::{AUTHORITY, Agreed, LOG_DIGEST, PARAMETERS, PROFILE};
use crate::core::invite::SLOT_PLAIN_BYTES;
use crate::core::join::parse_slot;
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::group::tracker::Tracker;
use crate::proto::group as pb;

fn application() -> pb::Application {
    let key = InstallationKey::from_bytes(&[7; 32]);
    let core = MessageCore {
        group: GroupId::from_bytes([1; 16]),
        installation: key.id(),
        number: 2,
        previous: Some((crate::CoreHash::from_bytes([2; 32]), 3)),
        epoch: 4,
        time: Timestamp::from_secs(1_700_000_000),
        content: Content::Text("Grüezi 👋".to_owned()),
    };
    let signed = SignedCore::sign(&core, &key);
    let beyond = (1..4).map(|n| pb::Held { number: 10 * n, epoch: n }).collect();
    pb::Application {
        core: signed.bytes().to_vec(),
        signature: signed.signature().to_vec(),
        frontier: vec![pb::FrontierEntry { installation: 5, upto: 6, epoch: 2, beyond }],
        note: Some(pb::Note {
            body: Some(pb::note::Body::Ask(pb::Ask {
                wanted: vec![pb::Wanted { installation: 5, numbers: vec![1, 7] }],
            })),
        }),
        passed_over: vec![3, 4],
    }
}

fn good() -> Vec<Vec<u8>> {
    let handshake = pb::Handshake {
        commit: vec![1; 300],
        log_entries: vec![vec![2; 100]; 3],
        words: vec![pb::SignedWord { core: vec![3; 90], signature: vec![4; 64] }],
        requests: vec![pb::SignedRequest { request: vec![5; 700], signature: vec![6; 64] }],
    };
    let shared = pb::InvitationShared {
        made: 1_767_225_600_000_000_000,
        welcome: vec![3; 200],
        ratchet_tree: vec![4; 500],
        log_entries: vec![vec![5; 90]; 2],
        baselines: vec![pb::Baseline { installation: vec![6; 32], number: 7 }],
    };
    let slot = pb::InvitationSlot {
        content_key: vec![8; 32],
        group_secrets: vec![9; 300],
        shared_timestamp: 10,
        whole: vec![11; 32],
    };
    let mut padded = (slot.encoded_len() as u16).to_be_bytes().to_vec();
    padded.extend(slot.encode_to_vec());
    padded.resize(SLOT_PLAIN_BYTES, 0);
    assert_eq!(parse_slot(&padded), Some(slot));
    let profile = pb::Profile { name: "Hut".to_owned(), description: "Who".to_owned() };
    vec![
        pb::Frame { body: Some(pb::frame::Body::Application(vec![1; 400])), mark: vec![2; 16] }
            .encode_to_vec(),
        pb::Frame { body: Some(pb::frame::Body::Handshake(handshake)), mark: Vec::new() }
            .encode_to_vec(),
        application().encode_to_vec(),
        application().core,
        shared.encode_to_vec(),
        padded,
        profile.encode_to_vec(),
    ]
}

/// Good bytes with a few of them flipped, taken away, doubled or put in.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let good = good();
    let edits = proptest::collection::vec((0..4_u8, any::<Index>(), any::<u8>()), 1..6);
    (0..good.len(), Just(good), edits).prop_map(|(which, good, edits)| {
        let mut bytes = good[which].clone();
        for (edit, at, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] ^= 1 << (byte % 8),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, byte),
                _ => {
                    let rest = bytes[at..].to_vec();
                    bytes.extend(rest);
                }
            }
        }
        bytes
    })
}

/// What decodes encodes to bytes that decode to the same.
fn decode<T: Message + Default + PartialEq>(bytes: &[u8]) -> Option<T> {
    let value = T::decode(bytes).ok()?;
    assert!(T::decode(value.encode_to_vec().as_slice()).as_ref() == Ok(&value));
    Some(value)
}

fn all(bytes: &[u8]) {
    decode::<pb::Frame>(bytes);
    decode::<pb::InvitationShared>(bytes);
    decode::<pb::InvitationSlot>(bytes);
    parse_slot(bytes);
    let mut padded = bytes.to_vec();
    padded.resize(SLOT_PLAIN_BYTES, 0);
    parse_slot(&padded);
    Agreed::parse(&[PROFILE, PARAMETERS, LOG_DIGEST, AUTHORITY].map(|kind| (kind, bytes.to_vec())));
    let Some(plain) = decode::<pb::Application>(bytes) else { return };
    let mut tracker = Tracker::new(3, 1);
    for entry in &plain.frontier {
        tracker.claim(entry.upto, entry.epoch);
        for held in &entry.beyond {
            tracker.claim(held.number, held.epoch);
        }
    }
    if let Some(signed) = SignedCore::from_parts(plain.core, &plain.signature) {
        let (core, verified) = (signed.decode(), signed.verify());
        assert!(verified.is_none() || verified == core);
        if let Some(core) = core {
            tracker.hold(core.place());
        }
    }
    assert!(tracker.missing(256).len() <= 256 && tracker.claimed(u64::MAX, 256).len() <= 256);
    assert!(tracker.beyond(8).iter().all(|number| *number > tracker.upto()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..1000)) {
        all(&bytes);
    }

    #[test]
    fn changed_bytes(bytes in changed()) {
        all(&bytes);
    }

    #[test]
    fn a_slot_is_what_was_put_in(key in any::<[u8; 32]>(), secrets in 0..600_usize, at: i64) {
        let slot = pb::InvitationSlot {
            content_key: key.to_vec(),
            group_secrets: vec![1; secrets],
            shared_timestamp: at,
            whole: key.to_vec(),
        };
        let mut padded = (slot.encoded_len() as u16).to_be_bytes().to_vec();
        padded.extend(slot.encode_to_vec());
        padded.resize(SLOT_PLAIN_BYTES, 0);
        prop_assert_eq!(parse_slot(&padded), Some(slot.clone()));
        // anything but zeros behind it is refused
        padded[SLOT_PLAIN_BYTES - 1] = 1;
        prop_assert_eq!(parse_slot(&padded), None);
    }
}

#[test]
fn the_good_ones_are_good() {
    let key_holds = SignedCore::from_parts(application().core, &application().signature);
    assert!(key_holds.and_then(|signed| signed.verify()).is_some());
    for bytes in good() {
        all(&bytes);
    }
}
