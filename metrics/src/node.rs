//! The node as a whole: version, errors, peers and dials as nwaku's peer manager counts them.

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use crate::label::{Label, label};
use crate::register::{CounterBy, RegisterError, add, counter_by, gauge, gauge_value};

label! {
    /// Who opened a connection. nwaku's texts.
    pub enum Direction, "direction" {
        /// The peer.
        In = "In",
        /// This node.
        Out = "Out",
    }
}

label! {
    /// A Waku protocol, by its libp2p protocol id.
    pub enum Protocol, "protocol" {
        /// Relay.
        Relay = "/vac/waku/relay/2.0.0",
        /// Store v3.
        Store = "/vac/waku/store-query/3.0.0",
        /// Metadata.
        Metadata = "/vac/waku/metadata/1.0.0",
    }
}

label! {
    /// How a dial ended. nwaku's first two texts; it has an error's own text for the third.
    pub enum DialOutcome, "outcome" {
        /// Connected.
        Successful = "successful",
        /// No answer in time.
        TimedOut = "timed out",
        /// Refused, unreachable, or not the peer that was expected.
        Failed = "failed",
    }
}

label! {
    /// What went wrong in the node itself.
    pub enum NodeError, "type" {
        /// A connected peer did not answer a ping.
        KeepAlive = "keep_alive_failure",
        /// A peer was disconnected for its metadata: none, or another cluster.
        Metadata = "metadata_failure",
        /// The archive could not write.
        ArchiveInsert = "insert_failure",
        /// The archive could not read.
        ArchiveQuery = "query_failure",
        /// Retention could not delete.
        Retention = "retpolicy_failure",
        /// A publish reached nobody.
        Publish = "publish_failure",
    }
}

/// Recorder of the node as a whole.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    errors: CounterBy<NodeError>,
    connected: IntGaugeVec,
    dials: CounterBy<DialOutcome>,
    known: IntGauge,
    service_peers: IntGaugeVec,
}

impl NodeMetrics {
    /// Registers `waku_version`, `waku_node_errors_total`, `waku_connected_peers`,
    /// `waku_peers_dials_total`, `waku_peer_store_size` and `waku_service_peers`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry, version: &str) -> Result<Self, RegisterError> {
        let name = "waku_version";
        let opts = Opts::new(name, "Version of the node; always 1");
        let info = add(registry, name, IntGaugeVec::new(opts, &["version"]))?;
        info.with_label_values(&[version]).set(1);
        let name = "waku_connected_peers";
        let opts = Opts::new(name, "Connected peers by direction and protocol");
        let labels = [Direction::NAME, Protocol::NAME];
        let service = "waku_service_peers";
        let service_opts = Opts::new(service, "Peers configured for a service; always 1");
        let service_labels = [Protocol::NAME, "peerId"];
        let metrics = Self {
            errors: counter_by(registry, "waku_node_errors_total", "Faults of the node")?,
            connected: add(registry, name, IntGaugeVec::new(opts, &labels))?,
            dials: counter_by(registry, "waku_peers_dials_total", "Dials by their outcome")?,
            known: gauge(registry, "waku_peer_store_size", "Static and connected peers")?,
            service_peers: add(registry, service, IntGaugeVec::new(service_opts, &service_labels))?,
        };
        for direction in Direction::ALL {
            for protocol in Protocol::ALL {
                metrics.connected_peers(*direction, *protocol, 0);
            }
        }
        Ok(metrics)
    }

    /// Counts a fault.
    pub fn error(&self, error: NodeError) {
        self.errors.inc(error);
    }

    /// Sets how many connected peers speak `protocol`, by who opened the connection.
    pub fn connected_peers(&self, direction: Direction, protocol: Protocol, count: usize) {
        let labels = [direction.as_str(), protocol.as_str()];
        self.connected.with_label_values(&labels).set(gauge_value(count));
    }

    /// Counts a dial that ended.
    pub fn dialed(&self, outcome: DialOutcome) {
        self.dials.inc(outcome);
    }

    /// Sets how many peers the node knows: those it stays connected to, and those connected now.
    pub fn known_peers(&self, count: usize) {
        self.known.set(gauge_value(count));
    }

    /// Names a peer that the configuration gives for a service, by its multiaddress as nwaku does.
    /// Called once a peer at the start, so that its number is bounded.
    pub fn service_peer(&self, protocol: Protocol, multiaddress: &str) {
        self.service_peers.with_label_values(&[protocol.as_str(), multiaddress]).set(1);
    }
}
