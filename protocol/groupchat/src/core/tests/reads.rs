//! Up to where groups were read: counted, shared among an account's installations, seen by nobody.

use super::*;
use crate::api::views::{GroupView, MessageCursor};
use crate::seal::SizeClass;

/// Alice's second installation, in the group with her, Bob and Carol.
const SECOND: usize = 3;

fn world() -> World {
    let mut world = World::three();
    assert_eq!(world.link(ALICE), SECOND);
    world.run(2 * MINUTE);
    world
}

fn view(world: &World, who: usize) -> GroupView {
    world.peers[who].core.group(world.group).expect("memory").expect("in it")
}

fn unread(world: &World, who: usize) -> u64 {
    view(world, who).unread
}

fn mark(world: &mut World, who: usize, upto: Option<MessageId>) {
    let (group, upto) = (world.group, upto.map(|id| (id.installation, id.number)));
    world.command(who, Command::MarkRead { group, upto });
}

fn cursor(world: &World, who: usize, id: MessageId) -> MessageCursor {
    world.peers[who].core.message(id).expect("memory").expect("here").cursor()
}

/// What was told of reading: places, and what is unread after them.
fn told(world: &World, who: usize) -> Vec<(MessageCursor, u64)> {
    let heard = world.peers[who].heard.iter();
    heard
        .filter_map(|event| match event {
            Event::Read { upto, unread, .. } => Some((*upto, *unread)),
            _ => None,
        })
        .collect()
}

/// Sizes of the messages that left since `from`.
fn messages(world: &World, from: usize) -> Vec<usize> {
    let said = world.wire[from..].iter().filter(|(k, _)| matches!(k, PublishKind::Message(_)));
    said.map(|(_, message)| message.payload.len()).collect()
}

#[test]
fn what_others_said_is_unread_until_it_was_read_at_one_installation() {
    let mut world = world();
    let ids: Vec<_> = ["one", "two", "three"].iter().map(|text| world.say(BOB, text)).collect();
    world.say(SECOND, "mine");
    assert_eq!((unread(&world, ALICE), unread(&world, SECOND), unread(&world, BOB)), (3, 3, 1));
    assert_eq!(view(&world, ALICE).read_upto, None);
    world.run(2 * MINUTE);
    let from = world.wire.len();
    mark(&mut world, ALICE, Some(ids[1]));
    let place = cursor(&world, ALICE, ids[1]);
    assert_eq!((unread(&world, ALICE), view(&world, ALICE).read_upto), (1, Some(place)));
    assert_eq!(told(&world, ALICE), [(place, 1)]);
    // later than at once
    world.run(MINUTE / 3);
    assert_eq!((messages(&world, from).len(), unread(&world, SECOND)), (0, 3));
    world.run(2 * MINUTE);
    assert_eq!(messages(&world, from).len(), 1);
    assert_eq!((unread(&world, SECOND), view(&world, SECOND).read_upto), (1, Some(place)));
    assert_eq!(told(&world, SECOND), [(place, 1)]);
    // others hear nothing of it
    assert_eq!((unread(&world, BOB), told(&world, BOB)), (1, vec![]));
    // and what comes then is unread
    world.say(CAROL, "four");
    assert_eq!((unread(&world, ALICE), unread(&world, SECOND)), (2, 2));
    mark(&mut world, SECOND, None);
    world.run(2 * MINUTE);
    assert_eq!((unread(&world, ALICE), unread(&world, SECOND)), (0, 0));
    for who in [ALICE, SECOND] {
        world.as_written(who);
    }
}

#[test]
fn nothing_that_was_read_becomes_unread() {
    let mut world = world();
    let ids: Vec<_> = ["one", "two", "three"].iter().map(|text| world.say(BOB, text)).collect();
    mark(&mut world, ALICE, Some(ids[2]));
    world.run(MINUTE / 6);
    // said later, of what is earlier
    mark(&mut world, SECOND, Some(ids[0]));
    world.run(3 * MINUTE);
    let last = cursor(&world, ALICE, ids[2]);
    for who in [ALICE, SECOND] {
        assert_eq!((unread(&world, who), view(&world, who).read_upto), (0, Some(last)), "{who}");
    }
    let (from, events) = (world.wire.len(), told(&world, ALICE));
    mark(&mut world, ALICE, Some(ids[0]));
    mark(&mut world, ALICE, None);
    world.run(3 * MINUTE);
    assert_eq!(messages(&world, from), [0; 0], "what changes nothing is not said");
    assert_eq!(told(&world, ALICE), events);
    let (group, unknown) = (world.group, MessageId { number: 99, ..ids[0] });
    let upto = Some((unknown.installation, unknown.number));
    let refused = world.try_command(ALICE, Command::MarkRead { group, upto });
    assert_eq!(refused.err(), Some(CommandError::UnknownMessage(unknown)));
}

#[test]
fn marks_leave_together_and_all_statements_are_of_one_size() {
    let mut world = world();
    let mut groups = vec![world.group];
    for _ in 0..9 {
        let (name, description) = ("Hut".to_owned(), String::new());
        match world.command(ALICE, Command::CreateGroup { name, description }) {
            Answer::GroupCreated { group } => groups.push(group),
            other => panic!("a group: {other:?}"),
        }
    }
    world.run(2 * MINUTE);
    for _ in 0..3 {
        for group in &groups {
            world.group = *group;
            world.say(ALICE, "note to self");
        }
    }
    world.run(3 * MINUTE);
    let from = world.wire.len();
    for _ in 0..2 {
        for group in &groups {
            world.group = *group;
            mark(&mut world, ALICE, None);
        }
    }
    world.run(10 * MINUTE);
    let sizes = messages(&world, from);
    assert_eq!(sizes, [SizeClass::K1.bytes(); 4], "ten groups, three at most in each");
    for group in groups {
        world.group = group;
        assert_eq!(view(&world, SECOND).read_upto, view(&world, ALICE).read_upto);
        assert!(view(&world, SECOND).read_upto.is_some());
    }
    // with all that a message can say beside it
    // with all that a message can say beside it
    let content = longest_statement();
    let frame = content.len() + crate::limits::FRONTIER_BYTES;
    assert!(frame + MLS_AND_FRAME <= SizeClass::K1.capacity(), "{frame}");
}

/// More than MLS, the frame and its mark add to a message.
const MLS_AND_FRAME: usize = 150;

/// A message without its frontier.
fn longest_statement() -> Vec<u8> {
    use prost::Message as _;
    let read = crate::account::proto::OwnRead {
        group: vec![0xff; 16],
        time: u64::MAX,
        installation: vec![0xff; 32],
        number: u64::MAX,
    };
    let reads = vec![read; crate::limits::READS_AT_ONCE];
    let update = crate::account::proto::OwnUpdate { reads, ..Default::default() };
    let core = crate::proto::group::Core {
        group: vec![0xff; 16],
        installation: vec![0xff; 32],
        number: u64::from(u32::MAX),
        previous: vec![0xff; 32],
        epoch: u64::from(u32::MAX),
        previous_epoch: Some(u64::from(u32::MAX)),
        time: u64::MAX,
        content: Some(crate::proto::group::core::Content::Own(update.encode_to_vec())),
    };
    crate::proto::group::Application {
        core: core.encode_to_vec(),
        signature: vec![0xff; 64],
        passed_over: vec![u64::MAX; 4],
        ..Default::default()
    }
    .encode_to_vec()
}

#[test]
fn who_comes_later_knows_it_and_a_restart_forgets_nothing() {
    let mut world = World::three();
    let id = world.say(BOB, "before it came");
    mark(&mut world, ALICE, Some(id));
    let second = world.link(ALICE);
    world.run(2 * MINUTE);
    let place = cursor(&world, ALICE, id);
    assert_eq!(view(&world, second).read_upto, Some(place));
    let after = world.say(BOB, "after");
    assert_eq!((unread(&world, ALICE), unread(&world, second)), (1, 1));
    mark(&mut world, second, Some(after));
    world.restart(second);
    assert_eq!((unread(&world, second), unread(&world, ALICE)), (0, 1));
    world.run(2 * MINUTE);
    assert_eq!(unread(&world, ALICE), 0);
}

#[test]
fn messages_of_who_is_blocked_are_not_counted() {
    let mut world = World::three();
    world.say(BOB, "one");
    world.say(CAROL, "two");
    let account = world.account(BOB);
    world.command(ALICE, Command::Block { account });
    assert_eq!(unread(&world, ALICE), 1);
    world.say(BOB, "three");
    assert_eq!(unread(&world, ALICE), 1);
    world.command(ALICE, Command::Unblock { account });
    assert_eq!(unread(&world, ALICE), 3);
    mark(&mut world, ALICE, None);
    world.command(ALICE, Command::Block { account });
    assert_eq!(unread(&world, ALICE), 0);
    world.as_written(ALICE);
}

#[test]
fn a_place_that_cannot_be_does_not_stand_for_ever() {
    use prost::Message as _;
    let mut world = world();
    let id = world.say(BOB, "one");
    let wrong = crate::account::proto::OwnUpdate {
        reads: vec![crate::account::proto::OwnRead {
            group: world.group.as_bytes().to_vec(),
            time: u64::MAX,
            installation: id.installation.as_bytes().to_vec(),
            number: 7,
        }],
        ..Default::default()
    };
    let (now, from) = (world.now, world.installation(SECOND));
    let store = world.peers[ALICE].core.store().clone();
    let overlay = crate::store::Overlay::new(&store);
    let mut tx = crate::core::Tx { overlay: &overlay, now, outputs: Vec::new() };
    let inner = &mut world.peers[ALICE].core.inner;
    assert!(inner.own_update(&mut tx, from, &wrong.encode_to_vec()).expect("memory"));
    assert_eq!(unread(&world, ALICE), 0);
    world.run(2 * MINUTE);
    world.say(BOB, "two");
    assert_eq!(unread(&world, ALICE), 1);
}
