//! Branches that take members out, where nobody but those who are out can say which one stands.

use super::hostile::handshake;
use super::*;

fn is_unsettled(world: &World, who: usize) -> bool {
    world.peers[who].core.kept_states(world.group).unsettled
}

fn is_inside(world: &World, who: usize) -> bool {
    world.tip(who).keys.is_some()
}

/// Removals of Bob and of Carol that leave Alice's state; nobody has them, and she is heard no more.
fn two_removals(world: &mut World) -> [WakuMessage; 2] {
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].asleep = true;
    [BOB, CAROL].map(|whom| world.seal(ALICE, &handshake(world.removal(ALICE, whom), Vec::new())))
}

/// Alice takes Bob out on one branch and Carol on another, and is heard no more. Who stays cannot read
/// what followed where it was taken out; the other one can, and says that it does not stand there.
#[test]
fn who_is_out_says_which_branch_it_passed_over() {
    for turned in [false, true] {
        let mut world = World::three();
        world.say(BOB, "before");
        world.run(MINUTE * 10);
        let mut removals = two_removals(&mut world);
        if turned {
            removals.reverse();
        }
        for removal in &removals {
            for who in [BOB, CAROL] {
                world.deliver(who, removal);
            }
        }
        let [stays, out] = match is_inside(&world, BOB) {
            true => [BOB, CAROL],
            false => [CAROL, BOB],
        };
        assert!(is_inside(&world, stays) && !is_inside(&world, out));
        assert!(is_unsettled(&world, stays), "it may be the one that is out");
        world.run(MINUTE * 60 * 48);
        assert!(!is_unsettled(&world, stays), "the one that is out said so");
        let text = "Who is here?";
        let before = world.wire.len();
        world.say(stays, text);
        world.run(MINUTE);
        let sent = |(kind, _): &(PublishKind, WakuMessage)| matches!(kind, PublishKind::Message(_));
        assert!(world.wire[before..].iter().any(sent), "it speaks again");

        // who is out goes on for as long as states are kept, and no longer
        world.run(MINUTE * 60 * 24 * 6);
        world.peers[stays].asleep = true;
        world.peers[stays].deaf = true;
        let before = world.wire.len();
        world.run(MINUTE * 60 * 36);
        let syncs = |(kind, _): &(PublishKind, WakuMessage)| matches!(kind, PublishKind::Sync(_));
        assert!(!world.wire[before..].iter().any(syncs), "it is silent");
    }
}

/// Alice takes Bob out on one branch, Carol on another, and neither on the one that stands. Each can
/// read only what followed where the other was taken out, and says that it does not stand there.
#[test]
fn who_are_out_on_different_lost_branches_hear_of_each_other() {
    let mut world = World::three();
    let removals = two_removals(&mut world);
    for removal in &removals {
        world.deliver(BOB, removal);
        world.deliver(CAROL, removal);
    }
    // the ties decide: one of some tries stands
    for _ in 0..24 {
        if is_inside(&world, BOB) && is_inside(&world, CAROL) {
            break;
        }
        let commit = world.commit_of(ALICE, Vec::new(), Some(&world.extensions(&world.agreed())));
        let message = world.seal(ALICE, &handshake(commit, Vec::new()));
        world.deliver(BOB, &message);
        world.deliver(CAROL, &message);
    }
    for who in [BOB, CAROL] {
        assert!(is_inside(&world, who) && is_unsettled(&world, who), "{who}");
    }
    // one sync after activity is enough for all that differ in nothing else: the other's comes later
    world.run(MINUTE * 60 * 48);
    for who in [BOB, CAROL] {
        assert!(is_inside(&world, who) && !is_unsettled(&world, who), "{who}");
    }
}

/// Alice shows the commit that takes Bob out to him alone, and is heard no more. The others have never
/// heard of it and go on with him: he shows it to them, and they say that they do not stand there.
#[test]
fn who_alone_knows_what_takes_it_out_shows_it_to_the_others() {
    let mut world = World::three();
    let (dave, card) = world.add();
    world.invite(&[card]);
    world.command(dave, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE * 10);
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].asleep = true;
    let removal = world.seal(ALICE, &handshake(world.removal(ALICE, BOB), Vec::new()));
    // two accounts against one
    for who in [CAROL, dave] {
        let (name, description) = (format!("Hut of {who}"), String::new());
        world.command(who, Command::SetProfile { group: world.group, name, description });
        world.run(MINUTE);
    }
    world.deliver(BOB, &removal);
    assert!(is_inside(&world, BOB) && is_unsettled(&world, BOB));
    world.run(MINUTE * 60 * 48);
    assert!(is_inside(&world, BOB) && !is_unsettled(&world, BOB));
    world.go_on(&[BOB, CAROL, dave]);
}
