//! Accounts that come back by their phrase alone.

use super::*;
use crate::api::views::GroupState;
use crate::api::{Hold, Policy, RecoveryFailure, Role};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Alice, Bob and Carol in a group, long enough for a recovery record that names it.
fn world() -> World {
    let mut world = World::three();
    world.say(ALICE, "before");
    world.run(2 * DAY);
    world
}

/// Alice's installations are gone.
fn lose(world: &mut World, who: usize) {
    world.peers[who].deaf = true;
    world.peers[who].asleep = true;
}

fn recover(world: &mut World, phrase: Phrase, stolen: bool) -> usize {
    let new = world.add_empty();
    let answer = world.command(new, Command::Recover { phrase, stolen });
    assert!(matches!(answer, Answer::Recovering { .. }));
    new
}

fn phrase(world: &World, who: usize) -> Phrase {
    world.peers[who].phrase.clone().expect("it made its account")
}

fn recovered(world: &World, who: usize) -> Option<usize> {
    world.peers[who].heard.iter().find_map(|event| match event {
        Event::Recovered { groups, .. } => Some(*groups),
        _ => None,
    })
}

fn failed(world: &World, who: usize) -> Option<RecoveryFailure> {
    world.peers[who].heard.iter().find_map(|event| match event {
        Event::RecoveryFailed { reason } => Some(*reason),
        _ => None,
    })
}

fn installations(world: &World, who: usize) -> Vec<InstallationId> {
    let members = world.peers[who].core.members(world.group).expect("memory").expect("in it");
    members.into_iter().flat_map(|member| member.installations).collect()
}

fn state(world: &World, who: usize) -> Option<GroupState> {
    world.peers[who].core.group(world.group).expect("memory").map(|group| group.state)
}

fn card(world: &World, who: usize) -> String {
    world.peers[who].core.account().expect("memory").expect("an account").card
}

#[test]
fn the_phrase_alone_brings_log_groups_and_reach_back() {
    let mut world = world();
    let (lost, account, before) =
        (world.installation(ALICE), world.account(ALICE), card(&world, ALICE));
    lose(&mut world, ALICE);
    let words = phrase(&world, ALICE);
    let new = recover(&mut world, words, false);
    assert_eq!(recovered(&world, new), Some(1));
    assert_eq!((world.account(new), card(&world, new)), (account, before.clone()));
    assert!(world.peers[new].core.inner.recovering.is_none(), "the phrase is let go of");
    world.run(2 * MINUTE);
    for who in [BOB, CAROL, new] {
        let members = installations(&world, who);
        assert!(members.contains(&world.installation(new)), "{who}");
        assert!(!members.contains(&lost), "{who}");
        assert_eq!(members.len(), 3, "{who}");
        assert_eq!(state(&world, who), Some(GroupState::Joined), "{who}");
    }
    world.go_on(&[BOB, CAROL, new]);
    let all = world.peers[new].core.installations().expect("memory");
    assert_eq!(all.len(), 2, "what the log tells of those before is back");
    // her role came with her
    let members = world.peers[BOB].core.members(world.group).expect("memory").expect("in it");
    let alice = members.iter().find(|member| member.account == account).expect("in it");
    assert_eq!(alice.role, Role::Owner);
    // contacts reach her by the card that they have
    world.run(2 * DAY);
    let (name, description) = ("Boat".to_owned(), String::new());
    let Answer::GroupCreated { group } =
        world.command(CAROL, Command::CreateGroup { name, description })
    else {
        panic!("a group")
    };
    world.group = group;
    world.command(CAROL, Command::Invite { group, cards: vec![before] });
    world.run(HOUR);
    assert_eq!(state(&world, new), Some(GroupState::Invited));
    // the lost one was only away: it learns that it is not live, and says nothing
    world.peers[ALICE].deaf = false;
    world.peers[ALICE].asleep = false;
    world.give(ALICE, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(HOUR);
    assert_eq!(world.peers[ALICE].core.hold(), Some(Hold::Ended));
}

#[test]
fn a_thief_with_an_installation_loses_against_the_phrase() {
    let mut world = world();
    let thief = world.link(ALICE);
    world.run(2 * DAY);
    assert_eq!(installations(&world, BOB).len(), 4);
    // the thief has put the owner's own one out
    let installations_of = vec![world.installation(ALICE)];
    world.command(thief, Command::Revoke { installations: installations_of });
    world.run(MINUTE);
    let words = phrase(&world, ALICE);
    let old = card(&world, thief);
    let new = recover(&mut world, words, true);
    world.run(2 * MINUTE);
    let stolen = world.installation(thief);
    for who in [BOB, CAROL, new] {
        let members = installations(&world, who);
        assert!(!members.contains(&stolen), "{who}");
        assert!(members.contains(&world.installation(new)), "{who}");
    }
    assert_ne!(card(&world, new), old, "the thief has the old one");
    assert_eq!(world.peers[thief].core.hold(), Some(Hold::Ended));
    world.go_on(&[BOB, CAROL, new]);
}

#[test]
fn a_member_without_the_right_to_add_brings_it_in() {
    let mut world = World::three();
    let policy = Policy { add: Role::Owner, ..Policy::default() };
    world.command(ALICE, Command::SetPolicy { group: world.group, policy });
    world.run(2 * DAY);
    lose(&mut world, ALICE);
    let words = phrase(&world, ALICE);
    let new = recover(&mut world, words, false);
    world.run(5 * MINUTE);
    assert_eq!(state(&world, new), Some(GroupState::Joined));
    world.go_on(&[BOB, CAROL, new]);
}

#[test]
fn it_asks_again_after_a_restart_and_until_somebody_is_there() {
    let mut world = world();
    for who in [ALICE, BOB, CAROL] {
        lose(&mut world, who);
    }
    let words = phrase(&world, ALICE);
    let new = recover(&mut world, words, false);
    world.run(3 * DAY);
    assert_eq!(state(&world, new), None);
    let store = world.peers[new].core.store().clone();
    let again = Core::open(store, World::config(), [9; 32], world.now).expect("memory");
    world.peers[new].core = again;
    world.give(new, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.peers[BOB].deaf = false;
    world.peers[BOB].asleep = false;
    world.give(BOB, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(2 * DAY);
    assert_eq!(state(&world, new), Some(GroupState::Joined));
    world.go_on(&[BOB, new]);
}

#[test]
fn what_cannot_be_found_is_said() {
    let mut world = world();
    let stranger = Phrase::from_entropy([9; 32]);
    let nobody = recover(&mut world, stranger.clone(), false);
    world.run(HOUR);
    assert_eq!(failed(&world, nobody), Some(RecoveryFailure::NotFound));
    assert_eq!(world.peers[nobody].core.account().expect("memory"), None);
    let alone = world.add_empty();
    world.peers[alone].deaf = true;
    let words = phrase(&world, ALICE);
    world.command(alone, Command::Recover { phrase: words.clone(), stolen: false });
    world.run(HOUR);
    assert_eq!(failed(&world, alone), Some(RecoveryFailure::Unreachable));
    let refused = world.try_command(BOB, Command::Recover { phrase: words.clone(), stolen: false });
    assert_eq!(refused.err(), Some(CommandError::HasAccount(world.account(BOB))));
    // a Store comes while it is looked for
    world.command(alone, Command::Recover { phrase: words, stolen: false });
    world.run(MINUTE);
    assert_eq!(recovered(&world, alone), None);
    world.peers[alone].deaf = false;
    world.give(alone, Input::Connectivity { relay_peers: 2, store_peers: 2 });
    assert_eq!(recovered(&world, alone), Some(1));
}

#[test]
fn every_account_shows_the_same_number_of_parts() {
    let mut world = world();
    lose(&mut world, ALICE);
    let count = |world: &World, from: usize| {
        let registers =
            |(kind, _): &&(PublishKind, WakuMessage)| *kind == PublishKind::Registration;
        world.wire[from..].iter().filter(registers).count()
    };
    let from = world.wire.len();
    world.run(DAY);
    assert_eq!(count(&world, from), 16, "Bob's and Carol's");
    let words = phrase(&world, ALICE);
    recover(&mut world, words, true);
    let begin = world.wire.len();
    world.run(3 * DAY);
    assert_eq!(count(&world, begin), 3 * 24, "of three accounts on three days");
}

/// It shares no group with anybody who could tell it, and its card was replaced.
#[test]
fn a_stolen_installation_without_groups_learns_that_it_was_put_out() {
    let mut world = World::new();
    let (first, _) = world.add();
    let stolen = world.link(first);
    world.run(2 * DAY);
    lose(&mut world, first);
    let words = phrase(&world, first);
    let new = recover(&mut world, words, true);
    assert_eq!(recovered(&world, new), Some(0));
    world.run(2 * DAY);
    assert_eq!(world.peers[stolen].core.hold(), Some(Hold::Ended));
    // from then on the account shows as much as any other
    let from = world.wire.len();
    world.run(2 * DAY);
    let registers = |(kind, _): &&(PublishKind, WakuMessage)| *kind == PublishKind::Registration;
    assert_eq!(world.wire[from..].iter().filter(registers).count(), 2 * 8);
}
