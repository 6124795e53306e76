//! Engines on loopback, and a libp2p peer that is none of ours and does what it is told.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod raw;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use parking_lot::Mutex;
use tokio::sync::Notify;
use waku_groupchat_node::engine::{Engine, EngineEvent, EngineEvents, PeerName};
use waku_groupchat_node::native::{NativeConfig, NativeEngine, NodeKey, Observed, Recorder};
use waku_groupchat_storage::Archive;
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The cluster of the tests, except where go-waku's is meant.
pub const CLUSTER: u16 = 7;

/// The topic of the tests.
pub const TOPIC: PubsubTopic = PubsubTopic::new(CLUSTER, 3);

/// What `future` gives, or a panic that names what was waited for.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("no {what} within {DEADLINE:?}"),
    }
}

/// A message of its own for each number.
pub fn message(number: i64) -> WakuMessage {
    let topic: ContentTopic = "/test/1/native/proto".parse().expect("a content topic");
    let mut message = WakuMessage::new(topic, format!("message {number}").into_bytes(), number);
    message.meta = vec![1, 2, 3];
    message
}

/// All facts that an engine reports.
#[derive(Debug, Default)]
pub struct Facts {
    seen: Mutex<Vec<Observed>>,
    more: Notify,
}

impl Recorder for Facts {
    fn record(&self, observed: Observed) {
        // Too many to be kept, and no test looks for them.
        if matches!(observed, Observed::Read(_) | Observed::Written(_)) {
            return;
        }
        self.seen.lock().push(observed);
        self.more.notify_waiters();
    }
}

impl Facts {
    /// How many of them fit.
    pub fn count(&self, fits: impl Fn(&Observed) -> bool) -> usize {
        self.seen.lock().iter().filter(|observed| fits(observed)).count()
    }

    /// Waits until `count` of them fit.
    pub async fn wait(&self, what: &str, count: usize, fits: impl Fn(&Observed) -> bool) {
        soon(what, async {
            loop {
                let more = self.more.notified();
                if self.count(&fits) >= count {
                    return;
                }
                more.await;
            }
        })
        .await;
    }
}

/// An engine and what it reports.
pub struct Node {
    pub engine: Arc<NativeEngine>,
    pub events: EngineEvents,
    pub facts: Arc<Facts>,
}

/// A configuration on a free port of loopback, with short pauses between dials.
pub fn config(static_peers: &[Multiaddr]) -> NativeConfig {
    NativeConfig {
        cluster: CLUSTER,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        static_peers: static_peers.to_vec(),
        reconnect_max: Duration::from_millis(500),
        ip_colocation_limit: 0,
        ..NativeConfig::new(NodeKey::generate())
    }
}

impl Node {
    /// Subscribed to nothing.
    pub async fn start(config: NativeConfig, archive: Option<Arc<dyn Archive>>) -> Self {
        let facts = Arc::new(Facts::default());
        let config = NativeConfig { recorder: facts.clone(), ..config };
        let (engine, events) = NativeEngine::start(config, archive).await.expect("it starts");
        Self { engine, events, facts }
    }

    /// Subscribed to [`TOPIC`], with these peers to stay connected to.
    pub async fn relay(static_peers: &[Multiaddr]) -> Self {
        let node = Self::start(config(static_peers), None).await;
        node.engine.subscribe(TOPIC).await.expect("subscribed");
        node
    }

    /// Its address with its peer id.
    pub async fn address(&self) -> Multiaddr {
        let info = self.engine.info().await.expect("info");
        info.addresses.first().expect("listens").parse().expect("an address")
    }

    /// Its name for others.
    pub async fn peer(&self) -> PeerName {
        self.engine.info().await.expect("info").peer
    }

    /// Waits until the engine reports connectivity that fits: peers on [`TOPIC`], store peers.
    pub async fn until(&mut self, what: &str, fits: impl Fn(usize, usize) -> bool) {
        soon(what, async {
            loop {
                if let EngineEvent::Connectivity { relay_peers, store_peers } = self.event().await {
                    let on_topic = relay_peers.iter().find(|(topic, _)| *topic == TOPIC);
                    if fits(on_topic.map_or(0, |(_, peers)| *peers), store_peers) {
                        return;
                    }
                }
            }
        })
        .await;
    }

    /// The next message, and from whom.
    pub async fn message(&mut self) -> (MessageHash, WakuMessage, PeerName) {
        soon("message", async {
            loop {
                if let EngineEvent::Message { topic, hash, message, from } = self.event().await {
                    assert_eq!(topic, TOPIC);
                    return (hash, message, from);
                }
            }
        })
        .await
    }

    async fn event(&mut self) -> EngineEvent {
        self.events.recv().await.expect("the engine runs")
    }
}
