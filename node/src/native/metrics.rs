//! The engine's facts in the node's Prometheus registry.

use waku_groupchat_metrics::{
    DialOutcome, Direction, Metrics, NodeError, Protocol, ServiceState, Shard, Traffic,
};
use waku_groupchat_waku::PubsubTopic;

use super::recorder::{Dial, Observed, Recorder, Spoken};

impl Recorder for Metrics {
    fn record(&self, observed: Observed) {
        match observed {
            Observed::Read(bytes) => self.network().read(bytes),
            Observed::Written(bytes) => self.network().written(bytes),
            Observed::StreamOpened { outbound } => self.network().stream_opened(by(outbound)),
            Observed::StreamClosed { outbound } => self.network().stream_closed(by(outbound)),
            Observed::RelayGross { topic, bytes } => {
                self.relay().bytes_in(shard(topic), Traffic::Gross, bytes);
            }
            Observed::RelayNet { topic, bytes } => {
                self.relay().bytes_in(shard(topic), Traffic::Net, bytes);
            }
            Observed::RelaySent { topic, bytes } => self.relay().bytes_out(shard(topic), bytes),
            Observed::Received(payload) => {
                self.relay().validated(true);
                self.relay().received(payload);
            }
            Observed::Rejected => self.relay().validated(false),
            Observed::Published(topic) => self.relay().published(shard(topic)),
            Observed::PublishFailed => self.node().error(NodeError::Publish),
            Observed::Dropped(messages) => {
                for _ in 0..messages {
                    self.node().error(NodeError::Publish);
                }
            }
            Observed::Mesh(topic, peers) => self.relay().mesh_peers(shard(topic), peers),
            Observed::Left(topic) => self.relay().unsubscribed(shard(topic)),
            Observed::Dialed(outcome) => {
                if outcome == Dial::Connected {
                    self.network().dialed();
                }
                self.node().dialed(match outcome {
                    Dial::Connected => DialOutcome::Successful,
                    Dial::TimedOut => DialOutcome::TimedOut,
                    Dial::Failed => DialOutcome::Failed,
                });
            }
            Observed::Peers(count) => self.network().peers(count),
            Observed::Known(count) => self.node().known_peers(count),
            Observed::Speakers { outbound, protocol, count } => {
                self.node().connected_peers(by(outbound), spoken(protocol), count);
            }
            Observed::KeepAliveFailed => self.node().error(NodeError::KeepAlive),
            Observed::MetadataFailed => self.node().error(NodeError::Metadata),
            Observed::StoreQuery => self.store().query_received(ServiceState::Served),
            Observed::StoreRefused => self.store().query_received(ServiceState::Rejected),
            Observed::StoreAnswered(took) => self.store().queried(took),
            Observed::StoreFailed => self.node().error(NodeError::ArchiveQuery),
        }
    }
}

fn shard(topic: PubsubTopic) -> Shard {
    Shard::new(topic.cluster(), topic.shard())
}

fn by(outbound: bool) -> Direction {
    if outbound { Direction::Out } else { Direction::In }
}

fn spoken(protocol: Spoken) -> Protocol {
    match protocol {
        Spoken::Relay => Protocol::Relay,
        Spoken::Store => Protocol::Store,
        Spoken::Metadata => Protocol::Metadata,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn facts_become_metrics() {
        let metrics = Metrics::new("test").unwrap();
        let topic = PubsubTopic::new(1, 2);
        for fact in [
            Observed::Read(30),
            Observed::Written(20),
            Observed::StreamOpened { outbound: true },
            Observed::StreamOpened { outbound: true },
            Observed::StreamClosed { outbound: true },
            Observed::RelayGross { topic, bytes: 8 },
            Observed::RelayNet { topic, bytes: 4 },
            Observed::RelaySent { topic, bytes: 2 },
            Observed::Received(900),
            Observed::Rejected,
            Observed::Published(topic),
            Observed::PublishFailed,
            Observed::Dropped(2),
            Observed::Mesh(topic, 4),
            Observed::Dialed(Dial::Failed),
            Observed::Dialed(Dial::Connected),
            Observed::Peers(3),
            Observed::Known(5),
            Observed::Speakers { outbound: true, protocol: Spoken::Store, count: 2 },
            Observed::StoreQuery,
            Observed::StoreRefused,
            Observed::StoreAnswered(Duration::from_millis(3)),
        ] {
            metrics.record(fact);
        }
        let text = metrics.encode().unwrap();
        for line in [
            "libp2p_network_bytes_total{direction=\"in\"} 30",
            "libp2p_network_bytes_total{direction=\"out\"} 20",
            "libp2p_open_streams{dir=\"Out\",type=\"YamuxChannel\"} 1",
            "{direction=\"in\",topic=\"/waku/2/rs/1/2\",type=\"gross\"} 8",
            "{direction=\"in\",topic=\"/waku/2/rs/1/2\",type=\"net\"} 4",
            "{direction=\"out\",topic=\"/waku/2/rs/1/2\",type=\"net\"} 2",
            "waku_node_messages_total{type=\"relay\"} 1",
            "libp2p_pubsub_validation_failure_total 1",
            "libp2p_pubsub_messages_published_total{topic=\"/waku/2/rs/1/2\"} 1",
            "waku_node_errors_total{type=\"publish_failure\"} 3",
            "libp2p_gossipsub_peers_per_topic_mesh{topic=\"/waku/2/rs/1/2\"} 4",
            "waku_peers_dials_total{outcome=\"failed\"} 1",
            "libp2p_successful_dials_total 1",
            "libp2p_peers 3",
            "waku_peer_store_size 5",
            "waku_connected_peers{direction=\"Out\",protocol=\"/vac/waku/store-query/3.0.0\"} 2",
            "waku_store_queries_total 1",
            "waku_service_requests_total{service=\"/vac/waku/store-query/3.0.0\",state=\"rejected\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        metrics.record(Observed::Left(topic));
        assert!(!metrics.encode().unwrap().contains("peers_per_topic_mesh{"));
    }
}
