//! What the engine's handle asks of its task.

use tokio::sync::oneshot;
use waku_groupchat_waku::PubsubTopic;

use crate::engine::{EngineError, EngineInfo, PeerInfo, PeerName, PublishError, QueryError};

/// Commands that wait for the task; whoever sends one more waits for room.
pub(super) const QUEUE: usize = 256;

/// Messages that wait to be published, likewise. At 150 KiB each: 9 MiB.
pub(super) const PUBLISH_QUEUE: usize = 64;

/// Where an answer goes. It is dropped unused when the engine shuts down.
pub(super) type Answer<T> = oneshot::Sender<T>;

/// An encoded message to publish; the answer is for how many peers it was queued. It has a queue of
/// its own, so that other commands are served while the peers' queues are full.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) topic: PubsubTopic,
    pub(super) data: Vec<u8>,
    pub(super) answer: Answer<Result<usize, PublishError>>,
}

/// Any other command, each with where its answer goes.
#[derive(Debug)]
pub(super) enum Command {
    /// Join the mesh of a topic.
    Subscribe(PubsubTopic, Answer<Result<(), EngineError>>),
    /// Leave the mesh of a topic.
    Unsubscribe(PubsubTopic, Answer<()>),
    /// Ask a peer's Store with an encoded request; answers the encoded response.
    StoreQuery(PeerName, Vec<u8>, Answer<Result<Vec<u8>, QueryError>>),
    /// Connected peers that serve the Store, static ones first.
    StorePeers(Answer<Vec<PeerName>>),
    /// All connected peers.
    Peers(Answer<Vec<PeerInfo>>),
    /// The engine about itself.
    Info(Answer<EngineInfo>),
}
