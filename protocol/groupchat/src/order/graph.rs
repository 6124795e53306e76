//! The tree of states that a group's commits make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::roles::{Authority, Rights};
use crate::mls::StateId;
use crate::{AccountId, InstallationId};

/// A leaf, named by its installation and by the commit that added it, never by its place in the
/// tree: who was removed and comes back is another leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Leaf {
    pub(crate) installation: InstallationId,
    /// The state after the commit that added it; `None` if it was there before what is known here.
    pub(crate) since: Option<StateId>,
}

/// What a commit does, as the state that it leaves alone decides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) parent: StateId,
    /// The installation whose leaf made it, and its account.
    pub(crate) author: InstallationId,
    pub(crate) account: AccountId,
    /// Decides between branches that weigh the same: the lower one stands.
    pub(crate) tie: [u8; 32],
    pub(crate) adds: Vec<(InstallationId, AccountId)>,
    pub(crate) removes: Vec<InstallationId>,
    /// Leaves that are exchanged for a new one of the same installation, at its own request: they
    /// go, but that takes nothing from anybody.
    pub(crate) swaps: Vec<InstallationId>,
    /// The rights without which it would not be valid.
    pub(crate) uses: Rights,
    /// Who may do what after it; `None` if that is as before.
    pub(crate) authority: Option<Authority>,
    /// Installations that the log entries attached to it prove revoked.
    pub(crate) revokes: Vec<InstallationId>,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) commit: Commit,
    /// The author's leaf in the state that it leaves.
    pub(super) author: Leaf,
    pub(super) removes: Vec<Leaf>,
    pub(super) swaps: Vec<Leaf>,
    pub(super) authority: Arc<Authority>,
    /// Number of commits since the root.
    pub(super) depth: usize,
    /// Number of commits that were here before it.
    #[cfg(any(test, feature = "mutations"))]
    pub(super) arrival: u64,
}

/// Why a commit cannot enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GraphError {
    /// The state that it leaves is not in the graph.
    #[error("the state that it leaves is not known")]
    Parent,
    /// Its author, or somebody whom it removes, is not in the state that it leaves; or somebody
    /// whom it adds is.
    #[error("it names a leaf that the state before it does not have, or adds one that it has")]
    Leaf,
    /// It leads to a state that is here under another name: nothing would decide between the two.
    #[error("it is here already")]
    Again,
}

/// The states of a group that are known: a tree, whose root is the oldest one kept.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    root: StateId,
    /// Who is in the root.
    members: BTreeMap<InstallationId, (Leaf, AccountId)>,
    authority: Arc<Authority>,
    pub(super) nodes: BTreeMap<StateId, Node>,
    children: BTreeMap<StateId, BTreeSet<StateId>>,
    /// Installations that log entries attached up to the root prove revoked.
    pub(super) revoked: BTreeSet<InstallationId>,
}

impl Graph {
    /// A graph of one state.
    pub(crate) fn new(
        root: StateId,
        members: impl IntoIterator<Item = (Leaf, AccountId)>,
        authority: Authority,
    ) -> Self {
        Self {
            root,
            members: members.into_iter().map(|m| (m.0.installation, m)).collect(),
            authority: Arc::new(authority),
            nodes: BTreeMap::new(),
            children: BTreeMap::new(),
            revoked: BTreeSet::new(),
        }
    }

    /// Puts a commit in, which leads to `id`. A second time changes nothing.
    pub(crate) fn insert(&mut self, id: StateId, commit: Commit) -> Result<(), GraphError> {
        if self.contains(id) {
            return Ok(());
        }
        let parent = commit.parent;
        if !self.contains(parent) {
            return Err(GraphError::Parent);
        }
        if self.children(parent).any(|c| self.commit(c).is_some_and(|c| c.tie == commit.tie)) {
            return Err(GraphError::Again);
        }
        let leaf = |i: &InstallationId| self.leaf(parent, *i).ok_or(GraphError::Leaf);
        let author = leaf(&commit.author)?;
        let removes: Vec<Leaf> = commit.removes.iter().map(leaf).collect::<Result<_, _>>()?;
        let swaps: Vec<Leaf> = commit.swaps.iter().map(leaf).collect::<Result<_, _>>()?;
        let goes = |i: &InstallationId| commit.removes.contains(i) || commit.swaps.contains(i);
        let twice = |(i, _): &(InstallationId, _)| !goes(i) && self.leaf(parent, *i).is_some();
        if commit.adds.iter().any(twice) {
            return Err(GraphError::Leaf);
        }
        let authority = match &commit.authority {
            Some(changed) => Arc::new(changed.clone()),
            None => Arc::clone(self.authority_of(parent)),
        };
        let depth = self.depth(parent) + 1;
        let node = Node {
            commit,
            author,
            removes,
            swaps,
            authority,
            depth,
            #[cfg(any(test, feature = "mutations"))]
            arrival: self.nodes.len() as u64,
        };
        self.nodes.insert(id, node);
        self.children.entry(parent).or_default().insert(id);
        Ok(())
    }

    /// A log entry attached at the root or before it proves that this installation is revoked. What
    /// is attached later stands in [`Commit::revokes`].
    pub(crate) fn revoke(&mut self, installation: InstallationId) {
        self.revoked.insert(installation);
    }

    /// The oldest state.
    pub(crate) fn root(&self) -> StateId {
        self.root
    }

    pub(crate) fn contains(&self, id: StateId) -> bool {
        id == self.root || self.nodes.contains_key(&id)
    }

    /// What led to a state; `None` for the root and for what is not here.
    pub(crate) fn commit(&self, id: StateId) -> Option<&Commit> {
        self.nodes.get(&id).map(|node| &node.commit)
    }

    /// The commits that leave a state, by the states they lead to.
    pub(crate) fn children(&self, id: StateId) -> impl Iterator<Item = StateId> + '_ {
        self.children.get(&id).into_iter().flatten().copied()
    }

    /// All states but the root.
    pub(crate) fn states(&self) -> impl Iterator<Item = StateId> + '_ {
        self.nodes.keys().copied()
    }

    /// Number of commits between the root and a state.
    pub(crate) fn depth(&self, id: StateId) -> usize {
        self.nodes.get(&id).map_or(0, |node| node.depth)
    }

    /// A state and all before it, newest first, the root last.
    pub(crate) fn ancestry(&self, id: StateId) -> impl Iterator<Item = StateId> + '_ {
        let known = self.contains(id).then_some(id);
        std::iter::successors(known, |at| Some(self.nodes.get(at)?.commit.parent))
    }

    /// All states that come after one.
    pub(super) fn after(&self, id: StateId) -> Vec<StateId> {
        let mut after = Vec::new();
        let mut todo: Vec<StateId> = self.children(id).collect();
        while let Some(at) = todo.pop() {
            after.push(at);
            todo.extend(self.children(at));
        }
        after
    }

    /// Whether `old` is `new` or lies before it.
    pub(crate) fn leads_to(&self, old: StateId, new: StateId) -> bool {
        let depth = self.depth(old);
        self.ancestry(new).find(|at| self.depth(*at) <= depth) == Some(old)
    }

    /// The newest state that lies on the ways to both.
    pub(crate) fn fork_of(&self, a: StateId, b: StateId) -> StateId {
        self.ancestry(a).find(|at| self.leads_to(*at, b)).unwrap_or(self.root)
    }

    /// The leaf of an installation in a state.
    pub(crate) fn leaf(&self, state: StateId, installation: InstallationId) -> Option<Leaf> {
        for at in self.ancestry(state) {
            let Some(node) = self.nodes.get(&at) else { break };
            if node.commit.adds.iter().any(|(i, _)| *i == installation) {
                return Some(Leaf { installation, since: Some(at) });
            }
            if node.removes.iter().chain(&node.swaps).any(|l| l.installation == installation) {
                return None;
            }
        }
        self.members.get(&installation).map(|(leaf, _)| *leaf)
    }

    /// Who is in a state.
    pub(crate) fn members(&self, state: StateId) -> BTreeMap<InstallationId, (Leaf, AccountId)> {
        let mut members = self.members.clone();
        let path: Vec<StateId> = self.ancestry(state).collect();
        for at in path.into_iter().rev() {
            self.change_members(&mut members, at);
        }
        members
    }

    fn change_members(
        &self,
        members: &mut BTreeMap<InstallationId, (Leaf, AccountId)>,
        at: StateId,
    ) {
        let Some(node) = self.nodes.get(&at) else { return };
        for leaf in node.removes.iter().chain(&node.swaps) {
            members.remove(&leaf.installation);
        }
        for &(installation, account) in &node.commit.adds {
            members.insert(installation, (Leaf { installation, since: Some(at) }, account));
        }
    }

    /// Who may do what in a state.
    pub(crate) fn authority(&self, state: StateId) -> &Authority {
        self.authority_of(state)
    }

    pub(super) fn authority_of(&self, state: StateId) -> &Arc<Authority> {
        self.nodes.get(&state).map_or(&self.authority, |node| &node.authority)
    }

    /// Makes a state the root, and drops whatever does not come after it. Gives back what was
    /// dropped. If the state stands, what stands after it stays the same.
    pub(crate) fn prune(&mut self, root: StateId) -> Vec<StateId> {
        if root == self.root || !self.contains(root) {
            return Vec::new();
        }
        self.members = self.members(root);
        self.authority = Arc::clone(self.authority_of(root));
        let attached = self.ancestry(root).filter_map(|id| self.commit(id));
        self.revoked = attached.flat_map(|c| &c.revokes).chain(&self.revoked).copied().collect();
        let shift = self.depth(root);
        let kept: BTreeSet<StateId> = self.after(root).into_iter().collect();
        let mut dropped: Vec<StateId> =
            self.nodes.keys().copied().filter(|id| *id != root && !kept.contains(id)).collect();
        dropped.push(self.root);
        self.nodes.retain(|id, _| kept.contains(id));
        self.children.retain(|id, _| *id == root || kept.contains(id));
        for node in self.nodes.values_mut() {
            node.depth -= shift;
        }
        self.root = root;
        dropped
    }

    /// Drops a state that nothing follows; what has children, or is the root, stays.
    pub(crate) fn forget(&mut self, id: StateId) -> bool {
        if self.children(id).next().is_some() {
            return false;
        }
        let Some(node) = self.nodes.remove(&id) else { return false };
        self.children.remove(&id);
        if let Some(siblings) = self.children.get_mut(&node.commit.parent) {
            siblings.remove(&id);
        }
        true
    }
}
