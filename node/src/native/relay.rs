//! Gossipsub with Waku's parameters (11/WAKU2-RELAY; values of nwaku's `waku_relay/protocol.nim`).

use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, Message, MessageAuthenticity,
    MessageId, PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams,
    TopicSubscriptionFilter, ValidationMode, Version,
};
use waku_groupchat_waku::{DecodeError, PubsubTopic, WakuMessage, gossip_message_id, relay};

use super::config::{NativeConfig, StartError};
use super::counting::{CountedMessages, Subscribed};

/// Gossipsub as the relay uses it.
pub(super) type Relay =
    gossipsub::Behaviour<CountedMessages, MaxCountSubscriptionFilter<ClusterFilter>>;

/// How long gossipsub remembers the id of a message.
const SEEN_TTL: Duration = Duration::from_secs(120);

/// Peers of a lower score get no own messages.
pub(super) const PUBLISH_THRESHOLD: f64 = -1000.0;

/// Least limit of one gossipsub RPC, which may carry many messages: what nim-libp2p and go-libp2p
/// send at most.
const MIN_RPC_SIZE: usize = 1024 * 1024;

/// What an RPC has around its largest message, and what of the next RPC stands in the same read.
const RPC_ENVELOPE: usize = 64 * 1024;

/// Topics of one peer. Networks with many shards have up to 1024.
const MAX_TOPICS: usize = 1024;

/// RPCs that wait for one peer. At 150 KiB a message: 75 MiB. When all peers' queues are full, a
/// publish waits and then fails; when one is, that peer misses the message and is counted.
const PEER_QUEUE: usize = 512;

/// How long a message may wait in such a queue. A peer that is cut off is noticed before.
const QUEUE_WAIT: Duration = Duration::from_secs(30);

/// What a message that a peer's queue had no room for adds to its score: next to nothing, for with
/// the crate's weight one burst over a full queue mutes a peer. But it can be read off the score,
/// where gossipsub says nothing else of it.
const MISSED_WEIGHT: f64 = -1.0 / (1 << 30) as f64;

/// What each peer's score begins with: enough for a million missed messages, for gossipsub takes a
/// peer below zero out of the mesh, and too little to count otherwise.
const CREDIT: f64 = 1.0 / (1 << 10) as f64;

/// Takes subscriptions to the own cluster's shards alone.
#[derive(Clone, Debug)]
pub(super) struct ClusterFilter {
    cluster: u16,
}

impl TopicSubscriptionFilter for ClusterFilter {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        topic.as_str().parse::<PubsubTopic>().is_ok_and(|topic| topic.cluster() == self.cluster)
    }
}

/// Gossipsub for a configuration, which counts what comes on the topics of `subscribed`.
pub(super) fn behaviour(
    config: &NativeConfig,
    subscribed: Subscribed,
) -> Result<Relay, StartError> {
    let bug = |error: &dyn std::fmt::Display| StartError::Relay(error.to_string());
    let filter = MaxCountSubscriptionFilter {
        filter: ClusterFilter { cluster: config.cluster },
        max_subscribed_topics: MAX_TOPICS,
        max_subscriptions_per_request: MAX_TOPICS,
    };
    let gossipsub = parameters(config.max_message_size).build().map_err(|e| bug(&e))?;
    let mut relay = Relay::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        gossipsub,
        filter,
        CountedMessages::new(subscribed, config.recorder.clone()),
    )
    .map_err(|e| bug(&e))?;
    relay
        .with_peer_score(peer_score(config.ip_colocation_limit), thresholds())
        .map_err(|e| bug(&e))?;
    Ok(relay)
}

fn parameters(max_message_size: usize) -> ConfigBuilder {
    let rpc_size = max_message_size.max(MIN_RPC_SIZE) + RPC_ENVELOPE;
    let mut config = ConfigBuilder::default();
    config
        .protocol_id(relay::PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &Message| MessageId::new(&gossip_message_id(&message.data)))
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(8)
        .mesh_outbound_min(3)
        .gossip_lazy(6)
        .retain_scores(6)
        .gossip_factor(0.25)
        .heartbeat_interval(Duration::from_secs(1))
        .heartbeat_initial_delay(Duration::from_secs(1))
        .fanout_ttl(Duration::from_secs(60))
        // Of what nwaku and go-waku have, the shorter one: it is what a busy node's memory goes to.
        .history_length(5)
        .history_gossip(3)
        .duplicate_cache_time(SEEN_TTL)
        .prune_backoff(Duration::from_secs(60))
        .unsubscribe_backoff(Duration::from_secs(5))
        .flood_publish(true)
        .max_transmit_size(rpc_size)
        // The crate's 16 KiB are less than the IHAVE of 500 messages. A larger one ends the peer's
        // stream, and after five of those the peer is ignored for good.
        .max_control_message_size(rpc_size)
        .connection_handler_queue_len(PEER_QUEUE)
        .publish_queue_duration(QUEUE_WAIT)
        .forward_queue_duration(QUEUE_WAIT);
    config
}

fn peer_score(ip_colocation_limit: usize) -> PeerScoreParams {
    PeerScoreParams {
        decay_interval: Duration::from_secs(12),
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(600),
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: if ip_colocation_limit == 0 { 0.0 } else { -50.0 },
        ip_colocation_factor_threshold: ip_colocation_limit.max(1) as f64,
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_decay: 0.986,
        // Not in nwaku's values.
        slow_peer_weight: MISSED_WEIGHT,
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: PUBLISH_THRESHOLD,
        graylist_threshold: -10_000.0,
        opportunistic_graft_threshold: 0.0,
        ..PeerScoreThresholds::default()
    }
}

/// How peers score on each topic: time in the mesh, first deliveries, invalid messages.
pub(super) fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 10.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: 0.5,
        first_message_deliveries_cap: 10.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: 0.5,
        ..TopicScoreParams::default()
    }
}

/// A pubsub topic as gossipsub has it.
pub(super) fn topic(topic: PubsubTopic) -> IdentTopic {
    IdentTopic::new(topic.to_string())
}

/// Why a relay message is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    /// It came on something that is no topic of ours.
    #[error("not on a shard")]
    Topic,
    /// Over the node's limit.
    #[error("{size} bytes are over the limit of {max}")]
    TooLarge { size: usize, max: usize },
    /// Not a Waku message.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// Validates what gossipsub received.
pub(super) fn validate(
    message: &Message,
    max_message_size: usize,
) -> Result<(PubsubTopic, WakuMessage), Rejection> {
    let size = message.data.len();
    if size > max_message_size {
        return Err(Rejection::TooLarge { size, max: max_message_size });
    }
    let topic = message.topic.as_str().parse().map_err(|_| Rejection::Topic)?;
    Ok((topic, WakuMessage::decode(&message.data)?))
}

/// Peers known to be subscribed to a topic.
pub(super) fn subscribers(relay: &Relay, topic: &TopicHash) -> usize {
    relay.all_peers().filter(|(_, topics)| topics.contains(&topic)).count()
}

/// Peers to which gossipsub queues an own message: it floods those that are subscribed and do not
/// score too low.
pub(super) fn recipients(relay: &Relay, topic: &TopicHash) -> usize {
    relay
        .all_peers()
        .filter(|(_, topics)| topics.contains(&topic))
        .filter(|(peer, _)| relay.peer_score(peer).is_none_or(|score| score >= PUBLISH_THRESHOLD))
        .count()
}

/// Gives a peer that has just connected its [`CREDIT`].
pub(super) fn credit(relay: &mut Relay, peer: &PeerId) {
    if !relay.set_application_score(peer, CREDIT) {
        tracing::error!(%peer, "gossipsub does not know a peer that is connected");
    }
}

/// Scores of peers, to see what hands them a message: see [`MISSED_WEIGHT`].
pub(super) fn scores(relay: &Relay, peers: &[PeerId]) -> Vec<f64> {
    peers.iter().map(|peer| relay.peer_score(peer).unwrap_or_default()).collect()
}

/// How many of these peers missed a message between two readings of their scores, between which
/// nothing else was done with the relay.
pub(super) fn missed(before: &[f64], after: &[f64]) -> usize {
    before.iter().zip(after).filter(|(before, after)| after < before).count()
}

/// Peers to which gossipsub queues a message that came from one of them: the rest of the mesh.
pub(super) fn forwarded_to(relay: &Relay, topic: &TopicHash, from: &PeerId) -> usize {
    relay.mesh_peers(topic).filter(|peer| *peer != from).count()
}

#[cfg(test)]
mod tests {
    use super::super::key::NodeKey;
    use super::*;

    #[test]
    fn gossipsub_takes_the_parameters() {
        let mut config = NativeConfig::new(NodeKey::generate());
        for limit in [0, 1, 5] {
            config.ip_colocation_limit = limit;
            behaviour(&config, Subscribed::default()).unwrap();
        }
        topic_score().validate().unwrap();
        let built = parameters(150 * 1024).build().unwrap();
        assert_eq!(built.mesh_n_low(), 4);
        assert_eq!(built.mesh_n_high(), 8);
        assert_eq!(built.mesh_outbound_min(), 3);
        assert!(built.max_transmit_size() >= 1024 * 1024);
        assert!(parameters(1024 * 1024).build().unwrap().max_transmit_size() > 1024 * 1024);
    }

    #[test]
    fn only_the_own_cluster_is_subscribed_to() {
        let mut filter = ClusterFilter { cluster: 3 };
        for (topic, taken) in [
            ("/waku/2/rs/3/0", true),
            ("/waku/2/rs/3/65535", true),
            ("/waku/2/rs/4/0", false),
            ("/waku/2/default-waku/proto", false),
        ] {
            assert_eq!(filter.can_subscribe(&TopicHash::from_raw(topic)), taken, "{topic}");
        }
    }
}
