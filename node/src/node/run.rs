//! A node on the native engine, from its options, until a signal.

use std::net::IpAddr;
use std::sync::Arc;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};
use waku_groupchat_metrics::{Metrics, Protocol as Service};
use waku_groupchat_storage::sealed::ChatKey;
use waku_groupchat_storage::{Archive, RocksArchive};

use super::data_dir::DataDir;
use super::start::{Parts, StartError};
use super::{Node, chat};
use crate::extension::Plan;
use crate::native::{NativeConfig, NativeEngine, NodeKey};
use crate::options::Options;
use crate::rest::VERSION;

/// Runs a node until SIGINT, SIGTERM or the end of its engine. A second signal ends the process at
/// once. `key` opens the chat's database, if it is encrypted ([`crate::chat::unlock::unlock`]).
///
/// # Errors
///
/// [`StartError`] if it does not start, or if the engine ends by itself.
pub async fn run(options: Options, key: Option<ChatKey>) -> Result<(), StartError> {
    let mut signals = Signals::new()?;
    let node = tokio::select! {
        node = Node::start_native(&options, key) => node?,
        () = signals.next() => return Ok(()),
    };
    let ended = tokio::select! {
        () = signals.next() => false,
        () = node.engine_ended() => true,
    };
    tokio::select! {
        () = node.shutdown() => {}
        () = signals.next() => {
            warn!("a second signal: not waiting any longer");
            std::process::exit(1);
        }
    }
    if ended { Err(StartError::EngineEnded) } else { Ok(()) }
}

impl Node {
    /// Starts a node on the native engine, in the data directory of its options. `key` opens the
    /// chat's database, if it is encrypted.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left running then.
    pub async fn start_native(options: &Options, key: Option<ChatKey>) -> Result<Self, StartError> {
        let data_dir = DataDir::open(&options.general.data_dir)?;
        let plans: Vec<Plan> = chat::plan(options, &data_dir, key)?.into_iter().collect();
        let metrics = Metrics::new(VERSION)?;
        if let Some(peer) = &options.store.node {
            metrics.node().service_peer(Service::Store, &peer.multiaddr().to_string());
        }
        let archive = if options.store.enabled || !plans.is_empty() {
            let archive = RocksArchive::open(options.archive_path(), options.store.retention)?;
            Some(Arc::new(archive) as Arc<dyn Archive>)
        } else {
            None
        };
        let config = native_config(options, &data_dir, &plans, &metrics)?;
        let (engine, events) = NativeEngine::start(config, archive.clone()).await?;
        let parts = Parts { engine, events, archive, metrics, data_dir: Some(data_dir) };
        let node = Self::start(options, parts, plans).await?;
        node.announce(options).await;
        Ok(node)
    }

    /// Says where the node is, once all of it runs.
    async fn announce(&self, options: &Options) {
        let Ok(about) = self.engine().info().await else { return };
        info!(
            version = VERSION,
            peer = %about.peer,
            addresses = %about.addresses.join(","),
            topics = ?about.topics,
            rest = self.rest_address().map(|a| a.to_string()),
            metrics = self.metrics_address().map(|a| a.to_string()),
            store = options.store.enabled,
            group_chat = options.group_chat.enabled,
            "the node is ready"
        );
    }
}

fn native_config(
    options: &Options,
    data_dir: &DataDir,
    plans: &[Plan],
    metrics: &Metrics,
) -> Result<NativeConfig, StartError> {
    let node_key = match &options.network.nodekey {
        Some(key) => key.clone(),
        None => NodeKey::load_or_create(&data_dir.node_key())?,
    };
    let transport = &options.transport;
    let mut shards: Vec<u16> = options.pubsub_topics().iter().map(|topic| topic.shard()).collect();
    shards.extend(plans.iter().map(|plan| plan.pubsub_topic.shard()));
    shards.sort_unstable();
    shards.dedup();
    let peers = options.network.static_nodes.iter().chain(&options.store.node);
    Ok(NativeConfig {
        cluster: options.network.cluster_id,
        shards,
        listen: vec![tcp(transport.listen_address, transport.tcp_port)],
        external_addresses: transport.ext_multiaddr.clone(),
        static_peers: peers.map(|peer| peer.multiaddr().clone()).collect(),
        max_connections: transport.max_connections.get(),
        ip_colocation_limit: usize::try_from(transport.ip_colocation_limit).unwrap_or(usize::MAX),
        max_message_size: options.relay.max_msg_size.bytes(),
        intake: options.relay.intake,
        store: options.store.enabled,
        recorder: Arc::new(metrics.clone()),
        ..NativeConfig::new(node_key)
    })
}

fn tcp(address: IpAddr, port: u16) -> Multiaddr {
    Multiaddr::from(address).with(Protocol::Tcp(port))
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        let name = tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        };
        info!(signal = name, "asked to end");
    }
}
