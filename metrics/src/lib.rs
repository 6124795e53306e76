//! The Prometheus registry of a node, and what writes into it.
//!
//! Protocols and subsystems do not know Prometheus: they report events, and whoever drives them
//! hands those to a recorder here. There is a recorder a subsystem, each in a file of its own:
//!
//! - [`NodeMetrics`]: version, errors, peers, dials;
//! - [`NetworkMetrics`]: libp2p's bytes, streams, connections;
//! - [`RelayMetrics`]: messages that arrive and leave, mesh sizes;
//! - [`StoreMetrics`]: the archive and the Store server;
//! - [`HttpMetrics`]: requests to the HTTP server;
//! - [`ChatMetrics`]: the group chat. An extension of the node, so [`Metrics`] does not register it;
//!   the extension does, in the registry it is started with.
//!
//! Names that dashboards for Waku nodes read (`waku_*`, `libp2p_*`, `process_*`) have nwaku's names,
//! types and labels; what is this project's own starts with `waku_groupchat_`. Labels take values of
//! enums, never text from outside, so the number of time series is bounded; all of them stand at
//! zero from the start. There are two exceptions: the pubsub topic, a [`Shard`] that the node
//! subscribed to, and the addresses of service peers, which the configuration names. All of them,
//! and when they move: `docs/metrics.md`.
//!
//! ```
//! use waku_groupchat_metrics::{Metrics, Shard};
//!
//! let metrics = Metrics::new("0.1.0")?;
//! metrics.relay().received(1_200);
//! metrics.relay().mesh_peers(Shard::new(1, 0), 4);
//! assert!(metrics.encode()?.contains("waku_node_messages_total{type=\"relay\"} 1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chat;
mod http;
mod label;
mod network;
mod node;
mod register;
mod relay;
mod store;

pub use chat::{
    ChangeKind, ChatMetrics, DeliveryState, GapState, HoldReason, MessageDirection, PublishKind,
    RefusedReason,
};
pub use http::{HttpMetrics, Resource, StatusClass};
pub use label::{Label, Shard};
pub use network::NetworkMetrics;
pub use node::{DialOutcome, Direction, NodeError, NodeMetrics, Protocol};
pub use prometheus::Registry;
pub use register::RegisterError;
pub use relay::{RelayMetrics, Traffic};
pub use store::{ServiceState, StoreMetrics};

use prometheus::TextEncoder;

/// The content type of [`Metrics::encode`]'s text (Prometheus exposition format 0.0.4).
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The families could not be written as text: our bug, as names and labels are fixed.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be encoded")]
pub struct EncodeError(#[source] prometheus::Error);

/// The registry of one node with the recorders of the node itself. Clones share their numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    node: NodeMetrics,
    network: NetworkMetrics,
    relay: RelayMetrics,
    store: StoreMetrics,
    http: HttpMetrics,
}

impl Metrics {
    /// A new registry with everything but the extensions' metrics in it. `version` is what
    /// `/version` shows.
    ///
    /// # Errors
    ///
    /// None in practice: a name that is taken or malformed, which tests exclude.
    pub fn new(version: &str) -> Result<Self, RegisterError> {
        let registry = Registry::new();
        register::process(&registry)?;
        Ok(Self {
            node: NodeMetrics::register(&registry, version)?,
            network: NetworkMetrics::register(&registry)?,
            relay: RelayMetrics::register(&registry)?,
            store: StoreMetrics::register(&registry)?,
            http: HttpMetrics::register(&registry)?,
            registry,
        })
    }

    /// The registry, for extensions to register in. A clone shares its contents.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Version, errors, peers, dials.
    pub fn node(&self) -> &NodeMetrics {
        &self.node
    }

    /// Bytes, streams, connections.
    pub fn network(&self) -> &NetworkMetrics {
        &self.network
    }

    /// Messages that arrive and leave.
    pub fn relay(&self) -> &RelayMetrics {
        &self.relay
    }

    /// The archive and the Store server.
    pub fn store(&self) -> &StoreMetrics {
        &self.store
    }

    /// Requests to the HTTP server.
    pub fn http(&self) -> &HttpMetrics {
        &self.http
    }

    /// Everything in the registry, in the text exposition format ([`CONTENT_TYPE`]).
    ///
    /// # Errors
    ///
    /// [`EncodeError`], which would be a bug.
    pub fn encode(&self) -> Result<String, EncodeError> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(EncodeError)
    }
}
