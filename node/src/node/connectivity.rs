//! How many peers each topic has, for extensions, health and metrics.

use std::collections::BTreeMap;

use tokio::sync::watch;
use waku_groupchat_waku::PubsubTopic;

use crate::extension::Connectivity;

/// Takes the engine's counts and tells extensions of theirs.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    watched: BTreeMap<PubsubTopic, watch::Sender<Connectivity>>,
}

impl Peers {
    /// The counts of a topic, from now on.
    pub(crate) fn watch(&mut self, topic: PubsubTopic) -> watch::Receiver<Connectivity> {
        self.watched.entry(topic).or_default().subscribe()
    }

    /// Takes new counts. A topic that is not among them has no peers.
    pub(crate) fn update(&self, relay_peers: &[(PubsubTopic, usize)], store_peers: usize) {
        for (topic, sender) in &self.watched {
            let relay_peers =
                relay_peers.iter().find(|(t, _)| t == topic).map_or(0, |(_, count)| *count);
            let new = Connectivity { relay_peers, store_peers };
            sender.send_if_modified(|old| std::mem::replace(old, new) != new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_gets_its_own_counts_and_only_changes() {
        let (a, b) = (PubsubTopic::new(1, 0), PubsubTopic::new(1, 1));
        let mut peers = Peers::default();
        let (mut of_a, mut of_b) = (peers.watch(a), peers.watch(b));
        peers.update(&[(a, 3)], 1);
        assert_eq!(*of_a.borrow_and_update(), Connectivity { relay_peers: 3, store_peers: 1 });
        assert_eq!(*of_b.borrow_and_update(), Connectivity { relay_peers: 0, store_peers: 1 });
        peers.update(&[(a, 3), (b, 1)], 1);
        assert!(!of_a.has_changed().expect("open") && of_b.has_changed().expect("open"));
    }
}
