//! A store that fails once, and a node that crashes once, at every commit of a conversation: all
//! that was accepted is read by everybody, once, under a number of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use waku_groupchat_core::api::views::{GapState, GroupState, MessageView, SendState};
use waku_groupchat_core::api::{Answer, Command, CommandError, Event};
use waku_groupchat_core::{Core, GroupId, Store};
use waku_groupchat_simulations::cast::{self, gaps, publishes, read};
use waku_groupchat_simulations::network::{Links, Mishap, Network, NodeId};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const LINES: [&str; 5] = ["one", "two", "three, unheard at first", "four", "five"];

/// Who has the mishap.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Creator,
    Joiner,
}

/// Gives a command until it is done, as people do: again if the node crashed before it answered,
/// unless `done` shows that it had been written.
fn insist(
    net: &mut Network,
    node: NodeId,
    command: Command,
    done: impl Fn(&Network) -> bool,
) -> Option<Result<Answer, CommandError>> {
    for _ in 0..3 {
        let answer = net.try_command(node, command.clone());
        if answer.is_some() || done(net) {
            return answer;
        }
    }
    panic!("a command that is never done")
}

fn card(net: &mut Network, node: NodeId) -> String {
    let own = |net: &Network| net.node(node).core().account().expect("memory");
    insist(net, node, Command::CreateAccount, |net| own(net).is_some());
    net.run_for(MINUTE);
    own(net).expect("an account").card
}

fn group(net: &mut Network, creator: NodeId) -> GroupId {
    let groups = |net: &Network| net.node(creator).core().groups().expect("memory");
    let make = Command::CreateGroup { name: "Hut".to_owned(), description: String::new() };
    insist(net, creator, make, |net| !groups(net).is_empty());
    groups(net)[0].group
}

fn join(net: &mut Network, creator: NodeId, joiner: NodeId, group: GroupId, card: String) {
    let invite = Command::Invite { group, cards: vec![card] };
    match insist(net, creator, invite, |_| false) {
        Some(Ok(_) | Err(CommandError::AlreadyMember(_))) => {}
        other => panic!("an invitation: {other:?}"),
    }
    let state = move |net: &Network| {
        let view = net.node(joiner).core().group(group).expect("memory");
        view.map(|view| view.state)
    };
    let invited = net.run_until(MINUTE * 20, |net| state(net).is_some());
    assert!(invited, "{}", net.story(60));
    let joined = move |net: &Network| state(net) == Some(GroupState::Joined);
    insist(net, joiner, Command::AcceptInvitation { group }, joined);
    net.run_for(MINUTE);
}

fn say(net: &mut Network, node: NodeId, group: GroupId, text: &str) {
    let send = Command::Send { group, text: text.to_owned() };
    let said = |net: &Network| read(net, node, group).iter().any(|m| m.text == text);
    insist(net, node, send, said);
    net.run_for(SECOND * 3);
}

fn rename(net: &mut Network, creator: NodeId, group: GroupId) {
    let name = "Chalet".to_owned();
    let profile = Command::SetProfile { group, name, description: String::new() };
    match insist(net, creator, profile, |_| false) {
        Some(Ok(_)) => {}
        other => panic!("a new name: {other:?}"),
    }
    net.run_for(SECOND * 3);
}

/// A conversation of two with an invitation, a gap and a commit; how many commits the one with the
/// mishap made. What has to hold then is checked.
fn conversation(who: Who, mishap: Option<Mishap>) -> u64 {
    let mut net = Network::new(1, Links::perfect());
    let of = |which: Who| mishap.filter(|_| which == who);
    let creator = net.add_node_with(of(Who::Creator));
    let joiner = net.add_node_with(of(Who::Joiner));
    let troubled = if who == Who::Creator { creator } else { joiner };
    card(&mut net, creator);
    let card = card(&mut net, joiner);
    let group = group(&mut net, creator);
    join(&mut net, creator, joiner, group, card);
    say(&mut net, creator, group, LINES[0]);
    say(&mut net, joiner, group, LINES[1]);
    let (silent, deaf) = if who == Who::Creator { (joiner, creator) } else { (creator, joiner) };
    net.set_cut(silent, deaf, true);
    net.set_store_cut(deaf, true);
    say(&mut net, silent, group, LINES[2]);
    net.run_for(MINUTE);
    net.set_cut(silent, deaf, false);
    say(&mut net, silent, group, LINES[3]);
    net.run_for(SECOND * 20);
    net.set_store_cut(deaf, false);
    rename(&mut net, creator, group);
    say(&mut net, joiner, group, LINES[4]);
    net.run_for(MINUTE * 10);
    all_is_well(&net, [creator, joiner], group);
    let node = net.node(troubled);
    assert!(!node.awaits_mishap(), "{mishap:?} has not happened");
    node.core().store().commits()
}

fn all_is_well(net: &Network, nodes: [NodeId; 2], group: GroupId) {
    for node in nodes {
        let messages = read(net, node, group);
        let texts: Vec<&str> = messages.iter().map(|m| m.text.as_str()).collect();
        assert_eq!(texts, LINES, "{node:?}:\n{}", net.story(80));
        let ids: BTreeSet<_> = messages.iter().map(|m| m.id).collect();
        assert_eq!(ids.len(), LINES.len(), "no number twice");
        for state in [GapState::Missing, GapState::Fetching, GapState::Unavailable] {
            assert_eq!(gaps(net, node, state), []);
        }
        told_once(net.node(node).core(), &messages);
        let view = net.node(node).core().group(group).expect("memory").expect("a group");
        assert_eq!((view.name.as_str(), view.epoch), ("Chalet", 2));
        for own in messages.iter().filter(|m| m.sending.is_some()) {
            let sent = matches!(own.sending, Some(SendState::Stored | SendState::Acknowledged));
            assert!(sent, "{own:?}");
            let (first, retries) = publishes(net, own.id);
            assert!(first <= 1 && first + retries >= 1 && retries <= 3, "{first}, {retries}");
        }
    }
    let [ours, theirs] = nodes.map(|node| read(net, node, group));
    let number = |m: &MessageView| (m.id, m.time);
    assert!(ours.iter().map(number).eq(theirs.iter().map(number)), "the same ones");
}

/// Each message of others is an event, once.
fn told_once<S: Store>(core: &Core<S>, messages: &[MessageView]) {
    let events = core.events_after(0, usize::MAX).expect("memory");
    let mut told: Vec<_> = events
        .iter()
        .filter_map(|record| match record.event {
            Event::Message { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    told.sort();
    let mut others: Vec<_> =
        messages.iter().filter(|m| m.sending.is_none()).map(|m| m.id).collect();
    others.sort();
    assert_eq!(told, others);
}

/// Linking a second installation; how many commits the one with the mishap made.
fn linking(who: Who, mishap: Option<Mishap>) -> u64 {
    let mut net = Network::new(2, Links::perfect());
    let of = |which: Who| mishap.filter(|_| which == who);
    let first = net.add_node_with(of(Who::Creator));
    let second = net.add_node_with(of(Who::Joiner));
    card(&mut net, first);
    let request = match net.command(second, Command::RequestLink) {
        Ok(Answer::LinkRequested { request, .. }) => request,
        other => panic!("a link request: {other:?}"),
    };
    net.command(first, Command::AcceptLink { request }).expect("a good request");
    cast::compare(&mut net, [first, second]);
    net.run_for(MINUTE * 10);
    let accounts = [first, second].map(|node| {
        let core = net.node(node).core();
        assert_eq!(core.installations().expect("memory").len(), 2, "{}", net.story(60));
        core.account().expect("memory").expect("an account").account
    });
    assert_eq!(accounts[0], accounts[1]);
    let node = net.node(if who == Who::Creator { first } else { second });
    assert!(!node.awaits_mishap(), "{mishap:?} has not happened");
    node.core().store().commits()
}

/// The mishap at every commit that there is without one; `NTH` names one alone.
fn at_every_commit(
    conversation: fn(Who, Option<Mishap>) -> u64,
    who: Who,
    mishap: fn(u64) -> Mishap,
) {
    let commits = conversation(who, None);
    assert!(commits > 5, "{commits} commits");
    let nth: Option<u64> =
        std::env::var("NTH").ok().map(|text| text.parse().expect("NTH is a number"));
    for n in 1..=commits {
        if nth.is_none_or(|nth| nth == n) {
            println!("{who:?}, {:?} of {commits}", mishap(n));
            conversation(who, Some(mishap(n)));
        }
    }
}

#[test]
fn a_failed_commit_of_the_creator_is_made_up_for() {
    at_every_commit(conversation, Who::Creator, Mishap::Fails);
}

#[test]
fn a_failed_commit_of_a_joiner_is_made_up_for() {
    at_every_commit(conversation, Who::Joiner, Mishap::Fails);
}

#[test]
fn a_crash_of_the_creator_before_a_commit_loses_nothing() {
    at_every_commit(conversation, Who::Creator, Mishap::CrashBefore);
}

#[test]
fn a_crash_of_a_joiner_before_a_commit_loses_nothing() {
    at_every_commit(conversation, Who::Joiner, Mishap::CrashBefore);
}

#[test]
fn a_crash_of_the_creator_after_a_commit_loses_nothing() {
    at_every_commit(conversation, Who::Creator, Mishap::CrashAfter);
}

#[test]
fn a_crash_of_a_joiner_after_a_commit_loses_nothing() {
    at_every_commit(conversation, Who::Joiner, Mishap::CrashAfter);
}

/// A crash ends a linking, which people then begin anew; a failed commit does not.
#[test]
fn a_failed_commit_does_not_end_a_linking() {
    at_every_commit(linking, Who::Creator, Mishap::Fails);
    at_every_commit(linking, Who::Joiner, Mishap::Fails);
}
