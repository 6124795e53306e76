//! [`Engine`] on the program's client.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use libp2p::{Multiaddr, PeerId};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info_span};
use waku_groupchat_waku::store::{StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

use super::client::{CallError, Client, Events};
use super::config::{BindingsConfig, StartError};
use super::seen::Seen;
use super::upkeep;
use super::wire::{FailureCode, Received, Start};
use crate::engine::{
    Engine, EngineError, EngineEvent, EngineEvents, EngineInfo, PeerInfo, PeerName, PublishError,
    Published, QueryError,
};

/// The cluster that `waku-bindings` is on; it has no setting for it.
const CLUSTER: u16 = 0;

/// The engine on go-waku. What it cannot tell: from whom a message came (its peer name is
/// `unknown`), how many peers a publish was for (it says 1), and peers' agents and shards.
///
/// Dropping it ends the program; [`Engine::shutdown`] waits for that.
#[derive(Debug)]
pub struct BindingsEngine {
    client: Arc<Client>,
    state: Arc<State>,
    topics_changed: Arc<Notify>,
    static_peers: BTreeSet<String>,
    max_message_size: usize,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// What the engine and its tasks share.
#[derive(Debug, Default)]
pub(super) struct State {
    topics: Mutex<BTreeSet<PubsubTopic>>,
    seen: Mutex<Seen>,
}

impl State {
    /// Subscribed topics.
    pub(super) fn topics(&self) -> Vec<PubsubTopic> {
        self.topics.lock().iter().copied().collect()
    }

    fn is_new(&self, hash: MessageHash) -> bool {
        self.seen.lock().insert(hash, Instant::now())
    }
}

impl BindingsEngine {
    /// Starts the program and the node in it; static peers are dialled from then on.
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing left running.
    pub async fn start(config: BindingsConfig) -> Result<(Arc<Self>, EngineEvents), StartError> {
        let static_peers = config
            .static_peers
            .iter()
            .map(|address| Ok((address.clone(), upkeep::peer_id(address)?)))
            .collect::<Result<Vec<_>, StartError>>()?;
        let (client, received) = Client::spawn(&config.program)?;
        let node_key = config.node_key.as_ref().map(|key| key.as_str());
        let start = Start { node_key, host: config.host, port: config.port };
        if let Err(error) = client.start(&start).await {
            drop(received);
            client.shutdown().await;
            return Err(error.into());
        }
        let (events, to_node) = mpsc::channel(config.event_queue.max(1));
        let stop = CancellationToken::new();
        let engine = Self {
            client,
            state: Arc::default(),
            topics_changed: Arc::default(),
            static_peers: static_peers.iter().map(|(_, peer)| peer.to_string()).collect(),
            max_message_size: config.max_message_size,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            _stop_on_drop: stop.drop_guard(),
        };
        engine.start_tasks(static_peers, &config, received, events);
        Ok((Arc::new(engine), to_node))
    }

    fn start_tasks(
        &self,
        static_peers: Vec<(Multiaddr, PeerId)>,
        config: &BindingsConfig,
        received: Events,
        events: mpsc::Sender<EngineEvent>,
    ) {
        self.spawn("events", deliver(received, Arc::clone(&self.state), events.clone()));
        let (connected, watched) = watch::channel(None);
        let client = || Arc::clone(&self.client);
        let (state, changed) = (Arc::clone(&self.state), Arc::clone(&self.topics_changed));
        let every = config.check_interval;
        let observe = upkeep::observe(client(), state, changed, every, connected, events);
        self.spawn("peers", observe);
        for (address, peer) in static_peers {
            let keep = upkeep::keep_connected(client(), address, peer, watched.clone());
            self.spawn("static peer", keep);
        }
    }

    fn spawn(&self, task: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let until_stopped = async move { stop.run_until_cancelled(future).await.unwrap_or(()) };
        self.tasks.spawn(until_stopped.instrument(info_span!("bindings", task)));
    }
}

#[async_trait]
impl Engine for BindingsEngine {
    fn name(&self) -> &'static str {
        "waku-bindings"
    }

    async fn subscribe(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        if topic.cluster() != CLUSTER {
            return Err(EngineError::OtherCluster { topic, cluster: CLUSTER });
        }
        self.client.subscribe(topic).await.map_err(engine_error)?;
        self.state.topics.lock().insert(topic);
        self.topics_changed.notify_one();
        Ok(())
    }

    async fn unsubscribe(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        self.state.topics.lock().remove(&topic);
        self.topics_changed.notify_one();
        self.client.unsubscribe(topic).await.map_err(engine_error)
    }

    async fn publish(
        &self,
        topic: PubsubTopic,
        mut message: WakuMessage,
    ) -> Result<Published, PublishError> {
        if !self.state.topics.lock().contains(&topic) {
            return Err(PublishError::NotSubscribed(topic));
        }
        let size = message.encode().len();
        if size > self.max_message_size {
            return Err(PublishError::TooLarge { size, max: self.max_message_size });
        }
        // The bindings always send one, and absent hashes as zero.
        message.timestamp.get_or_insert(0);
        let hash = message.hash(&topic);
        if !self.state.is_new(hash) {
            return Err(PublishError::Duplicate);
        }
        match self.client.publish(topic, &message).await {
            Ok(_) => Ok(Published { hash, peers: 1 }),
            // It may have gone out: it stays known, or it would come back as somebody else's.
            Err(CallError::Timeout(_)) => Err(PublishError::Busy),
            Err(error) => {
                self.state.seen.lock().forget(&hash);
                Err(publish_error(error, topic))
            }
        }
    }

    async fn store_query(
        &self,
        peer: &PeerName,
        _request: StoreQueryRequest,
    ) -> Result<StoreQueryResponse, QueryError> {
        // The bindings have Store v2 only.
        Err(QueryError::Unsupported(peer.clone()))
    }

    async fn store_peers(&self) -> Result<Vec<PeerName>, EngineError> {
        Ok(Vec::new())
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, EngineError> {
        let peers = self.client.peers().await.map_err(engine_error)?;
        Ok(peers
            .into_iter()
            .filter(|peer| peer.connected)
            .map(|peer| PeerInfo {
                address: peer.addresses.into_iter().next().unwrap_or_default(),
                protocols: peer.protocols.into_iter().filter(|id| id.contains("/waku/")).collect(),
                agent: String::new(),
                shards: Vec::new(),
                is_static: self.static_peers.contains(&peer.peer_id),
                peer: PeerName::new(peer.peer_id),
            })
            .collect())
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let info = self.client.info().await.map_err(engine_error)?;
        Ok(EngineInfo {
            peer: PeerName::new(info.peer_id),
            addresses: info.addresses,
            topics: self.state.topics(),
        })
    }

    async fn shutdown(&self) {
        self.stop.cancel();
        self.client.shutdown().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Hands messages on that are new and not our own. Ends with the program.
async fn deliver(mut received: Events, state: Arc<State>, events: mpsc::Sender<EngineEvent>) {
    while let Some(received) = received.next().await {
        match read(received) {
            Some((topic, hash, message)) if state.is_new(hash) => {
                let from = PeerName::new("unknown");
                // Without a receiver nobody wants events.
                let _ = events.send(EngineEvent::Message { topic, hash, message, from }).await;
            }
            Some(_) => {}
            None => error!("a message of the program does not parse"),
        }
    }
}

fn read(received: Received) -> Option<(PubsubTopic, MessageHash, WakuMessage)> {
    let topic: PubsubTopic = received.pubsub_topic.parse().ok()?;
    let message = WakuMessage::try_from(received.message).ok()?;
    let hash = message.hash(&topic);
    Some((topic, hash, message))
}

fn engine_error(error: CallError) -> EngineError {
    match error {
        CallError::Closed => EngineError::Closed,
        error => EngineError::Failed(error.into()),
    }
}

fn publish_error(error: CallError, topic: PubsubTopic) -> PublishError {
    match error {
        CallError::Closed => PublishError::Closed,
        CallError::Refused(failure) if failure.code == FailureCode::NoPeers => {
            PublishError::NoPeers(topic)
        }
        error => PublishError::Refused(error.into()),
    }
}
