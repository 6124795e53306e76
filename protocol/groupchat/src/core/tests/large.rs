//! A large group, made by one invitation.

use std::collections::BTreeSet;

use super::segments::ByHand;
use super::*;

/// Accounts with a core that runs, besides Alice.
const DRIVEN: usize = 12;
/// All that are invited: with two installations each, but those that are driven.
const INVITED: usize = 200;
/// As many as one invitation adds can be taken out at once, with two installations each.
const _: () = assert!(crate::limits::WAITING_CHANGES >= 2 * crate::limits::INVITED_ACCOUNTS);

#[test]
fn two_hundred_accounts_are_invited_at_once_and_talk() {
    let mut world = World::new();
    let driven: Vec<(usize, String)> = (0..=DRIVEN).map(|_| world.add()).collect();
    world.make_group();
    let mut cards = world.crowd(INVITED - DRIVEN);
    cards.extend(driven[1..].iter().map(|(_, card)| card.clone()));
    let before = world.wire.len();
    world.invite(&cards);
    let sent = |wanted: fn(&PublishKind) -> bool| {
        world.wire[before..].iter().filter(|(kind, _)| wanted(kind)).count()
    };
    let commit = sent(|kind| matches!(kind, PublishKind::Commit(_)));
    let shared = sent(|kind| matches!(kind, PublishKind::InvitationShared(_)));
    let envelopes = sent(|kind| matches!(kind, PublishKind::InvitationEnvelope(_)));
    assert!((3..=6).contains(&commit) && (3..=6).contains(&shared), "{commit} and {shared}");
    assert_eq!(envelopes, INVITED);
    for (who, _) in &driven[1..] {
        world.command(*who, Command::AcceptInvitation { group: world.group });
    }
    world.run(MINUTE);
    for (who, _) in &driven {
        let groups = world.peers[*who].core.groups().expect("memory");
        let [group] = &groups[..] else { panic!("one group, not {groups:?}") };
        let (accounts, installations) = (group.accounts, group.installations);
        assert_eq!((accounts, group.epoch), (1 + INVITED, 1), "one commit added all");
        assert_eq!(installations, 1 + DRIVEN + 2 * (INVITED - DRIVEN));
    }
    world.go_on(&driven.iter().map(|(who, _)| *who).collect::<Vec<_>>());
}

/// Most of a large group is taken out in one commit; who stays reads it and talks on.
#[test]
fn two_hundred_accounts_are_taken_out_at_once() {
    let mut world = World::new();
    let driven: Vec<(usize, String)> = (0..3).map(|_| world.add()).collect();
    world.make_group();
    let mut cards = world.crowd(INVITED);
    cards.extend(driven[1..].iter().map(|(_, card)| card.clone()));
    world.invite(&cards);
    for peer in [BOB, CAROL] {
        world.command(peer, Command::AcceptInvitation { group: world.group });
    }
    world.run(MINUTE);
    let stay: BTreeSet<_> = [ALICE, BOB, CAROL].map(|who| world.account(who)).into();
    let members = world.peers[ALICE].core.members(world.group).expect("memory").expect("a group");
    let accounts: Vec<_> =
        members.iter().map(|m| m.account).filter(|account| !stay.contains(account)).collect();
    assert_eq!(accounts.len(), INVITED);
    let epoch = world.tip(ALICE).epoch;
    world.command(ALICE, Command::Remove { group: world.group, accounts: accounts.clone() });
    world.run(MINUTE);
    for who in [ALICE, BOB, CAROL] {
        let view = world.peers[who].core.group(world.group).expect("memory").expect("a group");
        assert_eq!((view.accounts, view.installations), (3, 3), "at {who}");
        assert_eq!(view.epoch, epoch + 1, "one commit took all out");
        let told = world.peers[who].heard.iter().rev().find_map(|event| match event {
            Event::MembersRemoved { accounts, .. } => Some(accounts.len()),
            _ => None,
        });
        assert_eq!(told, Some(INVITED));
    }
    world.go_on(&[ALICE, BOB, CAROL]);
    // what was kept to invite them again is let go of, with the next repeat
    world.run(Duration::from_secs(2 * 86_400));
    assert!(world.peers[ALICE].core.inner.repeats.is_empty());
}

/// No more than five envelopes leave in a second, and they leave in another order each time.
#[test]
fn envelopes_are_spread() {
    let mut world = World::new();
    world.add();
    world.make_group();
    let cards = world.crowd(40);
    world.command(ALICE, Command::Invite { group: world.group, cards });
    let mut times = Vec::new();
    let end = world.now + MINUTE;
    while world.now < end {
        let before = world.wire.len();
        world.run(Duration::from_millis(50));
        let envelopes = world.wire[before..]
            .iter()
            .filter(|(kind, _)| matches!(kind, PublishKind::InvitationEnvelope(_)));
        times.extend(envelopes.map(|_| world.now));
    }
    assert_eq!(times.len(), 40);
    let second = Duration::from_millis(1050);
    let most = times
        .iter()
        .map(|from| times.iter().filter(|t| **t >= *from && t.since(*from) < second).count())
        .max();
    assert!(most <= Some(6), "{most:?} in one second");
    let all = times[39].since(times[0]);
    assert!(all > Duration::from_secs(8) && all <= Duration::from_secs(10), "{all:?}");
}

/// However many are not found, store peers are asked once for all of them; the own archive before,
/// for some at a time, one question after the other.
#[test]
fn who_is_not_found_is_asked_for_together() {
    let mut world = World::new();
    world.add();
    world.make_group();
    let mut cards = world.crowd(70);
    world.peers[ALICE].archive.clear();
    cards.extend(world.crowd(5));
    let mut hand = ByHand::new(world);
    let group = hand.world.group;
    hand.input(Input::Command(CommandId(1000), Command::Invite { group, cards }));
    let (mut own, mut stores) = (0, 0);
    while let Some((id, request)) = hand.fetches.pop() {
        assert!(hand.fetches.is_empty(), "one question at a time");
        let (messages, result) = hand.world.fetched(ALICE, &request);
        match &request.source {
            FetchSource::OwnArchive(topics) => {
                own += 1;
                let all = topics.iter().collect::<BTreeSet<_>>().len();
                assert!(all <= 512 && all == topics.len(), "{all} topics");
            }
            FetchSource::StorePeers => stores += 1,
        }
        messages.into_iter().for_each(|message| hand.input(Input::Message(message)));
        hand.input(Input::Fetched(id, result));
    }
    // 75 accounts in questions of 20, then the 70 that were not found in questions of 4
    assert_eq!((own, stores), (4 + 18, 1));
    let waiting = hand.world.peers[ALICE].core.inner.intents.open();
    assert_eq!(waiting.filter(|(_, intent)| intent.found.is_none()).count(), 70);
}
