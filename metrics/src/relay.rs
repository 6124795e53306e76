//! Relay: messages that arrive and leave, mesh sizes.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::label::{Label, Shard, label};
use crate::register::{CounterBy, RegisterError, add, counter, counter_by, gauge_value, histogram};

label! {
    /// By which protocol a message came. One so far; nwaku counts light protocols here too.
    enum Source, "type" {
        /// Relay.
        Relay = "relay",
    }
}

label! {
    /// Whether copies of a message that was there already are counted. nwaku's texts.
    pub enum Traffic, "type" {
        /// With copies.
        Gross = "gross",
        /// Without.
        Net = "net",
    }
}

/// Bucket bounds of message sizes in kilobytes, as nwaku has them.
const SIZE_KB: &[f64] =
    &[0.0, 1.0, 3.0, 5.0, 15.0, 50.0, 75.0, 100.0, 125.0, 150.0, 500.0, 700.0, 1000.0];

/// Recorder of the relay.
#[derive(Clone, Debug)]
pub struct RelayMetrics {
    messages: CounterBy<Source>,
    size: Histogram,
    published: IntCounterVec,
    valid: IntCounter,
    invalid: IntCounter,
    mesh: IntGaugeVec,
    bytes: IntCounterVec,
}

impl RelayMetrics {
    /// Registers `waku_node_messages_total`, `waku_histogram_message_size`,
    /// `libp2p_pubsub_messages_published_total`, `libp2p_pubsub_validation_success_total`,
    /// `libp2p_pubsub_validation_failure_total`, `libp2p_gossipsub_peers_per_topic_mesh` and
    /// `waku_relay_network_bytes_total`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let published = "libp2p_pubsub_messages_published_total";
        let mesh = "libp2p_gossipsub_peers_per_topic_mesh";
        let bytes = "waku_relay_network_bytes_total";
        let by = [Shard::LABEL, Traffic::NAME, "direction"];
        Ok(Self {
            messages: counter_by(registry, "waku_node_messages_total", "Messages received")?,
            size: histogram(
                registry,
                "waku_histogram_message_size",
                "Payload sizes of received messages in kB",
                SIZE_KB,
            )?,
            published: add(
                registry,
                published,
                IntCounterVec::new(Opts::new(published, "Messages published"), &[Shard::LABEL]),
            )?,
            valid: counter(
                registry,
                "libp2p_pubsub_validation_success_total",
                "Relay messages that passed validation",
            )?,
            invalid: counter(
                registry,
                "libp2p_pubsub_validation_failure_total",
                "Relay messages that failed validation",
            )?,
            mesh: add(
                registry,
                mesh,
                IntGaugeVec::new(Opts::new(mesh, "Mesh peers by topic"), &[Shard::LABEL]),
            )?,
            bytes: add(
                registry,
                bytes,
                IntCounterVec::new(Opts::new(bytes, "Bytes of relay messages by topic"), &by),
            )?,
        })
    }

    /// Counts a message that arrived for the first time, with its payload's size in bytes.
    pub fn received(&self, payload_bytes: usize) {
        self.messages.inc(Source::Relay);
        self.size.observe(payload_bytes as f64 / 1000.0);
    }

    /// Counts an own publish that peers took.
    pub fn published(&self, topic: Shard) {
        self.published.with_label_values(&[topic.to_string()]).inc();
    }

    /// Counts a message by whether it passed validation.
    pub fn validated(&self, accepted: bool) {
        if accepted { &self.valid } else { &self.invalid }.inc();
    }

    /// Counts bytes of a message that came from a peer, with its topic's name.
    pub fn bytes_in(&self, topic: Shard, traffic: Traffic, bytes: usize) {
        self.bytes
            .with_label_values(&[&topic.to_string(), traffic.as_str(), "in"])
            .inc_by(bytes as u64);
    }

    /// Counts bytes of a message that were handed to peers, with its topic's name each time. What
    /// leaves is never a copy that the peer is known to have.
    pub fn bytes_out(&self, topic: Shard, bytes: usize) {
        let labels = [&topic.to_string(), Traffic::Net.as_str(), "out"];
        self.bytes.with_label_values(&labels).inc_by(bytes as u64);
    }

    /// Sets how many peers the mesh of a subscribed topic has.
    pub fn mesh_peers(&self, topic: Shard, count: usize) {
        self.mesh.with_label_values(&[topic.to_string()]).set(gauge_value(count));
    }

    /// Ends the mesh's time series of a topic that the node left. Its publishes and bytes stay
    /// counted.
    pub fn unsubscribed(&self, topic: Shard) {
        // An error says that there was none.
        let _ = self.mesh.remove_label_values(&[topic.to_string()]);
    }
}
