//! For tests: an engine without a network, and an HTTP client for a node's API.

pub(crate) mod document;
pub(crate) mod junk;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use waku_groupchat_storage::{Archive, ArchiveQuery};
use waku_groupchat_waku::store::{StoreQueryRequest, StoreQueryResponse, status};
use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use self::document::Document;
use crate::engine::{
    Engine, EngineError, EngineEvent, EngineEvents, EngineInfo, PeerInfo, PeerName, PublishError,
    Published, QueryError,
};

/// Peer id of the fake engine.
pub(crate) const OWN: &str = "16Uiu2HAmVFXtAfSj4EiR7mL2KvL4EE2wztuQgUSBoj2Jx2KeXFLN";

/// Peer id of its only peer.
pub(crate) const PEER: &str = "16Uiu2HAkzHaTP5JsUwfR9NR8Rj9HC24puS6ocaU8wze4QrXr9iXp";

/// An engine that keeps what is published, and hands on what a test injects.
pub(crate) struct FakeEngine {
    events: Mutex<Option<mpsc::Sender<EngineEvent>>>,
    state: Mutex<State>,
    /// Relay peers of every topic.
    peers: AtomicUsize,
    max_message_size: usize,
}

#[derive(Default)]
struct State {
    topics: Vec<PubsubTopic>,
    published: Vec<(PubsubTopic, WakuMessage)>,
    busy: bool,
    store: Option<Arc<dyn Archive>>,
    asked: Vec<(PeerName, StoreQueryRequest)>,
    refusal: Option<fn() -> QueryError>,
}

impl fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeEngine")
    }
}

impl FakeEngine {
    /// An engine with one relay peer.
    pub(crate) fn new() -> (Arc<Self>, EngineEvents) {
        let (events, received) = mpsc::channel(16);
        let engine = Self {
            events: Mutex::new(Some(events)),
            state: Mutex::default(),
            peers: AtomicUsize::new(1),
            max_message_size: waku_groupchat_waku::relay::MAX_MESSAGE_SIZE,
        };
        (Arc::new(engine), received)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// How many relay peers there are from now on.
    pub(crate) fn set_peers(&self, count: usize) {
        self.peers.store(count, Ordering::SeqCst);
    }

    /// Whether every peer's queue is full from now on.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.state().busy = busy;
    }

    /// Lets the peer serve the Store from an archive.
    pub(crate) fn set_store(&self, archive: Arc<dyn Archive>) {
        self.state().store = Some(archive);
    }

    /// Lets every Store query fail.
    pub(crate) fn refuse_queries(&self, error: fn() -> QueryError) {
        self.state().refusal = Some(error);
    }

    /// What was published so far.
    pub(crate) fn published(&self) -> Vec<(PubsubTopic, WakuMessage)> {
        self.state().published.clone()
    }

    /// What the peer's Store was asked so far.
    pub(crate) fn asked(&self) -> Vec<(PeerName, StoreQueryRequest)> {
        self.state().asked.clone()
    }

    /// The topics that are subscribed to.
    pub(crate) fn topics(&self) -> Vec<PubsubTopic> {
        self.state().topics.clone()
    }

    /// Whether it was not shut down yet.
    pub(crate) fn runs(&self) -> bool {
        self.events.lock().expect("no panic").is_some()
    }

    /// Lets an event happen.
    pub(crate) async fn inject(&self, event: EngineEvent) {
        let sender = self.events.lock().expect("no panic").clone();
        sender.expect("the engine runs").send(event).await.expect("the node reads");
    }

    /// Lets a message arrive.
    pub(crate) async fn receive(&self, topic: PubsubTopic, message: WakuMessage) {
        let hash = message.hash(&topic);
        self.inject(EngineEvent::Message { topic, hash, message, from: PeerName::new(PEER) }).await;
    }
}

#[async_trait]
impl Engine for FakeEngine {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn subscribe(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        let mut state = self.state();
        if !state.topics.contains(&topic) {
            state.topics.push(topic);
        }
        Ok(())
    }

    async fn unsubscribe(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        self.state().topics.retain(|t| *t != topic);
        Ok(())
    }

    async fn publish(
        &self,
        topic: PubsubTopic,
        message: WakuMessage,
    ) -> Result<Published, PublishError> {
        let (size, max) = (message.encode().len(), self.max_message_size);
        let peers = self.peers.load(Ordering::SeqCst);
        let mut state = self.state();
        if size > max {
            return Err(PublishError::TooLarge { size, max });
        }
        if !state.topics.contains(&topic) {
            return Err(PublishError::NotSubscribed(topic));
        }
        if state.busy {
            return Err(PublishError::Busy);
        }
        if peers == 0 {
            return Err(PublishError::NoPeers(topic));
        }
        if state.published.contains(&(topic, message.clone())) {
            return Err(PublishError::Duplicate);
        }
        let hash = message.hash(&topic);
        state.published.push((topic, message));
        Ok(Published { hash, peers })
    }

    async fn store_query(
        &self,
        peer: &PeerName,
        request: StoreQueryRequest,
    ) -> Result<StoreQueryResponse, QueryError> {
        let mut state = self.state();
        state.asked.push((peer.clone(), request.clone()));
        if let Some(refusal) = state.refusal {
            return Err(refusal());
        }
        let archive = state.store.clone().ok_or_else(|| QueryError::Unsupported(peer.clone()))?;
        let page = archive.query(&ArchiveQuery::from(&request)).expect("memory");
        Ok(StoreQueryResponse {
            request_id: request.request_id,
            status_code: status::OK,
            status_desc: "OK".to_owned(),
            messages: page.messages,
            cursor: page.cursor,
        })
    }

    async fn store_peers(&self) -> Result<Vec<PeerName>, EngineError> {
        Ok(self.state().store.iter().map(|_| PeerName::new(PEER)).collect())
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, EngineError> {
        let mut protocols = vec![waku_groupchat_waku::relay::PROTOCOL.to_owned()];
        if self.state().store.is_some() {
            protocols.push(waku_groupchat_waku::store::PROTOCOL.to_owned());
        }
        let peer = PeerInfo {
            peer: PeerName::new(PEER),
            address: "/ip4/127.0.0.1/tcp/1".to_owned(),
            protocols,
            agent: "fake".to_owned(),
            shards: Vec::new(),
            is_static: false,
        };
        let count = self.peers.load(Ordering::SeqCst).min(1);
        Ok(vec![peer; count])
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        Ok(EngineInfo {
            peer: PeerName::new(OWN),
            addresses: vec![format!("/ip4/127.0.0.1/tcp/60000/p2p/{OWN}")],
            topics: self.topics(),
        })
    }

    async fn shutdown(&self) {
        self.events.lock().expect("no panic").take();
    }
}

/// What a node answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: ureq::http::HeaderMap,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// Status and body together, for comparisons.
    pub(crate) fn both(&self) -> (u16, &str) {
        (self.status, &self.text)
    }
}

/// A client of one node.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    base: String,
    document: Option<&'static Document>,
}

impl Http {
    pub(crate) fn new(address: impl fmt::Display) -> Self {
        Self { base: format!("http://{address}"), document: None }
    }

    /// Every answer must be one that the document has.
    pub(crate) fn documented(self, document: &'static Document) -> Self {
        Self { document: Some(document), ..self }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        let json = [("content-type", "application/json")];
        self.send("POST", path, &json, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, body: impl ToString) -> Answer {
        let json = [("content-type", "application/json")];
        self.send("DELETE", path, &json, body.to_string()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let (verb, url) = (method.to_owned(), format!("{}{path}", self.base));
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let call = move || {
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .timeout_global(Some(Duration::from_secs(30)))
                .build()
                .new_agent();
            let answer = match verb.as_str() {
                "GET" => with(agent.get(url), &headers).call(),
                "OPTIONS" => with(agent.options(url), &headers).call(),
                "DELETE" => with(agent.delete(url).force_send_body(), &headers).send(body),
                "PUT" => with(agent.put(url), &headers).send(body),
                "PATCH" => with(agent.patch(url), &headers).send(body),
                _ => with(agent.post(url), &headers).send(body),
            };
            let mut answer = answer.expect("an answer");
            Answer {
                status: answer.status().as_u16(),
                headers: answer.headers().clone(),
                text: answer.body_mut().read_to_string().expect("text"),
            }
        };
        let answer = tokio::task::spawn_blocking(call).await.expect("no panic");
        if let Some(document) = self.document {
            document.check(method, path, answer.status, &answer.text);
        }
        answer
    }
}

fn with<B>(
    request: ureq::RequestBuilder<B>,
    headers: &[(String, String)],
) -> ureq::RequestBuilder<B> {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}
