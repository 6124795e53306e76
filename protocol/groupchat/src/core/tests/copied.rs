//! Two cores on copies of one database: both notice, and stop; nobody else can make them.

use prost::Message as _;

use super::hostile::wire;
use super::{ALICE, BOB, CAROL, MINUTE, Peer, World};
use crate::Timestamp;
use crate::api::{Command, CommandError, Event, Hold, PublishKind, RefusedReason};
use crate::core::Core;
use crate::core::topics::{group_key, group_topic, period};
use crate::proto::group as pb;
use crate::seal::open_message;

impl World {
    /// A core on a copy of a peer's database; its place.
    fn copy(&mut self, of: usize) -> usize {
        let store = self.peers[of].core.store().clone();
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let core = Core::open(store, Self::config(), seed, self.now).expect("memory");
        let peer = Peer {
            core,
            heard: Vec::new(),
            refused: Vec::new(),
            answers: std::collections::BTreeMap::new(),
            archive: self.peers[of].archive.clone(),
            deaf: false,
            asleep: false,
            phrase: None,
        };
        self.peers.push(peer);
        self.peers.len() - 1
    }

    fn assert_stopped(&mut self, who: usize) {
        let group = self.group;
        assert_eq!(self.peers[who].core.hold(), Some(Hold::Copied));
        let send = Command::Send { group, text: "again".to_owned() };
        let (name, description) = ("New".to_owned(), String::new());
        let rename = Command::SetProfile { group, name, description };
        // others go on saying to each other what they hold
        let own = |world: &Self| {
            let note =
                |kind: &PublishKind| matches!(kind, PublishKind::Sync(_) | PublishKind::Repair(_));
            world.wire.iter().filter(|(kind, _)| !note(kind)).count()
        };
        let published = own(self);
        for command in [send, rename] {
            let refused = self.try_command(who, command);
            assert!(matches!(refused, Err(CommandError::Copied)), "{refused:?}");
        }
        self.run(MINUTE * 60);
        assert_eq!(own(self), published, "nothing is published any more");
    }
}

#[test]
fn both_copies_stop_and_go_on_reading() {
    for victim in [ALICE, BOB] {
        let mut world = World::three();
        world.say(victim, "before");
        let copy = world.copy(victim);
        world.say(copy, "from the copy");
        assert_eq!(world.peers[victim].core.hold(), Some(Hold::Copied), "told at once");
        let told = Event::Copied { group: world.group };
        assert_eq!(world.peers[victim].heard.iter().filter(|e| **e == told).count(), 1);
        // the original has published nothing since, so only the copy thinks that it is alone
        assert_eq!(world.peers[copy].core.hold(), None);
        world.assert_stopped(victim);
        world.say(CAROL, "still here?");
        assert_eq!(world.texts(victim).last().map(String::as_str), Some("still here?"));
        assert_eq!(world.texts(CAROL), ["before", "from the copy", "still here?"]);
        // it is remembered
        let again = world.copy(victim);
        world.assert_stopped(again);
    }
}

#[test]
fn two_messages_of_one_number_stop_both() {
    let mut world = World::three();
    let copy = world.copy(BOB);
    let (_, one) = world.say_aside(BOB, "one");
    let (_, other) = world.say_aside(copy, "other");
    world.deliver(copy, &one);
    world.deliver(BOB, &other);
    world.assert_stopped(BOB);
    world.assert_stopped(copy);
    world.deliver(CAROL, &one);
    world.deliver(CAROL, &other);
    assert_eq!(world.peers[CAROL].refused, [RefusedReason::NumberReused]);
    assert_eq!(world.texts(CAROL), ["one"]);
}

#[test]
fn a_commit_of_a_copy_is_noticed() {
    let mut world = World::three();
    let copy = world.copy(ALICE);
    let (group, name) = (world.group, "Chalet".to_owned());
    world.command(copy, Command::SetProfile { group, name, description: String::new() });
    world.assert_stopped(ALICE);
}

#[test]
fn own_messages_that_come_back_say_nothing() {
    let mut world = World::three();
    world.say(BOB, "mine");
    let (_, message) = world.wire.last().expect("published").clone();
    let store = world.peers[BOB].core.store().clone();
    world.peers[BOB].core = Core::open(store, World::config(), [5; 32], world.now).expect("memory");
    world.ignored(BOB, &message);
    // also much later, when other things about it are forgotten
    world.run(MINUTE * 60 * 24 * 20);
    world.deliver(BOB, &message);
    assert_eq!(world.peers[BOB].core.hold(), None);
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// A member that puts another's mark on anything but the very bytes it is for makes no alarm.
#[test]
fn a_member_cannot_stop_another() {
    let mut world = World::three();
    world.say(BOB, "mine");
    let (_, message) = world.wire.last().expect("published").clone();
    let frame = pb::Frame::decode(world.unseal(CAROL, &message).as_slice()).expect("Bob's");
    assert_eq!(frame.mark.len(), 16);
    let Some(pb::frame::Body::Application(bytes)) = frame.body.clone() else { panic!("Bob's") };
    let mut changed = bytes.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    let body = |mls| Some(pb::frame::Body::Application(mls));
    for forged in [
        pb::Frame { body: body(bytes.clone()), mark: frame.mark.clone() },
        pb::Frame { body: body(changed.clone()), mark: frame.mark.clone() },
        pb::Frame { body: body(changed.clone()), mark: Vec::new() },
        pb::Frame { body: body(changed), mark: vec![0; 16] },
    ] {
        let message = world.seal(CAROL, &forged.encode_to_vec());
        world.deliver(BOB, &message);
        assert_eq!(world.peers[BOB].core.hold(), None);
    }
    let before = world.tip(CAROL);
    let (group, name) = (world.group, "Chalet".to_owned());
    world.command(ALICE, Command::SetProfile { group, name, description: String::new() });
    let (_, commit) = world.wire.last().expect("published").clone();
    let at = Timestamp::from_waku(commit.timestamp.expect("stamped"));
    let period = period(at, World::config().topic_period);
    let key = group_key(wire(&before), period);
    let content = open_message(&key, &commit).expect("a member's");
    let mut frame = pb::Frame::decode(content.as_slice()).expect("hers");
    let Some(pb::frame::Body::Handshake(handshake)) = &mut frame.body else { panic!("a commit") };
    handshake.log_entries.push(vec![7; 50]);
    let topic = group_topic(wire(&before), period);
    let message = world.seal_on(&key, topic, &frame.encode_to_vec(), at);
    world.deliver(ALICE, &message);
    assert_eq!(world.peers[ALICE].core.hold(), None);
}
