//! Many messages in one batch, and reading them by pages.

use std::cell::Cell;

use super::*;
use crate::StoreError;
use crate::api::views::MessageCursor;
use crate::store::{Batch, Pair, Store};

/// A store that counts what is asked of it.
struct Counting {
    inner: MemoryStore,
    commits: u32,
    scanned: Cell<usize>,
}

impl Store for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.scan_from(prefix, prefix, usize::MAX)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.inner.scan_from(prefix, from, limit)?;
        self.scanned.set(self.scanned.get() + pairs.len());
        Ok(pairs)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.commits += 1;
        self.inner.commit(batch)
    }
}

impl World {
    /// Another core on what the store of `who` holds.
    fn again(&self, who: usize) -> Core<Counting> {
        let inner = self.peers[who].core.store().clone();
        let store = Counting { inner, commits: 0, scanned: Cell::new(0) };
        Core::open(store, Self::config(), [77; 32], self.now).expect("memory")
    }
}

type Seen = (Vec<MessageView>, Vec<GapView>, Vec<Event>, Vec<RefusedReason>);

fn seen(core: &mut Core<Counting>, group: GroupId) -> Seen {
    let (mut events, mut refused) = (Vec::new(), Vec::new());
    while let Some(output) = core.poll_output() {
        match output {
            Output::Event(record) => events.push(record.event),
            Output::Refused(reason) => refused.push(reason),
            _ => {}
        }
    }
    let messages = core.messages(group, None, usize::MAX).expect("memory").expect("a group");
    (messages, core.gaps(Some(group)).expect("memory"), events, refused)
}

#[test]
fn a_batch_does_what_its_messages_do_and_a_bad_one_spoils_nothing() {
    let mut world = World::three();
    world.peers[BOB].deaf = true;
    let from = world.wire.len();
    for n in 0..40 {
        world.say([ALICE, CAROL][n % 2], &format!("{n}"));
    }
    // content that is none, MLS bytes that are none
    let junk = world.random(500);
    let bad = [junk.clone(), hostile::application(junk.clone())];
    let [content, mls] = bad.map(|content| world.seal(ALICE, &content));
    world.command(
        ALICE,
        Command::SetProfile { group: world.group, name: "Hütte".into(), description: "".into() },
    );
    for n in 40..60 {
        world.say([ALICE, CAROL][n % 2], &format!("{n}"));
    }
    let mut wire: Vec<WakuMessage> = world.wire[from..].iter().map(|(_, m)| m.clone()).collect();
    let said = wire.len();
    wire.insert(5, content);
    wire.insert(9, WakuMessage { payload: junk, ..wire[3].clone() });
    wire.insert(17, mls);
    wire.insert(30, wire[2].clone());
    wire.remove(20);
    let mut one_by_one = world.again(BOB);
    for message in &wire {
        one_by_one.handle(world.now, Input::Message(message.clone())).expect("memory");
    }
    let mut at_once = world.again(BOB);
    at_once.handle(world.now, Input::Messages(wire.clone())).expect("memory");
    assert_eq!(at_once.store().commits, 1);
    assert!(one_by_one.store().commits as usize >= said);
    let (expected, got) = (seen(&mut one_by_one, world.group), seen(&mut at_once, world.group));
    assert_eq!(got, expected);
    assert_eq!(got.0.len(), 59, "all but the missing one");
    assert_eq!(got.3, [RefusedReason::Malformed, RefusedReason::Seal, RefusedReason::Mls]);
    assert_eq!(at_once.group(world.group).expect("memory").expect("a group").name, "Hütte");
}

#[test]
fn a_batch_that_cannot_be_written_is_as_if_it_never_came() {
    struct Full(MemoryStore, bool);
    impl Store for Full {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.get(key)
        }
        fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
            self.0.scan(prefix)
        }
        fn scan_from(&self, p: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
            self.0.scan_from(p, from, limit)
        }
        fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
            match self.1 {
                true => Err(StoreError::new("writing", "no space")),
                false => self.0.commit(batch),
            }
        }
    }
    let mut world = World::three();
    world.peers[BOB].deaf = true;
    let from = world.wire.len();
    for n in 0..20 {
        world.say(ALICE, &n.to_string());
    }
    let wire: Vec<WakuMessage> = world.wire[from..].iter().map(|(_, m)| m.clone()).collect();
    let store = Full(world.peers[BOB].core.store().clone(), false);
    let mut core = Core::open(store, World::config(), [5; 32], world.now).expect("memory");
    core.store.1 = true;
    assert!(core.handle(world.now, Input::Messages(wire.clone())).is_err());
    let events = std::iter::from_fn(|| core.poll_output())
        .filter(|output| matches!(output, Output::Event(_)))
        .count();
    assert_eq!(events, 0);
    core.store.1 = false;
    core.handle(world.now, Input::Messages(wire)).expect("memory");
    let read = core.messages(world.group, None, usize::MAX).expect("memory").expect("a group");
    assert_eq!(read.len(), 20);
}

#[test]
fn pages_go_on_where_the_last_one_ended_and_read_no_more_than_they_give() {
    let mut world = World::three();
    let mut late = Vec::new();
    for n in 0..50 {
        match n % 7 {
            3 => late.push(world.say_aside(CAROL, &format!("late {n}")).1),
            _ => drop(world.say([ALICE, BOB][n % 2], &n.to_string())),
        }
    }
    let core = world.again(ALICE);
    let all = core.messages(world.group, None, usize::MAX).expect("memory").expect("a group");
    assert_eq!(all.len(), 43);
    let (mut paged, mut after): (Vec<MessageView>, Option<MessageCursor>) = (Vec::new(), None);
    loop {
        core.store().scanned.set(0);
        let page = core.messages(world.group, after, 10).expect("memory").expect("a group");
        assert_eq!(core.store().scanned.get(), page.len());
        let Some(last) = page.last() else { break };
        after = Some(last.cursor().to_string().parse().expect("what is shown is read"));
        paged.extend(page);
    }
    assert_eq!(paged, all);
    // what comes late takes its place, and moves no page
    let middle = all[20].cursor();
    let behind = || world.peers[ALICE].core.messages(world.group, Some(middle), 100);
    assert_eq!(behind().expect("memory").expect("a group"), all[21..]);
    for message in &late {
        world.deliver(ALICE, message);
    }
    let read = world.peers[ALICE].core.messages(world.group, Some(middle), 100);
    let read = read.expect("memory").expect("a group");
    let known: Vec<_> = read.iter().filter(|m| !m.text.starts_with("late")).cloned().collect();
    assert_eq!(known, all[21..]);
    assert!(read.len() > known.len() && read.is_sorted_by_key(MessageView::cursor));
    for text in ["", "1", "1-2-3", "-1-00-1", "x"] {
        assert!(text.parse::<MessageCursor>().is_err(), "{text:?}");
    }
}
