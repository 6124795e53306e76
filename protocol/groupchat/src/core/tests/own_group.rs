//! What an account's installations share, who publishes for it, and how a new one comes into groups.

use super::*;
use crate::account::{
    AddProposal, Entry, EntryBody, EntryKind, InstallationKey, PARCEL_BYTES, SigningKey,
};
use crate::api::views::{GroupState, InstallationState};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn state(world: &World, who: usize) -> Option<GroupState> {
    world.peers[who].core.group(world.group).expect("memory").map(|view| view.state)
}

fn card(world: &World, who: usize) -> String {
    world.peers[who].core.account().expect("memory").expect("an account").card
}

fn members(world: &World, who: usize) -> usize {
    let members = world.peers[who].core.members(world.group).expect("memory").expect("in it");
    members.iter().map(|member| member.installations.len()).sum()
}

fn group_of(world: &mut World, who: usize) -> GroupId {
    let (name, description) = ("Hut".to_owned(), String::new());
    match world.command(who, Command::CreateGroup { name, description }) {
        Answer::GroupCreated { group } => group,
        other => panic!("a group: {other:?}"),
    }
}

/// Records that left since `from`, in parts.
fn records(world: &World, from: usize) -> usize {
    world.wire[from..].iter().filter(|(kind, _)| *kind == PublishKind::Registration).count()
}

fn until_midnight(world: &mut World) {
    let passed = world.now.as_secs() % DAY.as_secs();
    world.run(DAY - Duration::from_secs(passed));
}

fn label(world: &World, who: usize, whom: usize) -> Option<String> {
    let whom = world.installation(whom);
    let all = world.peers[who].core.installations().expect("memory");
    all.into_iter().find(|view| view.installation == whom).expect("listed").label
}

#[test]
fn labels_are_known_to_all_own_installations_and_the_group_is_not_shown() {
    let mut world = World::new();
    let (first, _) = world.add();
    let second = world.link(first);
    let name = |world: &mut World, by: usize, whom: usize, label: &str| {
        let installation = world.installation(whom);
        world.command(by, Command::SetLabel { installation, label: label.to_owned() });
        world.run(MINUTE);
    };
    world.run(MINUTE);
    name(&mut world, first, second, "laptop");
    name(&mut world, second, first, "phone");
    // who comes later is told too
    let third = world.link(second);
    world.run(2 * MINUTE);
    for who in [first, second, third] {
        assert_eq!(label(&world, who, first).as_deref(), Some("phone"), "{who}");
        assert_eq!(label(&world, who, second).as_deref(), Some("laptop"), "{who}");
        assert_eq!(label(&world, who, third), None, "{who}");
        let core = &world.peers[who].core;
        assert_eq!(core.groups().expect("memory"), [], "{who}");
        assert_eq!(core.invitations().expect("memory"), [], "{who}");
        let live = core.installations().expect("memory");
        assert!(live.iter().all(|view| view.state == InstallationState::Live) && live.len() == 3);
        let told = world.peers[who].heard.iter().filter(|event| event.group().is_some()).count();
        assert_eq!(told, 0, "{who}: {:?}", world.peers[who].heard);
    }
    name(&mut world, third, second, "");
    assert_eq!(label(&world, first, second), None);
    let long = "x".repeat(crate::limits::LABEL_BYTES + 1);
    let installation = world.installation(first);
    let refused = world.try_command(first, Command::SetLabel { installation, label: long });
    assert!(matches!(refused, Err(CommandError::Length { .. })));
    for who in [first, second, third] {
        let store = world.peers[who].core.store().clone();
        let again = Core::open(store, World::config(), [9; 32], world.now).expect("memory");
        let now = world.peers[who].core.installations().expect("memory");
        assert_eq!(again.installations().expect("memory"), now);
    }
}

#[test]
fn a_new_installation_comes_into_the_accounts_groups_by_itself() {
    let mut world = World::three();
    world.say(BOB, "before it came");
    let new = world.link(ALICE);
    assert_eq!(members(&world, BOB), 3, "not at once: after a time of the group's own");
    world.run(2 * MINUTE);
    assert_eq!(state(&world, new), Some(GroupState::Joined));
    for who in [ALICE, BOB, CAROL, new] {
        assert_eq!(members(&world, who), 4, "{who}");
    }
    world.go_on(&[ALICE, BOB, CAROL, new]);
    // what was said before is handed over
    assert!(world.texts(new).contains(&"before it came".to_owned()));
    // and who makes a group brings its others along
    world.group = group_of(&mut world, new);
    world.run(2 * MINUTE);
    assert_eq!((state(&world, ALICE), members(&world, ALICE)), (Some(GroupState::Joined), 2));
    world.go_on(&[ALICE, new]);
}

#[test]
fn if_who_took_it_in_is_gone_another_one_brings_it_in() {
    let mut world = World::three();
    let second = world.link(ALICE);
    world.run(2 * MINUTE);
    assert_eq!(members(&world, BOB), 4);
    let third = world.link(ALICE);
    // just long enough for the others of the account to hear of it
    world.run(Duration::from_secs(1));
    let before = members(&world, BOB);
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].asleep = true;
    world.run(10 * MINUTE);
    assert_eq!(before, 4);
    assert_eq!(members(&world, BOB), 5);
    world.go_on(&[BOB, CAROL, second, third]);
}

#[test]
fn what_one_decides_holds_for_the_account() {
    let mut world = World::new();
    for _ in 0..2 {
        world.add();
    }
    let second = world.link(ALICE);
    // the record with both
    world.run(2 * DAY);
    let cards = vec![card(&world, ALICE)];
    for joins in [true, false] {
        world.group = group_of(&mut world, BOB);
        world.command(BOB, Command::Invite { group: world.group, cards: cards.clone() });
        world.run(MINUTE);
        for who in [ALICE, second] {
            assert_eq!(state(&world, who), Some(GroupState::Invited), "{who}");
        }
        let group = world.group;
        if joins {
            world.command(second, Command::AcceptInvitation { group });
            world.run(MINUTE);
            assert_eq!(state(&world, ALICE), Some(GroupState::Joined));
            world.go_on(&[ALICE, BOB, second]);
            world.command(ALICE, Command::Leave { group });
            world.run(10 * MINUTE);
            for who in [ALICE, second] {
                assert_eq!(state(&world, who), Some(GroupState::Removed), "{who}");
            }
            assert_eq!(members(&world, BOB), 1);
        } else {
            world.command(ALICE, Command::DeclineInvitation { group });
            world.run(MINUTE);
            assert_eq!(state(&world, second), None);
        }
    }
}

#[test]
fn one_installation_publishes_and_the_next_takes_over() {
    let mut world = World::new();
    let (first, _) = world.add();
    let others = [world.link(first), world.link(first)];
    world.run(DAY);
    let mut who_was_out = Vec::new();
    for day in 0..9 {
        let from = world.wire.len();
        world.run(DAY);
        assert_eq!(records(&world, from), 8, "day {day}");
        // on each third day another one is away
        let out = [first, others[0], others[1]][day % 3];
        for who in [first, others[0], others[1]] {
            world.peers[who].deaf = who == out;
            world.peers[who].asleep = who == out;
        }
        who_was_out.push(out);
        // back again, it catches up first
        world.give(first, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    }
    for who in [first, others[0], others[1]] {
        let view = world.peers[who].core.account().expect("memory").expect("an account");
        assert!(view.registered_day.is_some(), "{who}");
    }
}

#[test]
fn who_is_put_out_before_its_turn_does_not_make_two_others_publish() {
    for account in 0..12 {
        let mut world = World { rng: CoreRng::new([account; 32]), ..World::new() };
        // all three are in the first record, and each knew of others when it was linked
        let first = world.add_empty();
        world.command(first, Command::CreateAccount);
        let second = world.link(first);
        let third = world.link(second);
        until_midnight(&mut world);
        let from = world.wire.len();
        // the order of this day is made, and one of them is lost
        world.run(MINUTE);
        let lost = world.installation(third);
        world.command(first, Command::Revoke { installations: vec![lost] });
        until_midnight(&mut world);
        assert_eq!(records(&world, from), 8, "account {account}");
    }
}

#[test]
fn a_log_that_fits_no_record_does_not_stop_the_installation() {
    let mut world = World::new();
    let (first, _) = world.add();
    let inner = &mut world.peers[first].core.inner;
    let mut log = inner.own_log().expect("an account");
    let own = inner.account.as_mut().expect("an account");
    let (key, account, time) = (own.key(), own.account, world.now);
    let signer = SigningKey::Installation(&key);
    // as a thief would: in and out again, with its key
    while log.encode().len() <= PARCEL_BYTES {
        let new = InstallationKey::generate(&mut world.rng);
        let parents = log.parents_for_new();
        let add = AddProposal::sign(account, parents, new.id(), signer, time).expect("an add");
        let join = add.join(&new);
        log.insert(add.complete(join).expect("both signed"));
        let parents = log.parents_for_new();
        let kind = EntryKind::Revoke { installations: vec![new.id()] };
        let body = EntryBody { account, parents, time, author: signer.author(), kind };
        log.insert(Entry::sign(body, signer).expect("a revocation"));
    }
    own.log = log.encoded_entries();
    let from = world.wire.len();
    world.run(2 * DAY);
    assert_eq!(records(&world, from), 0);
    world.group = group_of(&mut world, first);
    world.say(first, "still here");
    assert_eq!(world.texts(first), ["still here"]);
}

#[test]
fn the_first_record_does_not_wait_for_a_turn() {
    let mut world = World::new();
    for _ in 0..10 {
        let first = world.add_empty();
        let from = world.wire.len();
        world.command(first, Command::CreateAccount);
        world.link(first);
        world.run(MINUTE);
        assert_eq!(records(&world, from), 8);
        let view = world.peers[first].core.account().expect("memory").expect("an account");
        assert!(view.registered_day.is_some());
    }
}

#[test]
fn nothing_follows_a_record() {
    let mut world = World::new();
    let (first, _) = world.add();
    for _ in 0..2 {
        world.link(first);
    }
    until_midnight(&mut world);
    for day in 0..5 {
        let from = world.wire.len();
        world.run(DAY / 2);
        assert_eq!(records(&world, from), 8, "day {day}");
        let others =
            world.wire[from..].iter().filter(|(kind, _)| *kind != PublishKind::Registration);
        let kinds: Vec<_> = others.map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [], "day {day}");
        world.run(DAY / 2);
    }
}

#[test]
fn key_packages_are_new_with_each_record_and_older_ones_still_open() {
    let mut world = World::new();
    for _ in 0..3 {
        world.add();
    }
    let second = world.link(ALICE);
    world.run(2 * DAY);
    // Bob has the record, and gets on with it a week later
    world.group = group_of(&mut world, BOB);
    let cards = vec![card(&world, ALICE)];
    world.peers[BOB].deaf = true;
    world.command(BOB, Command::Invite { group: world.group, cards });
    world.run(MINUTE);
    world.peers[BOB].asleep = true;
    let package = |world: &World, who: usize| {
        let own = world.peers[who].core.inner.account.as_ref().expect("an account");
        own.key_packages.iter().find(|(i, _)| *i == own.installation).expect("one").1.clone()
    };
    let before = [package(&world, ALICE), package(&world, second)];
    world.run(7 * DAY);
    for (who, before) in [ALICE, second].into_iter().zip(before) {
        assert_ne!(package(&world, who), before);
    }
    world.peers[BOB].deaf = false;
    world.peers[BOB].asleep = false;
    world.give(BOB, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(HOUR);
    for who in [ALICE, second] {
        assert_eq!(state(&world, who), Some(GroupState::Invited), "{who}");
    }
    world.command(ALICE, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
    world.go_on(&[ALICE, BOB, second]);
}

#[test]
fn an_installation_that_was_away_for_three_weeks_gets_in() {
    let mut world = World::new();
    for _ in 0..2 {
        world.add();
    }
    let second = world.link(ALICE);
    world.run(2 * DAY);
    world.peers[second].deaf = true;
    world.peers[second].asleep = true;
    world.run(20 * DAY);
    world.group = group_of(&mut world, BOB);
    let cards = vec![card(&world, ALICE)];
    world.command(BOB, Command::Invite { group: world.group, cards });
    world.run(MINUTE);
    world.command(ALICE, Command::AcceptInvitation { group: world.group });
    world.run(DAY);
    world.say(BOB, "while it is away");
    world.peers[second].deaf = false;
    world.peers[second].asleep = false;
    world.give(second, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(HOUR);
    assert_eq!(state(&world, second), Some(GroupState::Joined));
    assert_eq!(world.texts(second), ["while it is away"]);
    world.go_on(&[ALICE, BOB, second]);
}

#[test]
fn who_leaves_the_account_is_out_everywhere() {
    let mut world = World::three();
    let refused = world.try_command(ALICE, Command::LeaveAccount);
    assert_eq!(refused.err(), Some(CommandError::LastInstallation));
    let second = world.link(ALICE);
    world.run(2 * MINUTE);
    world.say(second, "I was here");
    world.command(second, Command::LeaveAccount);
    world.run(10 * MINUTE);
    for who in [ALICE, BOB, CAROL] {
        assert_eq!(members(&world, who), 3, "{who}");
        assert!(world.texts(who).contains(&"I was here".to_owned()), "{who}");
    }
    let all = world.peers[ALICE].core.installations().expect("memory");
    assert_eq!(all[1].state, InstallationState::Removed);
    let text = "still?".to_owned();
    let said = world.try_command(second, Command::Send { group: world.group, text });
    assert_eq!(said.err(), Some(CommandError::Ended));
    world.run(2 * DAY);
    world.go_on(&[ALICE, BOB, CAROL]);
}
