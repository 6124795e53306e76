//! What hostile nodes do to a network: publish what they made up, publish late, run twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use waku_groupchat_core::api::PublishKind;
use waku_groupchat_core::{Core, MemoryStore, Timestamp};
use waku_groupchat_storage::testing::FaultStore;
use waku_groupchat_waku::{MessageHash, WakuMessage};

use super::node::Held;
use super::{Network, NodeId};

/// A publish that a node keeps to itself.
#[derive(Clone, Debug)]
pub(super) struct Withheld {
    kind: PublishKind,
    held: Held,
}

impl Network {
    /// Adds a node that goes on from a copy of what another one has written. It hears nothing of what
    /// groups say, so it stays where it was; and the other does not hear it, nor notice it by that.
    pub fn copy_node(&mut self, id: NodeId) -> NodeId {
        let store: MemoryStore = self.nodes[id.0].written().clone();
        let copy = NodeId(self.nodes.len());
        self.copies.insert(copy, id);
        self.add(None, store)
    }

    /// From now on a node only pretends to publish.
    pub fn withhold(&mut self, id: NodeId) {
        self.note(id, || "keeps what it publishes to itself".to_owned());
        self.withheld.entry(id).or_default();
    }

    /// A node publishes what it kept to itself, as far as `to` says, and goes on honestly. How many
    /// messages it was.
    pub fn release(&mut self, id: NodeId, to: impl Fn(NodeId) -> bool) -> usize {
        let withheld = self.withheld.remove(&id).unwrap_or_default();
        self.note(id, || format!("publishes {} that it had kept to itself", withheld.len()));
        for Withheld { kind, held } in &withheld {
            let at = self.now;
            let others: Vec<NodeId> = self
                .node_ids()
                .filter(|other| to(*other) && self.linked(id, *other))
                .filter(|other| self.listens(*other, id, *kind))
                .collect();
            for other in others {
                for delay in self.links.deliveries(&mut self.rng) {
                    self.later(at + delay, super::Happening::Deliver(other, held.clone()));
                }
            }
        }
        withheld.len()
    }

    /// Publishes something that a node made up.
    pub fn publish_as(&mut self, id: NodeId, kind: PublishKind, message: WakuMessage) {
        let held = (message.hash(&self.config.pubsub_topic), Arc::new(message));
        self.note(id, || format!("makes up {} bytes", held.1.payload.len()));
        self.spread(id, kind, &held);
    }

    /// Has a running node's core do what no honest one does.
    pub fn misuse<T>(
        &mut self,
        id: NodeId,
        work: impl FnOnce(&mut Core<FaultStore<MemoryStore>>, Timestamp) -> T,
    ) -> Option<T> {
        let now = self.clock(id);
        let done = work(self.nodes[id.0].core_mut()?, now);
        self.retime(id);
        self.drain(id);
        Some(done)
    }

    /// Keeps a publish back, if its node does so.
    pub(super) fn withhold_one(&mut self, id: NodeId, kind: PublishKind, held: &Held) -> bool {
        let Some(withheld) = self.withheld.get_mut(&id) else { return false };
        withheld.push(Withheld { kind, held: held.clone() });
        true
    }

    /// Whether a node takes something that another publishes.
    pub(super) fn listens(&self, id: NodeId, from: NodeId, kind: PublishKind) -> bool {
        if self.copies.get(&from) == Some(&id) {
            return false;
        }
        let open = matches!(kind, PublishKind::Registration | PublishKind::Link);
        open || !self.copies.contains_key(&id)
    }

    /// The same of what a store holds.
    pub(super) fn listened(&self, id: NodeId, found: Vec<Held>) -> Vec<Held> {
        if self.copies.is_empty() {
            return found;
        }
        let unheard =
            |seen: &&super::Seen| seen.node != id && !self.listens(id, seen.node, seen.kind);
        let not: BTreeSet<MessageHash> =
            self.published.iter().filter(unheard).map(|seen| seen.hash).collect();
        found.into_iter().filter(|(hash, _)| !not.contains(hash)).collect()
    }
}
