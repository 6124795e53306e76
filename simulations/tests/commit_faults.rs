//! A store that fails once, and a node that crashes once, at every write of a time in which several
//! members commit at once: the group ends in one state, with everything that was said, and goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use waku_groupchat_core::GroupId;
use waku_groupchat_core::api::{Answer, Command, CommandError, Event};
use waku_groupchat_simulations::cast::{account, group, texts};
use waku_groupchat_simulations::network::{Links, Mishap, Network, NodeId};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Whose store has the mishap.
#[derive(Clone, Copy, Debug)]
enum Who {
    /// The one that made the group, on the side with the store and one more member.
    Creator,
    /// One that is alone on its side.
    Loner,
}

/// Gives a command until it is answered, as people do: again if the node crashed before.
fn insist(net: &mut Network, node: NodeId, command: Command) {
    for _ in 0..3 {
        match net.try_command(node, command.clone()) {
            Some(Ok(Answer::Done | Answer::Accepted { .. })) => return,
            // it had been written
            Some(Err(CommandError::NotAMember(_))) => return,
            Some(other) => panic!("{command:?}: {other:?}"),
            None => {}
        }
    }
    panic!("{command:?} is never answered");
}

fn rename(net: &mut Network, node: NodeId, group: GroupId, name: &str) {
    let (name, description) = (name.to_owned(), String::new());
    insist(net, node, Command::SetProfile { group, name, description });
}

/// Says something, unless that was written before a crash.
fn say(net: &mut Network, node: NodeId, group: GroupId, text: &str, said: &mut Vec<String>) {
    said.push(text.to_owned());
    for _ in 0..3 {
        let send = Command::Send { group, text: text.to_owned() };
        if net.try_command(node, send).is_some()
            || texts(net, node, group).contains(&said[said.len() - 1])
        {
            return;
        }
    }
    panic!("{text:?} is never said");
}

/// Three members commit in two parts of a network, then all at once in one. How many commits the
/// store with the mishap was asked for.
fn commits_at_once(who: Who, mishap: Option<Mishap>) -> u64 {
    let mut net = Network::new(3, Links::perfect());
    let made: Vec<(NodeId, String)> = (0..3).map(|_| account(&mut net)).collect();
    let nodes: Vec<NodeId> = made.iter().map(|(node, _)| *node).collect();
    let cards: Vec<String> = made[1..].iter().map(|(_, card)| card.clone()).collect();
    let group = group(&mut net, nodes[0], &cards, &nodes[1..]);
    let [creator, loner, third] = [nodes[0], nodes[1], nodes[2]];
    let troubled = match who {
        Who::Creator => creator,
        Who::Loner => loner,
    };
    net.restart_with(troubled, mishap.unwrap_or(Mishap::Fails(u64::MAX)));
    let mut said = Vec::new();
    net.set_sides(|node| usize::from(node == loner));
    rename(&mut net, creator, group, "here");
    rename(&mut net, loner, group, "there");
    for (node, text) in [(creator, "one"), (loner, "two"), (third, "three")] {
        say(&mut net, node, group, text, &mut said);
    }
    net.run_for(SECOND * 30);
    insist(&mut net, loner, Command::UpdateKeys { group });
    say(&mut net, loner, group, "four", &mut said);
    net.run_for(SECOND * 30);
    net.set_sides(|_| 0);
    net.run_for(SECOND);
    for node in [creator, loner, third] {
        insist(&mut net, node, Command::UpdateKeys { group });
        say(&mut net, node, group, &format!("five of {}", node.number()), &mut said);
    }
    net.run_for(MINUTE * 20);
    all_is_well(&net, &nodes, group, &said);
    rename(&mut net, troubled, group, "it goes on");
    say(&mut net, third, group, "six", &mut said);
    net.run_for(MINUTE * 10);
    all_is_well(&net, &nodes, group, &said);
    let name = |node: NodeId| net.node(node).core().group(group).expect("memory").map(|g| g.name);
    assert_eq!(name(third).as_deref(), Some("it goes on"));
    assert!(mishap.is_none() || !net.node(troubled).awaits_mishap(), "{mishap:?} has not happened");
    net.node(troubled).core().store().commits()
}

fn all_is_well(net: &Network, nodes: &[NodeId], group: GroupId, said: &[String]) {
    let standing = |node: NodeId| net.node(node).core().standing(group).expect("memory");
    let said: BTreeSet<&str> = said.iter().map(String::as_str).collect();
    for node in nodes {
        assert_eq!(standing(*node), standing(nodes[0]), "{node:?}:\n{}", net.story(120));
        let read = texts(net, *node, group);
        let once: BTreeSet<&str> = read.iter().map(String::as_str).collect();
        assert_eq!(once, said, "{node:?}:\n{}", net.story(120));
        assert_eq!(read.len(), once.len(), "each once");
        let told = net.node(*node).events().filter_map(|event| match event {
            Event::Message { id, .. } => Some(*id),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "told of once");
    }
}

/// The mishap at every write that there is without one; `NTH` names one alone.
fn at_every_write(who: Who, mishap: fn(u64) -> Mishap) {
    let writes = commits_at_once(who, None);
    assert!(writes > 20, "{writes} writes");
    let nth: Option<u64> =
        std::env::var("NTH").ok().map(|text| text.parse().expect("NTH is a number"));
    // those at the very end come when all is quiet, and may not come again after a restart
    for n in (1..=writes * 3 / 4).filter(|n| nth.is_none_or(|nth| nth == *n)) {
        println!("{who:?}, {:?} of {writes}", mishap(n));
        commits_at_once(who, Some(mishap(n)));
    }
}

#[test]
fn a_failed_write_of_the_creator_is_made_up_for() {
    at_every_write(Who::Creator, Mishap::Fails);
}

#[test]
fn a_failed_write_of_a_member_is_made_up_for() {
    at_every_write(Who::Loner, Mishap::Fails);
}

#[test]
fn a_crash_of_the_creator_before_a_write_loses_nothing() {
    at_every_write(Who::Creator, Mishap::CrashBefore);
}

#[test]
fn a_crash_of_a_member_before_a_write_loses_nothing() {
    at_every_write(Who::Loner, Mishap::CrashBefore);
}

#[test]
fn a_crash_of_the_creator_after_a_write_loses_nothing() {
    at_every_write(Who::Creator, Mishap::CrashAfter);
}

#[test]
fn a_crash_of_a_member_after_a_write_loses_nothing() {
    at_every_write(Who::Loner, Mishap::CrashAfter);
}
