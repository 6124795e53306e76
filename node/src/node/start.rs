//! Starts a node from its parts, in order, and ends what has started if a later part does not.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span};
use waku_groupchat_metrics::{Metrics, RegisterError};
use waku_groupchat_storage::{Archive, OpenError};
use waku_groupchat_waku::PubsubTopic;

use super::archiving::{self, Archiving};
use super::connectivity::Peers;
use super::data_dir::{DataDir, DataDirError};
use super::intake::{Incoming, Intake};
use super::subscriptions::{SubscribeError, Subscriptions};
use super::{Node, pruner};
use crate::engine::{Engine, EngineError, EngineEvent, EngineEvents};
use crate::extension::{Context, Extension, Plan};
use crate::native;
use crate::options::Options;
use crate::publisher::Publisher;
use crate::rest::{self, RelayCache, Server};

/// Messages that are written to the archive together at most.
const BATCH: usize = 128;

/// What a node is made of, beside its options and extensions.
pub struct Parts {
    /// A running engine that is subscribed to nothing yet.
    pub engine: Arc<dyn Engine>,
    /// Its events.
    pub events: EngineEvents,
    /// The archive; there has to be one if the node serves the Store or has extensions.
    pub archive: Option<Arc<dyn Archive>>,
    /// Where everything is counted.
    pub metrics: Metrics,
    /// Kept locked as long as the node runs.
    pub data_dir: Option<DataDir>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The node key cannot be read or made.
    #[error(transparent)]
    NodeKey(#[from] native::KeyError),
    /// The chat's token cannot be read or made.
    #[error(transparent)]
    Token(#[from] crate::chat::TokenError),
    /// The archive cannot be opened.
    #[error("archive")]
    Archive(#[from] OpenError),
    /// There is no archive, and something needs one.
    #[error("the Store and extensions need an archive")]
    NoArchive,
    /// The native engine does not start.
    #[error("engine")]
    Native(#[from] native::StartError),
    /// The engine refuses a topic, or has ended.
    #[error("engine")]
    Engine(#[from] EngineError),
    /// More topics than there can be.
    #[error("at most {0} pubsub topics can be subscribed to")]
    TooManyTopics(usize),
    /// An HTTP server cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A metric is registered twice: our bug.
    #[error(transparent)]
    Metrics(#[from] RegisterError),
    /// The shard of an extension cannot be told.
    #[error("shard of extension {name}")]
    Shard {
        /// Which one.
        name: &'static str,
        /// Why.
        source: waku_groupchat_waku::TopicError,
    },
    /// An extension does not start.
    #[error("extension {name}")]
    Extension {
        /// Which one.
        name: &'static str,
        /// What it says.
        source: crate::extension::StartError,
    },
    /// Signals cannot be listened to.
    #[error("signals")]
    Signals(#[source] io::Error),
    /// The engine has ended by itself.
    #[error("the engine has ended")]
    EngineEnded,
}

impl From<SubscribeError> for StartError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Engine(error) => Self::Engine(error),
            SubscribeError::TooMany(most) => Self::TooManyTopics(most),
        }
    }
}

impl Node {
    /// Starts a node: listens, subscribes, starts extensions, takes messages, serves HTTP. Once it
    /// returns, all of it runs.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left running then.
    pub async fn start(
        options: &Options,
        parts: Parts,
        plans: Vec<Plan>,
    ) -> Result<Self, StartError> {
        let engine = Arc::clone(&parts.engine);
        let mut extensions = Vec::new();
        let started = assemble(options, parts, plans, &mut extensions).await;
        if started.is_err() {
            for extension in &extensions {
                extension.shutdown().await;
            }
            engine.shutdown().await;
        }
        started
    }
}

async fn assemble(
    options: &Options,
    parts: Parts,
    plans: Vec<Plan>,
    extensions: &mut Vec<Arc<dyn Extension>>,
) -> Result<Node, StartError> {
    let Parts { engine, events, archive, metrics, data_dir } = parts;
    if archive.is_none() && (options.store.enabled || !plans.is_empty()) {
        return Err(StartError::NoArchive);
    }
    // Before all that takes time: a taken port is the commonest reason not to start.
    let rest = listen(options.rest.enabled, options.rest.address, options.rest.port).await?;
    let scrape =
        listen(options.metrics.enabled, options.metrics.address, options.metrics.port).await?;

    let cache = Arc::new(RelayCache::new(options.rest.relay_cache_capacity, metrics.clone()));
    let subscriptions = Arc::new(Subscriptions::new(Arc::clone(&engine)));
    let topics = options.pubsub_topics();
    subscriptions.subscribe(&topics).await?;
    for topic in &topics {
        cache.open_pubsub(*topic);
    }
    let archiving = archive
        .as_ref()
        .map(|archive| Arc::new(Archiving::new(Arc::clone(archive), metrics.clone())));
    let intake = Arc::new(Intake::new(archiving.clone(), Arc::clone(&cache)));
    let publisher = Publisher::new(Arc::clone(&engine), Arc::clone(&intake));

    let mut peers = Peers::default();
    for plan in plans {
        let Some(archive) = archive.clone() else { return Err(StartError::NoArchive) };
        subscriptions.pin(plan.pubsub_topic).await?;
        let context = Context {
            engine: Arc::clone(&engine),
            publisher: publisher.clone(),
            archive,
            connectivity: peers.watch(plan.pubsub_topic),
            registry: metrics.registry().clone(),
            clock: intake.clock(),
            archive_fault: fault(&archiving),
        };
        extensions.push(start_extension(plan, context).await?);
    }
    intake.set_extensions(extensions.clone());

    let tasks = TaskTracker::new();
    let (stop, inbound_ended) = (CancellationToken::new(), CancellationToken::new());
    let ended = inbound_ended.clone();
    tasks.spawn(
        async move {
            let _ended = ended.drop_guard();
            inbound(events, &intake, &peers).await;
        }
        .instrument(info_span!("inbound")),
    );
    if let Some(archiving) = archiving.clone() {
        let retries = archiving::run(archiving, stop.clone());
        tasks.spawn(retries.instrument(info_span!("archiving")));
    }
    if let Some(archive) = archive.clone() {
        let retention = pruner::run(archive, metrics.clone(), stop.clone());
        tasks.spawn(retention.instrument(info_span!("retention")));
    }
    tasks.close();

    let state = rest::State::new(rest::Parts {
        engine: Arc::clone(&engine),
        publisher,
        // nwaku asks its own archive only if it serves the Store.
        archive: archive.filter(|_| options.store.enabled),
        archive_fault: fault(&archiving),
        cache,
        subscriptions,
        extensions: extensions.clone(),
        metrics: metrics.clone(),
        options: options.clone(),
    });
    let (rest_address, metrics_address) = (address(&rest), address(&scrape));
    let mut servers = Vec::new();
    if let Some(listener) = rest {
        servers.push(Server::start("rest", listener, rest::router(state)));
    }
    if let Some(listener) = scrape {
        servers.push(Server::start("metrics", listener, rest::metrics_router(metrics)));
    }
    Ok(Node {
        engine,
        extensions: extensions.clone(),
        servers,
        rest: rest_address,
        metrics: metrics_address,
        tasks,
        stop,
        inbound_ended,
        _data_dir: data_dir,
    })
}

/// Why the archive cannot be written; nothing where there is none.
fn fault(archiving: &Option<Arc<Archiving>>) -> watch::Receiver<Option<String>> {
    match archiving {
        Some(archiving) => archiving.fault(),
        None => watch::Sender::new(None).subscribe(),
    }
}

async fn start_extension(plan: Plan, context: Context) -> Result<Arc<dyn Extension>, StartError> {
    let name = plan.name;
    let span = info_span!("start", extension = name);
    let started = (plan.start)(context).instrument(span).await;
    started.map_err(|source| StartError::Extension { name, source })
}

async fn listen(
    enabled: bool,
    address: std::net::IpAddr,
    port: u16,
) -> Result<Option<TcpListener>, StartError> {
    if !enabled {
        return Ok(None);
    }
    let address = SocketAddr::new(address, port);
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| StartError::Listen { address, source })
}

fn address(listener: &Option<TcpListener>) -> Option<SocketAddr> {
    listener.as_ref().and_then(|listener| listener.local_addr().ok())
}

/// Takes the engine's events, as many as wait, until the engine ends.
async fn inbound(mut events: EngineEvents, intake: &Intake, peers: &Peers) {
    let mut waiting = Vec::with_capacity(BATCH);
    while events.recv_many(&mut waiting, BATCH).await > 0 {
        let mut batch = Vec::new();
        let mut counts: Option<(Vec<(PubsubTopic, usize)>, usize)> = None;
        for event in waiting.drain(..) {
            match event {
                EngineEvent::Message { topic, hash, message, from } => {
                    debug!(%hash, %from, %topic, "a message came");
                    batch.push(Incoming { topic, hash, message: Arc::new(message) });
                }
                EngineEvent::Connectivity { relay_peers, store_peers } => {
                    counts = Some((relay_peers, store_peers));
                }
            }
        }
        if !batch.is_empty() {
            intake.take(batch).await;
        }
        if let Some((relay_peers, store_peers)) = counts {
            peers.update(&relay_peers, store_peers);
        }
    }
}
