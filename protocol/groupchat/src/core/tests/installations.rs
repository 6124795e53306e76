//! Installations that are revoked: what follows in groups, for them and for everybody else.

use super::*;
use crate::api::Hold;
use crate::api::views::InstallationState;

/// Alice with a second installation in the group, Bob and Carol.
const SECOND: usize = 3;

fn world() -> World {
    let mut world = World::new();
    let cards: Vec<String> = (0..3).map(|_| world.add().1).collect();
    let second = world.link(ALICE);
    assert_eq!(second, SECOND);
    // the record with both leaves with the next period
    world.run(47 * 60 * MINUTE);
    world.peers[BOB].core.account().expect("memory");
    let (name, description) = ("Hut".to_owned(), String::new());
    match world.command(BOB, Command::CreateGroup { name, description }) {
        Answer::GroupCreated { group } => world.group = group,
        other => panic!("a group: {other:?}"),
    }
    let cards = vec![cards[ALICE].clone(), cards[CAROL].clone()];
    world.command(BOB, Command::Invite { group: world.group, cards });
    world.run(MINUTE);
    // her second installation follows Alice
    for who in [ALICE, CAROL] {
        world.command(who, Command::AcceptInvitation { group: world.group });
    }
    world.run(MINUTE);
    assert_eq!(members(&world, BOB).len(), 4);
    world
}

fn members(world: &World, who: usize) -> Vec<InstallationId> {
    let members = world.peers[who].core.members(world.group).expect("memory").expect("in it");
    members.into_iter().flat_map(|member| member.installations).collect()
}

fn revoke(world: &mut World, by: usize, whom: usize) -> Vec<InstallationId> {
    let installations = vec![world.installation(whom)];
    match world.command(by, Command::Revoke { installations }) {
        Answer::Revoked { added } => added,
        other => panic!("revoked: {other:?}"),
    }
}

fn state_of(world: &World, who: usize, whom: usize) -> InstallationState {
    let all = world.peers[who].core.installations().expect("memory");
    let whom = world.installation(whom);
    all.iter().find(|view| view.installation == whom).expect("listed").state
}

fn ended(world: &World, who: usize, whom: usize) -> usize {
    let whom = world.installation(whom);
    let is_it = |e: &&Event| matches!(e, Event::InstallationEnded { installation, .. } if *installation == whom);
    world.peers[who].heard.iter().filter(is_it).count()
}

#[test]
fn a_revoked_installation_is_taken_out_at_once_and_stops() {
    let mut world = world();
    world.say(SECOND, "still here");
    let lost = world.installation(SECOND);
    assert!(members(&world, BOB).contains(&lost));
    assert_eq!(revoke(&mut world, ALICE, SECOND), []);
    for who in [ALICE, BOB, CAROL] {
        assert!(!members(&world, who).contains(&lost), "{who}");
        assert_eq!(ended(&world, who, SECOND), 1, "{who}");
    }
    assert_eq!(state_of(&world, ALICE, SECOND), InstallationState::Revoked);
    // it was online, so it knows
    assert_eq!(ended(&world, SECOND, SECOND), 1);
    assert_eq!(world.peers[SECOND].core.hold(), Some(Hold::Ended));
    assert_eq!(state_of(&world, SECOND, SECOND), InstallationState::Revoked);
    let published = world.wire.len();
    let said =
        world.try_command(SECOND, Command::Send { group: world.group, text: "hello".to_owned() });
    assert_eq!(said.err(), Some(CommandError::Ended));
    world.run(26 * 60 * MINUTE);
    let by_others = world.wire.len() - published;
    world.go_on(&[ALICE, BOB, CAROL]);
    assert_eq!(world.texts(BOB)[0], "still here", "what was said before can be read");
    assert!(by_others > 0, "others go on");
    // and after a restart
    let store = world.peers[SECOND].core.store().clone();
    let again = Core::open(store, World::config(), [9; 32], world.now).expect("memory");
    assert_eq!(again.hold(), Some(Hold::Ended));
}

#[test]
fn what_it_says_later_is_refused_and_not_missed() {
    let mut world = world();
    // cut off: it does not hear of it, and goes on
    world.peers[SECOND].deaf = true;
    let before: Vec<WakuMessage> =
        (0..3).map(|n| world.say_aside(SECOND, &format!("number {n}")).1).collect();
    // Carol hears the last of them, so she misses the others
    world.deliver(CAROL, &before[2]);
    world.run(MINUTE);
    let missed = world.peers[CAROL].core.gaps(None).expect("memory");
    assert!(!missed.is_empty());
    revoke(&mut world, ALICE, SECOND);
    let missed = world.peers[CAROL].core.gaps(None).expect("memory");
    assert_eq!(missed, [], "nothing of it is missed any more");
    for who in [ALICE, BOB, CAROL] {
        for message in &before[..2] {
            assert_eq!(world.refused_but(who, message, &BESIDE), RefusedReason::Revoked);
        }
        assert!(world.texts(who).len() <= 1);
    }
    world.run(60 * MINUTE);
    assert_eq!(world.gaps(BOB, GapState::Fetching), []);
    for who in [ALICE, BOB, CAROL] {
        world.as_written(who);
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn who_learns_of_it_in_one_group_refuses_it_in_all() {
    let mut world = world();
    let first = world.group;
    // a second group of Bob, Carol and Alice's lost installation, which Alice is cut off from
    let (name, description) = ("Boat".to_owned(), String::new());
    let Answer::GroupCreated { group } =
        world.command(CAROL, Command::CreateGroup { name, description })
    else {
        panic!("a group")
    };
    world.group = group;
    let card = |world: &World, who: usize| {
        world.peers[who].core.account().expect("memory").expect("an account").card
    };
    let cards = vec![card(&world, BOB), card(&world, ALICE)];
    world.peers[ALICE].deaf = true;
    world.command(CAROL, Command::Invite { group, cards });
    world.run(MINUTE);
    for who in [BOB, SECOND] {
        world.command(who, Command::AcceptInvitation { group });
    }
    world.run(MINUTE);
    let lost = world.installation(SECOND);
    world.peers[SECOND].deaf = true;
    let (_, late) = world.say_aside(SECOND, "from a thief");
    world.peers[ALICE].deaf = false;
    revoke(&mut world, ALICE, SECOND);
    // Alice is not in the second group, but has revoked in the first
    assert!(members(&world, BOB).contains(&lost));
    assert_eq!(world.refused(BOB, &late), RefusedReason::Revoked);
    world.run(10 * MINUTE);
    for who in [BOB, CAROL] {
        assert!(!members(&world, who).contains(&lost), "{who} sees to it");
    }
    world.go_on(&[BOB, CAROL]);
    world.group = first;
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn two_that_revoke_each_other_are_both_out() {
    let mut world = world();
    world.peers[ALICE].deaf = true;
    revoke(&mut world, SECOND, ALICE);
    assert_eq!(state_of(&world, SECOND, ALICE), InstallationState::Revoked);
    revoke(&mut world, ALICE, SECOND);
    // what Alice has to say leaves before she hears of it
    world.peers[ALICE].deaf = false;
    world.give(ALICE, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(30 * MINUTE);
    for who in [ALICE, SECOND] {
        assert_eq!(world.peers[who].core.hold(), Some(Hold::Ended), "{who}");
    }
    let left = [world.installation(BOB), world.installation(CAROL)];
    for who in [BOB, CAROL] {
        let mut members = members(&world, who);
        members.sort();
        let mut expected = left.to_vec();
        expected.sort();
        assert_eq!(members, expected, "{who}");
    }
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn what_a_lost_one_added_is_offered() {
    let mut world = World::new();
    let (first, _) = world.add();
    let second = world.link(first);
    let installations = vec![world.installation(first)];
    let Answer::Revoked { added } = world.command(second, Command::Revoke { installations }) else {
        panic!("revoked")
    };
    assert_eq!(added, [], "not itself");
    let all = world.peers[second].core.installations().expect("memory");
    assert_eq!(all[0].installation, world.installation(second));
    assert_eq!(
        (all[1].state, &all[1].added[..]),
        (InstallationState::Revoked, &[all[0].installation][..])
    );
    assert_eq!(all[1].ended_by, Some(world.installation(second)));
}

#[test]
fn who_is_not_there_is_not_revoked() {
    let mut world = World::new();
    let (first, _) = world.add();
    let own = world.installation(first);
    let unknown = InstallationId::from_bytes([7; 32]);
    for (installations, error) in [
        (vec![], CommandError::OwnInstallation),
        (vec![own], CommandError::OwnInstallation),
        (vec![unknown], CommandError::UnknownInstallation(unknown)),
    ] {
        let refused = world.try_command(first, Command::Revoke { installations });
        assert_eq!(refused.err(), Some(error));
    }
}
