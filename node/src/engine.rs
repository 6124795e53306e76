//! What a Waku engine gives the node: relay, peers and store queries.
//!
//! The node, its REST API and its extensions speak to this trait and do not know which engine they
//! run on. [`crate::native`] is the one on rust-libp2p.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use waku_groupchat_waku::store::{StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

/// A running Waku engine. Cheap to share behind an `Arc`.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// A fixed name: `native` or `waku-bindings`.
    fn name(&self) -> &'static str;

    /// Takes part in the mesh of a pubsub topic; a second call changes nothing.
    async fn subscribe(&self, topic: PubsubTopic) -> Result<(), EngineError>;

    /// Leaves the mesh of a pubsub topic.
    async fn unsubscribe(&self, topic: PubsubTopic) -> Result<(), EngineError>;

    /// Publishes on the relay. `Ok` means that the message is on its way to at least one peer, not
    /// that one has it: a peer that is cut off is noticed later.
    async fn publish(
        &self,
        topic: PubsubTopic,
        message: WakuMessage,
    ) -> Result<Published, PublishError>;

    /// Asks one peer's Store one page. `peer` is a connected or static peer, or any peer by an
    /// address with `/p2p/<peer id>`. The answer's hashes are the peer's claim: not checked here.
    async fn store_query(
        &self,
        peer: &PeerName,
        request: StoreQueryRequest,
    ) -> Result<StoreQueryResponse, QueryError>;

    /// Peers that serve the Store and are connected now, static ones first.
    async fn store_peers(&self) -> Result<Vec<PeerName>, EngineError>;

    /// All connected peers.
    async fn peers(&self) -> Result<Vec<PeerInfo>, EngineError>;

    /// Own addresses with `/p2p/<peer id>`, the peer id, and the subscribed topics.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// Leaves the network and waits until nothing of the engine runs.
    async fn shutdown(&self);
}

/// Events of an engine, in the order they happened. The queue is bounded; while it is full the
/// engine takes nothing more from the network.
pub type EngineEvents = mpsc::Receiver<EngineEvent>;

/// What an engine reports.
#[derive(Clone, Debug)]
pub enum EngineEvent {
    /// A valid relay message, for the first time here; own publishes are not reported.
    Message {
        /// Where.
        topic: PubsubTopic,
        /// Its hash.
        hash: MessageHash,
        /// The message.
        message: WakuMessage,
        /// The peer it came from.
        from: PeerName,
    },
    /// Peers came, went, or changed what they serve or subscribe to.
    Connectivity {
        /// Peers known to be subscribed, by topic that this node is subscribed to.
        relay_peers: Vec<(PubsubTopic, usize)>,
        /// Connected peers that serve the Store.
        store_peers: usize,
    },
}

/// A peer, by its peer id in text form. Where a peer is asked for, an address that ends in
/// `/p2p/<peer id>` names it as well. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(Arc<str>);

impl PeerName {
    /// From a peer id's text form.
    pub fn new(peer_id: impl Into<Arc<str>>) -> Self {
        Self(peer_id.into())
    }

    /// The peer id's text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A connected peer.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its peer id.
    pub peer: PeerName,
    /// An address it was reached at or came from.
    pub address: String,
    /// Waku protocols it serves, by protocol id.
    pub protocols: Vec<String>,
    /// Its agent string.
    pub agent: String,
    /// Its shards, once its metadata is known.
    pub shards: Vec<u16>,
    /// Whether it is a static peer.
    pub is_static: bool,
}

/// An engine about itself.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// The own peer id.
    pub peer: PeerName,
    /// Listen addresses with `/p2p/<peer id>`.
    pub addresses: Vec<String>,
    /// Subscribed topics.
    pub topics: Vec<PubsubTopic>,
}

/// A message that went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its hash.
    pub hash: MessageHash,
    /// For how many peers it was queued: those known to be subscribed to the topic when it went
    /// out, less those of very low score. Some of their queues may have been full.
    pub peers: usize,
}

/// An engine's own error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The engine cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A pubsub topic of another cluster than the node's.
    #[error("{topic} is not on cluster {cluster}")]
    OtherCluster {
        /// The topic.
        topic: PubsubTopic,
        /// The node's cluster.
        cluster: u16,
    },
    /// It has failed for a reason of its own.
    #[error("the engine has failed")]
    Failed(#[source] Cause),
    /// It has shut down.
    #[error("the engine has shut down")]
    Closed,
}

/// Why a publish reached nobody.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Not subscribed to the topic.
    #[error("not subscribed to {0}")]
    NotSubscribed(PubsubTopic),
    /// Over the limit after encoding.
    #[error("the message is {size} bytes after encoding, at most {max}")]
    TooLarge {
        /// Encoded size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Nobody to hand it to.
    #[error("no relay peer for {0}")]
    NoPeers(PubsubTopic),
    /// Every peer's queue is full: try again later.
    #[error("all relay peers are busy")]
    Busy,
    /// The same bytes were published before.
    #[error("the same message was published already")]
    Duplicate,
    /// This engine cannot send it as it is, or has failed.
    #[error("the engine does not send this message")]
    Refused(#[source] Cause),
    /// It has shut down.
    #[error("the engine has shut down")]
    Closed,
}

/// Why a store query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Not connected, and cannot be.
    #[error("peer {0} cannot be reached")]
    Unreachable(PeerName),
    /// It does not speak Store v3.
    #[error("peer {0} does not serve the Store")]
    Unsupported(PeerName),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Its answer does not parse, or breaks the protocol.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// It answered with an error.
    #[error("store status {code}: {description}")]
    Status {
        /// Store v3 status code.
        code: u32,
        /// What the peer says.
        description: String,
    },
    /// It has shut down.
    #[error("the engine has shut down")]
    Closed,
}
