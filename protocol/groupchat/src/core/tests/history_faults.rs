//! Handing messages over when things go wrong: starts in the middle, losses, somebody who goes away or
//! is put out.

use super::history::{LONG, history, long_past, publishes};
use super::*;
use crate::api::views::HistoryState;

/// Large publishes of an undisturbed hand-over of the long past: three answers of segments.
fn undisturbed() -> usize {
    let mut world = long_past();
    let from = world.wire.len();
    let new = world.link(ALICE);
    world.run(10 * MINUTE);
    assert_eq!(history(&world, new).state, HistoryState::Done);
    publishes(&world, from).1
}

fn is_history(kind: PublishKind) -> bool {
    matches!(kind, PublishKind::History(_))
}

/// Runs until `new` has everything that Alice has.
fn until_done(world: &mut World, new: usize, within: u32) {
    let end = world.now + MINUTE * within;
    while history(world, new).state != HistoryState::Done {
        assert!(world.now < end, "{:?}", history(world, new));
        world.run(Duration::from_secs(5));
    }
    assert_eq!(world.read(new).len(), world.read(ALICE).len());
    assert_eq!(world.texts(new), world.texts(ALICE));
}

#[test]
fn a_start_at_any_stage_on_either_side_sends_little_again() {
    let large = undisturbed();
    let answer = large / 3;
    for new_starts in [true, false] {
        for stage in 1..=8 {
            let mut world = long_past();
            let begun = world.wire.len();
            let new = world.link(ALICE);
            let mut steps = 0;
            while publishes(&world, begun).0 < stage && steps < 1000 {
                world.run(Duration::from_secs(1));
                steps += 1;
            }
            let had = history(&world, new).handed_over;
            world.restart(if new_starts { new } else { ALICE });
            assert_eq!(history(&world, new).handed_over, had);
            until_done(&mut world, new, 30);
            let sent = publishes(&world, begun).1;
            assert!(sent <= large + answer, "{sent} for {large}, stage {stage}, {new_starts}");
            assert_eq!(history(&world, new).handed_over, LONG);
            world.as_written(new);
        }
    }
}

#[test]
fn one_lost_segment_of_an_answer_is_survived_and_more_are_asked_for_again() {
    let large = undisturbed();
    for lost in [1, 2] {
        let mut world = long_past();
        let from = world.wire.len();
        let new = world.link(ALICE);
        world.run(MINUTE / 3);
        // the first of the large ones come after a question, a list and another question
        let mut seen = 0;
        world.loses = Box::new(move |kind| {
            seen += usize::from(is_history(kind));
            is_history(kind) && (5..5 + lost).contains(&seen)
        });
        until_done(&mut world, new, 30);
        let sent = publishes(&world, from).1 + lost;
        match lost {
            1 => assert_eq!(sent, large),
            _ => assert_eq!(sent, large + large / 3, "one answer twice"),
        }
    }
}

#[test]
fn with_a_fifth_of_all_lost_it_still_ends() {
    let mut world = long_past();
    let new = world.link(ALICE);
    let rng = world.rng.split();
    world.loses = Box::new(move |kind| {
        let mut byte = [0];
        rng.fill(&mut byte);
        is_history(kind) && byte[0] < 51
    });
    until_done(&mut world, new, 600);
}

#[test]
fn another_takes_over_from_who_goes_away() {
    let mut world = long_past();
    let second = world.link(ALICE);
    until_done(&mut world, second, 30);
    let from = world.wire.len();
    let new = world.link(ALICE);
    while history(&world, new).handed_over == 0 {
        world.run(Duration::from_secs(1));
    }
    assert_eq!(history(&world, new).from, Some(world.installation(ALICE)));
    let large = publishes(&world, from).1;
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].asleep = true;
    until_done(&mut world, new, 60);
    assert_eq!(history(&world, new).from, Some(world.installation(second)));
    // two thirds were left, and come from the other one
    assert_eq!(publishes(&world, from).1, large * 3);
}

#[test]
fn if_nobody_is_there_it_waits_until_somebody_is() {
    let mut world = long_past();
    let new = world.link(ALICE);
    while history(&world, new).state == HistoryState::None {
        world.run(Duration::from_secs(1));
    }
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].asleep = true;
    world.run(60 * MINUTE);
    let view = history(&world, new);
    assert_eq!((view.state, view.handed_over), (HistoryState::Waiting, 0));
    let from = world.wire.len();
    world.run(24 * 60 * MINUTE);
    let (asked, _) = publishes(&world, from);
    assert!((6..=60).contains(&asked), "{asked} questions in a day");
    world.peers[ALICE].deaf = false;
    world.peers[ALICE].asleep = false;
    for who in [ALICE, new] {
        world.give(who, Input::Connectivity { relay_peers: 0, store_peers: 0 });
        world.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    }
    until_done(&mut world, new, 30);
}

#[test]
fn a_revoked_installation_gets_nothing() {
    let mut world = long_past();
    let second = world.link(ALICE);
    until_done(&mut world, second, 30);
    // its first question stays on the way
    world.loses = Box::new(is_history);
    let new = world.link(ALICE);
    while !world.peers[new].core.inner.handover.is_waiting() {
        world.run(Duration::from_secs(1));
    }
    let question = world.peers[new].archive.last().cloned().expect("a question");
    world.loses = Box::new(|_| false);
    let installations = vec![world.installation(new)];
    world.command(ALICE, Command::Revoke { installations });
    let from = world.wire.len();
    for who in [ALICE, second] {
        assert_eq!(world.refused(who, &question), RefusedReason::Revoked, "{who}");
    }
    world.run(60 * MINUTE);
    assert_eq!((publishes(&world, from), history(&world, new).handed_over), ((0, 0), 0));
    assert_eq!(world.texts(new), Vec::<String>::new());
}

#[test]
fn who_is_put_out_before_it_is_answered_gets_nothing() {
    let mut world = long_past();
    let new = world.link(ALICE);
    let asked = |world: &World| world.peers[ALICE].core.inner.handover.waits_for().1 > 0;
    while !asked(&world) {
        assert_ne!(history(&world, new).state, HistoryState::Done);
        world.run(Duration::from_millis(100));
    }
    let from = world.wire.len();
    let installations = vec![world.installation(new)];
    world.command(ALICE, Command::Revoke { installations });
    world.run(60 * MINUTE);
    assert_eq!((publishes(&world, from), history(&world, new).handed_over), ((0, 0), 0));
}
