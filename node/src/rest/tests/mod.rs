//! REST over HTTP against a node on a fake engine.

mod bad_input;
mod document;
mod junk;
mod relay;
mod rest;
mod store;

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use waku_groupchat_metrics::Metrics;
use waku_groupchat_storage::{Archive, MemoryArchive};
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

use crate::node::{Node, Parts, now_ns};
use crate::options::Options;
use crate::testing::document::Document;
use crate::testing::{FakeEngine, Http};

/// The content topic of most tests. On one shard, everything is on shard 0.
const CONTENT: &str = "/app/1/name/proto";

/// The pubsub topic that nodes are subscribed to, and as it stands in a path.
const TOPIC: PubsubTopic = PubsubTopic::new(0, 0);
const TOPIC_PATH: &str = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F0%2F0";

/// What every answer is held against.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::parse(&super::documented(true).1));

/// A node without chat on a fake engine, with its HTTP API.
struct Rig {
    node: Node,
    engine: Arc<FakeEngine>,
    archive: Arc<dyn Archive>,
    metrics: Metrics,
    http: Http,
}

impl Rig {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With more arguments.
    async fn with(arguments: &[&str]) -> Self {
        let fixed = ["--group-chat-enabled=false", "--rest-port=0", "--metrics-server-port=0"];
        let arguments = fixed.iter().chain(arguments).map(Into::into);
        let options = Options::load(arguments, []).expect("good options");
        let (engine, events) = FakeEngine::new();
        let archive: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
        let metrics = Metrics::new("test").expect("metrics");
        let parts = Parts {
            engine: Arc::clone(&engine) as _,
            events,
            archive: Some(Arc::clone(&archive)),
            metrics: metrics.clone(),
            data_dir: None,
        };
        let node = Node::start(&options, parts, Vec::new()).await.expect("it starts");
        let http = Http::new(node.rest_address().expect("REST is on")).documented(&DOCUMENT);
        Self { node, engine, archive, metrics, http }
    }

    /// Lets a message arrive, and waits until it went through the node.
    async fn receive(&self, message: &WakuMessage) {
        let before = self.archive.len();
        self.engine.receive(TOPIC, message.clone()).await;
        self.until(|| self.archive.len() > before).await;
    }

    /// Waits for a condition that the node's tasks bring about.
    async fn until(&self, condition: impl Fn() -> bool) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(10), async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("in time");
    }

    /// Whether a metric stands at a value.
    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().expect("text").lines().any(|l| l == line)
    }
}

/// A message of now whose payload is `text`.
fn message(text: &str) -> WakuMessage {
    WakuMessage::new(ContentTopic::from_wire(CONTENT), text.as_bytes().to_vec(), now_ns())
}

/// `text` as the body of a publish.
fn body(text: &str) -> Value {
    json!({ "payload": super::json::to_base64(text.as_bytes()), "contentTopic": CONTENT })
}
