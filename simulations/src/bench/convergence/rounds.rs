//! Members that all set the name of a group at once, on the virtual network.
//!
//! Each delivery takes one round. All commits of the first wave are known everywhere after one
//! round; those that lost their place are made again, each after a random time, until every wish
//! stood for a while or was made in vain. It is over once nothing has moved for an hour.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;
use waku_groupchat_core::api::Command;
use waku_groupchat_core::{GroupId, Timestamp};

use crate::cast;
use crate::network::{Links, Network, NodeId};

/// What one delivery takes.
pub const ROUND: Duration = Duration::from_millis(200);
/// Longest that all may take to stand in one state.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// For this long they stay there.
const QUIET: Duration = Duration::from_secs(3600);

/// What became of commits at the same time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rounds {
    /// Members, each of which commits.
    pub members: usize,
    /// Rounds until all stood in one state after the first wave.
    pub first: f64,
    /// Commits that were published in the end.
    pub commits: usize,
    /// Seconds until all stood in one state for good, every wish carried out.
    pub seconds: f64,
    /// Rounds of these since the last commit was delivered everywhere.
    pub after_last: f64,
    /// CPU time of all cores, of the network, and of looking whether all stand together, in
    /// milliseconds for each member.
    pub work: f64,
}

fn in_rounds(time: Duration) -> f64 {
    time.as_secs_f64() / ROUND.as_secs_f64()
}

/// Has this many members commit at once.
pub(super) fn run(members: usize, seed: u64) -> anyhow::Result<Rounds> {
    let links = Links { least: ROUND, most: ROUND, ..Links::perfect() };
    let mut net = Network::new(seed, links);
    let people: Vec<(NodeId, String)> = (0..members).map(|_| cast::account(&mut net)).collect();
    net.run_for(Duration::from_secs(60));
    let nodes: Vec<NodeId> = people.iter().map(|(node, _)| *node).collect();
    let cards: Vec<String> = people[1..].iter().map(|(_, card)| card.clone()).collect();
    let group = cast::group(&mut net, nodes[0], &cards, &nodes[1..]);
    ensure!(net.run_until(PATIENCE, |net| together(net, &nodes, group)), "all are in");
    net.run_for(Duration::from_secs(60));
    let (begun, known, worked) = (net.now(), net.trace().len(), crate::bench::invite::cpu());
    for (n, node) in nodes.iter().enumerate() {
        let (name, description) = (format!("name of {n}"), String::new());
        net.command(*node, Command::SetProfile { group, name, description })?;
    }
    // all have published by now, and nobody has heard of the others
    net.run_for(ROUND / 2);
    ensure!(members == 1 || !together(&net, &nodes, group), "nobody committed");
    ensure!(net.run_until(PATIENCE, |net| together(net, &nodes, group)), "all come together");
    let first = net.now().since(begun);
    let settled = settle(&mut net, &nodes, group)?;
    let worked = crate::bench::invite::cpu() - worked;
    let trace = &net.trace()[known..];
    let commits = trace.iter().filter(|line| line.what.starts_with("publishes commit"));
    let times: Vec<Timestamp> = commits.map(|line| line.at).collect();
    let last = times.last().copied().unwrap_or(begun) + ROUND;
    Ok(Rounds {
        members,
        first: in_rounds(first),
        commits: times.len(),
        seconds: settled.since(begun).as_secs_f64(),
        after_last: in_rounds(settled.since(last.min(settled))),
        work: worked.as_secs_f64() * 1e3 / members as f64,
    })
}

/// Since when all stand in one state for good.
fn settle(net: &mut Network, nodes: &[NodeId], group: GroupId) -> anyhow::Result<Timestamp> {
    loop {
        ensure!(net.run_until(PATIENCE, |net| together(net, nodes, group)), "all come together");
        let since = net.now();
        let tip = tip(net, nodes[0], group);
        let moves =
            |net: &Network| tip != self::tip(net, nodes[0], group) || !together(net, nodes, group);
        if !net.run_until(QUIET, moves) {
            return Ok(since);
        }
    }
}

fn tip(net: &Network, node: NodeId, group: GroupId) -> Option<[u8; 32]> {
    net.node(node).core().kept_states(group).path.last().copied()
}

fn together(net: &Network, nodes: &[NodeId], group: GroupId) -> bool {
    let first = tip(net, nodes[0], group);
    first.is_some() && nodes[1..].iter().all(|node| tip(net, *node, group) == first)
}
