//! What the engine reports to whoever counts: protocols here do not know Prometheus.

use std::fmt;
use std::time::Duration;

use waku_groupchat_waku::PubsubTopic;

/// Takes what happened in the engine. Called on the network's task: must not block.
pub trait Recorder: Send + Sync + fmt::Debug + 'static {
    /// Something happened.
    fn record(&self, observed: Observed);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _: Observed) {}
}

/// What a [`Recorder`] takes: facts, and states that replace the last one of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Bytes came on a connection.
    Read(usize),
    /// Bytes left on a connection.
    Written(usize),
    /// A stream was opened.
    StreamOpened {
        /// Whether this node opened it.
        outbound: bool,
    },
    /// A stream is gone.
    StreamClosed {
        /// Whether this node had opened it.
        outbound: bool,
    },
    /// A relay message came on a subscribed topic, perhaps not for the first time.
    RelayGross {
        /// The topic.
        topic: PubsubTopic,
        /// Bytes of the message and of its topic's name.
        bytes: usize,
    },
    /// A relay message came for the first time and is valid.
    RelayNet {
        /// The topic.
        topic: PubsubTopic,
        /// Bytes of the message and of its topic's name.
        bytes: usize,
    },
    /// A relay message, own or not, was handed to peers' queues.
    RelaySent {
        /// The topic.
        topic: PubsubTopic,
        /// Bytes of the message and of its topic's name, once for each peer.
        bytes: usize,
    },
    /// A relay message came for the first time and is valid; its payload in bytes.
    Received(usize),
    /// A relay message was refused: it does not decode, or is too large.
    Rejected,
    /// An own message went out.
    Published(PubsubTopic),
    /// An own message reached nobody, for want of peers or of room in their queues.
    PublishFailed,
    /// Messages that a slow peer's queue had no room for, or that waited there too long.
    Dropped(usize),
    /// Peers in the mesh of a subscribed topic.
    Mesh(PubsubTopic, usize),
    /// A topic was left.
    Left(PubsubTopic),
    /// How a dial ended.
    Dialed(Dial),
    /// Connected peers.
    Peers(usize),
    /// Peers that are connected or that the node is to stay connected to.
    Known(usize),
    /// Connected peers that speak a protocol, by who opened the connection.
    Speakers {
        /// Whether this node opened it.
        outbound: bool,
        /// The protocol.
        protocol: Spoken,
        /// How many.
        count: usize,
    },
    /// A peer that did not answer pings was disconnected.
    KeepAliveFailed,
    /// A peer was disconnected for its metadata.
    MetadataFailed,
    /// A peer asks the own Store, and gets an answer.
    StoreQuery,
    /// A peer asks the own Store while it serves as many queries as it takes.
    StoreRefused,
    /// How long the own archive took to answer a peer.
    StoreAnswered(Duration),
    /// The own archive could not answer.
    StoreFailed,
}

/// How a dial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// Connected.
    Connected,
    /// No answer in time.
    TimedOut,
    /// Refused, unreachable, or not the peer that was expected.
    Failed,
}

/// A Waku protocol that a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// Relay.
    Relay,
    /// Store v3.
    Store,
    /// Metadata.
    Metadata,
}

impl Spoken {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Relay, Self::Store, Self::Metadata];

    /// Its libp2p protocol id.
    pub fn id(self) -> &'static str {
        match self {
            Self::Relay => waku_groupchat_waku::relay::PROTOCOL,
            Self::Store => waku_groupchat_waku::store::PROTOCOL,
            Self::Metadata => waku_groupchat_waku::metadata::PROTOCOL,
        }
    }
}
