//! What the engine is started with, and why it may not start.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use libp2p::Multiaddr;
use waku_groupchat_waku::relay;
use zeroize::Zeroizing;

use super::client::{CallError, SpawnError};

/// Events that wait for whoever reads them by default.
pub const EVENT_QUEUE: usize = 256;

/// How often go-waku is asked for its peers by default: the bindings report no change by themselves.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What the engine on go-waku is started with. [`Self::new`] gives the defaults.
#[derive(Clone)]
pub struct BindingsConfig {
    /// The program of `node/bindings-engine`.
    pub program: PathBuf,
    /// secp256k1 secret key in 64 hex digits. Default none: a random one.
    pub node_key: Option<Zeroizing<String>>,
    /// Where to listen. Default 0.0.0.0.
    pub host: IpAddr,
    /// TCP port. Default 0: any free one.
    pub port: u16,
    /// Peers to stay connected to, with `/p2p/<peer id>` at the end. Default none.
    pub static_peers: Vec<Multiaddr>,
    /// Most bytes of an encoded message to publish. Default [`relay::MAX_MESSAGE_SIZE`]; go-waku
    /// itself takes and relays up to 1 MiB.
    pub max_message_size: usize,
    /// Events that wait for whoever reads them, at least 1. Default [`EVENT_QUEUE`].
    pub event_queue: usize,
    /// How often to look at the peers. Default [`CHECK_INTERVAL`].
    pub check_interval: Duration,
}

impl BindingsConfig {
    /// The defaults.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            node_key: None,
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 0,
            static_peers: Vec::new(),
            max_message_size: relay::MAX_MESSAGE_SIZE,
            event_queue: EVENT_QUEUE,
            check_interval: CHECK_INTERVAL,
        }
    }
}

impl fmt::Debug for BindingsConfig {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingsConfig")
            .field("program", &self.program)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("static_peers", &self.static_peers)
            .finish_non_exhaustive()
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program cannot be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The program or go-waku refused: a bad node key, or a port that is taken.
    #[error("go-waku does not start")]
    Start(#[from] CallError),
    /// A static peer's address does not name the peer.
    #[error("static peer {0} does not end in /p2p/<peer id>")]
    StaticPeer(Multiaddr),
}
