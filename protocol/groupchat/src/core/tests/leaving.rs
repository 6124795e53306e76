//! Members that leave where nobody stays, and those that leave and come back.

use super::*;
use crate::api::views::GroupState;

const HOUR: Duration = Duration::from_secs(3600);

fn leave(world: &mut World, who: usize) {
    let group = world.group;
    world.command(who, Command::Leave { group });
}

fn state(world: &World, who: usize) -> GroupState {
    world.peers[who].core.group(world.group).expect("memory").expect("a group").state
}

fn times_removed(world: &World, who: usize) -> usize {
    let group = world.group;
    world.peers[who].heard.iter().filter(|event| **event == Event::Removed { group }).count()
}

/// They say it at the same moment, and Carol before them: nobody who stays is left to take them out.
#[test]
fn where_all_leave_at_once_each_of_them_gets_out() {
    let mut world = World::three();
    for who in [CAROL, ALICE, BOB] {
        leave(&mut world, who);
    }
    world.run(HOUR);
    for who in [ALICE, BOB, CAROL] {
        assert_eq!(state(&world, who), GroupState::Removed, "{who}");
        assert_eq!(times_removed(&world, who), 1, "{who}");
        world.as_written(who);
    }
}

/// Bob and Carol do not hear that the others leave until all of them have said it.
#[test]
fn those_who_leave_apart_from_each_other_get_out_once_they_meet() {
    let mut world = World::three();
    for who in [ALICE, BOB, CAROL] {
        world.peers[who].deaf = true;
    }
    for who in [ALICE, BOB, CAROL] {
        leave(&mut world, who);
    }
    world.run(HOUR);
    assert_eq!(state(&world, ALICE), GroupState::Leaving, "nobody has heard of it");
    for who in [ALICE, BOB, CAROL] {
        world.peers[who].deaf = false;
    }
    world.run(HOUR);
    for who in [ALICE, BOB, CAROL] {
        assert_eq!(state(&world, who), GroupState::Removed, "{who}");
    }
}

#[test]
fn who_is_alone_in_a_group_leaves_it_at_once() {
    let mut world = World::new();
    world.add();
    world.make_group();
    leave(&mut world, ALICE);
    assert_eq!((state(&world, ALICE), times_removed(&world, ALICE)), (GroupState::Removed, 1));
    world.run(HOUR);
    world.as_written(ALICE);
    assert_eq!(times_removed(&world, ALICE), 1);
}

/// As long as somebody stays, a leaver takes out nobody.
#[test]
fn who_leaves_leaves_it_to_those_who_stay_to_take_others_out() {
    let mut world = World::three();
    world.peers[CAROL].deaf = true;
    leave(&mut world, ALICE);
    leave(&mut world, BOB);
    let commits = |world: &World| {
        world.wire.iter().filter(|(kind, _)| matches!(kind, PublishKind::Commit(_))).count()
    };
    let before = commits(&world);
    world.run(HOUR);
    assert_eq!(commits(&world), before);
    assert_eq!(state(&world, ALICE), GroupState::Leaving);
    world.peers[CAROL].deaf = false;
    world.run(HOUR);
    for who in [ALICE, BOB] {
        assert_eq!(state(&world, who), GroupState::Removed, "{who}");
    }
    assert_eq!(state(&world, CAROL), GroupState::Joined);
}
