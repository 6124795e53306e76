//! The network's task: the one place where the swarm is driven.
//!
//! ```text
//! handle ── commands (bounded) ──▶ ┌──────┐ ◀── swarm events
//!        ── publishes (bounded) ─▶ │      │
//!        ◀─ answers (oneshot) ──── │ Task │ ◀── answers of the archive (blocking tasks)
//! node   ◀─ events (bounded) ───── └──────┘ ◀── dials that are due
//! ```
//!
//! One event waits here while the event queue is full; until it has gone, the swarm is not polled,
//! so that peers feel the pressure, but commands are still served.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, Swarm};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waku_groupchat_storage::Archive;
use waku_groupchat_waku::PubsubTopic;

use super::behaviour::{self, Behaviour};
use super::closing;
use super::command::{Command, Publish};
use super::config::{NativeConfig, StartError};
use super::counting::Subscribed;
use super::held::Held;
use super::listen;
use super::pace::Paces;
use super::peers::Peers;
use super::query::Query;
use super::recorder::{Observed, Recorder, Spoken};
use super::relay;
use super::static_peers::StaticPeers;
use super::store_server::StoreServer;
use crate::engine::EngineEvent;

/// How often sizes that nothing announces, such as those of meshes, are recorded.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// How long connections get to close at shutdown: as long as each takes at most.
const CLOSE_TIMEOUT: Duration = closing::TIMEOUT;

/// The ends of the queues that the task holds, and what stops it.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) publishes: mpsc::Receiver<Publish>,
    pub(super) events: mpsc::Sender<EngineEvent>,
    pub(super) stop: CancellationToken,
}

/// The task's state. What it does on swarm events and on commands is in files of their own.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) cluster: u16,
    /// Shards that the configuration names.
    pub(super) shards: BTreeSet<u16>,
    pub(super) max_message_size: usize,
    pub(super) store_timeout: Duration,
    /// Subscribed topics.
    pub(super) topics: BTreeSet<PubsubTopic>,
    /// The same, for what counts the relay's traffic.
    pub(super) counted: Subscribed,
    /// How fast peers are read from.
    pub(super) paces: Arc<Paces>,
    pub(super) static_peers: StaticPeers,
    pub(super) peers: Peers,
    pub(super) server: StoreServer,
    pub(super) queries: HashMap<OutboundRequestId, Query>,
    /// A publish that waits for room in the peers' queues; meanwhile no other one is taken.
    pub(super) held: Option<Held>,
    pub(super) recorder: Arc<dyn Recorder>,
    /// What waits for room in the event queue.
    pub(super) pending: Option<EngineEvent>,
    /// Whether peers or topics may differ from what was last reported.
    pub(super) connectivity_changed: bool,
    reported: (Vec<(PubsubTopic, usize)>, usize),
    queues: Queues,
}

impl Task {
    /// Not listening or dialling yet.
    pub(super) fn new(
        config: &NativeConfig,
        archive: Option<Arc<dyn Archive>>,
        tasks: &TaskTracker,
        queues: Queues,
    ) -> Result<Self, StartError> {
        let static_peers = StaticPeers::new(
            &config.static_peers,
            config.node_key.peer_id(),
            Instant::now(),
            config.reconnect_max,
        )?;
        let exempt: Vec<_> = static_peers.ids().collect();
        let (counted, paces) = (Subscribed::default(), Paces::new(config.intake));
        Ok(Self {
            swarm: behaviour::swarm(config, &exempt, counted.clone(), &paces, tasks)?,
            cluster: config.cluster,
            shards: config.shards.iter().copied().collect(),
            max_message_size: config.max_message_size,
            store_timeout: config.store_timeout,
            topics: BTreeSet::new(),
            counted,
            paces,
            static_peers,
            peers: Peers::default(),
            server: StoreServer::new(archive, config.store_queries, config.recorder.clone()),
            queries: HashMap::new(),
            held: None,
            recorder: config.recorder.clone(),
            pending: None,
            connectivity_changed: false,
            reported: (Vec::new(), 0),
            queues,
        })
    }

    /// Listens and waits until the addresses are known.
    pub(super) async fn listen(&mut self, addresses: &[Multiaddr]) -> Result<(), StartError> {
        let mut waiting = listen::listen(&mut self.swarm, addresses)?;
        let deadline = Instant::now() + listen::TIMEOUT;
        while !waiting.is_done() {
            let event = tokio::time::timeout_at(deadline, self.swarm.select_next_some())
                .await
                .map_err(|_| waiting.timed_out())?;
            waiting.observe(&event)?;
            self.on_swarm_event(event);
        }
        Ok(())
    }

    /// Runs until it is stopped or all handles are gone.
    pub(super) async fn run(mut self) {
        let mut record = tokio::time::interval(RECORD_INTERVAL);
        record.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.prepare_connectivity();
            let due = self.static_peers.next_due();
            let release = self.held.as_ref().map(|held| held.until);
            tokio::select! {
                () = self.queues.stop.cancelled() => break,
                command = self.queues.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some(publish) = self.queues.publishes.recv(), if self.held.is_none() => {
                    self.publish(publish);
                }
                () = room(&self.queues.events), if self.pending.is_some() => {
                    if let Some(event) = self.pending.take() {
                        // An error says that nobody reads the events: this is the only sender.
                        let _ = self.queues.events.try_send(event);
                    }
                }
                event = self.swarm.select_next_some(), if self.pending.is_none() => {
                    self.on_swarm_event(event);
                }
                Some(answer) = self.server.answered() => {
                    let store = &mut self.swarm.behaviour_mut().store;
                    // An error says that the peer no longer waits.
                    let _ = store.send_response(answer.channel, answer.response);
                }
                () = sleep_until(due) => self.dial_due(),
                () = sleep_until(release) => self.release_held(),
                _ = record.tick() => self.record_sizes(),
            }
        }
        self.close().await;
    }

    /// Makes a connectivity event of what changed, once the one before has gone.
    fn prepare_connectivity(&mut self) {
        if self.pending.is_some() || !self.connectivity_changed {
            return;
        }
        self.connectivity_changed = false;
        self.record_sizes();
        let gossip = &self.swarm.behaviour().relay;
        let relay_peers: Vec<_> = self
            .topics
            .iter()
            .map(|topic| (*topic, relay::subscribers(gossip, &relay::topic(*topic).hash())))
            .collect();
        let now = (relay_peers, self.peers.speaking(Spoken::Store).count());
        if now == self.reported {
            return;
        }
        self.reported = now.clone();
        let (relay_peers, store_peers) = now;
        self.pending = Some(EngineEvent::Connectivity { relay_peers, store_peers });
    }

    fn record_sizes(&self) {
        self.peers.record(&*self.recorder);
        let away = self.static_peers.ids().filter(|peer| !self.peers.contains(peer)).count();
        self.recorder.record(Observed::Known(self.peers.len() + away));
        let gossip = &self.swarm.behaviour().relay;
        for topic in &self.topics {
            let mesh = gossip.mesh_peers(&relay::topic(*topic).hash()).count();
            self.recorder.record(Observed::Mesh(*topic, mesh));
        }
    }

    /// Dials the static peers whose time has come.
    fn dial_due(&mut self) {
        for (peer, addresses) in self.static_peers.due(Instant::now()) {
            let options = DialOpts::peer_id(peer)
                .addresses(addresses)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                // From a port of its own: the listening port may be in a closed connection's way.
                .allocate_new_port()
                .build();
            if let Err(error) = self.swarm.dial(options) {
                self.on_dial_refused(peer, &error);
            }
        }
    }

    /// Lets queries of the archive end and connections close.
    async fn close(mut self) {
        self.queues.commands.close();
        self.queues.publishes.close();
        self.server.close().await;
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error says that it has just gone.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.next().await;
            }
        };
        // What does not close in time is dropped.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
    }
}

/// Waits until there is room in the event queue, or nobody reads it any more.
async fn room(events: &mpsc::Sender<EngineEvent>) {
    let _ = events.reserve().await;
}

/// Never, without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
