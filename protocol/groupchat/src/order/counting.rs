//! Which commits count, at a fork.
//!
//! A commit counts unless a commit of another leaf that is neither its ancestor nor its descendant
//! takes its author's leaf out of the group, or takes away a right that it uses: then it is void.
//! Two exceptions: the other one's author is proven revoked by an attached log entry, or has a lower
//! role than the first one's author in the state where the two branches part. Whether the other one
//! is void itself does not enter, so two that void each other are both out.
//!
//! Only what comes after the fork enters, and log entries that were attached there or before. What
//! a branch did that was passed over further up plays no part any more: who joined later never saw
//! it, and who keeps less has dropped it, and all of them have to choose alike.

use std::collections::BTreeSet;

use super::graph::{Graph, Leaf, Node};
use super::mutation::{Mutation, is_active};
use super::roles::Rights;
use crate::InstallationId;
use crate::mls::StateId;

impl Graph {
    /// The states after a fork whose commits are void there.
    pub(crate) fn void(&self, fork: StateId) -> BTreeSet<StateId> {
        if is_active(Mutation::VoidIgnored) {
            return BTreeSet::new();
        }
        let after = self.after(fork);
        let revoked = self.revoked_at(fork, &after);
        let nodes = || after.iter().filter_map(|id| Some((*id, self.nodes.get(id)?)));
        let against: Vec<(StateId, &Node)> = nodes()
            .filter(|(_, n)| !n.removes.is_empty() || n.commit.authority.is_some())
            .filter(|(_, n)| !revoked.contains(&n.author.installation))
            .collect();
        nodes()
            .filter(|node| against.iter().any(|by| self.voids(*by, *node)))
            .map(|(id, _)| id)
            .collect()
    }

    /// Whose revocation is proven by what was attached up to a fork or after it.
    fn revoked_at(&self, fork: StateId, after: &[StateId]) -> BTreeSet<InstallationId> {
        let attached = self.ancestry(fork).chain(after.iter().copied());
        let proven = attached.filter_map(|id| self.commit(id)).flat_map(|c| &c.revokes);
        self.revoked.iter().chain(proven).copied().collect()
    }

    /// Whether `by` makes `commit` void, its author not being revoked.
    fn voids(&self, (by_id, by): (StateId, &Node), (id, node): (StateId, &Node)) -> bool {
        if by.author == node.author || !self.takes_from(by, node) {
            return false;
        }
        if self.leads_to(by_id, id) || self.leads_to(id, by_id) {
            return false;
        }
        let authority = self.authority(self.fork_of(by_id, id));
        authority.role(by.commit.account) >= authority.role(node.commit.account)
    }

    /// Whether `by` removes the author of `node`, or takes away what it needs.
    fn takes_from(&self, by: &Node, node: &Node) -> bool {
        if by.removes.iter().any(|leaf| self.was(*leaf, node.author)) {
            return true;
        }
        let account = node.commit.account;
        let had = self.authority(by.commit.parent).rights(account).and(node.commit.uses);
        node.commit.uses != Rights::NONE && !by.authority.rights(account).covers(had)
    }

    /// Whether a leaf is another one, or was exchanged for it at its own request: who asks for a new
    /// leaf escapes no removal by it.
    fn was(&self, leaf: Leaf, other: Leaf) -> bool {
        if is_active(Mutation::LeavesByInstallation) {
            return leaf.installation == other.installation;
        }
        let exchanged_for = |leaf: &Leaf| {
            let node = self.nodes.get(&leaf.since?)?;
            node.swaps.iter().find(|old| old.installation == leaf.installation).copied()
        };
        std::iter::successors(Some(leaf), exchanged_for).any(|old| old == other)
    }
}
