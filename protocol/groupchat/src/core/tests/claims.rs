//! What members say of others' numbers, true and false.

use super::*;
use crate::api::views::Evidence;
use crate::limits::{CLAIMED_GAPS_PER_SENDER, ENVELOPE_AHEAD};
use crate::proto::group as pb;

fn of(world: &World, who: usize, whom: usize) -> Vec<GapView> {
    let installation = world.installation(whom);
    let gaps = world.peers[who].core.gaps(None).expect("memory").into_iter();
    gaps.filter(|gap| gap.installation == installation).collect()
}

fn numbers(gaps: &[GapView]) -> Vec<u64> {
    gaps.iter().map(|gap| gap.number).collect()
}

/// A message of Carol's with this frontier, at Alice.
fn carol_claims(world: &mut World, frontier: Vec<pb::FrontierEntry>) {
    let message = world.claim(CAROL, frontier);
    let events = world.deliver(ALICE, &message);
    assert!(matches!(events.as_slice(), [Event::Message { .. }]), "{events:?}");
}

/// Bytes that Alice keeps, without messages, their names, invitations and what belongs to MLS.
fn kept(world: &World) -> usize {
    let without = ["event/", "seen/", "mls/", "message/", "place/", "repeat/", "shared/"];
    world.dump(ALICE, &without).iter().map(|(k, v)| k.len() + v.len()).sum()
}

#[test]
fn claims_of_numbers_that_do_not_exist_are_bounded_and_withdrawn() {
    let mut world = World::three();
    let epoch = world.tip(CAROL).epoch;
    for upto in [u64::MAX, 1 << 40, 5, u64::MAX - 1, 1000, u64::MAX] {
        let entry = world.entry(BOB, upto, epoch);
        carol_claims(&mut world, vec![entry]);
        world.run(MINUTE);
        let gaps = of(&world, ALICE, BOB);
        assert!(gaps.len() <= CLAIMED_GAPS_PER_SENDER, "{} gaps", gaps.len());
        let by = world.installation(CAROL);
        assert!(gaps.iter().all(|gap| gap.evidence == Evidence::Claimed { by }));
    }
    assert!(kept(&world) < CLAIMED_GAPS_PER_SENDER * 512 + 8192, "{} bytes", kept(&world));
    world.run(MINUTE * 60);
    world.as_written(ALICE);
    // Bob's own word settles it
    world.say(BOB, "nothing of that");
    let still = |gap: &GapView| gap.number > 1 && gap.state != GapState::Withdrawn;
    assert!(!of(&world, ALICE, BOB).iter().any(still));
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn a_withdrawn_number_that_is_lost_later_is_missed_again() {
    let mut world = World::three();
    world.say(BOB, "one");
    let epoch = world.tip(CAROL).epoch;
    let entry = world.entry(BOB, 9, epoch);
    carol_claims(&mut world, vec![entry]);
    world.run(MINUTE);
    assert_eq!(numbers(&of(&world, ALICE, BOB)), (2..=9).collect::<Vec<_>>());
    world.say(BOB, "two");
    assert_eq!(numbers(&world.gaps(ALICE, GapState::Withdrawn)), (3..=9).collect::<Vec<_>>());
    world.say(BOB, "three");
    let recovered = numbers(&world.gaps(ALICE, GapState::Recovered));
    assert_eq!(recovered, [2], "3 was never missing");

    let (lost, message) = world.say_aside(BOB, "four");
    let shown = world.say(BOB, "five");
    world.run(Duration::from_secs(11));
    let gap = of(&world, ALICE, BOB).into_iter().find(|gap| gap.number == lost.number);
    let gap = gap.expect("reported");
    assert_eq!(gap.evidence, Evidence::Proven { by_number: shown.number });
    assert_eq!(gap.state, GapState::Fetching);
    world.deliver(ALICE, &message);
    assert_eq!(numbers(&world.gaps(ALICE, GapState::Recovered)), [2, lost.number]);
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// An early lie must not take a later truth with it.
#[test]
fn a_false_claim_does_not_hide_a_true_one() {
    let mut world = World::three();
    let (dave, card) = world.add();
    world.invite(&[card]);
    world.command(dave, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
    world.peers[ALICE].deaf = true;
    world.say(BOB, "one");
    let epoch = world.tip(CAROL).epoch;
    let entry = world.entry(BOB, u64::MAX, epoch);
    carol_claims(&mut world, vec![entry]);
    world.run(Duration::from_secs(5));
    // "one" is written before the claim, "two" after it, "three" is lost
    let of_bob = |(kind, _): &&(PublishKind, _)| matches!(kind, PublishKind::Message(_));
    let (_, one) = world.wire.iter().rev().find(of_bob).expect("published").clone();
    world.say(BOB, "two");
    let (_, two) = world.wire.last().expect("published").clone();
    world.run(Duration::from_secs(1));
    world.say(BOB, "three");
    world.run(Duration::from_secs(1));
    world.say(dave, "Bob said three things");
    let (_, truth) = world.wire.last().expect("published").clone();
    world.deliver(ALICE, &truth);
    world.deliver(ALICE, &two);
    world.deliver(ALICE, &one);
    world.run(MINUTE);
    let open: Vec<GapView> = of(&world, ALICE, BOB)
        .into_iter()
        .filter(|gap| !matches!(gap.state, GapState::Withdrawn | GapState::Recovered))
        .collect();
    assert_eq!(numbers(&open), [3]);
    assert_eq!(open[0].evidence, Evidence::Claimed { by: world.installation(dave) });
    world.peers[ALICE].deaf = false;
    world.give(ALICE, Input::Connectivity { relay_peers: 1, store_peers: 2 });
    world.run(MINUTE * 10);
    assert_eq!(of(&world, ALICE, BOB).iter().filter(|g| g.state == GapState::Recovered).count(), 1);
    world.go_on(&[ALICE, BOB, CAROL, dave]);
}

#[test]
fn a_claim_that_is_older_than_the_senders_own_words_counts_for_nothing() {
    let mut world = World::three();
    let epoch = world.tip(CAROL).epoch;
    let entry = world.entry(BOB, 9, epoch);
    let claim = world.claim(CAROL, vec![entry]);
    world.run(Duration::from_secs(1));
    world.say(BOB, "one");
    world.deliver(ALICE, &claim);
    world.run(MINUTE);
    assert_eq!(of(&world, ALICE, BOB), []);
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// A claim cannot be dated so far ahead that nothing its subject says is later.
#[test]
fn a_claim_from_the_future_is_withdrawn_too() {
    let mut world = World::three();
    let epoch = world.tip(CAROL).epoch;
    let ahead = world.now + ENVELOPE_AHEAD;
    let core = crate::group::message::MessageCore { time: ahead, ..world.core(CAROL) };
    let signed = crate::group::message::SignedCore::sign(&core, &world.key(CAROL));
    let frontier = vec![world.entry(BOB, 3, epoch)];
    let mls = world.encrypt(CAROL, &hostile::plaintext(&signed, frontier));
    let message = world.seal_at(CAROL, &hostile::application(mls), ahead);
    world.deliver(ALICE, &message);
    world.run(MINUTE);
    assert!(!of(&world, ALICE, BOB).is_empty());
    world.say(BOB, "one");
    let still = |gap: &GapView| gap.number > 1 && gap.state != GapState::Withdrawn;
    assert!(!of(&world, ALICE, BOB).iter().any(still));
    world.go_on(&[ALICE, BOB]);
}

#[test]
fn what_says_nothing_new_costs_nothing() {
    let mut world = World::three();
    world.say(ALICE, "one");
    world.say(BOB, "one");
    let epoch = world.tip(CAROL).epoch;
    let mut frontier = vec![
        world.entry(ALICE, u64::MAX, epoch),
        world.entry(CAROL, u64::MAX, epoch),
        world.entry(BOB, 0, epoch),
        world.entry(BOB, 1, epoch),
    ];
    frontier.extend((0..8).map(|n| pb::FrontierEntry {
        installation: n,
        upto: u64::MAX,
        epoch,
        beyond: vec![pb::Held { number: n, epoch }],
    }));
    let senders = |world: &World| world.peers[ALICE].core.inner.groups[&world.group].senders.len();
    let before = senders(&world);
    carol_claims(&mut world, frontier);
    world.run(MINUTE);
    assert_eq!(world.peers[ALICE].core.gaps(None).expect("memory"), []);
    assert_eq!(senders(&world), before + 1, "Carol, who spoke");
    // of Alice's own numbers only those that there are
    let send = &world.peers[ALICE].core.inner.groups[&world.group].send;
    assert_eq!((send.number, send.acknowledged), (1, 1));
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn a_frontier_beyond_its_bounds_is_read_up_to_them() {
    let mut world = World::three();
    let epoch = world.tip(CAROL).epoch;
    let beyond = (0..5000).map(|n| pb::Held { number: 2 + n * 3, epoch }).collect();
    let long = pb::FrontierEntry { beyond, ..world.entry(BOB, 1, epoch) };
    carol_claims(&mut world, vec![long]);
    let many = (0..2000).map(|n| world.entry(BOB, u64::MAX - n * 1000, epoch)).collect();
    carol_claims(&mut world, many);
    world.run(MINUTE);
    assert!(of(&world, ALICE, BOB).len() <= CLAIMED_GAPS_PER_SENDER);
    world.say(BOB, "one");
    let open = of(&world, ALICE, BOB);
    assert!(open.iter().all(|g| g.state == GapState::Withdrawn || g.number == 1), "{open:?}");
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn nothing_from_before_the_join_is_called_missing_whatever_is_claimed() {
    let mut world = World::three();
    for text in ["one", "two", "three"] {
        world.say(BOB, text);
    }
    let (dave, card) = world.add();
    world.invite(&[card]);
    world.command(dave, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
    let epoch = world.tip(CAROL).epoch;
    assert_eq!(world.peers[dave].core.inner.groups[&world.group].record.joined, epoch);
    let claims = [(1, epoch), (3, epoch), (3, u64::MAX), (9, epoch - 1), (u64::MAX, 0)];
    let frontier = claims.iter().map(|&(upto, of)| world.entry(BOB, upto, of)).collect();
    let message = world.claim(CAROL, frontier);
    world.deliver(dave, &message);
    world.run(MINUTE);
    assert_eq!(world.peers[dave].core.gaps(None).expect("memory"), []);
    world.go_on(&[ALICE, BOB, dave]);
}

/// A sender's own core says where the join is; a claim that said otherwise is withdrawn.
#[test]
fn the_senders_own_words_say_what_is_from_before() {
    let mut world = World::three();
    // Alice, who invites, never gets these
    world.peers[ALICE].deaf = true;
    for text in ["one", "two", "three"] {
        world.say(BOB, text);
    }
    world.peers[ALICE].deaf = false;
    let wire = std::mem::take(&mut world.wire);
    world.peers[BOB].core.inner.outgoing = Default::default();
    let (dave, card) = world.add();
    world.invite(&[card]);
    world.command(dave, Command::AcceptInvitation { group: world.group });
    let epoch = world.tip(CAROL).epoch;
    let message = {
        let entry = world.entry(BOB, 2, epoch);
        world.claim(CAROL, vec![entry])
    };
    world.deliver(dave, &message);
    world.run(MINUTE * 10);
    assert_eq!(numbers(&world.gaps(dave, GapState::Unavailable)), [2]);
    world.say(BOB, "four");
    assert_eq!(numbers(&world.gaps(dave, GapState::Withdrawn)), [2]);
    assert_eq!(of(&world, dave, BOB).len(), 1);
    world.wire.extend(wire);
    world.go_on(&[BOB, CAROL, dave]);
}

/// Carol is taken out before everybody has her last message, and cannot say it again.
#[test]
fn what_somebody_wrote_before_it_was_taken_out_is_not_lost_to_others() {
    let mut world = World::three();
    world.say(CAROL, "one");
    world.peers[BOB].deaf = true;
    let (last, message) = world.say_aside(CAROL, "two, which only Alice hears");
    world.peers[CAROL].deaf = true;
    world.peers[CAROL].asleep = true;
    assert_eq!(world.deliver(ALICE, &message).len(), 1);
    let accounts = vec![world.account(CAROL)];
    world.command(ALICE, Command::Remove { group: world.group, accounts });
    world.run(MINUTE);
    world.peers[BOB].deaf = false;
    world.run(MINUTE * 30);
    assert!(world.tip(BOB).epoch == world.tip(ALICE).epoch, "Bob knows that Carol is out");
    let text = world.peers[BOB].core.message(last).expect("memory").map(|m| m.text);
    assert_eq!(text.as_deref(), Some("two, which only Alice hears"));
    world.as_written(BOB);
}

/// Archives answer three times without what Carol alone holds, while Bob has said as much as may be said
/// in an hour: he asks her when he may speak again, and gives nothing up before.
#[test]
fn who_has_said_too_much_asks_members_later_and_gives_nothing_up_before() {
    let mut world = World::three();
    world.run(MINUTE * 10);
    let (lost, message) = world.say_aside(ALICE, "for Carol's eyes");
    world.deliver(CAROL, &message);
    (world.peers[ALICE].deaf, world.peers[ALICE].asleep) = (true, true);
    let (now, group) = (world.now, world.group);
    let exchange = |world: &mut World, who: usize| {
        let group = world.peers[who].core.inner.groups.get_mut(&group).expect("joined");
        while group.exchange.may_speak(now) {}
    };
    exchange(&mut world, BOB);
    exchange(&mut world, CAROL);
    world.say(CAROL, "I hold what Alice said");
    world.run(MINUTE * 45);
    assert_eq!(numbers(&world.gaps(BOB, GapState::Fetching)), [lost.number]);
    world.run(MINUTE * 120);
    assert_eq!(numbers(&world.gaps(BOB, GapState::Recovered)), [lost.number]);
    assert!(world.texts(BOB).contains(&"for Carol's eyes".to_owned()));
}
