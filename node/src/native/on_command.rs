//! What the task does on commands.

use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageId};
use libp2p::multiaddr::Protocol;
use waku_groupchat_waku::{PubsubTopic, gossip_message_id};

use super::command::{Answer, Command, Publish};
use super::counting::message_bytes;
use super::held::Held;
use super::peers::Peer;
use super::query::{self, Query};
use super::recorder::{Observed, Spoken};
use super::relay;
use super::task::Task;
use crate::engine::{EngineError, EngineInfo, PeerInfo, PeerName, PublishError, QueryError};

impl Task {
    /// Answers at once, or puts the answer's address where the outcome will find it. Whoever asked
    /// may have gone; then nobody misses the answer.
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Subscribe(topic, answer) => drop(answer.send(self.subscribe(topic))),
            Command::Unsubscribe(topic, answer) => {
                self.unsubscribe(topic);
                let _ = answer.send(());
            }
            Command::StoreQuery(peer, request, answer) => self.store_query(peer, request, answer),
            Command::StorePeers(answer) => drop(answer.send(self.store_peers())),
            Command::Peers(answer) => {
                let peers = self.peers.iter().map(|(id, peer)| self.peer_info(id, peer)).collect();
                drop(answer.send(peers));
            }
            Command::Info(answer) => drop(answer.send(self.info())),
        }
    }

    fn subscribe(&mut self, topic: PubsubTopic) -> Result<(), EngineError> {
        if topic.cluster() != self.cluster {
            return Err(EngineError::OtherCluster { topic, cluster: self.cluster });
        }
        if !self.topics.insert(topic) {
            return Ok(());
        }
        self.counted.write().insert(topic);
        let gossip = &mut self.swarm.behaviour_mut().relay;
        let ident = relay::topic(topic);
        if let Err(error) = gossip.set_topic_params(ident.clone(), relay::topic_score()) {
            tracing::error!(%topic, %error, "topic cannot be scored");
        }
        if let Err(error) = gossip.subscribe(&ident) {
            tracing::error!(%topic, ?error, "gossipsub refuses a topic of the own cluster");
        }
        tracing::info!(%topic, "subscribed");
        self.connectivity_changed = true;
        Ok(())
    }

    fn unsubscribe(&mut self, topic: PubsubTopic) {
        if self.topics.remove(&topic) {
            self.counted.write().remove(&topic);
            self.swarm.behaviour_mut().relay.unsubscribe(&relay::topic(topic));
            self.recorder.record(Observed::Left(topic));
            tracing::info!(%topic, "unsubscribed");
            self.connectivity_changed = true;
        }
    }

    /// Queues a message for its peers; where no peer has room, holds it back until one has.
    pub(super) fn publish(&mut self, publish: Publish) {
        let Publish { topic, data, answer } = publish;
        // Whoever asked has given up, and counts it as not sent.
        if answer.is_closed() {
            return;
        }
        if !self.topics.contains(&topic) {
            drop(answer.send(Err(PublishError::NotSubscribed(topic))));
            return;
        }
        let id = MessageId::new(&gossip_message_id(&data));
        let bytes = message_bytes(&relay::topic(topic).hash(), &data);
        match self.hand_to_gossip(topic, data) {
            Err(PublishError::Busy) => self.held = Some(Held::new(topic, id, bytes, answer)),
            published => self.answer_publish(topic, answer, published),
        }
    }

    fn hand_to_gossip(&mut self, topic: PubsubTopic, data: Vec<u8>) -> Result<usize, PublishError> {
        let hash = relay::topic(topic).hash();
        let size = data.len();
        let bytes = message_bytes(&hash, &data);
        let gossip = &mut self.swarm.behaviour_mut().relay;
        let peers = relay::recipients(gossip, &hash);
        match gossip.publish(hash, data) {
            Ok(_) => {
                self.recorder.record(Observed::RelaySent { topic, bytes: bytes * peers });
                Ok(peers)
            }
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {
                Err(PublishError::NoPeers(topic))
            }
            Err(gossipsub::PublishError::AllQueuesFull(peers)) => {
                tracing::debug!(%topic, peers, "all relay peers are busy");
                Err(PublishError::Busy)
            }
            Err(gossipsub::PublishError::Duplicate) => Err(PublishError::Duplicate),
            Err(gossipsub::PublishError::MessageTooLarge) => {
                Err(PublishError::TooLarge { size, max: self.max_message_size })
            }
            Err(error) => {
                tracing::error!(%topic, ?error, "gossipsub fails where it cannot");
                Err(PublishError::Refused(error.into()))
            }
        }
    }

    /// Counts how a publish ended, and says so to whoever waits.
    pub(super) fn answer_publish(
        &self,
        topic: PubsubTopic,
        answer: Answer<Result<usize, PublishError>>,
        published: Result<usize, PublishError>,
    ) {
        match &published {
            Ok(_) => self.recorder.record(Observed::Published(topic)),
            Err(PublishError::NoPeers(_) | PublishError::Busy) => {
                self.recorder.record(Observed::PublishFailed);
            }
            Err(_) => {}
        }
        drop(answer.send(published));
    }

    fn store_query(
        &mut self,
        name: PeerName,
        request: Vec<u8>,
        answer: Answer<Result<Vec<u8>, QueryError>>,
    ) {
        let Some((peer, address)) = query::resolve(&name) else {
            drop(answer.send(Err(QueryError::Unreachable(name))));
            return;
        };
        let mut addresses = self.static_peers.addresses(&peer).to_vec();
        addresses.extend(address);
        if addresses.is_empty() && !self.swarm.is_connected(&peer) {
            drop(answer.send(Err(QueryError::Unreachable(name))));
            return;
        }
        let store = &mut self.swarm.behaviour_mut().store;
        let id = store.send_request_with_addresses(&peer, request, addresses);
        self.queries.insert(id, Query { peer: name, answer });
    }

    fn store_peers(&self) -> Vec<PeerName> {
        let (mut peers, others): (Vec<&PeerId>, Vec<&PeerId>) = self
            .peers
            .speaking(Spoken::Store)
            .map(|(id, _)| id)
            .partition(|id| self.static_peers.contains(id));
        peers.extend(others);
        peers.into_iter().map(|id| PeerName::new(id.to_string())).collect()
    }

    fn peer_info(&self, id: &PeerId, peer: &Peer) -> PeerInfo {
        PeerInfo {
            peer: PeerName::new(id.to_string()),
            address: peer.address.to_string(),
            protocols: peer.protocols.clone(),
            agent: peer.agent.clone(),
            shards: peer.shards.clone(),
            is_static: self.static_peers.contains(id),
        }
    }

    fn info(&self) -> EngineInfo {
        let own = *self.swarm.local_peer_id();
        let addresses = self
            .swarm
            .listeners()
            .chain(self.swarm.external_addresses())
            .map(|address| match address.iter().last() {
                Some(Protocol::P2p(_)) => address.to_string(),
                _ => address.clone().with(Protocol::P2p(own)).to_string(),
            })
            .collect();
        EngineInfo {
            peer: PeerName::new(own.to_string()),
            addresses,
            topics: self.topics.iter().copied().collect(),
        }
    }
}
