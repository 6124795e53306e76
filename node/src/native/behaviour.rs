//! The protocols of the node on one swarm.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::{TransportTimeout, TransportTimeoutError};
use libp2p::core::transport::{Boxed, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{self, NetworkBehaviour};
use libp2p::{
    PeerId, StreamProtocol, Swarm, connection_limits, dns, identify, noise, ping, tcp, yamux,
};
use tokio_util::task::TaskTracker;
use waku_groupchat_waku::{metadata, store};

use super::closing::{self, ClosesInTime};
use super::codec::FrameCodec;
use super::config::{NativeConfig, StartError};
use super::counting::{CountedBytes, CountedStreams, Subscribed};
use super::ip_limit::IpLimit;
use super::pace::Paces;
use super::recorder::Recorder;
use super::relay::{self, Relay};
use super::stalled::{self, EndsStalled};

/// How long a dial and the handshakes may take.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a peer may take to name its cluster.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a peer may take to send a Store query and to take the answer.
const SERVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of one peer: two when both sides dial at once.
const CONNECTIONS_PER_PEER: u32 = 2;

/// Streams of one request/response protocol on one connection.
const STREAMS_PER_CONNECTION: usize = 32;

/// Connections are not closed for being idle: limits, pings and the other side end them.
const NEVER_IDLE: Duration = Duration::from_secs(u64::MAX);

/// What nim-libp2p and go-libp2p call the protocol family in identify.
const IDENTIFY_FAMILY: &str = "ipfs/0.1.0";

/// The protocols. Limits stand first: what they deny, the others never see.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) ip_limit: IpLimit,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) relay: Relay,
    pub(super) metadata: request_response::Behaviour<FrameCodec>,
    pub(super) store: request_response::Behaviour<FrameCodec>,
}

/// A swarm that does not listen or dial yet. Its tasks run on `tasks`. Relay traffic is counted on
/// the topics of `subscribed`, and read as fast as `paces` says.
pub(super) fn swarm(
    config: &NativeConfig,
    exempt: &[PeerId],
    subscribed: Subscribed,
    paces: &Arc<Paces>,
    tasks: &TaskTracker,
) -> Result<Swarm<Behaviour>, StartError> {
    let keypair = config.node_key.keypair();
    let transport = transport(&keypair, Arc::clone(&config.recorder), paces)?;
    let behaviour = behaviour(config, &keypair, exempt, subscribed)?;
    let tasks = tasks.clone();
    let swarm_config = swarm::Config::with_executor(move |task| {
        tasks.spawn(task);
    })
    .with_idle_connection_timeout(NEVER_IDLE);
    let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), swarm_config);
    for address in &config.external_addresses {
        swarm.add_external_address(address.clone());
    }
    Ok(swarm)
}

/// TCP with names resolved, noise and yamux.
fn transport(
    keypair: &Keypair,
    recorder: Arc<dyn Recorder>,
    paces: &Arc<Paces>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, StartError> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default());
    let resolving = dns::tokio::Transport::system(tcp()).unwrap_or_else(|error| {
        tracing::warn!(%error, "no name resolution; peers are reached by IP address only");
        let none = dns::ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        dns::tokio::Transport::custom(tcp(), none, dns::ResolverOpts::default())
    });
    let (counter, paced, named) = (Arc::clone(&recorder), Arc::clone(paces), Arc::clone(paces));
    let multiplexed = resolving
        .map(move |stream, point| paced.pace(CountedBytes::new(stream, counter), point))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux::Config::default())
        .boxed();
    Ok(TransportTimeout::new(multiplexed, DIAL_TIMEOUT)
        .map_err(|error| match error {
            TransportTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
            other => io::Error::other(other),
        })
        .map(move |(peer, muxer), point| {
            named.name(&point, peer);
            let muxer = ClosesInTime::new(muxer, closing::TIMEOUT);
            let muxer = EndsStalled::new(muxer, stalled::TIMEOUT);
            (peer, StreamMuxerBox::new(CountedStreams::new(muxer, recorder)))
        })
        .boxed())
}

/// The kind of the first fault of the system under an error: transports wrap it.
pub(super) fn root_kind(error: &io::Error) -> io::ErrorKind {
    let mut kind = error.kind();
    let mut cause = error.get_ref().map(|cause| cause as &(dyn Error + 'static));
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            kind = error.kind();
            cause = error.get_ref().map(|cause| cause as &(dyn Error + 'static));
        } else {
            cause = error.source();
        }
    }
    kind
}

fn behaviour(
    config: &NativeConfig,
    keypair: &Keypair,
    exempt: &[PeerId],
    subscribed: Subscribed,
) -> Result<Behaviour, StartError> {
    let mut limits = connection_limits::Behaviour::new(
        connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(config.max_connections))
            .with_max_established(Some(config.max_connections))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER)),
    );
    for peer in exempt {
        limits.bypass_peer_id(peer);
    }
    let served = if config.store { ProtocolSupport::Full } else { ProtocolSupport::Outbound };
    Ok(Behaviour {
        limits,
        ip_limit: IpLimit::new(config.ip_colocation_limit, exempt.iter().copied()),
        identify: identify::Behaviour::new(
            identify::Config::new(IDENTIFY_FAMILY.to_owned(), keypair.public())
                .with_agent_version(config.agent.clone())
                // Peers do not get to choose where this node dials.
                .with_cache_size(0),
        ),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(config.ping_interval)
                .with_timeout(config.ping_timeout),
        ),
        relay: relay::behaviour(config, subscribed)?,
        metadata: requests(
            metadata::PROTOCOL,
            ProtocolSupport::Full,
            FrameCodec {
                max_request: metadata::MAX_ENCODED_LEN,
                max_response: metadata::MAX_ENCODED_LEN,
            },
            METADATA_TIMEOUT,
        ),
        store: requests(
            store::PROTOCOL,
            served,
            FrameCodec {
                max_request: store::MAX_REQUEST_LEN,
                max_response: store::MAX_RESPONSE_LEN,
            },
            config.store_timeout.max(SERVE_TIMEOUT),
        ),
    })
}

fn requests(
    protocol: &'static str,
    support: ProtocolSupport,
    codec: FrameCodec,
    timeout: Duration,
) -> request_response::Behaviour<FrameCodec> {
    let config = request_response::Config::default()
        .with_request_timeout(timeout)
        .with_max_concurrent_streams(STREAMS_PER_CONNECTION);
    let protocols = [(StreamProtocol::new(protocol), support)];
    request_response::Behaviour::with_codec(codec, protocols, config)
}
