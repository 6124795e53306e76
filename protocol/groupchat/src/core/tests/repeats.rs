//! Invitations that are repeated until they are answered.

use super::*;
use crate::api::views::GroupState;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Three in a group, and Dave, whom Alice invites while he is away.
fn inviting() -> (World, usize) {
    let mut world = World::three();
    for peer in &mut world.peers {
        peer.core.inner.config.catch_up = HOUR * 6;
    }
    let (dave, card) = world.add();
    world.peers[dave].core.inner.config.catch_up = HOUR * 6;
    (world.peers[dave].deaf, world.peers[dave].asleep) = (true, true);
    world.invite(&[card]);
    (world, dave)
}

fn back(world: &mut World, who: usize) {
    (world.peers[who].deaf, world.peers[who].asleep) = (false, false);
    world.give(who, Input::Connectivity { relay_peers: 0, store_peers: 0 });
    world.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
}

/// When shared parts and envelopes were published.
fn published(world: &World) -> (Vec<Timestamp>, Vec<Timestamp>) {
    let at =
        |(_, m): &(PublishKind, WakuMessage)| Timestamp::from_waku(m.timestamp.expect("stamped"));
    let shared = world.wire.iter().filter(|(k, _)| matches!(k, PublishKind::InvitationShared(_)));
    let envelopes =
        world.wire.iter().filter(|(k, _)| matches!(k, PublishKind::InvitationEnvelope(_)));
    (shared.map(at).collect(), envelopes.map(at).collect())
}

fn rename(world: &mut World, who: usize, name: &str) {
    let (name, description) = (name.to_owned(), String::new());
    world.command(who, Command::SetProfile { group: world.group, name, description });
    world.run(HOUR);
}

/// No archive has the first invitation any more, nor what the group did since.
#[test]
fn who_comes_back_after_five_days_is_invited_and_follows() {
    let (mut world, dave) = inviting();
    let group = world.group;
    for (day, who) in [(1, BOB), (2, CAROL), (3, ALICE), (4, BOB), (5, CAROL)] {
        rename(&mut world, who, &format!("Hut of day {day}"));
        world.say(who, &format!("day {day}"));
        world.run(DAY);
    }
    world.wire.clear();
    back(&mut world, dave);
    world.run(DAY * 2);
    let invitations = world.peers[dave].core.invitations().expect("memory");
    assert_eq!(invitations.len(), 1, "a repeat came");
    world.command(dave, Command::AcceptInvitation { group });
    world.run(DAY);
    let view = world.peers[dave].core.group(group).expect("memory").expect("a group");
    assert_eq!((view.state, view.name.as_str()), (GroupState::Joined, "Hut of day 5"));
    world.go_on(&[ALICE, BOB, CAROL, dave]);
    // answered: nothing is repeated any more
    world.run(DAY);
    world.wire.clear();
    world.run(DAY * 3);
    assert_eq!(published(&world), (vec![], vec![]));
    assert!(world.peers[ALICE].core.inner.repeats.is_empty());
}

/// Dave gets in by a commit of Alice's that loses its place, and speaks there, after he has missed the
/// invitation by the one that she made instead.
#[test]
fn who_is_read_only_where_a_lost_commit_led_is_still_invited() {
    let mut world = World::three();
    let (dave, card) = world.add();
    for peer in &mut world.peers {
        peer.core.inner.config.catch_up = HOUR * 6;
    }
    world.run(HOUR);
    let only = |world: &mut World, hear: &[usize]| {
        world.peers.iter_mut().enumerate().for_each(|(who, p)| p.deaf = !hear.contains(&who));
    };
    only(&mut world, &[ALICE, dave]);
    world.invite(&[card]);
    world.command(dave, Command::AcceptInvitation { group: world.group });
    world.run(MINUTE);
    let mut theirs = Vec::new();
    for (who, other) in [(BOB, CAROL), (CAROL, BOB)] {
        only(&mut world, &[who]);
        let (name, description) = (format!("Hut of {who}"), String::new());
        world.command(who, Command::SetProfile { group: world.group, name, description });
        let mut commits = world.wire.iter().filter(|(k, _)| matches!(k, PublishKind::Commit(_)));
        let commit = commits.next_back().expect("published").1.clone();
        world.deliver(other, &commit);
        theirs.push(commit);
    }
    only(&mut world, &[ALICE, BOB, CAROL]);
    for commit in &theirs {
        world.deliver(ALICE, commit);
    }
    world.run(MINUTE * 5);
    let (group, account) = (world.group, world.account(dave));
    assert!(world.peers[BOB].core.inner.groups[&group].is_member(account), "added again");
    let kept = &world.peers[ALICE].core.inner.repeats;
    let waiting =
        kept.values().filter(|repeat| repeat.waiting.iter().any(|w| w.account == account));
    assert_eq!(waiting.count(), 2, "the commit that lost its place may come to stand after all");
    // and no archive has that invitation any more
    world.wire.clear();
    back(&mut world, dave);
    let lost = world.say(dave, "is anybody here?");
    world.run(MINUTE);
    let heard = world.read(ALICE).iter().any(|message| message.id == lost);
    assert!(heard, "Alice keeps that state");
    world.run(DAY * 2);
    world.go_on(&[ALICE, BOB, CAROL, dave]);
}

#[test]
fn what_nobody_answers_is_repeated_once_a_day_at_random_times_for_thirty_days() {
    let (mut world, dave) = inviting();
    let account = world.account(dave);
    world.wire.clear();
    world.run(DAY * 10);
    // a restart in between
    let core = std::mem::replace(
        &mut world.peers[ALICE].core,
        Core::open(MemoryStore::new(), World::config(), [3; 32], world.now).expect("memory"),
    );
    let core = Core::open(core.into_store(), World::config(), [4; 32], world.now);
    world.peers[ALICE].core = core.expect("memory");
    world.peers[ALICE].core.inner.config.catch_up = HOUR * 6;
    world.give(ALICE, Input::Connectivity { relay_peers: 1, store_peers: 1 });
    world.run(DAY * 22);
    let (shared, envelopes) = published(&world);
    assert!((28..=31).contains(&shared.len()), "{} shared parts", shared.len());
    assert_eq!(envelopes.len(), shared.len(), "one account");
    let hours: std::collections::BTreeSet<u64> =
        shared.iter().map(|at| at.as_secs() % 86_400 / 3600).collect();
    assert!(hours.len() > 8, "spread over the day: {hours:?}");
    let failed: Vec<_> = world.peers[ALICE]
        .heard
        .iter()
        .filter_map(|event| match event {
            Event::InvitationFailed { account, .. } => Some(*account),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [account], "said of who did not answer alone");
    world.wire.clear();
    world.run(DAY * 3);
    assert_eq!(published(&world), (vec![], vec![]));
}

#[test]
fn who_is_taken_out_before_it_answers_is_not_invited_any_more() {
    let (mut world, dave) = inviting();
    let (group, account) = (world.group, world.account(dave));
    world.run(DAY);
    world.command(ALICE, Command::Remove { group, accounts: vec![account] });
    world.run(DAY);
    world.wire.clear();
    world.run(DAY * 3);
    assert_eq!(published(&world), (vec![], vec![]));
}

/// Repeats share no bytes with each other: each has a topic, a key and seals of its own.
#[test]
fn repeats_share_no_topic() {
    let (mut world, _) = inviting();
    world.run(DAY * 5);
    let shared: Vec<_> = world
        .wire
        .iter()
        .filter(|(kind, _)| matches!(kind, PublishKind::InvitationShared(_)))
        .map(|(_, message)| message.content_topic.as_str().to_owned())
        .collect();
    let different: std::collections::BTreeSet<&String> = shared.iter().collect();
    assert!(shared.len() >= 5, "{}", shared.len());
    assert_eq!(different.len(), shared.len());
}

#[test]
fn what_is_kept_to_be_repeated_is_bounded_and_who_is_given_up_is_said() {
    let (mut world, dave) = inviting();
    let group = world.group;
    let name = *world.peers[ALICE].core.inner.repeats.keys().next().expect("kept");
    let now = world.now;
    let core = &mut world.peers[ALICE].core;
    core.run(now, |inner, _| {
        let mut huge = inner.repeats[&name].clone();
        (huge.bytes, huge.since) = (crate::limits::REPEATED_INVITATION_BYTES, now);
        huge.waiting.clear();
        let state = inner.new_state();
        inner.repeats.insert((group, state), huge);
        Ok(())
    })
    .expect("memory");
    core.run(now, |inner, tx| inner.keep_repeat(tx, name, b"shared", &[])).expect("memory");
    world.settle();
    let failed = world.peers[ALICE].heard.iter().any(|event| {
        matches!(event, Event::InvitationFailed { account, .. } if *account == world.account(dave))
    });
    assert!(failed, "Dave's was the oldest");
    assert_eq!(world.peers[ALICE].core.inner.repeats.len(), 1);
}
