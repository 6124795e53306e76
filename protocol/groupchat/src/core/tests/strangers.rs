//! Who may invite: blocking, strangers, and floods.

use super::*;
use crate::api::TurnedAway;
use crate::limits::OPEN_INVITATIONS_OF_ONE;

/// Invitations that wait at Bob's.
fn waiting(world: &World) -> usize {
    world.peers[BOB].core.invitations().expect("memory").len()
}

/// A new group of this peer, to which Bob is invited.
fn invites(world: &mut World, who: usize, card: &str) -> GroupId {
    let (name, description) = ("Hut".to_owned(), String::new());
    let Answer::GroupCreated { group } =
        world.command(who, Command::CreateGroup { name, description })
    else {
        panic!("a group")
    };
    world.command(who, Command::Invite { group, cards: vec![card.to_owned()] });
    world.run(MINUTE * 2);
    group
}

fn turned_away(world: &World) -> Vec<(usize, TurnedAway, u64)> {
    let place = |account| (0..world.peers.len()).find(|who| world.account(*who) == account);
    let heard = world.peers[BOB].heard.iter();
    heard
        .filter_map(|event| match event {
            Event::InvitationTurnedAway { from, reason, count } => {
                Some((place(*from).expect("a peer"), *reason, *count))
            }
            _ => None,
        })
        .collect()
}

/// Alice, Bob and Carol, each with an account alone; Bob's card.
fn apart() -> (World, String) {
    let mut world = World::new();
    let cards: Vec<String> = (0..3).map(|_| world.add().1).collect();
    (world, cards[BOB].clone())
}

#[test]
fn invitations_of_a_blocked_account_are_turned_away_with_a_count() {
    let (mut world, card) = apart();
    invites(&mut world, ALICE, &card);
    invites(&mut world, CAROL, &card);
    assert_eq!(waiting(&world), 2);
    let alice = world.account(ALICE);
    world.command(BOB, Command::Block { account: alice });
    assert_eq!(waiting(&world), 1, "those that wait go, too");
    // told at most once a minute
    world.run(MINUTE);
    invites(&mut world, ALICE, &card);
    assert_eq!(waiting(&world), 1);
    assert_eq!(
        turned_away(&world),
        [(ALICE, TurnedAway::Blocked, 1), (ALICE, TurnedAway::Blocked, 2)]
    );
    let guard = world.peers[BOB].core.guard().expect("memory");
    assert_eq!((guard.blocked[0].account, guard.blocked[0].invitations), (alice, 2));
    assert_eq!(guard.turned_away_blocked, 2);

    world.command(BOB, Command::Unblock { account: alice });
    let group = invites(&mut world, ALICE, &card);
    assert_eq!(waiting(&world), 2);
    world.command(BOB, Command::AcceptInvitation { group });
}

#[test]
fn what_a_blocked_member_says_is_marked() {
    let mut world = World::three();
    world.say(ALICE, "from Alice");
    world.say(CAROL, "from Carol");
    world.run(MINUTE);
    world.command(BOB, Command::Block { account: world.account(CAROL) });
    let marked = |world: &World| -> Vec<(String, bool)> {
        world.read(BOB).into_iter().map(|m| (m.text, m.blocked)).collect()
    };
    let [alice, carol] = ["from Alice", "from Carol"].map(str::to_owned);
    assert_eq!(marked(&world), [(alice.clone(), false), (carol.clone(), true)]);
    let id = world.read(BOB)[1].id;
    assert!(world.peers[BOB].core.message(id).expect("memory").expect("there").blocked);
    world.command(BOB, Command::Unblock { account: world.account(CAROL) });
    assert_eq!(marked(&world), [(alice, false), (carol, false)]);
}

#[test]
fn strangers_are_turned_away_where_only_contacts_may_invite() {
    let mut world = World::three();
    let (stranger, _) = world.add();
    let card = world.peers[BOB].core.account().expect("memory").expect("an account").card;
    world.command(BOB, Command::SetInvitations { contacts_only: true });
    invites(&mut world, stranger, &card);
    assert_eq!(waiting(&world), 0);
    assert_eq!(turned_away(&world), [(stranger, TurnedAway::Stranger, 1)]);
    invites(&mut world, CAROL, &card);
    assert_eq!(waiting(&world), 1, "they share a group");
    world.command(BOB, Command::SetInvitations { contacts_only: false });
    invites(&mut world, stranger, &card);
    assert_eq!(waiting(&world), 2);
}

#[test]
fn a_flood_of_one_account_leaves_the_oldest_and_room_for_others() {
    let (mut world, card) = apart();
    let groups: Vec<GroupId> =
        (0..OPEN_INVITATIONS_OF_ONE + 3).map(|_| invites(&mut world, ALICE, &card)).collect();
    assert_eq!(waiting(&world), OPEN_INVITATIONS_OF_ONE);
    let open = world.peers[BOB].core.invitations().expect("memory");
    let first = &groups[..OPEN_INVITATIONS_OF_ONE];
    assert!(open.iter().all(|invitation| first.contains(&invitation.group)), "the oldest stay");
    let told = turned_away(&world);
    assert_eq!(told.last(), Some(&(ALICE, TurnedAway::TooMany, 3)), "{told:?}");
    invites(&mut world, CAROL, &card);
    assert_eq!(waiting(&world), OPEN_INVITATIONS_OF_ONE + 1);
}

#[test]
fn commands_that_make_no_sense_are_refused_and_all_of_it_outlives_a_restart() {
    let (mut world, card) = apart();
    let (alice, bob) = (world.account(ALICE), world.account(BOB));
    let refused = |world: &mut World, command| world.try_command(BOB, command).expect_err("no");
    let own = refused(&mut world, Command::Block { account: bob });
    assert!(matches!(own, CommandError::OwnAccount), "{own:?}");
    let not = refused(&mut world, Command::Unblock { account: alice });
    assert!(matches!(not, CommandError::NotBlocked(who) if who == alice), "{not:?}");
    world.command(BOB, Command::Block { account: alice });
    world.command(BOB, Command::Block { account: alice });
    world.command(BOB, Command::SetInvitations { contacts_only: true });
    invites(&mut world, ALICE, &card);
    let before = world.peers[BOB].core.guard().expect("memory");
    assert_eq!((before.blocked.len(), before.turned_away_blocked), (1, 1));
    let store = world.peers[BOB].core.store().clone();
    let again = Core::open(store, World::config(), [3; 32], world.now).expect("memory");
    assert_eq!(again.guard().expect("memory"), before);
}
