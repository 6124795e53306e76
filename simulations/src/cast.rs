//! Accounts and a group on a virtual network, set up as people would.

use std::time::Duration;

use waku_groupchat_core::api::views::{GapState, GapView, GroupState, MessageKind, MessageView};
use waku_groupchat_core::api::{Answer, Command, PublishKind};
use waku_groupchat_core::{GroupId, MessageId};

use crate::network::{Network, NodeId};

/// How long each step of a set-up may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Makes an account on a new node; its contact card beside it.
///
/// # Panics
///
/// If the core refuses, which a fresh one does not.
pub fn account(net: &mut Network) -> (NodeId, String) {
    let node = net.add_node();
    match net.command(node, Command::CreateAccount) {
        Ok(Answer::AccountCreated { card, .. }) => (node, card.to_string()),
        other => panic!("an account: {other:?}"),
    }
}

/// Adds a second installation of `first`'s account on a new node.
///
/// # Panics
///
/// If they are not linked in time.
pub fn link(net: &mut Network, first: NodeId) -> NodeId {
    let node = net.add_node();
    let request = match net.command(node, Command::RequestLink) {
        Ok(Answer::LinkRequested { request, .. }) => request,
        other => panic!("a link request: {other:?}"),
    };
    net.command(first, Command::AcceptLink { request }).expect("a good request");
    compare(net, [first, node]);
    let linked = net.run_until(PATIENCE, |net| {
        net.node(node).core().account().expect("memory does not fail").is_some()
    });
    assert!(linked, "linked in time");
    node
}

/// Compares the digits of a linking that is under way, on both sides.
///
/// # Panics
///
/// If they are not shown in time.
pub fn compare(net: &mut Network, sides: [NodeId; 2]) {
    let digits = |net: &Network, node| {
        net.node(node).core().linking().expect("memory").and_then(|l| l.digits)
    };
    let shown =
        net.run_until(PATIENCE, |net| sides.iter().all(|side| digits(net, *side).is_some()));
    assert!(shown, "both have answered in time");
    let [first, second] = sides.map(|side| digits(net, side).expect("shown"));
    assert_eq!(first, second);
    for side in sides {
        let confirm = Command::ConfirmLink { digits: first.clone() };
        let answer = net.command(side, confirm).expect("under way");
        assert!(matches!(answer, Answer::LinkCompared { same: true }));
    }
}

/// Makes a group of `creator` and everybody behind `cards`; waits until all `nodes` are in it, at
/// the same epoch.
///
/// # Panics
///
/// If somebody is not in it in time.
pub fn group(net: &mut Network, creator: NodeId, cards: &[String], nodes: &[NodeId]) -> GroupId {
    let name = "Hut".to_owned();
    let description = "Who brings what".to_owned();
    let group = match net.command(creator, Command::CreateGroup { name, description }) {
        Ok(Answer::GroupCreated { group }) => group,
        other => panic!("a group: {other:?}"),
    };
    net.command(creator, Command::Invite { group, cards: cards.to_vec() }).expect("good cards");
    for &node in nodes {
        let state = |net: &Network| {
            net.node(node).core().group(group).ok().flatten().map(|view| view.state)
        };
        let invited = net.run_until(PATIENCE, |net| state(net).is_some());
        assert!(invited, "{node:?} is not invited in time:\n{}", net.story(60));
        // another installation of its account may have accepted for it
        if state(net) == Some(GroupState::Invited) {
            net.command(node, Command::AcceptInvitation { group }).expect("an invitation");
        }
    }
    let view = |net: &Network, node| net.node(node).core().group(group).ok().flatten();
    let joined = net.run_until(PATIENCE, |net| {
        let epoch = view(net, creator).map(|view| view.epoch);
        nodes.iter().all(|node| {
            view(net, *node)
                .is_some_and(|view| view.state == GroupState::Joined && Some(view.epoch) == epoch)
        })
    });
    assert!(joined, "everybody is in, and at one epoch:\n{}", net.story(60));
    group
}

/// Says something.
///
/// # Panics
///
/// If it is refused.
pub fn say(net: &mut Network, node: NodeId, group: GroupId, text: &str) -> MessageId {
    match net.command(node, Command::Send { group, text: text.to_owned() }) {
        Ok(Answer::Accepted { message }) => message,
        other => panic!("a message: {other:?}"),
    }
}

/// The messages as a node shows them.
pub fn read(net: &Network, node: NodeId, group: GroupId) -> Vec<MessageView> {
    let messages = net.node(node).core().messages(group, None, usize::MAX);
    messages.expect("memory does not fail").unwrap_or_default()
}

/// The texts as a node shows them.
pub fn texts(net: &Network, node: NodeId, group: GroupId) -> Vec<String> {
    let all = read(net, node, group).into_iter();
    // a new card is told where that falls due
    all.filter(|m| m.kind != MessageKind::Card).map(|m| m.text).collect()
}

/// The reported gaps of a node in a state.
pub fn gaps(net: &Network, node: NodeId, state: GapState) -> Vec<GapView> {
    let gaps = net.node(node).core().gaps(None).expect("memory does not fail");
    gaps.into_iter().filter(|gap| gap.state == state).collect()
}

/// How often a message was published: first publishes and retries.
pub fn publishes(net: &Network, message: MessageId) -> (usize, usize) {
    let count = |kind| net.published().iter().filter(|seen| seen.kind == kind).count();
    (count(PublishKind::Message(message)), count(PublishKind::Retry(message)))
}
