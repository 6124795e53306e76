//! What the engine is started with, and why it may not start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use waku_groupchat_waku::{WakuMessage, relay};

use super::key::NodeKey;
use super::recorder::{NoRecorder, Recorder};

/// Peers by default (nwaku's `max-connections`).
pub const MAX_CONNECTIONS: u32 = 50;

/// Peers an address by default (nwaku's `ip-colocation-limit`).
pub const IP_COLOCATION_LIMIT: usize = 5;

/// Longest pause between two dials of a static peer by default: a peer that comes back after hours
/// is found within half a minute, and one that never does costs two dials a minute.
pub const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// Messages taken a second from all peers together by default. Gossipsub remembers each for two
/// minutes, and keeps its bytes for five seconds: 40 MiB a second at the most.
pub const INTAKE: u32 = 10_000;

/// How often peers are pinged by default. A peer that leaves two pings in a row unanswered is
/// disconnected. libp2p gives the second ten seconds, so a silently cut link is noticed within
/// half a minute.
pub const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long a ping may take.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a page of another node's Store may take by default.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(20);

/// Store queries served at once by default. Each may hold a response of 16 MiB until it is sent.
pub const STORE_QUERIES: usize = 16;

/// Events that wait for whoever reads them by default. At 150 KiB a message: 38 MiB.
pub const EVENT_QUEUE: usize = 256;

/// What the native engine is started with. [`Self::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct NativeConfig {
    /// The cluster; topics of others are refused. Default 0.
    pub cluster: u16,
    /// Shards to name in the metadata besides the subscribed ones: nwaku disconnects a relay peer
    /// with which it shares none. Default none.
    pub shards: Vec<u16>,
    /// The node's identity.
    pub node_key: NodeKey,
    /// Where to listen, as `/ip4/<address>/tcp/<port>` or with `ip6`; port 0 takes a free one.
    /// Default none: the node then only dials.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach this node, besides those it listens on (`nat`,
    /// `ext-multiaddr`, `dns4-domain-name`). Default none.
    pub external_addresses: Vec<Multiaddr>,
    /// Peers to stay connected to, with `/p2p/<peer id>` at the end. Several addresses of one peer
    /// are tried together. They are exempt from the limits. Default none.
    pub static_peers: Vec<Multiaddr>,
    /// Most connections. Default [`MAX_CONNECTIONS`].
    pub max_connections: u32,
    /// Most peers that connect from one IP address, and most that score well; 0 means no limit.
    /// Default [`IP_COLOCATION_LIMIT`].
    pub ip_colocation_limit: usize,
    /// Most bytes of an encoded message, at most [`WakuMessage::MAX_ENCODED_LEN`]. Default
    /// [`relay::MAX_MESSAGE_SIZE`].
    pub max_message_size: usize,
    /// New messages taken a second from all peers together, and 4 KiB of traffic for each. A peer
    /// that sends more than its share is read from more slowly; 0 means no limit. Default
    /// [`INTAKE`].
    pub intake: u32,
    /// Whether to answer Store queries from the archive. Default no.
    pub store: bool,
    /// Store queries served at once, a quarter of them for one peer; more get status 429. Default
    /// [`STORE_QUERIES`].
    pub store_queries: usize,
    /// How long to wait for another node's Store. Default [`STORE_TIMEOUT`].
    pub store_timeout: Duration,
    /// How often to ping. Default [`PING_INTERVAL`].
    pub ping_interval: Duration,
    /// How long a ping may take. Default [`PING_TIMEOUT`].
    pub ping_timeout: Duration,
    /// Longest pause between two dials of a static peer. Default [`RECONNECT_MAX`].
    pub reconnect_max: Duration,
    /// Events that wait for whoever reads them. Default [`EVENT_QUEUE`].
    pub event_queue: usize,
    /// The agent string that peers see. Default `waku-groupchat/<version>`.
    pub agent: String,
    /// Who counts. Default nobody.
    pub recorder: Arc<dyn Recorder>,
}

impl NativeConfig {
    /// The defaults.
    pub fn new(node_key: NodeKey) -> Self {
        Self {
            cluster: 0,
            shards: Vec::new(),
            node_key,
            listen: Vec::new(),
            external_addresses: Vec::new(),
            static_peers: Vec::new(),
            max_connections: MAX_CONNECTIONS,
            ip_colocation_limit: IP_COLOCATION_LIMIT,
            max_message_size: relay::MAX_MESSAGE_SIZE,
            intake: INTAKE,
            store: false,
            store_queries: STORE_QUERIES,
            store_timeout: STORE_TIMEOUT,
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            reconnect_max: RECONNECT_MAX,
            event_queue: EVENT_QUEUE,
            agent: concat!("waku-groupchat/", env!("CARGO_PKG_VERSION")).to_owned(),
            recorder: Arc::new(NoRecorder),
        }
    }

    /// Refuses values with which the engine cannot run.
    pub(super) fn check(&self) -> Result<(), StartError> {
        if self.max_message_size > WakuMessage::MAX_ENCODED_LEN {
            return Err(StartError::MessageSize {
                size: self.max_message_size,
                max: WakuMessage::MAX_ENCODED_LEN,
            });
        }
        for (name, value) in
            [("event_queue", self.event_queue), ("store_queries", self.store_queries)]
        {
            if value == 0 {
                return Err(StartError::Zero(name));
            }
        }
        Ok(())
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Someone else listens there.
    #[error("address {0} is in use")]
    AddressInUse(Multiaddr),
    /// Cannot listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// Why.
        source: io::Error,
    },
    /// Not an address that this engine listens on.
    #[error("{0} is not of the form /ip4/<address>/tcp/<port> or /ip6/<address>/tcp/<port>")]
    ListenAddress(Multiaddr),
    /// A static peer's address does not name the peer.
    #[error("static peer {0} does not end in /p2p/<peer id>")]
    StaticPeer(Multiaddr),
    /// More than any Waku network takes.
    #[error("a message limit of {size} bytes is over the {max} that can be read")]
    MessageSize {
        /// The limit that was asked for.
        size: usize,
        /// The largest.
        max: usize,
    },
    /// A number that has to be above zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// To serve the Store needs an archive.
    #[error("the Store cannot be served without an archive")]
    NoArchive,
    /// The noise handshake cannot be set up with the node key.
    #[error("noise")]
    Noise(#[from] libp2p::noise::Error),
    /// Our bug: gossipsub refuses its parameters.
    #[error("relay parameters: {0}")]
    Relay(String),
}
