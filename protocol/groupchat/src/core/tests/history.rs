//! Messages of before, which the account's installations hand over to each other.

use super::*;
use crate::api::views::{Evidence, HistoryState, HistoryView};
use crate::core::handover::Handover;
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::limits::{HISTORY_BYTES, HISTORY_MESSAGES};
use crate::proto::group as pb;
use crate::seal::SizeClass;
use crate::store::{Overlay, Store as _};

const HOUR: Duration = Duration::from_secs(3600);

/// Messages of a long past: three answers in full.
pub(super) const LONG: u64 = 3 * HISTORY_MESSAGES as u64;

pub(super) fn history(world: &World, who: usize) -> HistoryView {
    world.peers[who].core.history().expect("memory")
}

fn told(world: &World, who: usize) -> Vec<HistoryView> {
    let heard = world.peers[who].heard.iter();
    heard
        .filter_map(|event| match event {
            Event::History { history } => Some(*history),
            _ => None,
        })
        .collect()
}

/// Publishes since `from` that carry messages of before, and how many of them are large.
pub(super) fn publishes(world: &World, from: usize) -> (usize, usize) {
    let all = world.wire[from..].iter().filter(|(k, _)| matches!(k, PublishKind::History(_)));
    let large = all.clone().filter(|(_, m)| m.payload.len() == SizeClass::K128.bytes());
    (all.count(), large.count())
}

/// What each of a sender's numbers says.
fn line(number: u64) -> String {
    format!("line {number}, {}", "and so on ".repeat(20))
}

/// Numbers 1 to `last` of a sender, signed by it, of before anybody else came.
pub(super) fn cores(world: &World, sender: usize, last: u64) -> Vec<pb::HandedMessage> {
    let key = world.peers[sender].core.inner.account.as_ref().expect("an account").key();
    let mut previous = None;
    (1..=last)
        .map(|number| {
            let core = MessageCore {
                group: world.group,
                installation: key.id(),
                number,
                previous,
                epoch: 0,
                time: Timestamp::from_secs(1_767_000_000 + number),
                content: Content::Text(line(number)),
            };
            let signed = SignedCore::sign(&core, &key);
            previous = Some((signed.hash(), 0));
            pb::HandedMessage {
                core: signed.bytes().to_vec(),
                signature: signed.signature().to_vec(),
                waku_hash: vec![7; 32],
            }
        })
        .collect()
}

/// `who` takes in messages, as if `by` had handed them over; how many were new.
pub(super) fn take(
    world: &mut World,
    who: usize,
    (by, account): (InstallationId, crate::AccountId),
    messages: Vec<pb::HandedMessage>,
) -> u64 {
    let now = world.now;
    let mut taken = 0;
    let senders = vec![pb::HandedFrom { account: account.as_bytes().to_vec(), messages }];
    let core = &mut world.peers[who].core;
    core.run(now, |inner, tx| {
        taken = inner.take_messages(tx, by, senders)?;
        Ok(())
    })
    .expect("memory");
    world.settle();
    taken
}

/// Alice holds a long past of Bob in a group of three, and the others none of it.
pub(super) fn long_past() -> World {
    let mut world = World::three();
    let messages = cores(&world, BOB, LONG);
    let from = (world.installation(BOB), world.account(BOB));
    assert_eq!(take(&mut world, ALICE, from, messages), LONG);
    world
}

/// The same messages, but for who sent or handed them over.
fn same(world: &World, one: usize, other: usize) {
    let plain = |who: usize| -> Vec<MessageView> {
        let all = world.read(who).into_iter();
        all.map(|view| MessageView { sending: None, handed_by: None, ..view }).collect()
    };
    let (one, other) = (plain(one), plain(other));
    assert_eq!(one.len(), other.len());
    assert!(one == other, "what was said is not the same");
}

#[test]
fn a_new_installation_gets_what_was_said_before_as_it_was_said() {
    let mut world = World::three();
    let who = |n: usize| [ALICE, BOB, CAROL][n % 3];
    let ids: Vec<_> = (0..30).map(|n| world.say(who(n), &format!("line {n}"))).collect();
    world.run(2 * MINUTE);
    let upto = Some((ids[9].installation, ids[9].number));
    world.command(ALICE, Command::MarkRead { group: world.group, upto });
    assert_eq!(history(&world, ALICE).state, HistoryState::None);
    let from = world.wire.len();
    let new = world.link(ALICE);
    world.run(10 * MINUTE);
    world.say(CAROL, "after it came");
    same(&world, ALICE, new);
    let by = world.installation(ALICE);
    let handed = world.read(new).iter().filter(|view| view.handed_by == Some(by)).count();
    assert_eq!(handed, 30);
    assert_eq!(world.read(new).last().expect("one").handed_by, None);
    let view = history(&world, new);
    assert_eq!((view.state, view.from, view.handed_over), (HistoryState::Done, Some(by), 30));
    assert_eq!((view.groups, view.all_groups, view.messages), (1, 1, 31));
    let told = told(&world, new);
    assert_eq!(told.last().expect("told").state, HistoryState::Done);
    assert!(told.is_sorted_by_key(|view| view.messages) && told.len() >= 3, "{told:?}");
    // two questions and two answers, and nothing of it in the group
    assert_eq!(publishes(&world, from), (4, 0));
    let in_group = world.peers[BOB].heard.iter().filter(|e| matches!(e, Event::Gap { .. })).count();
    assert_eq!(in_group, 0);
    // what the account has read is read here too
    let unread = |who: usize| {
        let view = world.peers[who].core.group(world.group).expect("memory").expect("in it");
        view.unread
    };
    assert_eq!((unread(new), unread(ALICE)), (15, 15));
    // it is not told as if it was said now
    let said = world.peers[new].heard.iter().filter(|e| matches!(e, Event::Message { .. })).count();
    assert_eq!(said, 1);
    world.run(HOUR);
    assert_eq!(publishes(&world, from), (4, 0), "and it ends there");
    world.go_on(&[ALICE, BOB, CAROL, new]);
    for who in [ALICE, BOB, CAROL, new] {
        assert_eq!(world.peers[who].refused, [], "{who}");
    }
}

#[test]
fn what_was_handed_over_is_handed_on() {
    let mut world = World::three();
    world.say(BOB, "first");
    world.say(ALICE, "second");
    let second = world.link(ALICE);
    world.run(10 * MINUTE);
    world.say(BOB, "third");
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].asleep = true;
    let third = world.link(second);
    world.run(2 * HOUR);
    same(&world, ALICE, third);
    assert_eq!(history(&world, third).from, Some(world.installation(second)));
}

#[test]
fn two_that_hold_parts_give_the_whole_and_what_nobody_holds_stays_known() {
    let mut world = World::three();
    let second = world.link(ALICE);
    world.run(10 * MINUTE);
    let all = cores(&world, BOB, 12);
    let from = (world.installation(BOB), world.account(BOB));
    let some = |numbers: &[u64]| -> Vec<pb::HandedMessage> {
        numbers.iter().map(|n| all[usize::try_from(*n).expect("small") - 1].clone()).collect()
    };
    assert_eq!(take(&mut world, ALICE, from, some(&[1, 2, 3, 4, 5, 10, 11, 12])), 8);
    // it gives up asking before the other one has more
    world.run(HOUR);
    assert_eq!(take(&mut world, second, from, some(&[4, 5, 6, 7, 8])), 5);
    let new = world.link(ALICE);
    world.run(HOUR);
    let numbers: Vec<u64> = world.read(new).iter().map(|view| view.id.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]);
    let by = |number: usize| world.read(new)[number - 1].handed_by;
    assert_eq!((by(5), by(6)), (Some(world.installation(ALICE)), Some(world.installation(second))));
    let gaps = world.gaps(new, GapState::Unavailable);
    let [gap] = &gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!((gap.installation, gap.account, gap.number), (from.0, from.1, 9));
    assert_eq!(gap.evidence, Evidence::Proven { by_number: 10 });
    world.as_written(new);
    // and once somebody has it, it is not missing any more
    assert_eq!(take(&mut world, second, from, some(&[9])), 1);
    world.command(new, Command::AskHistory);
    world.run(10 * MINUTE);
    assert_eq!(world.gaps(new, GapState::Unavailable), []);
    assert_eq!(world.gaps(new, GapState::Recovered).len(), 1);
    assert_eq!(world.read(new).len(), 12);
}

#[test]
fn blocked_and_revoked_senders_are_handed_over_as_they_stand() {
    let mut world = World::three();
    let lost = world.link(BOB);
    world.run(2 * MINUTE);
    world.say(lost, "before it was lost");
    world.say(CAROL, "noise");
    let installations = vec![world.installation(lost)];
    world.command(BOB, Command::Revoke { installations });
    world.run(2 * MINUTE);
    let new = world.link(ALICE);
    let account = world.account(CAROL);
    for who in [ALICE, new] {
        world.command(who, Command::Block { account });
    }
    world.run(10 * MINUTE);
    same(&world, ALICE, new);
    // and that Bob's account has another card since
    let blocked: Vec<_> = world.read(new).iter().map(|view| view.blocked).collect();
    assert_eq!(blocked, [false, true, false]);
    world.as_written(new);
}

#[test]
fn it_is_declined_and_asked_for_by_hand() {
    let mut world = World::three();
    assert_eq!(world.try_command(ALICE, Command::AskHistory).err(), Some(CommandError::Alone));
    world.say(BOB, "before");
    let from = world.wire.len();
    let new = world.link(ALICE);
    world.command(new, Command::DeclineHistory);
    world.run(HOUR);
    assert_eq!((world.texts(new), publishes(&world, from).0), (vec![], 0));
    assert_eq!(history(&world, new).state, HistoryState::Declined);
    world.restart(new);
    assert_eq!(history(&world, new).state, HistoryState::Declined);
    world.command(new, Command::AskHistory);
    assert_eq!(history(&world, new).state, HistoryState::Waiting);
    world.run(10 * MINUTE);
    assert_eq!(
        (world.texts(new), history(&world, new).state),
        (vec!["before".to_owned()], HistoryState::Done)
    );
    // what is declined in the middle ends there
    let messages = cores(&world, CAROL, LONG);
    let by = (world.installation(CAROL), world.account(CAROL));
    assert_eq!(take(&mut world, ALICE, by, messages), LONG);
    world.command(new, Command::AskHistory);
    while history(&world, new).handed_over < 100 {
        world.run(MINUTE / 12);
    }
    world.command(new, Command::DeclineHistory);
    let (here, from) = (world.read(new).len(), world.wire.len());
    world.run(HOUR);
    assert_eq!((world.read(new).len(), publishes(&world, from).0), (here, 0));
    assert!(here < world.read(ALICE).len());
}

#[test]
fn where_nothing_is_asked_by_itself_a_person_asks_once() {
    let mut world = World::three();
    let first = world.group;
    world.say(BOB, "before");
    let from = world.wire.len();
    let new = world.link(ALICE);
    world.peers[new].core.inner.config.history = false;
    world.run(HOUR);
    assert_eq!((world.texts(new), publishes(&world, from).0), (vec![], 0));
    assert_eq!(history(&world, new).state, HistoryState::None);
    world.command(new, Command::AskHistory);
    world.run(10 * MINUTE);
    assert_eq!(world.texts(new), ["before"]);
    // from then on, what was said in groups that come is wanted too
    world.peers[new].asleep = true;
    world.peers[new].deaf = true;
    let (name, description) = ("Cabin".to_owned(), String::new());
    match world.command(ALICE, Command::CreateGroup { name, description }) {
        Answer::GroupCreated { group } => world.group = group,
        other => panic!("a group: {other:?}"),
    }
    world.say(ALICE, "for later");
    world.run(2 * MINUTE);
    world.peers[new].asleep = false;
    world.peers[new].deaf = false;
    world.give(new, Input::Connectivity { relay_peers: 0, store_peers: 0 });
    world.give(new, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(10 * MINUTE);
    assert_eq!(world.texts(new), ["for later"]);
    assert_eq!(history(&world, new).all_groups, 2);
    assert_ne!(world.group, first);
}

#[test]
fn over_ten_thousand_messages_take_bounded_memory_and_a_bounded_pace() {
    const ALL: u64 = 10 * HISTORY_MESSAGES as u64;
    let mut world = World::three();
    let mut messages = cores(&world, BOB, ALL);
    let from = (world.installation(BOB), world.account(BOB));
    while !messages.is_empty() {
        let rest = messages.split_off(messages.len().min(1000));
        take(&mut world, ALICE, from, std::mem::replace(&mut messages, rest));
    }
    let begun = world.wire.len();
    let new = world.link(ALICE);
    let (mut queued, mut waits, mut most) = (0, (0, 0, 0), 0);
    while history(&world, new).state != HistoryState::Done {
        let before = publishes(&world, begun).0;
        world.run(Duration::from_secs(1));
        most = most.max(publishes(&world, begun).0 - before);
        for who in [ALICE, new] {
            let inner = &world.peers[who].core.inner;
            queued = queued.max(inner.outgoing.bytes());
            let (plan, questions, missing) = Handover::waits_for(&inner.handover);
            waits = (waits.0.max(plan), waits.1.max(questions), waits.2.max(missing));
        }
        assert!(world.now < Timestamp::from_secs(1_767_225_600) + 2 * HOUR);
    }
    same(&world, ALICE, new);
    assert_eq!(history(&world, new).handed_over, ALL);
    let (all, large) = publishes(&world, begun);
    let hands = 10;
    assert_eq!(large, hands * 5, "answers of four segments, and one that repairs");
    assert_eq!(all - large, 2 + hands, "a question for each, and the list with its own");
    assert!(most <= 6, "{most} publishes within a second");
    assert_eq!(waits, (1, 1, 0));
    assert!(queued <= 2 * HISTORY_BYTES, "{queued} bytes wait to be published");
}

#[test]
fn nothing_forged_is_taken() {
    let mut world = World::three();
    let new = world.link(ALICE);
    world.run(10 * MINUTE);
    let (by, bob) = ((world.installation(ALICE), world.account(BOB)), world.account(BOB));
    let good = cores(&world, BOB, 3);
    let dump = |world: &World| world.dump(new, &BESIDE);
    let before = dump(&world);
    let spoil = |spoil: &dyn Fn(&mut pb::HandedMessage)| {
        let mut message = good[0].clone();
        spoil(&mut message);
        message
    };
    let of_others = {
        let key = crate::account::InstallationKey::from_bytes(&[9; 32]);
        let core = MessageCore {
            group: world.group,
            installation: key.id(),
            number: 1,
            previous: None,
            epoch: 0,
            time: Timestamp::from_secs(1_767_000_000),
            content: Content::Text("I am Bob's too".to_owned()),
        };
        let signed = SignedCore::sign(&core, &key);
        let (core, signature) = (signed.bytes().to_vec(), signed.signature().to_vec());
        pb::HandedMessage { core, signature, waku_hash: Vec::new() }
    };
    let cases: [(&str, crate::AccountId, pb::HandedMessage, RefusedReason); 6] = [
        (
            "another text",
            bob,
            spoil(&|m| *m.core.last_mut().expect("long") ^= 1),
            RefusedReason::Core,
        ),
        ("another signature", bob, spoil(&|m| m.signature[0] ^= 1), RefusedReason::Core),
        ("no signature", bob, spoil(&|m| m.signature.clear()), RefusedReason::Malformed),
        ("no core", bob, spoil(&|m| m.core.clear()), RefusedReason::Core),
        ("another account", world.account(CAROL), good[0].clone(), RefusedReason::Unproven),
        ("no installation of his", bob, of_others, RefusedReason::Unproven),
    ];
    for (name, account, message, reason) in cases {
        let refused = world.peers[new].refused.len();
        assert_eq!(take(&mut world, new, (by.0, account), vec![message]), 0, "{name}");
        assert_eq!(world.peers[new].refused[refused..], [reason], "{name}");
        assert!(dump(&world) == before, "{name} changed the state");
    }
    // a number that is here already, with another text
    assert_eq!(take(&mut world, new, by, good.clone()), 3);
    let key = world.peers[BOB].core.inner.account.as_ref().expect("an account").key();
    let first = SignedCore::from_parts(good[0].core.clone(), &good[0].signature).expect("whole");
    let core = MessageCore {
        content: Content::Text("other".to_owned()),
        ..first.decode().expect("a core")
    };
    let signed = SignedCore::sign(&core, &key);
    let (core, signature) = (signed.bytes().to_vec(), signed.signature().to_vec());
    let twice = pb::HandedMessage { core, signature, waku_hash: Vec::new() };
    assert_eq!(take(&mut world, new, by, vec![twice]), 0);
    assert_eq!(world.peers[new].refused.last(), Some(&RefusedReason::NumberReused));
    // and the same again is nothing new
    let refused = world.peers[new].refused.len();
    assert_eq!(take(&mut world, new, by, good), 0);
    assert_eq!(world.peers[new].refused.len(), refused);
}

#[test]
fn the_notes_belong_into_the_own_group_alone() {
    let mut world = World::three();
    let now = world.now;
    let (from, group) = (world.installation(BOB), world.group);
    let ask =
        pb::HistoryAsk { to: world.installation(ALICE).as_bytes().to_vec(), ..Default::default() };
    let store = world.peers[ALICE].core.store().clone();
    let overlay = Overlay::new(&store);
    let mut tx = crate::core::Tx { overlay: &overlay, now, outputs: Vec::new() };
    let inner = &mut world.peers[ALICE].core.inner;
    let note = pb::note::Body::HistoryAsk(ask);
    assert!(!inner.history_note(&mut tx, group, from, note).expect("memory"));
    assert_eq!(inner.handover.waits_for(), (0, 0, 0));
    assert!(store.get(b"handover").expect("memory").is_none());
}
