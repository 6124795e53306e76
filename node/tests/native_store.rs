//! Store v3 between native engines, and against servers that misbehave.

mod native_support;

use std::sync::Arc;
use std::time::Duration;

use native_support::raw::Raw;
use native_support::{CLUSTER, Node, TOPIC, config, message, soon};
use parking_lot::{Condvar, Mutex};
use waku_groupchat_node::engine::{Engine, PeerName, QueryError};
use waku_groupchat_node::native::{NativeConfig, NodeKey, Observed};
use waku_groupchat_storage::{
    Archive, ArchiveError, ArchivePage, ArchiveQuery, ArchivedMessage, InsertReport, MemoryArchive,
    PruneReport,
};
use waku_groupchat_waku::metadata::{self, WakuMetadata};
use waku_groupchat_waku::store::{self, StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{MessageHash, PubsubTopic, framing};

/// Messages 0 to `count` on [`TOPIC`], by number.
fn archive(count: i64) -> (Arc<MemoryArchive>, Vec<MessageHash>) {
    let archive = MemoryArchive::new();
    let batch: Vec<_> =
        (0..count).map(|number| ArchivedMessage::new(TOPIC, message(number))).collect();
    archive.insert(&batch).expect("inserted");
    (Arc::new(archive), batch.iter().map(|message| message.hash).collect())
}

/// A Store server, and a node that is connected to it and knows that it serves.
async fn pair(archive: Arc<dyn Archive>) -> (Node, Node, PeerName) {
    let server = NativeConfig { store: true, store_queries: 1, ..config(&[]) };
    let server = Node::start(server, Some(archive)).await;
    let mut client = Node::start(config(&[server.address().await]), None).await;
    client.until("a store peer", |_, stores| stores == 1).await;
    let peer = server.peer().await;
    assert_eq!(client.engine.store_peers().await.expect("peers"), std::slice::from_ref(&peer));
    assert_eq!(server.engine.store_peers().await.expect("peers"), [], "the client serves none");
    (server, client, peer)
}

fn request(request_id: &str) -> StoreQueryRequest {
    StoreQueryRequest {
        request_id: request_id.to_owned(),
        include_data: true,
        forward: true,
        ..StoreQueryRequest::default()
    }
}

fn hashes(response: &StoreQueryResponse) -> Vec<MessageHash> {
    response.messages.iter().map(|entry| entry.hash).collect()
}

#[tokio::test]
async fn pages_go_both_ways_over_the_wire() {
    let (archive, all) = archive(45);
    let (_server, client, peer) = pair(archive).await;
    for forward in [true, false] {
        let mut request = StoreQueryRequest { forward, pubsub_topic: Some(TOPIC), ..request("r") };
        let (mut pages, mut seen) = (Vec::new(), Vec::new());
        loop {
            let page = client.engine.store_query(&peer, request.clone()).await.expect("a page");
            assert_eq!((page.status_code, page.request_id.as_str()), (200, "r"));
            pages.push(page.messages.len());
            for entry in &page.messages {
                let received = entry.message.as_ref().expect("data was asked for");
                assert_eq!(entry.pubsub_topic, Some(TOPIC));
                assert_eq!(received, &message(received.timestamp.expect("a timestamp")));
                assert_eq!(received.hash(&TOPIC), entry.hash);
            }
            let mut page_hashes = hashes(&page);
            if forward {
                seen.extend(page_hashes);
            } else {
                page_hashes.extend(seen);
                seen = page_hashes;
            }
            request.cursor = page.cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, [20, 20, 5]);
        assert_eq!(seen, all);
    }
}

#[tokio::test]
async fn hashes_times_and_topics_are_looked_up() {
    let (archive, all) = archive(10);
    let (server, client, peer) = pair(archive).await;
    let ask = |request| client.engine.store_query(&peer, request);

    let wanted = vec![all[7], MessageHash::from_bytes([9; 32]), all[2]];
    let found = ask(StoreQueryRequest { hashes: wanted, ..request("h") }).await.expect("a page");
    assert_eq!(hashes(&found), [all[2], all[7]]);
    let times = StoreQueryRequest { time_start: Some(3), time_end: Some(6), ..request("t") };
    assert_eq!(hashes(&ask(times).await.expect("a page")), all[3..6]);
    let elsewhere =
        StoreQueryRequest { pubsub_topic: Some(PubsubTopic::new(CLUSTER, 4)), ..request("p") };
    assert_eq!(hashes(&ask(elsewhere).await.expect("a page")), []);
    let bare = StoreQueryRequest { include_data: false, limit: Some(3), ..request("b") };
    let bare = ask(bare).await.expect("a page");
    assert_eq!(hashes(&bare), all[..3]);
    assert!(bare.messages.iter().all(|e| e.message.is_none() && e.pubsub_topic.is_none()));
    server.facts.wait("queries", 4, |fact| *fact == Observed::StoreQuery).await;
}

#[tokio::test]
async fn wrong_requests_get_the_reason() {
    let (archive, _) = archive(1);
    let (_server, client, peer) = pair(archive).await;
    let topics = vec!["/test/1/native/proto".parse().expect("a content topic")];
    let alone = StoreQueryRequest { content_topics: topics, ..request("1") };
    let cursor = Some(MessageHash::from_bytes([9; 32]));
    for wrong in [alone, StoreQueryRequest { cursor, ..request("2") }] {
        let error = client.engine.store_query(&peer, wrong).await.expect_err("refused");
        assert!(
            matches!(&error, QueryError::Status { code: 400, description } if !description.is_empty()),
            "{error}"
        );
    }
    client.engine.store_query(&peer, request("3")).await.expect("a right one is answered");
}

#[tokio::test]
async fn peers_are_asked_by_address_too() {
    let (archive, all) = archive(2);
    let server = NativeConfig { store: true, ..config(&[]) };
    let server = Node::start(server, Some(archive)).await;
    let client = Node::start(config(&[]), None).await;
    let unknown = client.engine.store_query(&server.peer().await, request("1")).await;
    assert!(matches!(unknown, Err(QueryError::Unreachable(_))), "{unknown:?}");
    let by_address = PeerName::new(server.address().await.to_string());
    let page = client.engine.store_query(&by_address, request("2")).await.expect("a page");
    assert_eq!(hashes(&page), all);

    let gone = NodeKey::generate().peer_id();
    for nobody in [format!("/ip4/127.0.0.1/tcp/1/p2p/{gone}"), gone.to_string(), "x".to_owned()] {
        let error = client.engine.store_query(&PeerName::new(nobody), request("3")).await;
        assert!(matches!(error, Err(QueryError::Unreachable(_))), "{error:?}");
    }
    let error = server.engine.store_query(&client.peer().await, request("4")).await;
    assert!(matches!(error, Err(QueryError::Unsupported(_))), "{error:?}");
    client.engine.shutdown().await;
    let error = client.engine.store_query(&by_address, request("5")).await;
    assert!(matches!(error, Err(QueryError::Closed)), "{error:?}");
}

/// An archive whose queries wait until they are let go.
struct Gate {
    inner: Arc<MemoryArchive>,
    open: Mutex<bool>,
    opened: Condvar,
    entered: tokio::sync::Semaphore,
}

impl Archive for Gate {
    fn insert(&self, batch: &[ArchivedMessage]) -> Result<InsertReport, ArchiveError> {
        self.inner.insert(batch)
    }

    fn query(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError> {
        self.entered.add_permits(1);
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
        self.inner.query(query)
    }

    fn contains(&self, hashes: &[MessageHash]) -> Result<Vec<bool>, ArchiveError> {
        self.inner.contains(hashes)
    }

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn oldest(&self) -> Result<Option<i64>, ArchiveError> {
        self.inner.oldest()
    }

    fn newest(&self) -> Result<Option<i64>, ArchiveError> {
        self.inner.newest()
    }

    fn prune(&self, now_ns: i64) -> Result<PruneReport, ArchiveError> {
        self.inner.prune(now_ns)
    }
}

#[tokio::test]
async fn more_queries_than_are_served_at_once_get_429() {
    let (inner, all) = archive(3);
    let gate = Arc::new(Gate {
        inner,
        open: Mutex::new(false),
        opened: Condvar::new(),
        entered: tokio::sync::Semaphore::new(0),
    });
    let (server, client, peer) = pair(gate.clone()).await;
    let waiting = tokio::spawn({
        let (engine, peer) = (client.engine.clone(), peer.clone());
        async move { engine.store_query(&peer, request("first")).await }
    });
    soon("the first query", gate.entered.acquire()).await.expect("open").forget();
    let error = client.engine.store_query(&peer, request("second")).await.expect_err("refused");
    assert!(matches!(error, QueryError::Status { code: 429, .. }), "{error}");
    // The relay goes on meanwhile.
    soon("answer", server.engine.subscribe(TOPIC)).await.expect("subscribed");
    *gate.open.lock() = true;
    gate.opened.notify_all();
    let page = waiting.await.expect("asked").expect("a page");
    assert_eq!(hashes(&page), all);
    // Its place is free once the response has gone out.
    let page = soon("a third answer", async {
        loop {
            match client.engine.store_query(&peer, request("third")).await {
                Err(QueryError::Status { code: 429, .. }) => {}
                other => return other.expect("a page"),
            }
        }
    })
    .await;
    assert_eq!(hashes(&page), all);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_named() {
    let other = StoreQueryResponse {
        request_id: "another".to_owned(),
        status_code: 200,
        ..StoreQueryResponse::default()
    };
    let malformed = [
        framing::encode_frame(&[0xff, 0xff]),
        framing::encode_frame(&other.encode()),
        framing::encode_frame(&[]),
        // A frame of 4 GiB, one that ends early, and none.
        vec![0xff, 0xff, 0xff, 0xff, 0x0f],
        vec![100, 1, 2],
        Vec::new(),
    ];
    for bytes in malformed {
        let error = answered_with(bytes.clone(), true).await;
        assert!(matches!(error, QueryError::Malformed(_)), "{bytes:?}: {error}");
    }
    let error = answered_with(Vec::new(), false).await;
    assert!(matches!(error, QueryError::Timeout(_)), "{error}");
}

/// What a query gives that a peer answers with these bytes.
async fn answered_with(bytes: Vec<u8>, close: bool) -> QueryError {
    let mut raw = Raw::start(TOPIC).await;
    let metadata = WakuMetadata { cluster_id: Some(CLUSTER.into()), shards: Vec::new() };
    raw.answer(metadata::PROTOCOL, framing::encode_frame(&metadata.encode()), true);
    raw.answer(store::PROTOCOL, bytes, close);
    let timeout = if close { native_support::DEADLINE } else { Duration::from_millis(300) };
    let client = NativeConfig { store_timeout: timeout, ..config(&[]) };
    let client = Node::start(client, None).await;
    let peer = PeerName::new(raw.address.to_string());
    client.engine.store_query(&peer, request("r")).await.expect_err("no sense in it")
}
