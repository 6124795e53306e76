//! The standing path: at every fork, the branch that most accounts support.
//!
//! At a fork a path weighs the number of accounts that have a counting commit on it, made by a leaf
//! that is in the forked state already. The child with the heaviest path below it stands; among
//! equals the one of the lower tie. Neither repeating nor adding leaves adds weight.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, Leaf, Node};
use super::mutation::{Mutation, is_active};
use crate::mls::StateId;
use crate::{AccountId, InstallationId};

impl Graph {
    /// The states that the group stands on, from the root to the newest.
    pub(crate) fn standing(&self) -> Vec<StateId> {
        std::iter::successors(Some(self.root()), |at| self.choose(*at)).collect()
    }

    /// The newest state of the standing path.
    pub(crate) fn tip(&self) -> StateId {
        self.standing().pop().unwrap_or(self.root())
    }

    fn choose(&self, fork: StateId) -> Option<StateId> {
        let mut children = self.children(fork);
        let first = children.next()?;
        if children.next().is_none() {
            return Some(first);
        }
        let scale = Scale::at(self, fork);
        self.children(fork)
            .filter_map(|child| {
                let tie = self.commit(child)?.tie;
                Some(((scale.weight(child), Reverse(self.tie_break(child, tie))), child))
            })
            .max()
            .map(|(_, child)| child)
    }

    #[cfg(not(any(test, feature = "mutations")))]
    fn tie_break(&self, _: StateId, tie: [u8; 32]) -> [u8; 32] {
        tie
    }

    #[cfg(any(test, feature = "mutations"))]
    fn tie_break(&self, child: StateId, mut tie: [u8; 32]) -> [u8; 32] {
        if is_active(Mutation::NoTieBreak) {
            let arrival = self.nodes.get(&child).map_or(0, |node| node.arrival);
            tie[..8].copy_from_slice(&arrival.to_be_bytes());
        }
        tie
    }
}

/// What paths weigh at one fork.
pub(crate) struct Scale<'a> {
    graph: &'a Graph,
    leaves: BTreeMap<InstallationId, (Leaf, AccountId)>,
    void: BTreeSet<StateId>,
}

impl<'a> Scale<'a> {
    pub(crate) fn at(graph: &'a Graph, fork: StateId) -> Self {
        Self { graph, leaves: graph.members(fork), void: graph.void(fork) }
    }

    /// The most accounts on one path that begins with `child`.
    pub(crate) fn weight(&self, child: StateId) -> usize {
        let mut heaviest = 0;
        let mut accounts: BTreeMap<AccountId, usize> = BTreeMap::new();
        // a state to walk into, or to take back when everything below it was seen
        let mut steps = vec![(child, false)];
        while let Some((at, done)) = steps.pop() {
            let Some(node) = self.graph.nodes.get(&at) else { continue };
            let account = node.commit.account;
            let counts = self.counts(at, node);
            if done {
                if counts && let Some(commits) = accounts.get_mut(&account) {
                    *commits -= 1;
                    if *commits == 0 {
                        accounts.remove(&account);
                    }
                }
                continue;
            }
            if counts {
                *accounts.entry(account).or_default() += 1;
            }
            heaviest = heaviest.max(total(&accounts));
            steps.push((at, true));
            steps.extend(self.graph.children(at).map(|next| (next, false)));
        }
        heaviest
    }

    fn counts(&self, id: StateId, node: &Node) -> bool {
        let here = self.leaves.get(&node.author.installation).map(|(leaf, _)| *leaf);
        let present = if is_active(Mutation::AddedLeavesCount) {
            true
        } else if is_active(Mutation::LeavesByInstallation) {
            here.is_some()
        } else {
            here == Some(node.author)
        };
        present && !self.void.contains(&id)
    }
}

fn total(accounts: &BTreeMap<AccountId, usize>) -> usize {
    if is_active(Mutation::WeightByCommits) {
        return accounts.values().sum();
    }
    accounts.len()
}
