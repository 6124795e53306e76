//! The standing path: at every fork, the branch that most accounts support.
//!
//! At a fork a path weighs the number of accounts that have a counting commit on it, made by a leaf
//! that is in the forked state already. The child with the heaviest path below it stands; among
//! equals the one of the lower tie. Neither repeating nor adding leaves adds weight.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use crate::AccountId;
use crate::mls::StateId;

impl Graph {
    /// The states that the group stands on, from the root to the newest.
    pub(crate) fn standing(&self) -> Vec<StateId> {
        let void = if self.has_fork() { self.void() } else { BTreeSet::new() };
        let mut path = vec![self.root()];
        let mut at = self.root();
        while let Some(next) = self.choose(at, &void) {
            path.push(next);
            at = next;
        }
        path
    }

    /// The newest state of the standing path.
    pub(crate) fn tip(&self) -> StateId {
        self.standing().pop().unwrap_or(self.root())
    }

    fn has_fork(&self) -> bool {
        self.states().chain([self.root()]).any(|id| self.children(id).nth(1).is_some())
    }

    fn choose(&self, fork: StateId, void: &BTreeSet<StateId>) -> Option<StateId> {
        let mut children = self.children(fork);
        let (first, second) = (children.next()?, children.next());
        if second.is_none() {
            return Some(first);
        }
        self.children(fork)
            .filter_map(|child| {
                let tie = self.commit(child)?.tie;
                Some(((self.weight(fork, child, void), Reverse(tie)), child))
            })
            .max()
            .map(|(_, child)| child)
    }

    /// The most accounts on one path that begins with `child`.
    pub(crate) fn weight(&self, fork: StateId, child: StateId, void: &BTreeSet<StateId>) -> usize {
        let mut heaviest = 0;
        let mut accounts: BTreeMap<AccountId, usize> = BTreeMap::new();
        // a state to walk into, or to take back when everything below it was seen
        let mut steps = vec![(child, false)];
        while let Some((at, done)) = steps.pop() {
            let Some(node) = self.nodes.get(&at) else { continue };
            let account = node.commit.account;
            let counts = !void.contains(&at)
                && self.leaf(fork, node.author.installation) == Some(node.author);
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
            heaviest = heaviest.max(accounts.len());
            steps.push((at, true));
            steps.extend(self.children(at).map(|next| (next, false)));
        }
        heaviest
    }
}
