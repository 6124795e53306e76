//! Members that cannot follow their group any more, on a virtual network.

use std::collections::BTreeSet;
use std::time::Duration;

use waku_groupchat_core::api::views::{GroupState, GroupView};
use waku_groupchat_core::api::{Command, Event, Policy, PublishKind, Role};
use waku_groupchat_core::{AccountId, GroupId, MessageId};
use waku_groupchat_simulations::cast::{account, group, say, texts};
use waku_groupchat_simulations::network::{Links, Network, NodeId};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A network with so many members of one group; the first made it.
fn members(seed: u64, count: usize) -> (Network, Vec<NodeId>, GroupId) {
    let mut net = Network::new(seed, Links::perfect());
    net.config_mut().catch_up = HOUR * 4;
    let made: Vec<(NodeId, String)> = (0..count).map(|_| account(&mut net)).collect();
    let nodes: Vec<NodeId> = made.iter().map(|(node, _)| *node).collect();
    let cards: Vec<String> = made[1..].iter().map(|(_, card)| card.clone()).collect();
    let group = group(&mut net, nodes[0], &cards, &nodes[1..]);
    net.run_for(MINUTE);
    (net, nodes, group)
}

fn rename(net: &mut Network, node: NodeId, group: GroupId, name: &str) {
    let (name, description) = (name.to_owned(), String::new());
    net.command(node, Command::SetProfile { group, name, description }).expect("a member");
    net.run_for(MINUTE);
}

fn account_of(net: &Network, node: NodeId) -> AccountId {
    net.node(node).core().account().expect("memory").expect("an account").account
}

fn same_state(net: &Network, nodes: &[NodeId], group: GroupId) -> bool {
    let tip = |node: &NodeId| net.node(*node).core().tip_name(group);
    tip(&nodes[0]).is_some() && nodes.iter().all(|node| tip(node) == tip(&nodes[0]))
}

fn shown(net: &Network, node: NodeId, id: MessageId) -> Option<String> {
    net.node(node).core().message(id).expect("memory").map(|message| message.text)
}

/// How many answers with commits, or with a Welcome, others than `who` have published: what else goes
/// over rejoin topics here is smaller.
fn answers(net: &Network, who: NodeId) -> usize {
    let of = net.published().iter().filter(|seen| matches!(seen.kind, PublishKind::Rejoin(_)));
    of.filter(|seen| seen.node != who && seen.message.payload.len() >= 4096).count()
}

#[test]
fn a_member_that_was_offline_for_a_month_comes_back_with_what_it_had() {
    let (mut net, nodes, group) = members(31, 3);
    let [alice, bob, carol] = [nodes[0], nodes[1], nodes[2]];
    say(&mut net, alice, group, "before");
    net.run_for(MINUTE);
    net.set_alone(carol, true);
    let unsent = ["one", "two"].map(|text| say(&mut net, carol, group, text));
    net.run_for(MINUTE);
    net.stop(carol);
    for day in 0..30 {
        let who = if day % 2 == 0 { alice } else { bob };
        if day % 5 == 0 {
            rename(&mut net, who, group, &format!("Hut of day {day}"));
        }
        say(&mut net, who, group, &format!("day {day}"));
        net.run_for(DAY);
    }
    net.forget_store();
    net.restart(carol);
    net.set_alone(carol, false);
    let back = net.run_until(DAY * 2, |net| same_state(net, &nodes, group));
    assert!(back, "the same state:\n{}", net.story(80));
    net.run_for(DAY);
    let view = |node| {
        let view = net.node(node).core().group(group).expect("memory").expect("a group");
        // what is unread is the account's own
        GroupView { unread: 0, ..view }
    };
    let who = |node| net.node(node).core().members(group).expect("memory");
    assert_eq!((view(carol), who(carol)), (view(alice), who(alice)));
    for (id, text) in unsent.into_iter().zip(["one", "two"]) {
        for node in [alice, bob] {
            assert_eq!(shown(&net, node, id).as_deref(), Some(text), "number {}", id.number);
        }
    }
    assert_eq!(unsent.map(|id| id.number), [1, 2]);
    let next = say(&mut net, carol, group, "three");
    net.run_for(HOUR * 2);
    assert_eq!(next.number, 3);
    let all = texts(&net, carol, group);
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "each once");
    assert_eq!(all.len(), texts(&net, alice, group).len(), "{all:?}");
}

#[test]
fn one_of_many_members_answers() {
    let (mut net, nodes, group) = members(32, 8);
    let carol = nodes[7];
    net.stop(carol);
    rename(&mut net, nodes[1], group, "Chalet");
    net.run_for(DAY * 8);
    rename(&mut net, nodes[2], group, "Cabin");
    net.forget_store();
    net.restart(carol);
    let back = net.run_until(DAY * 2, |net| same_state(net, &nodes, group));
    assert!(back, "the same state:\n{}", net.story(80));
    net.run_for(HOUR);
    assert_eq!(answers(&net, carol), 1, "one answer, by one of seven");
}

#[test]
fn who_was_taken_out_while_away_learns_of_it() {
    let (mut net, nodes, group) = members(33, 3);
    let [alice, bob, carol] = [nodes[0], nodes[1], nodes[2]];
    net.stop(carol);
    rename(&mut net, bob, group, "Chalet");
    net.run_for(DAY * 8);
    let members = net.node(alice).core().members(group).expect("memory").expect("a group");
    let others = [account_of(&net, alice), account_of(&net, bob)];
    let accounts = members.iter().map(|m| m.account).filter(|a| !others.contains(a)).collect();
    net.command(alice, Command::Remove { group, accounts }).expect("the owner");
    net.run_for(DAY * 2);
    net.forget_store();
    net.restart(carol);
    net.run_for(DAY * 2);
    let state = net.node(carol).core().group(group).expect("memory").expect("a group").state;
    assert_eq!(state, GroupState::Removed, "{}", net.story(80));
    assert!(net.node(carol).events().any(|event| *event == Event::Removed { group }));
}

/// Alice invites Dave while she is cut off from Bob and Carol, whose branch stands in the end.
#[test]
fn who_was_welcomed_on_a_branch_that_others_passed_over_ends_in_the_group() {
    let (mut net, nodes, group) = members(34, 3);
    let [alice, bob, carol] = [nodes[0], nodes[1], nodes[2]];
    let (dave, daves) = account(&mut net);
    net.run_for(HOUR);
    for other in [bob, carol] {
        net.set_cut(alice, other, true);
        net.set_cut(dave, other, true);
        net.set_store_cut(other, true);
    }
    net.command(alice, Command::Invite { group, cards: vec![daves] }).expect("a good card");
    net.run_for(MINUTE * 5);
    net.command(dave, Command::AcceptInvitation { group }).expect("an invitation");
    net.run_for(MINUTE);
    let early = say(&mut net, dave, group, "is anybody here?");
    rename(&mut net, bob, group, "Bob's");
    rename(&mut net, carol, group, "Carol's");
    net.run_for(HOUR);
    for other in [bob, carol] {
        net.set_cut(alice, other, false);
        net.set_cut(dave, other, false);
        net.set_store_cut(other, false);
    }
    let all = [alice, bob, carol, dave];
    let one = net.run_until(DAY, |net| same_state(net, &all, group));
    assert!(one, "one state:\n{}", net.story(120));
    net.run_for(HOUR);
    let late = say(&mut net, carol, group, "welcome");
    net.run_for(HOUR);
    for node in all {
        assert_eq!(shown(&net, node, early).as_deref(), Some("is anybody here?"));
        assert_eq!(shown(&net, node, late).as_deref(), Some("welcome"));
    }
}

/// Cuts the ways between two sides, and one of them from the store; or joins them.
fn part(net: &mut Network, (here, there): (&[NodeId], &[NodeId]), parted: bool) {
    for (a, b) in here.iter().flat_map(|a| there.iter().map(move |b| (*a, *b))) {
        net.set_cut(a, b, parted);
    }
    for b in there {
        net.set_store_cut(*b, parted);
    }
}

/// What the side of two did in three weeks apart, while the side of three went on: a name, and an
/// account that it invited. Both come to be where the group stands.
#[test]
fn what_the_lost_side_of_a_long_split_did_is_done_again() {
    let (mut net, nodes, group) = members(36, 5);
    let (eve, eves) = account(&mut net);
    net.run_for(HOUR);
    let (here, there) = ([nodes[0], nodes[1], nodes[2]], [nodes[3], nodes[4], eve]);
    part(&mut net, (&here, &there), true);
    rename(&mut net, nodes[3], group, "Hut over there");
    net.command(nodes[3], Command::Invite { group, cards: vec![eves] }).expect("a good card");
    net.run_for(MINUTE * 5);
    net.command(eve, Command::AcceptInvitation { group }).expect("an invitation");
    let early = say(&mut net, eve, group, "from over there");
    for day in 0..21usize {
        say(&mut net, here[day % 3], group, "here");
        say(&mut net, there[day % 3], group, "there");
        if day % 7 == 0 {
            net.command(here[day % 3], Command::UpdateKeys { group }).expect("a member");
        }
        net.run_for(DAY);
    }
    part(&mut net, (&here, &there), false);
    let all = [here, there].concat();
    let one = net.run_until(DAY * 14, |net| same_state(net, &all, group));
    assert!(one, "one state:\n{}", net.story(120));
    net.run_for(DAY);
    for node in &all {
        let name = net.node(*node).core().group(group).expect("memory").expect("a group").name;
        assert_eq!(name, "Hut over there", "at {node:?}");
        // Eve was invited anew: what was said here before is not for her
        let has = texts(&net, *node, group).iter().any(|text| text == "here");
        assert_eq!(has, *node != eve, "at {node:?}");
        assert_eq!(shown(&net, *node, early).as_deref(), Some("from over there"), "at {node:?}");
    }
    let late = say(&mut net, eve, group, "and from here");
    net.run_for(HOUR);
    assert_eq!(late.number, early.number + 7 + 1, "numbers go on");
    for node in all {
        assert_eq!(shown(&net, node, late).as_deref(), Some("and from here"), "at {node:?}");
    }
}

/// The side that stands has taken the right away meanwhile: the change is given up, and said.
#[test]
fn what_the_lost_side_may_not_do_any_more_is_given_up_with_a_reason() {
    let (mut net, nodes, group) = members(37, 5);
    let (here, there) = nodes.split_at(3);
    part(&mut net, (here, there), true);
    rename(&mut net, there[0], group, "Hut over there");
    let policy = Policy { profile: Role::Admin, ..Policy::default() };
    net.command(here[0], Command::SetPolicy { group, policy }).expect("the owner");
    for day in 0..21usize {
        say(&mut net, here[day % 3], group, "here");
        say(&mut net, there[day % 2], group, "there");
        net.run_for(DAY);
    }
    part(&mut net, (here, there), false);
    let one = net.run_until(DAY * 14, |net| same_state(net, &nodes, group));
    assert!(one, "one state:\n{}", net.story(120));
    net.run_for(DAY);
    let told: Vec<String> = net
        .node(there[0])
        .events()
        .filter_map(|event| match event {
            Event::ChangeFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("admin"), "{told:?}");
    let name = net.node(there[0]).core().group(group).expect("memory").expect("a group").name;
    assert_eq!(name, "Hut");
}

/// Three members here and two there go on apart for three weeks, then meet again.
#[test]
fn a_group_that_was_split_for_three_weeks_ends_on_the_side_with_more_accounts() {
    let (mut net, nodes, group) = members(35, 5);
    let (here, there) = nodes.split_at(3);
    part(&mut net, (here, there), true);
    let mut said: Vec<(MessageId, String)> = Vec::new();
    for day in 0..21usize {
        for (side, name) in [(here, "here"), (there, "there")] {
            let who = side[day % side.len()];
            if day % 4 == 0 {
                rename(&mut net, who, group, &format!("Hut, {name}, day {day}"));
            }
            let text = format!("{name}, day {day}");
            said.push((say(&mut net, who, group, &text), text));
        }
        net.run_for(DAY);
    }
    assert!(!same_state(&net, &nodes, group));
    part(&mut net, (here, there), false);
    let one = net.run_until(DAY * 12, |net| same_state(net, &nodes, group));
    assert!(one, "one state:\n{}", net.story(120));
    for (side, stands) in [(here, true), (there, false)] {
        for node in side {
            let told: Vec<&Event> = net
                .node(*node)
                .events()
                .filter(|event| matches!(event, Event::Split { .. }))
                .collect();
            assert_eq!(told, [&Event::Split { group, stands }], "at {node:?}");
        }
    }
    for node in &nodes {
        let text = "one group again".to_owned();
        said.push((say(&mut net, *node, group, &text), text));
    }
    net.run_for(DAY * 3);
    for (id, text) in &said {
        for node in &nodes {
            assert_eq!(shown(&net, *node, *id).as_ref(), Some(text), "at {node:?}");
        }
    }
}

/// Those who are cut off do nothing for nine days, so they still keep the state where the two sides part
/// when the others have let go of it. By the commits that they are shown they would stay: both of them
/// have one, and of the three others one alone has.
#[test]
fn who_keeps_the_state_where_a_long_split_began_comes_to_the_side_that_stands() {
    let (mut net, nodes, group) = members(38, 5);
    // until all have new keys
    net.run_for(DAY * 2);
    assert!(same_state(&net, &nodes, group));
    let (here, there) = nodes.split_at(3);
    part(&mut net, (here, there), true);
    for day in 0..9 {
        rename(&mut net, here[0], group, &format!("Hut of day {day}"));
        say(&mut net, here[day % 3], group, "here");
        net.run_for(DAY);
    }
    rename(&mut net, there[0], group, "Hut over there");
    rename(&mut net, there[1], group, "Hut far away");
    net.run_for(HOUR);
    part(&mut net, (here, there), false);
    let state =
        |net: &Network, node| net.node(node).core().group(group).expect("memory").map(|g| g.state);
    let joined = |net: &Network| nodes.iter().all(|n| state(net, *n) == Some(GroupState::Joined));
    let one = net.run_until(DAY * 12, |net| same_state(net, &nodes, group) && joined(net));
    assert!(one, "one state, and nobody waits:\n{}", net.story(120));
    let told = |event: &&Event| matches!(event, Event::Split { .. });
    for node in there {
        let told: Vec<&Event> = net.node(*node).events().filter(told).collect();
        assert_eq!(told, [&Event::Split { group, stands: false }], "at {node:?}");
    }
}

/// Bob, an admin, names the group and takes Carol out, while Alice, who owns it, takes him out: her
/// commit makes his void. What she says of his branch names its first commit alone.
#[test]
fn who_was_taken_out_on_a_branch_that_was_passed_over_is_in_the_group() {
    let (mut net, nodes, group) = members(36, 3);
    let [alice, bob, carol] = [nodes[0], nodes[1], nodes[2]];
    let [bobs, carols] = [bob, carol].map(|node| account_of(&net, node));
    let trust = Command::SetRole { group, account: bobs, role: Role::Admin };
    net.command(alice, trust).expect("the owner");
    net.run_for(MINUTE);
    net.set_sides(|node| usize::from(node != alice));
    rename(&mut net, bob, group, "Bob's");
    net.command(bob, Command::Remove { group, accounts: vec![carols] }).expect("an admin");
    net.run_for(MINUTE);
    let state =
        |net: &Network| net.node(carol).core().group(group).expect("memory").map(|g| g.state);
    assert_eq!(state(&net), Some(GroupState::Removed));
    net.command(alice, Command::Remove { group, accounts: vec![bobs] }).expect("the owner");
    net.run_for(MINUTE);
    net.set_sides(|_| 0);
    let one = net.run_until(HOUR * 6, |net| same_state(net, &[alice, carol], group));
    assert!(one, "one state:\n{}", net.story(120));
    net.run_for(HOUR);
    let id = say(&mut net, carol, group, "still here");
    net.run_for(MINUTE);
    assert_eq!(shown(&net, alice, id).as_deref(), Some("still here"), "{}", net.story(80));
}
