//! Messages that are refused, each with its reason, and replays.

use prost::Message as _;

use super::hostile::{ELSEWHERE, application, handshake, plaintext};
use super::*;
use crate::CoreHash;
use crate::account::InstallationKey;
use crate::group::message::{Content, MessageCore, SignedCore, WINDOW};
use crate::kdf::SealKey;
use crate::limits::{OPEN_GAPS_PER_SENDER, TEXT_BYTES, TIME_AHEAD};
use crate::mls;
use crate::proto::group as pb;

const HONEST: [usize; 2] = [ALICE, BOB];

/// A change of a core, and what it is.
type Spoilt = (&'static str, Box<dyn Fn(&mut MessageCore)>);

#[test]
fn junk_on_the_groups_topic_is_refused() {
    let mut world = World::three();
    let topic = world.topic(ALICE);
    for bytes in [0, 1, 1000, 1024, 131_072, 140_000] {
        let junk = world.junk(topic.clone(), bytes);
        assert_eq!(world.refused_outright(ALICE, &junk), RefusedReason::Seal, "{bytes} bytes");
    }
    let other = SealKey::from_bytes([1; 32]);
    let wrong_key = world.seal_on(&other, topic, b"content", world.now);
    assert_eq!(world.refused_outright(ALICE, &wrong_key), RefusedReason::Seal);
    let mut moved = world.seal(CAROL, b"content");
    moved.timestamp = moved.timestamp.map(|at| at + 1);
    assert_eq!(world.refused_outright(ALICE, &moved), RefusedReason::Seal);
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn what_is_on_no_topic_of_ours_is_ignored() {
    let mut world = World::three();
    let elsewhere = crate::kdf::topic_name(&[3; 16]);
    for at in [i64::MIN, -1, 0, 1, i64::MAX, world.now.as_waku()] {
        let message = WakuMessage::new(elsewhere.clone(), vec![1; 1024], at);
        world.ignored(ALICE, &message);
        let on_topic = WakuMessage::new(world.topic(ALICE), vec![1; 1024], at);
        if at != world.now.as_waku() {
            world.ignored(ALICE, &on_topic);
        }
    }
    let mut unstamped = world.seal(CAROL, b"content");
    unstamped.timestamp = None;
    world.ignored(ALICE, &unstamped);
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn malformed_bytes_are_refused_at_every_level() {
    let mut world = World::three();
    for round in 0..60_usize {
        let bytes = world.random(round * 3);
        let frame = world.seal(CAROL, &bytes);
        let reason = world.refused_outright(ALICE, &frame);
        assert!(matches!(reason, RefusedReason::Malformed | RefusedReason::Mls), "frame: {reason}");

        let mls = world.seal(CAROL, &application(bytes.clone()));
        assert_eq!(world.refused_outright(ALICE, &mls), RefusedReason::Mls, "MLS message");
        let commit = world.seal(CAROL, &handshake(bytes.clone(), vec![bytes.clone()]));
        assert_eq!(world.refused_outright(ALICE, &commit), RefusedReason::Mls, "commit");

        let plain = world.utter(CAROL, &bytes);
        assert_eq!(world.refused(ALICE, &plain), RefusedReason::Malformed, "application");
        let key = world.key(CAROL);
        let signature = key.sign(crate::kdf::label::MESSAGE_CORE, &bytes);
        let signed = SignedCore::from_parts(bytes, &signature).expect("64 bytes");
        let core = world.utter(CAROL, &plaintext(&signed, Vec::new()));
        assert_eq!(world.refused(ALICE, &core), RefusedReason::Core, "core");
    }
    let signed = SignedCore::sign(&world.core(CAROL), &world.key(CAROL));
    let short = pb::Application {
        core: signed.bytes().to_vec(),
        signature: signed.signature()[1..].to_vec(),
        ..Default::default()
    };
    let short = world.utter(CAROL, &short.encode_to_vec());
    assert_eq!(world.refused(ALICE, &short), RefusedReason::Malformed, "a short signature");
    world.go_on(&HONEST);
}

#[test]
fn a_core_that_does_not_fit_its_sender_is_refused() {
    let mut world = World::three();
    let (bobs, stranger) = (world.installation(BOB), InstallationKey::from_bytes(&[5; 32]));
    let tip = world.tip(CAROL).epoch;
    let zero = CoreHash::from_bytes([0; 32]);
    let bad: Vec<Spoilt> = vec![
        ("another's name", Box::new(move |c| c.installation = bobs)),
        ("a stranger's name", Box::new(move |c| c.installation = stranger.id())),
        ("another group", Box::new(|c| c.group = ELSEWHERE)),
        ("number 0", Box::new(|c| c.number = 0)),
        ("number 2 without a previous one", Box::new(|c| c.number = 2)),
        ("a previous one of number 1", Box::new(move |c| c.previous = Some((zero, tip)))),
        ("an epoch far ahead", Box::new(|c| c.epoch += 1025)),
        ("the last epoch", Box::new(|c| c.epoch = u64::MAX)),
        (
            "epochs that descend",
            Box::new(move |c| {
                (c.number, c.previous) = (2, Some((zero, tip + WINDOW + 1)));
            }),
        ),
        ("a long text", Box::new(|c| c.content = Content::Text("x".repeat(TEXT_BYTES + 1)))),
        ("an account's update", Box::new(|c| c.content = Content::Own(Vec::new()))),
    ];
    for (what, spoil) in bad {
        let mut core = world.core(CAROL);
        spoil(&mut core);
        let (_, message) = world.speak(CAROL, &core, Vec::new());
        assert_eq!(world.refused(ALICE, &message), RefusedReason::Core, "{what}");
    }
    world.go_on(&HONEST);
}

#[test]
fn a_core_that_another_signed_is_refused() {
    let mut world = World::three();
    let (id, bobs) = world.say_aside(BOB, "Bob's words");
    let core = world.core(BOB);
    let signed = SignedCore::sign(&core, &world.key(BOB));
    let stolen = world.utter(CAROL, &plaintext(&signed, Vec::new()));
    assert_eq!(world.refused(ALICE, &stolen), RefusedReason::Core);
    let forged = SignedCore::sign(&core, &world.key(CAROL));
    let forged = world.utter(CAROL, &plaintext(&forged, Vec::new()));
    assert_eq!(world.refused(ALICE, &forged), RefusedReason::Core);
    assert_eq!(world.deliver(ALICE, &bobs).len(), 1);
    assert_eq!(world.read(ALICE)[0].id, id);
    world.go_on(&HONEST);
}

#[test]
fn a_time_far_ahead_of_the_envelope_is_refused() {
    let mut world = World::three();
    let ahead = world.now + TIME_AHEAD;
    let late = MessageCore { time: ahead + Duration::from_nanos(1), ..world.core(CAROL) };
    let (_, message) = world.speak(CAROL, &late, Vec::new());
    assert_eq!(world.refused(ALICE, &message), RefusedReason::Time);
    let last = MessageCore { time: Timestamp::from_nanos(u64::MAX), ..late };
    let (_, message) = world.speak(CAROL, &last, Vec::new());
    assert_eq!(world.refused(ALICE, &message), RefusedReason::Time);
    let edge = MessageCore { time: ahead, ..world.core(CAROL) };
    let (_, message) = world.speak(CAROL, &edge, Vec::new());
    assert_eq!(world.deliver(ALICE, &message).len(), 1);
    // and Alice's own clock does not follow that far
    world.say(ALICE, "now");
    assert!(world.read(ALICE)[0].text == "now", "sorted by her own time");
    world.go_on(&HONEST);
}

#[test]
fn a_number_stands_for_one_message() {
    let mut world = World::three();
    let (_, first) = world.speak(CAROL, &world.core(CAROL), Vec::new());
    assert_eq!(world.deliver(ALICE, &first).len(), 1);
    let other = MessageCore { content: Content::Text("other".to_owned()), ..world.core(CAROL) };
    let (_, again) = world.speak(CAROL, &other, Vec::new());
    assert_eq!(world.refused(ALICE, &again), RefusedReason::NumberReused);
    // the same core once more, in other MLS bytes: nothing new
    let (_, same) = world.speak(CAROL, &world.core(CAROL), Vec::new());
    assert!(world.deliver(ALICE, &same).is_empty());
    assert_eq!(world.texts(ALICE), ["hostile"]);
    world.go_on(&HONEST);
}

#[test]
fn a_false_previous_shows_as_a_reused_number() {
    let mut world = World::three();
    let (first, message) = world.speak(CAROL, &world.core(CAROL), Vec::new());
    world.deliver(ALICE, &message);
    let wrong = world.core_after(CAROL, 2, CoreHash::from_bytes([1; 32]));
    let (_, message) = world.speak(CAROL, &wrong, Vec::new());
    assert_eq!(world.refused(ALICE, &message), RefusedReason::NumberReused);
    // number 3 names a number 2 that is not the one that comes
    let third = world.core_after(CAROL, 3, CoreHash::from_bytes([2; 32]));
    let (_, message) = world.speak(CAROL, &third, Vec::new());
    world.deliver(ALICE, &message);
    let second = world.core_after(CAROL, 2, first);
    let (_, message) = world.speak(CAROL, &second, Vec::new());
    assert_eq!(world.refused(ALICE, &message), RefusedReason::NumberReused);
    world.run(MINUTE * 10);
    let open = world.gaps(ALICE, GapState::Unavailable);
    assert_eq!(open.len(), 1, "known to exist, and not here: {open:?}");
    assert_eq!((open[0].installation, open[0].number), (world.installation(CAROL), 2));
    world.go_on(&HONEST);
}

#[test]
fn numbers_at_the_end_of_their_range_do_no_harm() {
    let mut world = World::three();
    let mut held = Vec::new();
    for number in [u64::MAX, u64::MAX - 2, u64::MAX - 300, 1 << 63, 5] {
        let core = world.core_after(CAROL, number, CoreHash::from_bytes([number as u8; 32]));
        let (_, message) = world.speak(CAROL, &core, Vec::new());
        world.deliver(ALICE, &message);
        held.push(number);
        world.run(MINUTE * 10);
        let gaps = world.gaps(ALICE, GapState::Unavailable);
        assert!(gaps.len() <= held.len() * OPEN_GAPS_PER_SENDER, "{} gaps", gaps.len());
        assert!(gaps.iter().all(|gap| !held.contains(&gap.number)));
    }
    assert_eq!(world.read(ALICE).len(), 5);
    world.go_on(&HONEST);
}

#[test]
fn replays_are_dropped_silently() {
    let mut world = World::three();
    let (id, message) = world.say_aside(BOB, "once");
    assert!(matches!(world.deliver(ALICE, &message).as_slice(), [Event::Message { .. }]));
    world.ignored(ALICE, &message);
    let content = world.unseal(CAROL, &message);
    for seconds in [0, 1, 59, 300] {
        let again = world.seal_at(CAROL, &content, world.now + Duration::from_secs(seconds));
        world.ignored(ALICE, &again);
    }
    assert_eq!(world.read(ALICE).iter().filter(|m| m.id == id).count(), 1);
    world.peers[ALICE].deaf = false;
    world.go_on(&HONEST);
}

/// Every member holds the keys of the seals, and can put another's MLS bytes into envelopes and
/// frames of its own. It must not keep others from reading what is inside.
#[test]
fn nobody_spoils_anothers_message_by_sending_it_first() {
    let mut world = World::three();
    let (id, message) = world.say_aside(BOB, "to be read");
    let content = world.unseal(CAROL, &message);
    let frame = pb::Frame::decode(content.as_slice()).expect("Bob's");
    let Some(pb::frame::Body::Application(mls)) = frame.body else { panic!("a message") };

    let as_commit = world.seal(CAROL, &handshake(mls.clone(), Vec::new()));
    assert_eq!(world.refused(ALICE, &as_commit), RefusedReason::Mls);
    let early = world.seal_at(CAROL, &content, world.now - Duration::from_secs(600));
    assert_eq!(world.refused(ALICE, &early), RefusedReason::Time);
    let mut longer = mls.clone();
    longer.push(0);
    let longer = world.seal(CAROL, &application(longer));
    assert_eq!(world.refused(ALICE, &longer), RefusedReason::Mls);
    let mut changed = mls;
    *changed.last_mut().expect("not empty") ^= 1;
    let changed = world.seal(CAROL, &application(changed));
    assert_eq!(world.refused(ALICE, &changed), RefusedReason::Mls);

    world.deliver(ALICE, &message);
    assert_eq!(world.read(ALICE).first().map(|m| m.id), Some(id));
    world.go_on(&HONEST);
}

#[test]
fn a_message_of_another_state_is_refused() {
    let mut world = World::three();
    let (_, message) = world.say_aside(BOB, "in the state before");
    let (content, old) = (world.unseal(CAROL, &message), world.tip(CAROL));
    let (name, description) = ("Chalet".to_owned(), String::new());
    world.command(ALICE, Command::SetProfile { group: world.group, name, description });
    assert_ne!(world.tip(CAROL).epoch, old.epoch);
    let moved = world.seal(CAROL, &content);
    assert_eq!(world.refused_outright(ALICE, &moved), RefusedReason::Mls);
    world.deliver(ALICE, &message);
    assert_eq!(world.texts(ALICE), ["in the state before"], "late, but in its own state");
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// A member's own message that comes back to it as another's makes no difference.
#[test]
fn own_messages_that_come_back_change_nothing() {
    let mut world = World::three();
    let (_, message) = world.say_aside(ALICE, "mine");
    world.ignored(ALICE, &message);
    let content = world.unseal(CAROL, &message);
    let again = world.seal_at(CAROL, &content, world.now + Duration::from_secs(30));
    world.ignored(ALICE, &again);
    let key = world.key(ALICE);
    let unknown = world.in_copy(ALICE, &world.tip(ALICE), |group, provider, _| {
        mls::group::encrypt(group, provider, &key, b"never said").expect("own state")
    });
    let unknown = world.seal(CAROL, &application(unknown));
    assert_eq!(world.refused_outright(ALICE, &unknown), RefusedReason::Mls);
    world.go_on(&HONEST);
}
