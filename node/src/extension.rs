//! What runs inside the node: an extension takes messages of one application and gives publishes.
//!
//! The node subscribes to the extension's shard, archives it, and calls [`Extension::on_messages`]
//! for what arrives. An extension adds HTTP routes and metrics of its own, and is shut down before
//! the engine. The group chat is one ([`crate::chat`]).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use axum::Router;
use futures::future::BoxFuture;
use prometheus::Registry;
use tokio::sync::watch;
use waku_groupchat_storage::Archive;
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

use crate::engine::Engine;
use crate::publisher::Publisher;

/// An extension, once started. All methods take `&self`; the node shares it behind an `Arc`.
#[async_trait]
pub trait Extension: Send + Sync + fmt::Debug + 'static {
    /// A fixed lower-case name, for logs, metrics and the path of its routes.
    fn name(&self) -> &'static str;

    /// The pubsub topic it lives on; the node subscribes to it before the first message.
    fn pubsub_topic(&self) -> PubsubTopic;

    /// Takes messages that the archive holds already. Must not wait for long: what an extension
    /// cannot take now it reads from the archive later, and counts.
    async fn on_messages(&self, messages: &[Arrived]);

    /// Its routes, with full paths.
    fn routes(&self) -> Router;

    /// Extra lines for `/health`, as (name, `READY` or why not).
    fn health(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// What else `/health` says of a line that is ready, as (name, remark).
    fn remarks(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// HTTP is about to end: requests that wait, such as long polls and streams, must end soon.
    fn close(&self) {}

    /// Finishes what it holds and waits until nothing of it runs.
    async fn shutdown(&self);
}

/// A message that arrived on the extension's pubsub topic.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its hash.
    pub hash: MessageHash,
    /// The message.
    pub message: Arc<WakuMessage>,
}

/// What an extension is started with.
#[derive(Clone)]
pub struct Context {
    /// The engine: queries, peers, topics. Publishes go through [`Context::publisher`].
    pub engine: Arc<dyn Engine>,
    /// The way out: relay, then the own archive.
    pub publisher: Publisher,
    /// The node's own archive, which holds the extension's whole shard.
    pub archive: Arc<dyn Archive>,
    /// Peers now; changes wake whoever waits.
    pub connectivity: watch::Receiver<Connectivity>,
    /// Where to register metrics.
    pub registry: Registry,
    /// Where to say how far peers' clocks are ahead, if the extension can tell.
    pub clock: PeersAhead,
    /// Why the archive cannot be written; `None` while it can. Until then it lacks what came since.
    pub archive_fault: watch::Receiver<Option<String>>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// How far peers' clocks are ahead of the node's. An extension that hears signed times says so; the
/// archive then takes messages that fit their clocks or its own. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct PeersAhead(Arc<AtomicI64>);

impl PeersAhead {
    /// Says by how many seconds they are ahead; negative: behind.
    pub fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    /// In seconds; 0 as long as nobody said anything.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An extension that is not started yet: where it lives, and how it starts.
pub struct Plan {
    /// As [`Extension::name`].
    pub name: &'static str,
    /// As [`Extension::pubsub_topic`].
    pub pubsub_topic: PubsubTopic,
    /// Starts it. Called once archive and engine run and the topic is subscribed to.
    pub start: Start,
}

/// Starts an extension. An error stops the node's start.
pub type Start =
    Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Arc<dyn Extension>, StartError>> + Send>;

/// Why an extension did not start.
pub type StartError = Box<dyn std::error::Error + Send + Sync + 'static>;

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("pubsub_topic", &self.pubsub_topic)
            .finish_non_exhaustive()
    }
}

/// Peers of a pubsub topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// Relay peers subscribed to the extension's pubsub topic.
    pub relay_peers: usize,
    /// Peers that serve the Store.
    pub store_peers: usize,
}
