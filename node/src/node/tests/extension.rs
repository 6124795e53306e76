//! What an extension is given, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use tokio::sync::{Notify, mpsc};
use waku_groupchat_metrics::Metrics;
use waku_groupchat_storage::{Archive, MemoryArchive};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

use crate::engine::{EngineEvent, PublishError};
use crate::extension::{Arrived, Connectivity, Context, Extension, Plan};
use crate::node::{Node, Parts, StartError, now_ns};
use crate::options::Options;
use crate::testing::{FakeEngine, Http};

const TOPIC: PubsubTopic = PubsubTopic::new(0, 3);
const OTHER: PubsubTopic = PubsubTopic::new(0, 1);

/// An extension that notes what happens to it.
struct Notes {
    context: Context,
    /// Each message, with whether the archive held it when it came.
    arrived: mpsc::Sender<(MessageHash, bool)>,
    /// What ended, in order.
    ended: Arc<Mutex<Vec<&'static str>>>,
    health: Mutex<String>,
    /// A request waits.
    polled: Arc<Notify>,
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notes")
    }
}

#[async_trait]
impl Extension for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn pubsub_topic(&self) -> PubsubTopic {
        TOPIC
    }

    async fn on_messages(&self, messages: &[Arrived]) {
        for message in messages {
            let held = self.context.archive.contains(&[message.hash]).expect("memory")[0];
            self.arrived.send((message.hash, held)).await.expect("the test reads");
        }
    }

    fn routes(&self) -> Router {
        let polled = Arc::clone(&self.polled);
        let never = move || async move {
            polled.notify_one();
            std::future::pending::<&'static str>().await
        };
        Router::new().route("/notes/v1", get(|| async { "noted" })).route("/notes/wait", get(never))
    }

    fn health(&self) -> Vec<(String, String)> {
        vec![("Notes".to_owned(), self.health.lock().expect("no panic").clone())]
    }

    async fn shutdown(&self) {
        // The engine still runs, so that what is held can still go out.
        let sent = self.context.publisher.publish(TOPIC, message("bye")).await;
        self.ended.lock().expect("no panic").push(if sent.is_ok() { "extension" } else { "late" });
    }
}

struct Rig {
    node: Node,
    engine: Arc<FakeEngine>,
    archive: Arc<dyn Archive>,
    notes: Arc<Notes>,
    arrived: mpsc::Receiver<(MessageHash, bool)>,
    http: Http,
    ended: Arc<Mutex<Vec<&'static str>>>,
}

fn options() -> Options {
    let arguments =
        ["--num-shards-in-network=8", "--shard=1", "--rest-port=0", "--group-chat-enabled=false"];
    Options::load(arguments.map(Into::into), []).expect("good options")
}

fn message(text: &str) -> WakuMessage {
    let content = ContentTopic::from_wire("/app/1/name/proto");
    WakuMessage::new(content, text.as_bytes().to_vec(), now_ns())
}

/// A node with the extension; the archive may be left out.
async fn start(archive: Option<Arc<dyn Archive>>) -> Result<Rig, StartError> {
    let (engine, events) = FakeEngine::new();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (sender, arrived) = mpsc::channel(64);
    let (made, notes) = tokio::sync::oneshot::channel();
    let notes_ended = Arc::clone(&ended);
    let plan = Plan {
        name: "notes",
        pubsub_topic: TOPIC,
        start: Box::new(move |context| {
            Box::pin(async move {
                let health = Mutex::new("READY".to_owned());
                let polled = Arc::default();
                let ended = notes_ended;
                let notes = Arc::new(Notes { context, arrived: sender, ended, health, polled });
                let _ = made.send(Arc::clone(&notes));
                Ok(notes as Arc<dyn Extension>)
            })
        }),
    };
    let parts = Parts {
        engine: Arc::clone(&engine) as _,
        events,
        archive: archive.clone(),
        metrics: Metrics::new("test").expect("metrics"),
        data_dir: None,
    };
    let node = Node::start(&options(), parts, vec![plan]).await?;
    let http = Http::new(node.rest_address().expect("REST is on"));
    let notes = notes.await.expect("started");
    let archive = archive.expect("else it does not start");
    Ok(Rig { node, engine, archive, notes, arrived, http, ended })
}

async fn rig() -> Rig {
    start(Some(Arc::new(MemoryArchive::new()))).await.expect("it starts")
}

#[tokio::test]
async fn messages_of_its_topic_come_once_the_archive_holds_them() {
    let mut rig = rig().await;
    assert_eq!(rig.engine.topics(), [OTHER, TOPIC]);
    let (other, first, second) = (message("other"), message("first"), message("second"));
    rig.engine.receive(OTHER, other.clone()).await;
    rig.engine.receive(TOPIC, first.clone()).await;
    rig.engine.receive(TOPIC, second.clone()).await;
    assert_eq!(rig.arrived.recv().await, Some((first.hash(&TOPIC), true)));
    assert_eq!(rig.arrived.recv().await, Some((second.hash(&TOPIC), true)));
    assert_eq!(rig.archive.contains(&[other.hash(&OTHER)]).expect("memory"), [true]);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn what_is_not_archived_still_comes() {
    let mut rig = rig().await;
    let (mut late, mut passing) = (message("late"), message("passing"));
    late.timestamp = Some(now_ns() - 60_000_000_000);
    passing.ephemeral = true;
    for message in [late, passing] {
        rig.engine.receive(TOPIC, message.clone()).await;
        assert_eq!(rig.arrived.recv().await, Some((message.hash(&TOPIC), false)));
    }
    assert!(rig.archive.is_empty());
    rig.node.shutdown().await;
}

#[tokio::test]
async fn own_publishes_are_archived_and_do_not_come_back() {
    let mut rig = rig().await;
    let own = message("own");
    let publisher = rig.notes.context.publisher.clone();
    let published = publisher.publish(TOPIC, own.clone()).await.expect("a peer took it");
    assert_eq!((published.hash, published.peers), (own.hash(&TOPIC), 1));
    assert_eq!(rig.archive.contains(&[published.hash]).expect("memory"), [true]);

    rig.engine.set_peers(0);
    let failed = publisher.publish(TOPIC, message("nobody")).await;
    assert!(matches!(failed, Err(PublishError::NoPeers(TOPIC))));
    assert_eq!(rig.archive.len(), 1);
    rig.engine.set_peers(1);

    // The next that comes is the next that arrived, and what others publish through the node.
    let body = serde_json::json!({ "payload": "aGk=", "contentTopic": "/app/1/name/proto" });
    let path = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F0%2F3";
    assert_eq!(rig.http.post(path, body).await.both(), (200, "OK"));
    let (_, sent) = rig.engine.published().pop().expect("published");
    assert_eq!(rig.arrived.recv().await, Some((sent.hash(&TOPIC), true)));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn it_hears_of_its_own_topics_peers() {
    let rig = rig().await;
    let mut peers = rig.notes.context.connectivity.clone();
    assert_eq!(*peers.borrow_and_update(), Connectivity::default());
    let relay_peers = vec![(OTHER, 9), (TOPIC, 2)];
    rig.engine.inject(EngineEvent::Connectivity { relay_peers, store_peers: 1 }).await;
    peers.changed().await.expect("the node runs");
    let wanted = Connectivity { relay_peers: 2, store_peers: 1 };
    assert_eq!(*peers.borrow_and_update(), wanted);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn its_routes_and_health_are_the_nodes() {
    let rig = rig().await;
    assert_eq!(rig.http.get("/notes/v1").await.both(), (200, "noted"));
    let health = rig.http.get("/health").await;
    let last = |answer: &crate::testing::Answer| answer.json()["protocolsHealth"][3].clone();
    assert_eq!((health.status, last(&health)), (200, serde_json::json!({ "Notes": "READY" })));
    *rig.notes.health.lock().expect("no panic") = "the disk is full".to_owned();
    let health = rig.http.get("/health").await;
    let wanted = serde_json::json!({ "Notes": "NOT_READY", "desc": "the disk is full" });
    assert_eq!((health.status, last(&health)), (503, wanted));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn rest_cannot_end_its_subscription() {
    let rig = rig().await;
    let answer =
        rig.http.delete("/relay/v1/subscriptions", serde_json::json!([OTHER, TOPIC])).await;
    assert_eq!(answer.both(), (200, "OK"));
    assert_eq!(rig.engine.topics(), [TOPIC]);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn the_end_comes_in_order_and_long_polls_do_not_hold_it_up() {
    let rig = rig().await;
    let waiting = tokio::spawn({
        let http = rig.http.clone();
        async move { http.get("/notes/wait").await.status }
    });
    rig.notes.polled.notified().await;
    let ended = Arc::clone(&rig.ended);
    tokio::time::timeout(Duration::from_secs(20), rig.node.shutdown()).await.expect("in time");
    assert_eq!(*ended.lock().expect("no panic"), ["extension"]);
    let sent = rig.engine.published().pop().expect("its last message").1;
    assert_eq!(rig.archive.contains(&[sent.hash(&TOPIC)]).expect("memory"), [true]);
    assert_eq!(waiting.await.expect("answered"), 503);
}

#[tokio::test]
async fn without_an_archive_it_does_not_start() {
    assert!(matches!(start(None).await, Err(StartError::NoArchive)));
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut options = options();
    options.rest.port = taken.local_addr().expect("bound").port();
    let (engine, events) = FakeEngine::new();
    let parts = Parts {
        engine: Arc::clone(&engine) as _,
        events,
        archive: None,
        metrics: Metrics::new("test").expect("metrics"),
        data_dir: None,
    };
    let refused = Node::start(&options, parts, Vec::new()).await;
    assert!(matches!(refused, Err(StartError::Listen { .. })));
    assert!(!engine.runs(), "the engine was left running");
}
