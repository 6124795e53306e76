//! Invitations to who was in the group before, on a virtual network.

use std::time::Duration;

use waku_groupchat_core::api::views::GapState;
use waku_groupchat_core::api::{Command, CommandError, Event};
use waku_groupchat_core::{AccountId, GroupId, InstallationId};
use waku_groupchat_simulations::cast::{account, gaps, group, link, say, texts};
use waku_groupchat_simulations::network::{Links, Network, NodeId};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn account_of(net: &Network, node: NodeId) -> AccountId {
    net.node(node).core().account().expect("memory").expect("an account").account
}

fn installation_of(net: &Network, node: NodeId) -> InstallationId {
    net.node(node).core().account().expect("memory").expect("an account").installation
}

fn inside(net: &Network, at: NodeId, group: GroupId, who: NodeId) -> bool {
    let members = net.node(at).core().members(group).expect("memory").expect("a group");
    let wanted = installation_of(net, who);
    members.iter().any(|member| member.installations.contains(&wanted))
}

fn invited(net: &Network, node: NodeId) -> bool {
    !net.node(node).core().invitations().expect("memory").is_empty()
}

/// Invites, and has these accept.
fn invite(net: &mut Network, by: NodeId, group: GroupId, card: &str, who: &[NodeId]) {
    let cards = vec![card.to_owned()];
    net.command(by, Command::Invite { group, cards }).expect("a good card");
    for node in who {
        let invited = net.run_until(HOUR, |net| invited(net, *node));
        assert!(invited, "{node:?} is invited:\n{}", net.story(60));
        net.command(*node, Command::AcceptInvitation { group }).expect("an invitation");
    }
    net.run_for(MINUTE);
}

/// All of them get what each says, and nothing is missing anywhere.
fn together(net: &mut Network, nodes: &[NodeId], group: GroupId) {
    net.run_for(HOUR);
    for node in nodes {
        let text = format!("{node:?} at {:?}", net.now());
        say(net, *node, group, &text);
        net.run_for(HOUR);
        for other in nodes {
            assert!(texts(net, *other, group).contains(&text), "{text} at {other:?}");
        }
    }
    for node in nodes {
        for state in [GapState::Missing, GapState::Fetching, GapState::Unavailable] {
            assert_eq!(gaps(net, *node, state), [], "at {node:?}");
        }
    }
}

/// Archives that reach back for a day or less, and a group that goes on.
#[test]
fn who_is_away_for_five_days_when_it_is_invited_still_gets_in() {
    let mut net = Network::new(63, Links::perfect());
    net.config_mut().catch_up = HOUR * 4;
    let (alice, _) = account(&mut net);
    let (bob, bobs) = account(&mut net);
    let (dave, daves) = account(&mut net);
    let group = group(&mut net, alice, &[bobs], &[bob]);
    net.run_for(HOUR);
    net.stop(dave);
    net.command(alice, Command::Invite { group, cards: vec![daves] }).expect("a good card");
    net.run_for(HOUR);
    for day in 1..=5 {
        let (name, description) = (format!("Hut of day {day}"), String::new());
        let who = if day % 2 == 0 { alice } else { bob };
        net.command(who, Command::SetProfile { group, name, description }).expect("a member");
        say(&mut net, who, group, &format!("day {day}"));
        net.run_for(DAY);
        net.forget_store();
    }
    net.restart(dave);
    let invited = net.run_until(DAY * 2, |net| invited(net, dave));
    assert!(invited, "a repeat came:\n{}", net.story(60));
    net.command(dave, Command::AcceptInvitation { group }).expect("an invitation");
    let follows = net.run_until(DAY * 2, |net| {
        let tip = |node| net.node(node).core().tip_name(group);
        tip(dave) == tip(alice) && tip(dave) == tip(bob)
    });
    assert!(follows, "one state:\n{}", net.story(80));
    together(&mut net, &[alice, bob, dave], group);
}

/// Alice, and Bob with two installations, in one group.
fn with_two_of_bob(seed: u64) -> (Network, [NodeId; 3], String, GroupId) {
    let mut net = Network::new(seed, Links::perfect());
    let (alice, _) = account(&mut net);
    let (bob, bobs) = account(&mut net);
    let second = link(&mut net, bob);
    // the record of the next day has both
    net.run_for(DAY + HOUR);
    let group = group(&mut net, alice, std::slice::from_ref(&bobs), &[bob, second]);
    (net, [alice, bob, second], bobs, group)
}

#[test]
fn an_account_that_left_is_invited_again_with_all_its_installations() {
    let (mut net, [alice, bob, second], bobs, group) = with_two_of_bob(61);
    let whole = net.command(alice, Command::Invite { group, cards: vec![bobs.clone()] });
    assert_eq!(whole.err(), Some(CommandError::AlreadyMember(account_of(&net, bob))));
    // what one installation decides, the account's others carry out
    net.command(second, Command::Leave { group }).expect("a member");
    net.run_for(DAY);
    for node in [bob, second] {
        assert!(!inside(&net, alice, group, node), "{node:?}:\n{}", net.story(80));
    }
    say(&mut net, alice, group, "without Bob");
    net.run_for(HOUR);
    invite(&mut net, alice, group, &bobs, &[bob, second]);
    assert!(inside(&net, alice, group, bob) && inside(&net, alice, group, second));
    together(&mut net, &[alice, bob, second], group);
    for node in [bob, second] {
        assert!(!texts(&net, node, group).contains(&"without Bob".to_owned()));
    }
}

#[test]
fn an_account_that_was_taken_out_comes_back_with_all_its_installations() {
    let (mut net, [alice, bob, second], bobs, group) = with_two_of_bob(62);
    for node in [bob, second] {
        say(&mut net, node, group, "before");
    }
    net.run_for(HOUR);
    let accounts = vec![account_of(&net, bob)];
    net.command(alice, Command::Remove { group, accounts }).expect("the owner");
    net.run_for(HOUR);
    for node in [bob, second] {
        assert!(net.node(node).events().any(|event| *event == Event::Removed { group }));
    }
    say(&mut net, alice, group, "alone");
    net.run_for(DAY * 2);
    invite(&mut net, alice, group, &bobs, &[bob, second]);
    together(&mut net, &[alice, bob, second], group);
    let next = say(&mut net, second, group, "numbers go on");
    assert_eq!(next.number, 3);
}
