//! Which commits count.
//!
//! A commit counts unless a commit of another leaf that is neither its ancestor nor its descendant
//! takes its author's leaf out of the group, or takes away a right that it uses: then it is void.
//! Two exceptions: the other one's author is proven revoked by a log entry attached anywhere in the
//! graph, or has a lower role than the first one's author in the state where the two branches part.
//! Whether the other one is void itself does not enter, so two that void each other are both out.

use std::collections::BTreeSet;

use super::graph::{Graph, Node};
use super::roles::Rights;
use crate::mls::StateId;

impl Graph {
    /// The states whose commits are void.
    pub(crate) fn void(&self) -> BTreeSet<StateId> {
        let against: Vec<(StateId, &Node)> = self
            .nodes
            .iter()
            .filter(|(_, n)| !n.removes.is_empty() || n.commit.authority.is_some())
            .filter(|(_, n)| !self.is_revoked(&n.author.installation))
            .map(|(id, n)| (*id, n))
            .collect();
        self.nodes
            .iter()
            .filter(|(id, node)| against.iter().any(|by| self.voids(*by, (**id, node))))
            .map(|(id, _)| *id)
            .collect()
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
        if by.removes.contains(&node.author) {
            return true;
        }
        let account = node.commit.account;
        let had = self.authority(by.commit.parent).rights(account).and(node.commit.uses);
        node.commit.uses != Rights::NONE && !by.authority.rights(account).covers(had)
    }
}
