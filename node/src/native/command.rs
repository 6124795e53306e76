//! What the engine's handle asks of its task.

use tokio::sync::oneshot;
use waku_groupchat_waku::PubsubTopic;

use crate::engine::{EngineError, EngineInfo, PeerInfo, PeerName, PublishError, QueryError};

/// Commands that wait for the task; whoever sends one more waits for room.
pub(super) const QUEUE: usize = 256;

/// Where an answer goes. It is dropped unused when the engine shuts down.
pub(super) type Answer<T> = oneshot::Sender<T>;

/// A command, each with where its answer goes.
#[derive(Debug)]
pub(super) enum Command {
    /// Join the mesh of a topic.
    Subscribe(PubsubTopic, Answer<Result<(), EngineError>>),
    /// Leave the mesh of a topic.
    Unsubscribe(PubsubTopic, Answer<()>),
    /// Publish an encoded message; answers for how many peers it was queued.
    Publish(PubsubTopic, Vec<u8>, Answer<Result<usize, PublishError>>),
    /// Ask a peer's Store with an encoded request; answers the encoded response.
    StoreQuery(PeerName, Vec<u8>, Answer<Result<Vec<u8>, QueryError>>),
    /// Connected peers that serve the Store, static ones first.
    StorePeers(Answer<Vec<PeerName>>),
    /// All connected peers.
    Peers(Answer<Vec<PeerInfo>>),
    /// The engine about itself.
    Info(Answer<EngineInfo>),
}
