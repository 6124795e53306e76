//! What is said of long splits and is not so: forged chains, statements of others, two of one leaf.

use prost::Message as _;

use super::hostile::handshake;
use super::rejoin::{rename, sealed, states};
use super::*;
use crate::core::records::StateName;
use crate::kdf::label;
use crate::proto::group as pb;

const DAY: Duration = Duration::from_secs(86_400);

/// A group that has let go of an old state, whose name is given, and Dave, who never was in it.
fn old() -> (World, StateName, usize) {
    let mut world = World::three();
    for peer in &mut world.peers {
        peer.core.inner.config.catch_up = Duration::from_secs(6 * 3600);
    }
    let (dave, _) = world.add();
    let name = states(&world)[ALICE];
    rename(&mut world, BOB, "Chalet");
    world.run(DAY * 9);
    rename(&mut world, ALICE, "Cabin");
    world.run(DAY);
    let group = &world.peers[ALICE].core.inner.groups[&world.group];
    assert!(group.rejoin.contains_key(&name), "one can come back from it");
    let named = |s: &crate::core::records::StateRecord| s.keys.as_ref().map(|keys| keys.name);
    assert!(!group.states().any(|s| named(s) == Some(name)), "and it is not kept");
    (world, name, dave)
}

fn chain(group: &[u8], from: &[u8], commits: Vec<Vec<u8>>) -> pb::rejoin::Body {
    let (group, from) = (group.to_vec(), from.to_vec());
    pb::rejoin::Body::Chain(pb::ForkChain { group, from, commits })
}

/// What `signer` says of the side of `who`.
fn statement(
    world: &World,
    signer: usize,
    who: usize,
    group: &[u8],
    (state, first): (&StateName, [u8; 32]),
) -> pb::SignedStatement {
    let statement = pb::ForkStatement {
        group: group.to_vec(),
        installation: world.installation(who).as_bytes().to_vec(),
        state: state.to_vec(),
        first: first.to_vec(),
    }
    .encode_to_vec();
    let signature = world.key(signer).sign(label::FORK_STATEMENT, &statement).to_vec();
    pb::SignedStatement { statement, signature }
}

#[test]
fn chains_that_do_not_parse_or_are_of_another_group_are_refused() {
    let (mut world, name, _) = old();
    let group = world.group.as_bytes().to_vec();
    let spoilt = [
        ("of another group", chain(&[7; 16], &name, vec![vec![1; 32]])),
        ("from no state", chain(&group, &name[..31], vec![vec![1; 32]])),
        ("a short commit", chain(&group, &name, vec![vec![1; 31]])),
    ];
    for (what, body) in spoilt {
        let message = sealed(&world, BOB, &name, body);
        assert_eq!(world.refused_outright(ALICE, &message), RefusedReason::Malformed, "{what}");
    }
    // from a state that nobody came through: nothing is known of it
    let message = sealed(&world, BOB, &name, chain(&group, &[9; 32], vec![vec![1; 32]]));
    let before = states(&world);
    world.deliver(ALICE, &message);
    assert_eq!(states(&world), before);
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// It shows another side after a state that nobody keeps. All state their side, and nobody moves.
#[test]
fn a_made_up_chain_moves_nobody() {
    let (mut world, name, _) = old();
    let before = states(&world);
    let group = world.group.as_bytes().to_vec();
    let commits = vec![vec![1; 32], vec![2; 32], vec![3; 32], vec![4; 32]];
    let message = sealed(&world, CAROL, &name, chain(&group, &name, commits));
    world.deliver(ALICE, &message);
    world.run(DAY * 3);
    assert_eq!(states(&world)[1..], [states(&world)[0]; 2]);
    for who in [ALICE, BOB, CAROL] {
        let lost = Event::Split { group: world.group, stands: false };
        assert!(!world.peers[who].heard.contains(&lost), "{who}");
        let kept = &world.peers[who].core.inner.groups[&world.group];
        assert!(kept.rejoin.contains_key(&before[who]), "no Welcome led anybody elsewhere");
        assert_eq!(kept.ask.lost, None);
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// Bob says the chain of a branch that the group does not stand on. Who has it knows that; who does not
/// asks for it.
#[test]
fn a_chain_of_a_branch_that_was_passed_over_makes_nobody_ask_who_has_it() {
    let mut world = World::three();
    world.run(DAY);
    let name = states(&world)[CAROL];
    let commit_of = |world: &World, who| {
        world.commit_of(who, Vec::new(), Some(&world.extensions(&world.agreed())))
    };
    let commits = [commit_of(&world, BOB), commit_of(&world, BOB)];
    let sealed_commits = commits.clone().map(|c| world.seal(BOB, &handshake(c, Vec::new())));
    for message in &sealed_commits {
        world.deliver(CAROL, message);
    }
    let state = world.tip(CAROL).id;
    let line = world.peers[CAROL].core.inner.groups[&world.group].line.as_ref().expect("joined");
    let tie = line.graph.commit(state).expect("a commit").tie;
    let parent = line.graph.ancestry(state).nth(1).expect("before it");
    let is_tip = |c: &Vec<u8>| crate::core::effect::tie_of(&line.states[&parent], c) == tie;
    let lost = commits.iter().find(|c| !is_tip(c)).expect("one of the two").clone();
    let side = crate::kdf::hash(label::FORK_COMMIT, &[&lost]).to_vec();
    let behind = |world: &World| world.peers[CAROL].core.inner.groups[&world.group].ask.behind;
    let group = world.group.as_bytes().to_vec();
    let third = commit_of(&world, BOB);
    let news = crate::kdf::hash(label::FORK_COMMIT, &[&third]).to_vec();
    for (commits, asks) in [(vec![side], false), (vec![news], true)] {
        let message = sealed(&world, BOB, &name, chain(&group, &name, commits));
        world.deliver(CAROL, &message);
        assert_eq!(behind(&world), asks);
    }
    // it comes by itself: nothing is missing any more
    let message = world.seal(BOB, &handshake(third, Vec::new()));
    world.deliver(CAROL, &message);
    assert!(!behind(&world));
}

#[test]
fn statements_of_others_and_of_strangers_are_refused() {
    let (mut world, name, dave) = old();
    let group = world.group.as_bytes().to_vec();
    let side = (&name, [7; 32]);
    let spoilt = [
        ("signed by another", statement(&world, CAROL, BOB, &group, side), RefusedReason::Invalid),
        ("of another group", statement(&world, BOB, BOB, &[7; 16], side), RefusedReason::Invalid),
        (
            "of who was not there",
            statement(&world, dave, dave, &group, side),
            RefusedReason::NotAllowed,
        ),
    ];
    for (what, signed, reason) in spoilt {
        let message = sealed(&world, CAROL, &name, pb::rejoin::Body::Statement(signed));
        assert_eq!(world.refused_outright(ALICE, &message), reason, "{what}");
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// One leaf states one side, for good: with a second statement it counts for neither.
#[test]
fn who_states_two_sides_counts_for_neither() {
    let (mut world, name, _) = old();
    let group = world.group.as_bytes().to_vec();
    for (first, refusals) in [([7; 32], 0), ([8; 32], 1), ([9; 32], 2)] {
        let signed = statement(&world, BOB, BOB, &group, (&name, first));
        let message = sealed(&world, BOB, &name, pb::rejoin::Body::Statement(signed));
        let before = world.peers[ALICE].refused.len();
        world.deliver(ALICE, &message);
        let refused = &world.peers[ALICE].refused[before..];
        assert_eq!(refused, &[RefusedReason::NotAllowed][..usize::from(refusals > 0)]);
    }
    let said = &world.peers[ALICE].core.inner.groups[&world.group].splits[&name].statements;
    let bob = world.installation(BOB);
    assert_eq!(said.iter().filter(|(i, ..)| *i == bob).count(), 2, "no more are kept");
    let before = states(&world);
    world.run(DAY * 3);
    assert_eq!(world.peers[ALICE].core.inner.groups[&world.group].ask.lost, None);
    let kept = &world.peers[ALICE].core.inner.groups[&world.group].rejoin;
    assert!(kept.contains_key(&before[ALICE]));
    world.go_on(&[ALICE, BOB, CAROL]);
}
