//! The native engine and go-waku talk to each other through Relay on cluster 0.
//!
//! go-waku runs in the program of `node/bindings-engine`. `make interop` builds it and runs this;
//! by hand: `WAKU_GROUPCHAT_BINDINGS_ENGINE=$(scripts/build-bindings-engine.sh) cargo test -p
//! waku-groupchat-node --features interop --test interop_go_waku`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use waku_groupchat_node::bindings::wire::{FailureCode, Received, Start};
use waku_groupchat_node::bindings::{BindingsConfig, BindingsEngine, CallError, Client, Events};
use waku_groupchat_node::engine::{
    Engine, EngineError, EngineEvent, EngineEvents, PeerName, PublishError, QueryError,
};
use waku_groupchat_node::native::{NativeConfig, NativeEngine, NodeKey};
use waku_groupchat_waku::store::StoreQueryRequest;
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage, relay};

const TOPIC: PubsubTopic = PubsubTopic::new(0, 5);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEADLINE: Duration = Duration::from_secs(30);
const VARIABLE: &str = "WAKU_GROUPCHAT_BINDINGS_ENGINE";

fn program() -> PathBuf {
    let path = std::env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!(
            "{VARIABLE} must name the program that scripts/build-bindings-engine.sh builds; \
             `make interop` does both"
        )
    });
    PathBuf::from(path)
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
}

/// A native engine on loopback, subscribed to [`TOPIC`].
struct Native {
    engine: Arc<NativeEngine>,
    events: EngineEvents,
}

impl Native {
    async fn start(static_peers: Vec<Multiaddr>) -> Self {
        let config = NativeConfig {
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            static_peers,
            ..NativeConfig::new(NodeKey::generate())
        };
        let (engine, events) = NativeEngine::start(config, None).await.expect("it starts");
        engine.subscribe(TOPIC).await.expect("subscribed");
        Self { engine, events }
    }

    async fn address(&self) -> Multiaddr {
        let info = self.engine.info().await.expect("info");
        info.addresses[0].parse().expect("an address")
    }
}

/// Waits until the engine knows a peer on [`TOPIC`].
async fn until_connected(events: &mut EngineEvents) {
    soon("relay peer", async {
        loop {
            if let EngineEvent::Connectivity { relay_peers, .. } =
                events.recv().await.expect("runs")
                && relay_peers.iter().any(|(topic, peers)| *topic == TOPIC && *peers > 0)
            {
                return;
            }
        }
    })
    .await;
}

/// The next message that an engine reports.
async fn message(events: &mut EngineEvents) -> (PubsubTopic, MessageHash, WakuMessage) {
    soon("message", async {
        loop {
            match events.recv().await.expect("the engine runs") {
                EngineEvent::Message { topic, hash, message, .. } => return (topic, hash, message),
                EngineEvent::Connectivity { .. } => {}
            }
        }
    })
    .await
}

/// go-waku itself, subscribed to [`TOPIC`], with all that it reports.
struct GoWaku {
    client: Arc<Client>,
    events: Events,
    address: Multiaddr,
}

impl GoWaku {
    async fn start() -> Self {
        let (client, events) = Client::spawn(&program()).expect("the program starts");
        let start = Start { node_key: None, host: LOOPBACK, port: 0 };
        let info = client.start(&start).await.expect("go-waku starts");
        client.subscribe(TOPIC).await.expect("subscribed");
        let address = info.addresses[0].parse().expect("an address");
        Self { client, events, address }
    }

    async fn until_ready(&self) {
        soon("relay peer of go-waku", async {
            while !self.client.ready(TOPIC).await.expect("an answer") {}
        })
        .await;
    }

    async fn next(&mut self) -> (Received, WakuMessage) {
        let received = soon("message at go-waku", self.events.next()).await.expect("it runs");
        let message = WakuMessage::try_from(received.message.clone()).expect("base64");
        (received, message)
    }
}

/// A native engine and go-waku, connected and in each other's mesh. The native one dials.
async fn connected() -> (Native, GoWaku) {
    let go_waku = GoWaku::start().await;
    let mut native = Native::start(vec![go_waku.address.clone()]).await;
    until_connected(&mut native.events).await;
    go_waku.until_ready().await;
    (native, go_waku)
}

fn text(content_topic: &str, payload: Vec<u8>, timestamp: i64) -> WakuMessage {
    WakuMessage::new(ContentTopic::from_wire(content_topic), payload, timestamp)
}

/// Bytes that go-waku adds to a message of default fields: it writes version, meta and ephemeral
/// also where they are 0, empty or false.
const WRITTEN_DEFAULTS: usize = 7;

/// Payloads of many sizes and every byte value, and the extremes of every other field. The largest
/// message is `max` bytes by our own encoding.
fn samples(max: usize) -> Vec<WakuMessage> {
    let bytes = |len: usize| (0..len).map(|i| (i * 31 + i / 256) as u8).collect::<Vec<_>>();
    let now = 1_700_000_000_123_456_789;
    let topic = "/toychat/2/huilong/proto";
    let plain = |payload| text(topic, payload, now);
    let mut largest = plain(bytes(max));
    largest.payload.truncate(2 * max - largest.encode().len());
    assert_eq!(largest.encode().len(), max);
    vec![
        plain(vec![0]),
        plain(vec![255]),
        plain((0..=255).collect()),
        plain("Grüße, 世界, 🦀".as_bytes().to_vec()),
        plain(bytes(1024)),
        plain(bytes(100 * 1024)),
        largest,
        text("/App/1/ünï/PROTO", bytes(3), now),
        text("/0/app/1/name/cbor", bytes(3), now),
        text(topic, bytes(3), 0),
        text(topic, bytes(3), 1),
        text(topic, bytes(3), i64::MAX),
        WakuMessage { meta: vec![0], ..plain(bytes(4)) },
        WakuMessage { meta: bytes(64), ..plain(bytes(5)) },
        WakuMessage { version: 1, ..plain(bytes(6)) },
        WakuMessage { version: u32::MAX, ephemeral: true, ..plain(bytes(7)) },
    ]
}

/// go-waku's message hash, which leaves out the timestamp (`pb/utils.go` in go-waku 0.9).
fn older_hash(message: &WakuMessage) -> String {
    let hash = Sha256::new()
        .chain_update(TOPIC.to_string())
        .chain_update(&message.payload)
        .chain_update(message.content_topic.as_str())
        .chain_update(&message.meta)
        .finalize();
    format!("0x{}", data_encoding::HEXLOWER.encode(&hash))
}

/// The message as both ends hold it, with go-waku's hash of it.
fn check(sent: &WakuMessage, received: &WakuMessage, message_id: &str) {
    assert_eq!(received, sent, "{sent:?}");
    assert_eq!(received.hash(&TOPIC), sent.hash(&TOPIC));
    assert_eq!(message_id, older_hash(sent));
    // The documented difference: same bytes, another hash.
    assert_ne!(message_id, sent.hash(&TOPIC).to_string());
}

#[tokio::test]
async fn messages_reach_go_waku_unchanged() {
    let (native, mut go_waku) = connected().await;
    for sent in samples(relay::MAX_MESSAGE_SIZE) {
        let published = native.engine.publish(TOPIC, sent.clone()).await.expect("published");
        assert_eq!(published.hash, sent.hash(&TOPIC));
        let (received, message) = go_waku.next().await;
        assert_eq!(received.pubsub_topic, TOPIC.to_string());
        check(&sent, &message, &received.message_id);
    }
    native.engine.shutdown().await;
    go_waku.client.shutdown().await;
}

#[tokio::test]
async fn messages_of_go_waku_arrive_unchanged() {
    let (mut native, go_waku) = connected().await;
    for sent in samples(relay::MAX_MESSAGE_SIZE - WRITTEN_DEFAULTS) {
        let message_id = go_waku.client.publish(TOPIC, &sent).await.expect("published");
        let (topic, hash, received) = message(&mut native.events).await;
        assert_eq!((topic, hash), (TOPIC, sent.hash(&TOPIC)));
        check(&sent, &received, &message_id);
    }
    native.engine.shutdown().await;
    go_waku.client.shutdown().await;
}

/// Sender and timestamp of a message in a burst, and the message.
fn key(message: WakuMessage) -> ((u8, Option<i64>), WakuMessage) {
    ((message.payload[0], message.timestamp), message)
}

/// Messages of both at once: order may change, contents not, and nothing comes twice. A burst stays
/// below the 32 messages that go-libp2p-pubsub queues for a peer; it drops what is more.
#[tokio::test]
async fn bursts_go_both_ways_while_go_waku_dials() {
    let mut go_waku = GoWaku::start().await;
    let mut native = Native::start(Vec::new()).await;
    let address = native.address().await.to_string();
    go_waku.client.connect(&address, DEADLINE).await.expect("connected");
    until_connected(&mut native.events).await;
    go_waku.until_ready().await;

    for round in 0..4 {
        let burst = |sender: u8| {
            let stamps = round * 16..(round + 1) * 16;
            stamps.map(move |i| text("/b/1/burst/proto", vec![sender; 2048], i))
        };
        for (ours, theirs) in burst(1).zip(burst(2)) {
            native.engine.publish(TOPIC, ours).await.expect("published");
            go_waku.client.publish(TOPIC, &theirs).await.expect("published");
        }
        let mut missing: BTreeMap<_, _> = burst(2).map(key).collect();
        while !missing.is_empty() {
            let (key, received) = key(message(&mut native.events).await.2);
            assert_eq!(missing.remove(&key), Some(received));
        }
        // go-waku reports what it publishes itself as well.
        let mut missing: BTreeMap<_, _> = burst(1).chain(burst(2)).map(key).collect();
        while !missing.is_empty() {
            let (key, received) = key(go_waku.next().await.1);
            assert_eq!(missing.remove(&key), Some(received));
        }
    }
    native.engine.shutdown().await;
    go_waku.client.shutdown().await;
}

/// go-waku takes no empty payload: it refuses to publish one, and drops one that it receives, with
/// a bad mark for the sender. Traffic goes on after that.
#[tokio::test]
async fn an_empty_payload_does_not_pass_go_waku() {
    let (mut native, mut go_waku) = connected().await;
    let empty = text("/a/1/empty/proto", Vec::new(), 1);
    match go_waku.client.publish(TOPIC, &empty).await {
        Err(CallError::Refused(failure)) => assert_eq!(failure.code, FailureCode::Unsupported),
        other => panic!("{other:?}"),
    }
    native.engine.publish(TOPIC, empty).await.expect("published");
    let after = text("/a/1/empty/proto", vec![1], 2);
    native.engine.publish(TOPIC, after.clone()).await.expect("published");
    assert_eq!(go_waku.next().await.1, after);
    let back = text("/a/1/empty/proto", vec![2], 3);
    go_waku.client.publish(TOPIC, &back).await.expect("published");
    assert_eq!(message(&mut native.events).await.2, back);
    native.engine.shutdown().await;
    go_waku.client.shutdown().await;
}

#[tokio::test]
async fn both_engines_are_one_to_the_node() {
    let mut native = Native::start(Vec::new()).await;
    let config = BindingsConfig {
        host: LOOPBACK,
        static_peers: vec![native.address().await],
        ..BindingsConfig::new(program())
    };
    let (go_waku, mut events) = BindingsEngine::start(config).await.expect("it starts");
    let early = text("/a/1/b/proto", vec![1], 1);
    assert!(matches!(go_waku.publish(TOPIC, early).await, Err(PublishError::NotSubscribed(TOPIC))));
    go_waku.subscribe(TOPIC).await.expect("subscribed");
    until_connected(&mut events).await;
    until_connected(&mut native.events).await;

    let engines: [&dyn Engine; 2] = [&*go_waku, &*native.engine];
    for (number, engine) in (10..).zip(engines) {
        let sent = text("/a/1/b/proto", vec![number], number.into());
        let published = engine.publish(TOPIC, sent.clone()).await.expect("published");
        assert!(published.peers >= 1);
        let other = if number == 10 { &mut native.events } else { &mut events };
        // Own publishes are not reported, so the other's is the only and next one.
        assert_eq!(message(other).await, (TOPIC, published.hash, sent.clone()));
        let again = engine.publish(TOPIC, sent).await;
        assert!(matches!(again, Err(PublishError::Duplicate)), "{again:?}");
        let large = text("/a/1/b/proto", vec![0; relay::MAX_MESSAGE_SIZE], 1);
        let refused = engine.publish(TOPIC, large).await;
        assert!(matches!(refused, Err(PublishError::TooLarge { .. })), "{refused:?}");
        let elsewhere = engine.subscribe(PubsubTopic::new(1, 5)).await;
        assert!(matches!(elsewhere, Err(EngineError::OtherCluster { .. })), "{elsewhere:?}");
        let info = engine.info().await.expect("info");
        assert_eq!(info.topics, [TOPIC]);
        assert!(info.addresses[0].ends_with(&format!("/p2p/{}", info.peer)), "{info:?}");
        let peers = engine.peers().await.expect("peers");
        assert_eq!(peers.len(), 1);
        assert!(peers[0].protocols.iter().any(|id| id == relay::PROTOCOL), "{peers:?}");
    }
    assert!(go_waku.peers().await.expect("peers")[0].is_static);
    go_waku_has_no_store_v3(&*go_waku).await;

    go_waku.unsubscribe(TOPIC).await.expect("unsubscribed");
    go_waku.shutdown().await;
    assert!(matches!(go_waku.info().await, Err(EngineError::Closed)));
    while events.recv().await.is_some() {}
    native.engine.shutdown().await;
}

async fn go_waku_has_no_store_v3(engine: &dyn Engine) {
    assert!(engine.store_peers().await.expect("an answer").is_empty());
    let asked = engine.store_query(&PeerName::new("x"), StoreQueryRequest::default()).await;
    assert!(matches!(asked, Err(QueryError::Unsupported(_))), "{asked:?}");
}
