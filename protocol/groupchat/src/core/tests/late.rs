//! Messages that come later than the ratchet of their state takes them.

use super::*;

/// More than MLS reads out of order here.
const MESSAGES: usize = 300;

/// Alice says many things while Bob is cut off; all of them in order, and who said them.
fn unheard(world: &mut World) -> Vec<WakuMessage> {
    world.peers[BOB].deaf = true;
    let from = world.wire.len();
    for n in 0..MESSAGES {
        world.say(ALICE, &format!("{n}"));
        world.run(Duration::from_secs(1));
    }
    let of_alice = |kind: &PublishKind| matches!(kind, PublishKind::Message(_));
    let said = world.wire[from..].iter().filter(|(kind, _)| of_alice(kind));
    let said: Vec<WakuMessage> = said.map(|(_, message)| message.clone()).collect();
    assert_eq!(said.len(), MESSAGES);
    said
}

fn all_read_once(world: &World) {
    let expected: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(world.texts(BOB), expected);
    let told = |event: &&Event| matches!(event, Event::Message { .. });
    assert_eq!(world.peers[BOB].heard.iter().filter(told).count(), MESSAGES);
    let gaps = world.peers[BOB].core.gaps(None).expect("memory");
    assert!(gaps.iter().all(|gap| gap.state == GapState::Recovered), "{gaps:?}");
}

#[test]
fn the_newest_first_and_all_others_in_reverse() {
    let mut world = World::three();
    let said = unheard(&mut world);
    for message in said.iter().rev() {
        world.deliver(BOB, message);
    }
    all_read_once(&world);
    assert_eq!(world.gaps(BOB, GapState::Recovered), [], "all came within the grace");
    for message in &said {
        world.ignored(BOB, message);
    }
    world.peers[BOB].deaf = false;
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// The same, with pauses: a gap that outlasts the grace is reported and then recovered.
#[test]
fn in_reverse_with_pauses_longer_than_the_grace() {
    let mut world = World::three();
    let said = unheard(&mut world);
    for (n, message) in said.iter().enumerate().rev() {
        world.deliver(BOB, message);
        if n % 10 == 0 {
            world.run(Duration::from_secs(15));
        }
    }
    all_read_once(&world);
    assert_eq!(world.gaps(BOB, GapState::Recovered).len(), MESSAGES / 10 - 1);
    world.peers[BOB].deaf = false;
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// Only the newest comes; a Store has the others, far in the past of the newest.
#[test]
fn a_store_gives_all_that_are_missing() {
    let mut world = World::three();
    unheard(&mut world);
    world.run(MINUTE * 60);
    world.say(ALICE, "300");
    let (_, newest) = world.wire.last().expect("published").clone();
    // no catching up: the one gap that shows brings them all back
    let now = world.now;
    world.peers[BOB].core.inner.clock.caught_up = now;
    world.peers[BOB].deaf = false;
    world.deliver(BOB, &newest);
    world.run(Duration::from_secs(30));
    assert_eq!(world.read(BOB).len(), MESSAGES + 1);
    assert_eq!(world.gaps(BOB, GapState::Recovered).len(), 1);
    world.go_on(&[ALICE, BOB, CAROL]);
}
