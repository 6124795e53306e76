//! Contact cards that change.

use super::*;
use crate::account::{Card, RegistrationSecret};
use crate::api::views::{GroupState, MessageKind};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn card(world: &World, who: usize) -> String {
    world.peers[who].core.account().expect("memory").expect("an account").card
}

fn secret(world: &World, who: usize) -> RegistrationSecret {
    world.peers[who].core.inner.account.as_ref().expect("an account").registration()
}

/// The card that `who` keeps of another's account.
fn kept(world: &World, who: usize, whose: usize) -> Option<Card> {
    world.peers[who].core.inner.contacts.card(&world.account(whose))
}

fn changed(world: &World, who: usize, whose: usize) -> usize {
    let whose = world.account(whose);
    let is_it = |e: &&Event| matches!(e, Event::CardChanged { account } if *account == whose);
    world.peers[who].heard.iter().filter(is_it).count()
}

fn group_of(world: &mut World, who: usize) -> GroupId {
    let (name, description) = ("Boat".to_owned(), String::new());
    match world.command(who, Command::CreateGroup { name, description }) {
        Answer::GroupCreated { group } => group,
        other => panic!("a group: {other:?}"),
    }
}

fn state(world: &World, who: usize) -> Option<GroupState> {
    world.peers[who].core.group(world.group).expect("memory").map(|group| group.state)
}

#[test]
fn contacts_get_the_new_card_in_the_groups_they_share() {
    let mut world = World::three();
    let old = card(&world, BOB);
    let Answer::CardRotated { card: new } = world.command(BOB, Command::RotateCard) else {
        panic!("a card")
    };
    assert_eq!((card(&world, BOB), changed(&world, BOB, BOB)), (new.to_string(), 1));
    world.run(HOUR);
    // Alice has invited Bob by his card, Carol never had it
    assert_eq!(kept(&world, ALICE, BOB), Some(new.clone()));
    assert_eq!((changed(&world, ALICE, BOB), changed(&world, CAROL, BOB)), (1, 0));
    assert_eq!(kept(&world, CAROL, BOB), None);
    let told = world.read(ALICE).iter().filter(|m| m.kind == MessageKind::Card).count();
    assert_eq!(told, 1);
    world.go_on(&[ALICE, BOB, CAROL]);
    // whoever has just the old one is told that it counts no more
    let group = group_of(&mut world, CAROL);
    let by_old = Command::Invite { group, cards: vec![old.clone()] };
    let refused = world.try_command(CAROL, by_old);
    assert_eq!(refused.err(), Some(CommandError::CardReplaced(world.account(BOB))));
    // Alice can go on to use it: the new one takes its place, from the next record on
    world.run(2 * DAY);
    world.group = group_of(&mut world, ALICE);
    world.command(ALICE, Command::Invite { group: world.group, cards: vec![old] });
    world.run(HOUR);
    assert_eq!(state(&world, BOB), Some(GroupState::Invited));
    world.command(BOB, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
    world.go_on(&[ALICE, BOB]);
}

#[test]
fn who_shares_no_group_learns_that_its_card_was_replaced() {
    let mut world = World::new();
    for _ in 0..2 {
        world.add();
    }
    let old = card(&world, BOB);
    world.command(BOB, Command::RotateCard);
    // the record of this day is out already, under the former secret
    let from = world.wire.len();
    world.run(2 * DAY);
    let records = world.wire[from..].iter();
    let records = records.filter(|(kind, _)| *kind == PublishKind::Registration).count();
    assert_eq!(records, 2 * 8, "as many as without: both had one on the first day");
    world.group = group_of(&mut world, ALICE);
    world.command(ALICE, Command::Invite { group: world.group, cards: vec![old.clone()] });
    world.run(HOUR);
    let bob = world.account(BOB);
    let failed = world.peers[ALICE].heard.iter().find_map(|event| match event {
        Event::InvitationFailed { account, reason, .. } if *account == bob => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(failed, Some(CommandError::CardReplaced(bob).to_string()));
    // known from then on
    let again = world.try_command(ALICE, Command::Invite { group: world.group, cards: vec![old] });
    assert_eq!(again.err(), Some(CommandError::CardReplaced(bob)));
    let cards = vec![card(&world, BOB)];
    world.command(ALICE, Command::Invite { group: world.group, cards });
    world.run(HOUR);
    assert_eq!(state(&world, BOB), Some(GroupState::Invited));
}

#[test]
fn who_is_put_out_does_not_learn_the_new_secret() {
    let mut world = World::three();
    let (second, thief) = (world.link(BOB), world.link(BOB));
    world.run(2 * DAY);
    let old = secret(&world, BOB);
    assert_eq!((&secret(&world, second), &secret(&world, thief)), (&old, &old));
    let members = world.peers[ALICE].core.members(world.group).expect("memory").expect("in it");
    assert_eq!(members.iter().map(|m| m.installations.len()).sum::<usize>(), 5);
    let installations = vec![world.installation(thief)];
    world.command(BOB, Command::Revoke { installations });
    world.run(HOUR);
    let new = secret(&world, BOB);
    assert_ne!(new, old);
    assert_eq!(secret(&world, second), new);
    assert_eq!(secret(&world, thief), old);
    assert_eq!(kept(&world, ALICE, BOB).map(|card| card.registration), Some(new.clone()));
    assert_eq!(changed(&world, second, BOB), 1, "once");
    // one of the account's installations told each group
    let told = world.read(ALICE).iter().filter(|m| m.kind == MessageKind::Card).count();
    assert_eq!(told, 1);
    // nothing that the thief hears gives it away, and it is as lasting as the log
    let all = world.wire.clone();
    for (_, message) in &all {
        world.deliver(thief, message);
    }
    assert_eq!(secret(&world, thief), old);
    world.run(3 * DAY);
    assert_eq!(secret(&world, BOB), new);
    world.go_on(&[ALICE, BOB, CAROL, second]);
}

#[test]
fn if_who_put_it_out_is_gone_another_one_changes_the_card() {
    let mut world = World::new();
    let (first, _) = world.add();
    let (second, thief) = (world.link(first), world.link(first));
    world.run(DAY);
    let old = secret(&world, first);
    let installations = vec![world.installation(thief)];
    world.command(first, Command::Revoke { installations });
    // long enough to be heard of, not long enough for more
    world.peers[first].asleep = true;
    world.run(HOUR);
    let new = secret(&world, second);
    assert_ne!(new, old);
    world.peers[first].asleep = false;
    world.run(HOUR);
    assert_eq!(secret(&world, first), new);
    assert_eq!(secret(&world, thief), old);
}
