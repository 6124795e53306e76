//! What travels inside a group's seals.

use prost::Message as _;

use super::choose;
use crate::InstallationId;
use crate::account::InstallationKey;
use crate::group::message::SignedCore;
use crate::group::tracker::{Place, Tracker};
use crate::kdf::label;
use crate::proto::group as pb;

fn key() -> InstallationKey {
    InstallationKey::from_bytes(&[7; 32])
}

/// The content of a payload on a group topic.
pub(super) fn frame(data: &[u8]) -> bool {
    let Ok(frame) = pb::Frame::decode(data) else { return false };
    assert_eq!(pb::Frame::decode(frame.encode_to_vec().as_slice()), Ok(frame.clone()));
    frame.body.is_some()
}

/// The plaintext of an MLS application message, and what it says of others' messages.
pub(super) fn application(data: &[u8]) -> bool {
    let Ok(plain) = pb::Application::decode(data) else { return false };
    assert_eq!(pb::Application::decode(plain.encode_to_vec().as_slice()), Ok(plain.clone()));
    let mut tracker = Tracker::new(3, 0);
    for entry in &plain.frontier {
        tracker.claim(entry.upto, entry.epoch);
        for held in &entry.beyond {
            tracker.claim(held.number, held.epoch);
        }
        check(&tracker);
    }
    let Some(signed) = SignedCore::from_parts(plain.core, &plain.signature) else { return false };
    match signed.verify() {
        Some(core) => {
            tracker.hold(core.place());
            check(&tracker);
            true
        }
        None => false,
    }
}

/// A message core: as it comes, or as its installation signs it.
pub(super) fn core(data: &[u8]) -> bool {
    let (own, bytes) = choose(data, 2);
    let signature = key().sign(label::MESSAGE_CORE, bytes);
    let signed = SignedCore::from_parts(bytes.to_vec(), &signature).expect("64 bytes");
    let Some(core) = signed.decode() else { return false };
    let verified = signed.verify();
    assert_eq!(verified.is_some(), core.installation == key().id());
    assert!(verified.is_none_or(|verified| verified == core));
    let place = core.place();
    assert_eq!(place.number > 1, place.previous_epoch.is_some());
    let again = SignedCore::sign(&core, &key());
    assert_eq!(again.decode().as_ref(), Some(&core));
    own == 0 || core.installation == InstallationId::from_bytes(*key().id().as_bytes())
}

/// What is known of a sender's numbers, under any cores and claims: 17 bytes each.
pub(super) fn tracker(data: &[u8]) -> bool {
    let Some((start, steps)) = data.split_first_chunk::<9>() else { return false };
    let (joined, baseline) = start.split_at(1);
    let baseline = baseline.try_into().map_or(0, u64::from_be_bytes);
    let mut tracker = Tracker::new(joined[0].into(), baseline);
    let (steps, _) = steps.as_chunks::<11>();
    for [what, number @ .., epoch, previous] in steps {
        let number = u64::from_be_bytes(*number);
        let (epoch, previous) = (u64::from(*epoch), u64::from(*previous));
        match what % 2 {
            // As `SignedCore::decode` lets them through.
            0 if number > 0 => {
                let previous_epoch = (number > 1).then_some(previous.min(epoch));
                tracker.hold(Place { number, epoch, previous_epoch });
                assert!(!tracker.claim(number, epoch), "it is held");
            }
            0 => {}
            _ => drop(tracker.claim(number, epoch)),
        }
        check(&tracker);
    }
    !steps.is_empty()
}

/// What holds whatever came.
fn check(tracker: &Tracker) {
    const LIMIT: usize = 20;
    let missing = tracker.missing(LIMIT);
    assert!(missing.len() <= LIMIT && missing.is_sorted());
    let (upto, beyond) = (tracker.upto(), tracker.beyond(LIMIT));
    assert!(beyond.len() <= LIMIT && beyond.iter().all(|number| *number > upto));
    assert!(upto <= tracker.max_held());
    assert!(missing.iter().all(|number| !beyond.contains(number)));
    for number in missing.iter().chain(&beyond).chain([&upto, &u64::MAX, &0]) {
        assert!(tracker.next_held(*number).is_none_or(|next| next > *number));
        let _ = tracker.epoch_of(*number);
    }
}

/// Good values of this module's targets and of the seal: target, file, content.
#[cfg(test)]
pub(super) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    use crate::group::message::{Content, MessageCore};
    use crate::{CoreHash, GroupId, Timestamp};

    let core = |number: u64| {
        let core = MessageCore {
            group: GroupId::from_bytes([1; 16]),
            installation: key().id(),
            number,
            previous: (number > 1).then_some((CoreHash::from_bytes([2; 32]), 3)),
            epoch: 4,
            time: Timestamp::from_secs(1_700_000_000),
            content: Content::Text("Grüezi 👋".to_owned()),
        };
        [&[1], SignedCore::sign(&core, &key()).bytes()].concat()
    };
    let step = |what: u8, number: u64, epoch: u8, previous: u8| {
        [&[what], number.to_be_bytes().as_slice(), &[epoch, previous]].concat()
    };
    let steps = [
        step(0, 1, 3, 0),
        step(0, 4, 4, 3),
        step(1, 9, 4, 0),
        step(0, u64::MAX, 5, 4),
        step(1, u64::MAX, 5, 0),
        step(0, 2, 3, 3),
    ];
    let numbers = [[3].as_slice(), &0_u64.to_be_bytes(), &steps.concat()].concat();
    let sealed = crate::seal::seal(
        &crate::kdf::SealKey::from_bytes([7; 32]),
        &crate::kdf::topic_name(&[1; 16]),
        5,
        b"content",
        crate::seal::SizeClass::K1,
        &[9; 24],
    );
    vec![
        ("group_core", "first", core(1)),
        ("group_core", "later", core(7)),
        ("group_tracker", "some", numbers),
        ("seal", "payload", [&[0], sealed.expect("it fits").as_slice()].concat()),
        ("seal", "content", b"\x01content".to_vec()),
        ("seal", "padded", b"\x02\0\0\0\x02ok".to_vec()),
    ]
}
