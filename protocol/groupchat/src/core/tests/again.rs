//! Who left or was taken out, and is invited again.

use super::*;
use crate::api::views::GroupState;

const HOUR: Duration = Duration::from_secs(3600);

fn remove(world: &mut World, by: usize, who: usize) {
    let (group, accounts) = (world.group, vec![world.account(who)]);
    world.command(by, Command::Remove { group, accounts });
    world.run(MINUTE);
}

fn card(world: &World, who: usize) -> String {
    world.peers[who].core.account().expect("memory").expect("an account").card
}

fn invite(world: &mut World, by: usize, who: usize) {
    let cards = vec![card(world, who)];
    world.command(by, Command::Invite { group: world.group, cards });
    world.run(MINUTE);
}

fn is_invited(world: &World, who: usize) -> bool {
    !world.peers[who].core.invitations().expect("memory").is_empty()
}

fn accept(world: &mut World, who: usize) {
    world.command(who, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
}

fn state(world: &World, who: usize) -> GroupState {
    world.peers[who].core.group(world.group).expect("memory").expect("a group").state
}

/// All of them are in one state, talk, and miss nothing.
fn together(world: &mut World) {
    world.run(MINUTE * 10);
    let tips: Vec<_> =
        [ALICE, BOB, CAROL].map(|who| world.tip(who).keys.expect("inside").name).into();
    assert_eq!(tips, vec![tips[0]; 3]);
    world.go_on(&[ALICE, BOB, CAROL]);
    world.run(HOUR);
    for who in [ALICE, BOB, CAROL] {
        for state in [GapState::Missing, GapState::Fetching, GapState::Unavailable] {
            assert_eq!(world.gaps(who, state), [], "at {who}");
        }
    }
}

/// Numbers are what they would be had the time away not been, and everybody misses nothing.
#[test]
fn who_was_taken_out_and_is_invited_again_goes_on_with_what_it_had() {
    let mut world = World::three();
    let (group, carol) = (world.group, world.account(CAROL));
    let early = world.say(CAROL, "before");
    world.say(ALICE, "heard by all");
    remove(&mut world, ALICE, CAROL);
    for n in 0..5 {
        world.say(ALICE, &format!("without Carol {n}"));
        world.say(BOB, &format!("without Carol, too {n}"));
    }
    world.run(HOUR);
    invite(&mut world, BOB, CAROL);
    assert_eq!(state(&world, CAROL), GroupState::Removed, "until she accepts");
    let told = Event::Invitation { group, name: "Hut".to_owned(), from: world.account(BOB) };
    assert!(world.peers[CAROL].heard.contains(&told));
    let events = world.peers[CAROL].heard.len();
    accept(&mut world, CAROL);
    assert!(world.peers[CAROL].heard[events..].contains(&Event::Joined { group }));
    assert!(!is_invited(&world, CAROL));
    let added = Event::MembersAdded { group, accounts: vec![carol] };
    assert_eq!(world.peers[ALICE].heard.iter().filter(|event| **event == added).count(), 1);
    assert_eq!(state(&world, CAROL), GroupState::Joined);
    let next = world.say(CAROL, "again");
    assert_eq!((early.number, next.number), (1, 2));
    together(&mut world);
    let texts = world.texts(CAROL);
    assert!(texts.iter().any(|text| text == "before"), "what she had can be read: {texts:?}");
    assert!(!texts.iter().any(|text| text.contains("without")), "{texts:?}");
}

#[test]
fn who_left_and_is_invited_again_is_in_and_may_leave_again() {
    let mut world = World::three();
    let group = world.group;
    for _ in 0..2 {
        world.command(CAROL, Command::Leave { group });
        world.run(MINUTE * 2);
        assert_eq!(state(&world, CAROL), GroupState::Removed);
        world.say(ALICE, "without Carol");
        invite(&mut world, ALICE, CAROL);
        accept(&mut world, CAROL);
        together(&mut world);
    }
    let numbers: Vec<u64> = world
        .read(CAROL)
        .iter()
        .filter(|m| m.id.installation == world.installation(CAROL))
        .map(|m| m.id.number)
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "none twice, no hole");
}

/// Carol is away when she is taken out and invited again. The invitation comes first; she is asked
/// once she knows that she was out.
#[test]
fn an_invitation_to_a_group_that_one_is_in_waits_until_one_is_out() {
    let mut world = World::three();
    let group = world.group;
    let from = world.wire.len();
    world.peers[CAROL].deaf = true;
    world.peers[CAROL].asleep = true;
    remove(&mut world, ALICE, CAROL);
    invite(&mut world, BOB, CAROL);
    let wire = world.wire[from..].to_vec();
    let (out, other): (Vec<_>, Vec<_>) = wire.into_iter().partition(|(kind, message)| {
        let known = world.peers[CAROL].core.inner.groups[&group].states();
        let known: Vec<_> = known.filter_map(|s| s.keys.as_ref()).map(|k| k.wire.0).collect();
        let period = message.timestamp.expect("stamped") as u64 / 3_600_000_000_000;
        let topic = |wire: &[u8; 32]| super::super::topics::group_topic(wire, period);
        matches!(kind, PublishKind::Commit(_))
            && known.iter().any(|wire| topic(wire) == message.content_topic)
    });
    for (_, message) in &other {
        world.deliver(CAROL, message);
    }
    assert!(world.peers[CAROL].core.inner.groups[&group].again.is_some(), "it waits");
    assert!(!is_invited(&world, CAROL));
    assert_eq!(state(&world, CAROL), GroupState::Joined);
    world.as_written(CAROL);
    for (_, message) in &out {
        world.deliver(CAROL, message);
    }
    let heard = &world.peers[CAROL].heard;
    let place = |wanted: &Event| heard.iter().position(|event| event == wanted).expect("told");
    let invitation = Event::Invitation { group, name: "Hut".into(), from: world.account(BOB) };
    assert!(place(&Event::Removed { group }) < place(&invitation));
    (world.peers[CAROL].deaf, world.peers[CAROL].asleep) = (false, false);
    accept(&mut world, CAROL);
    together(&mut world);
}

#[test]
fn who_declines_is_not_asked_again_until_somebody_invites_anew() {
    let mut world = World::three();
    let group = world.group;
    remove(&mut world, ALICE, CAROL);
    invite(&mut world, BOB, CAROL);
    world.command(CAROL, Command::DeclineInvitation { group });
    assert!(!is_invited(&world, CAROL));
    let again = world.try_command(CAROL, Command::AcceptInvitation { group });
    assert_eq!(again.err(), Some(CommandError::NoInvitation(group)));
    // a member that declined is one until it is taken out
    remove(&mut world, ALICE, CAROL);
    invite(&mut world, ALICE, CAROL);
    assert!(is_invited(&world, CAROL));
    accept(&mut world, CAROL);
    together(&mut world);
}

#[test]
fn what_was_asked_for_before_is_given_up_and_said() {
    let mut world = World::three();
    let group = world.group;
    world.peers[CAROL].deaf = true;
    let (name, description) = ("Carol's".to_owned(), String::new());
    world.command(CAROL, Command::SetProfile { group, name, description });
    let unsent = world.say(CAROL, "not heard");
    remove(&mut world, ALICE, CAROL);
    world.peers[CAROL].deaf = false;
    world.run(HOUR);
    assert_eq!(state(&world, CAROL), GroupState::Removed);
    invite(&mut world, ALICE, CAROL);
    accept(&mut world, CAROL);
    let failed = |event: &&Event| matches!(event, Event::ChangeFailed { .. });
    assert_eq!(world.peers[CAROL].heard.iter().filter(failed).count(), 1);
    together(&mut world);
    for who in [ALICE, BOB] {
        let message = world.peers[who].core.message(unsent).expect("memory");
        assert_eq!(message.expect("it goes out after all").text, "not heard");
        let name = world.peers[who].core.group(group).expect("memory").expect("a group").name;
        assert_eq!(name, "Hut");
    }
}

/// Alice invites Dave, and her commit loses its place to one that others made. Dave has accepted, and
/// is led to where the group stands; he joined there, and misses nothing of what was said before.
#[test]
fn an_invitation_whose_commit_lost_its_place_is_made_again_with_the_same_key_package() {
    let mut world = World::three();
    let group = world.group;
    let (dave, daves) = world.add();
    for who in [BOB, CAROL] {
        world.peers[who].deaf = true;
    }
    world.command(ALICE, Command::Invite { group, cards: vec![daves] });
    world.run(MINUTE);
    accept(&mut world, dave);
    let early = world.say(dave, "hello?");
    let intent = |world: &World| {
        // kept until it stands for good
        let intents = &world.peers[ALICE].core.inner.intents;
        let intent = intents.get(&(group, world.account(dave))).expect("kept");
        (intent.done, intent.found.clone().expect("found").key_packages)
    };
    let (first, packages) = intent(&world);
    for (who, deaf) in [(ALICE, true), (dave, true), (BOB, false), (CAROL, false)] {
        world.peers[who].deaf = deaf;
    }
    let hers = std::mem::take(&mut world.wire);
    for (who, name) in [(BOB, "Chalet"), (CAROL, "Cabin")] {
        let (name, description) = (name.to_owned(), String::new());
        world.command(who, Command::SetProfile { group, name, description });
        world.run(MINUTE);
    }
    world.say(BOB, "on the way that stands");
    world.wire.splice(0..0, hers);
    for who in [ALICE, dave] {
        world.peers[who].deaf = false;
        world.give(who, Input::Connectivity { relay_peers: 0, store_peers: 0 });
        world.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    }
    world.run(HOUR * 3);
    let tips: Vec<_> =
        [ALICE, BOB, CAROL, dave].map(|who| world.tip(who).keys.expect("inside").name).into();
    assert_eq!(tips, vec![tips[0]; 4]);
    let (second, again) = intent(&world);
    assert_ne!(second, first, "another commit");
    assert_eq!(again, packages, "the same key packages");
    for who in [ALICE, BOB, CAROL] {
        let message = world.peers[who].core.message(early).expect("memory");
        assert_eq!(message.expect("said again").text, "hello?");
    }
    world.go_on(&[ALICE, BOB, CAROL, dave]);
    for state in [GapState::Missing, GapState::Fetching, GapState::Unavailable] {
        assert_eq!(world.gaps(dave, state), []);
    }
}
