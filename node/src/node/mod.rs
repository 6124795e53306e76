//! The node: archive, engine, extensions and HTTP, put together and taken apart in order.
//!
//! ```text
//!            network                                    HTTP
//!               │                                        │
//!            engine ──events──► inbound task        REST, extensions' routes
//!               ▲                 │ a batch at a time     │
//!               │                 ▼                       │
//!               │    archive ─► REST cache ─► extensions  │
//!               │       ▲                        │        │
//!               └───────┴─────── publisher ◄─────┴────────┘
//! ```
//!
//! Messages come from the engine through one bounded queue; one task takes what waits there, writes
//! it to the archive in one batch (`archiver.rs`), then hands it on (`intake.rs`). While the task is
//! busy the queue fills, and then the engine takes nothing more from the network. Nothing is dropped
//! on the way: an extension that is full counts, and reads the archive later.
//!
//! [`Node::start`] begins with the data directory and ends with HTTP; [`Node::shutdown`] goes the
//! other way: HTTP, extensions, engine, inbound task, archive. Every task is joined.

mod archiver;
mod archiving;
mod chat;
mod connectivity;
mod data_dir;
mod intake;
mod pruner;
mod run;
mod start;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info, info_span};

#[cfg(test)]
pub(crate) use archiving::Archiving;
pub use data_dir::{DataDir, DataDirError};
pub(crate) use intake::{Intake, now_ns};
pub use run::run;
pub use start::{Parts, StartError};
pub(crate) use subscriptions::{SubscribeError, Subscriptions};

use crate::engine::Engine;
use crate::extension::Extension;
use crate::rest::Server;

/// A running node.
#[derive(Debug)]
pub struct Node {
    engine: Arc<dyn Engine>,
    extensions: Vec<Arc<dyn Extension>>,
    servers: Vec<Server>,
    rest: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    /// The inbound task and retention.
    tasks: TaskTracker,
    /// Ends retention; the inbound task ends with the engine.
    stop: CancellationToken,
    /// Cancelled once the inbound task has ended.
    inbound_ended: CancellationToken,
    /// Locked while the node runs.
    _data_dir: Option<DataDir>,
}

impl Node {
    /// Where the HTTP API listens, if it is on.
    pub fn rest_address(&self) -> Option<SocketAddr> {
        self.rest
    }

    /// Where the metrics server listens, if it is on.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Waits until the engine has ended by itself, which it does not unless something is wrong.
    pub async fn engine_ended(&self) {
        self.inbound_ended.cancelled().await;
    }

    /// Ends everything, in order, and waits for it.
    pub async fn shutdown(self) {
        let span = info_span!("shutdown");
        async {
            for extension in &self.extensions {
                extension.close();
            }
            for server in self.servers {
                server.shutdown().await;
            }
            for extension in &self.extensions {
                extension.shutdown().await;
            }
            self.engine.shutdown().await;
            self.stop.cancel();
            self.tasks.wait().await;
            info!("the node has shut down");
        }
        .instrument(span)
        .await;
    }
}
