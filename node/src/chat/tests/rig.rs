//! A chat on an engine that publishes to nobody, and requests without a socket.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;
use waku_groupchat_core::Store;
use waku_groupchat_core::api::Config;
use waku_groupchat_metrics::Metrics;
use waku_groupchat_storage::sealed::{self, Protection};
use waku_groupchat_storage::{Archive, KvStore, MemoryArchive};
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

use super::document;
use super::fakes::{Breakable, FakeEngine};
use crate::chat::tokens::Tokens;
use crate::chat::wipe::Ground;
use crate::chat::{ChatExtension, ChatOptions, ChatStartError, StreamOptions, Token};
use crate::engine::Engine;
use crate::extension::{Connectivity, Context, Extension, PeersAhead};
use crate::node::{Archiving, Intake};
use crate::publisher::Publisher;
use crate::rest::RelayCache;

/// The shard of the tests.
pub(super) const TOPIC: PubsubTopic = PubsubTopic::new(16, 3);

/// Streams whose readers are soon too slow, with frequent comments.
pub(super) const STREAMS: StreamOptions =
    StreamOptions { buffer: 4, keep_alive: Duration::from_millis(50) };

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What a request has besides its method and path.
#[derive(Default)]
pub(super) struct Sent<'a> {
    pub(super) token: Option<&'a str>,
    /// `Last-Event-ID`.
    pub(super) last: Option<&'a str>,
    pub(super) body: Option<Value>,
}

/// A database that a test can break: for writes, and for its removal.
struct Breaking {
    path: PathBuf,
    broken: Arc<AtomicBool>,
}

impl Ground for Breaking {
    fn open(&self) -> Result<(Box<dyn Store>, Protection), ChatStartError> {
        let store = KvStore::open(&self.path).expect("a database");
        let database = Breakable { store, broken: Arc::clone(&self.broken) };
        Ok((Box::new(database), Protection::Permissions))
    }

    fn wipe(&self) -> Result<(), ChatStartError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(ChatStartError::Thread(io::Error::other("the disk is gone")));
        }
        Ok(sealed::wipe(&self.path)?)
    }
}

/// A chat with its own folder, archive and engine.
pub(super) struct Rig {
    pub(super) chat: Arc<ChatExtension>,
    pub(super) token: String,
    pub(super) engine: Arc<FakeEngine>,
    /// Whether the core's database fails to write.
    pub(super) broken: Arc<AtomicBool>,
    router: Router,
    dir: TempDir,
    _peers: watch::Sender<Connectivity>,
}

impl Rig {
    /// Starts in a fresh folder, without peers: only what the test does changes anything.
    pub(super) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts on a database to which something was done before.
    pub(super) async fn start_with(seed: impl FnOnce(&mut KvStore)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        seed(&mut KvStore::open(dir.path().join("chat")).expect("a database"));
        Self::start_in(dir, Connectivity::default()).await
    }

    /// Starts in a fresh folder, with a relay peer that takes everything.
    pub(super) async fn start_with_peer() -> Self {
        let connectivity = Connectivity { relay_peers: 1, store_peers: 0 };
        Self::start_in(tempfile::tempdir().expect("a folder"), connectivity).await
    }

    async fn start_in(dir: TempDir, connectivity: Connectivity) -> Self {
        let engine = Arc::new(FakeEngine::default());
        let archive: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
        let (peers, connectivity) = watch::channel(connectivity);
        let metrics = Metrics::new("test").expect("fresh metrics");
        let context = Context {
            engine: Arc::clone(&engine) as Arc<dyn Engine>,
            publisher: publisher(Arc::clone(&engine) as _, &archive, &metrics),
            archive,
            connectivity,
            registry: metrics.registry().clone(),
            clock: PeersAhead::default(),
            archive_fault: watch::Sender::new(None).subscribe(),
        };
        let token = Token::load_or_create(&dir.path().join("api-token")).expect("a token");
        let text = token.reveal().to_string();
        // No record leaves by itself while a test runs.
        let core = Config { registration_delay: YEAR, ..Config::new(TOPIC) };
        let options = ChatOptions { core, queue_capacity: 16, streams: STREAMS, key: None };
        let tokens = Tokens::open(&token, dir.path().join("api-tokens.json")).expect("tokens");
        let broken = Arc::new(AtomicBool::new(false));
        let ground = Breaking { path: dir.path().join("chat"), broken: Arc::clone(&broken) };
        let chat = ChatExtension::start_on(context, options, tokens, ground).await.expect("a chat");
        Self { router: chat.routes(), chat, token: text, engine, broken, dir, _peers: peers }
    }

    /// Stops it, and starts another on the same folder.
    pub(super) async fn restart(self) -> Self {
        self.chat.shutdown().await;
        Self::start_in(self.dir, Connectivity::default()).await
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let body = body.map(|body| body.to_string());
        let authorization = format!("Bearer {}", self.token);
        let (status, _, body) =
            request(&self.router, method, path, Some(&authorization), body.as_deref()).await;
        (status, body)
    }

    /// A request with this body, as it stands.
    pub(super) async fn post_text(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let authorization = format!("Bearer {}", self.token);
        let (status, _, body) =
            request(&self.router, Method::POST, path, Some(&authorization), Some(body)).await;
        (status, body)
    }

    /// A request with this `Authorization`, or none.
    pub(super) async fn get_as(
        &self,
        path: &str,
        authorization: Option<&str>,
    ) -> (StatusCode, HeaderMap, Value) {
        request(&self.router, Method::GET, path, authorization, None).await
    }

    /// What the API serves.
    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// A file in its folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A fresh token with these scopes.
    pub(super) async fn token_for(&self, scopes: &[&str]) -> String {
        let (status, made) = self.post("/tokens", json!({ "name": "t", "scopes": scopes })).await;
        assert_eq!(status, StatusCode::CREATED);
        made["token"].as_str().expect("a secret").to_owned()
    }

    /// A request to a full path, and the answer as it comes.
    pub(super) async fn send(&self, method: Method, path: &str, sent: Sent<'_>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = sent.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(last) = sent.last {
            request = request.header("last-event-id", last);
        }
        if sent.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = sent.body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Body::from(body)).expect("a request");
        self.router.clone().oneshot(request).await.expect("an answer")
    }

    /// A request to a full path: its status, and its error's code. The body of an answer that is no
    /// error is not read, which may have no end.
    pub(super) async fn probe(
        &self,
        method: Method,
        path: &str,
        sent: Sent<'_>,
    ) -> (StatusCode, String) {
        let response = self.send(method, path, sent).await;
        let status = response.status();
        if status.is_success() {
            return (status, String::new());
        }
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let body: Value = serde_json::from_slice(&bytes).expect("an error is JSON");
        (status, body["code"].as_str().expect("a code").to_owned())
    }

    /// An account and a group of it, by its id.
    pub(super) async fn group(&self) -> String {
        let (status, _) = self.post("/accounts", json!({})).await;
        assert_eq!(status, StatusCode::CREATED);
        let (status, made) = self.post("/groups", json!({ "name": "Lunch" })).await;
        assert_eq!(status, StatusCode::CREATED);
        made["group"].as_str().expect("an id").to_owned()
    }

    /// Everything in the core's database.
    pub(super) async fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.chat.core.query(|core| Ok(core.store().scan(b"")?)).await.expect("a scan")
    }
}

/// A publisher on an engine and an archive.
pub(super) fn publisher(
    engine: Arc<dyn Engine>,
    archive: &Arc<dyn Archive>,
    metrics: &Metrics,
) -> Publisher {
    let capacity = std::num::NonZeroU32::MIN;
    let cache = Arc::new(RelayCache::new(capacity, metrics.clone()));
    let archiving = Archiving::new(Arc::clone(archive), metrics.clone());
    let intake = Intake::new(Some(Arc::new(archiving)), cache);
    Publisher::new(engine, Arc::new(intake))
}

/// A message on a content topic of the chat's form, which no group has.
pub(super) fn foreign_message(timestamp: i64, payload: &[u8]) -> WakuMessage {
    let topic = ContentTopic::from_wire("/wgc/1/abcdefghijklmnopqrstuvwxyz/proto");
    WakuMessage::new(topic, payload.to_vec(), timestamp)
}

/// One request to `/chat/v1{path}`; an empty body is JSON's null. The answer must be one that the
/// document has.
pub(super) async fn request(
    router: &Router,
    method: Method,
    path: &str,
    authorization: Option<&str>,
    body: Option<&str>,
) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::builder().method(method.clone()).uri(format!("/chat/v1{path}"));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Body::from(body.unwrap_or_default().to_owned()));
    let response = router.clone().oneshot(request.expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 26).await.expect("a body");
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).expect("the body is JSON")
    };
    document::check_answer(&method, path, parts.status, &body);
    (parts.status, parts.headers, body)
}
