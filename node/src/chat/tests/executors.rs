//! Fetches: what store peers and the own archive give, and what is said of them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use waku_groupchat_core::Timestamp;
use waku_groupchat_core::api::{
    FetchId, FetchRequest, FetchResult, FetchSource, FetchTry, FetchWhat,
};
use waku_groupchat_metrics::{ChatMetrics, Registry};
use waku_groupchat_storage::{Archive, ArchiveQuery, ArchivedMessage, MemoryArchive};
use waku_groupchat_waku::WakuMessage;
use waku_groupchat_waku::store::{StoreEntry, StoreQueryRequest, StoreQueryResponse};

use super::fakes::FakeEngine;
use super::rig::{TOPIC, foreign_message};
use crate::chat::fetch::Fetcher;
use crate::chat::handle::{CoreHandle, Message, Status};
use crate::engine::QueryError;

const BASE: i64 = 1_700_000_000_000_000_000;

fn message(n: i64) -> WakuMessage {
    foreign_message(BASE + n, &n.to_be_bytes())
}

/// A page as a store peer with an archive would give it.
fn page(archive: &MemoryArchive, request: &StoreQueryRequest) -> StoreQueryResponse {
    let page = archive.query(&ArchiveQuery::from(request)).expect("a page");
    StoreQueryResponse {
        request_id: request.request_id.clone(),
        status_code: 200,
        messages: page.messages,
        cursor: page.cursor,
        ..StoreQueryResponse::default()
    }
}

fn holding(numbers: std::ops::Range<i64>) -> MemoryArchive {
    let archive = MemoryArchive::new();
    let batch: Vec<_> = numbers.map(|n| ArchivedMessage::new(TOPIC, message(n))).collect();
    archive.insert(&batch).expect("memory");
    archive
}

/// Runs one fetch; gives the messages that reached the core and the result that followed them.
async fn fetch(
    engine: FakeEngine,
    archive: Arc<dyn Archive>,
    source: FetchSource,
    what: FetchWhat,
    numbers: std::ops::Range<i64>,
) -> (Vec<WakuMessage>, FetchResult) {
    let metrics = ChatMetrics::register(&Registry::new()).expect("a fresh registry");
    let (queue, mut queued) = mpsc::channel(1);
    let core = CoreHandle::new(queue, Arc::new(Status::new(metrics, 1)));
    let (jobs, todo) = mpsc::channel(1);
    let at = |n| Timestamp::from_waku(BASE + n);
    let request = FetchRequest { source, what, from: at(numbers.start), to: at(numbers.end) };
    jobs.send((FetchId(7), request)).await.expect("room");
    let fetcher = Fetcher { core, engine: Arc::new(engine), archive, topic: TOPIC };
    let running = tokio::spawn(fetcher.run(todo, CancellationToken::new()));
    let mut messages = Vec::new();
    let result = loop {
        match queued.recv().await.expect("a result comes") {
            Message::Arrived { messages: batch, .. } => {
                messages.extend(batch.iter().map(|m| (**m).clone()))
            }
            Message::Fetched(FetchId(7), result) => break result,
            _ => panic!("nothing else comes"),
        }
    };
    drop(jobs);
    running.await.expect("it ends with its queue");
    (messages, result)
}

#[tokio::test]
async fn the_own_archive_is_asked_by_content_topic() {
    let archive = holding(0..250);
    let mut other = message(3);
    other.content_topic = waku_groupchat_waku::ContentTopic::from_wire("/other/1/a/proto");
    archive.insert(&[ArchivedMessage::new(TOPIC, other)]).expect("memory");
    let source = FetchSource::OwnArchive(vec![message(0).content_topic]);
    let (messages, result) =
        fetch(FakeEngine::default(), Arc::new(archive), source, FetchWhat::Messages, 10..240).await;
    assert_eq!(messages, (10..240).map(message).collect::<Vec<_>>());
    let tried = FetchTry { source: "own archive".to_owned(), outcome: Ok(230) };
    assert_eq!(result, FetchResult { tried: vec![tried], hashes: Vec::new() });
}

#[tokio::test]
async fn every_store_peer_is_asked_and_named() {
    let engine = FakeEngine::default();
    let theirs = holding(0..250);
    engine.serve(&["good", "gone"], move |peer, request| {
        assert!(request.include_data && request.content_topics.is_empty());
        assert_eq!((request.pubsub_topic, request.limit), (Some(TOPIC), Some(100)));
        match peer.as_str() {
            "good" => Ok(page(&theirs, request)),
            _ => Err(QueryError::Unreachable(peer.clone())),
        }
    });
    let own: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
    let (messages, result) =
        fetch(engine, Arc::clone(&own), FetchSource::StorePeers, FetchWhat::Messages, 0..205).await;
    assert_eq!(messages, (0..205).map(message).collect::<Vec<_>>());
    assert_eq!(own.len(), 205, "what a peer gave is archived");
    let tried: Vec<_> =
        result.tried.iter().map(|t| (t.source.as_str(), t.outcome.is_ok())).collect();
    assert_eq!(tried, [("store good", true), ("store gone", false)]);
}

#[tokio::test]
async fn hashes_come_without_messages() {
    let engine = FakeEngine::default();
    let theirs = holding(0..150);
    engine.serve(&["a", "b"], move |_, request| {
        assert!(!request.include_data);
        Ok(page(&theirs, request))
    });
    let own: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
    let (messages, result) =
        fetch(engine, own, FetchSource::StorePeers, FetchWhat::Hashes, 0..150).await;
    assert!(messages.is_empty());
    assert_eq!(result.hashes.len(), 150, "each once");
    assert!(result.tried.iter().all(|t| t.outcome == Ok(150)));
}

#[tokio::test]
async fn what_a_peer_should_not_have_given_is_left_out() {
    let engine = FakeEngine::default();
    engine.serve(&["liar"], move |_, request| {
        let entry = |message: WakuMessage| StoreEntry {
            hash: message.hash(&TOPIC),
            message: Some(message),
            pubsub_topic: None,
        };
        let other_shard = waku_groupchat_waku::PubsubTopic::new(16, 4);
        let mut ephemeral = message(2);
        ephemeral.ephemeral = true;
        let messages = vec![
            entry(message(1)),
            entry(message(99)),
            entry(ephemeral),
            StoreEntry { pubsub_topic: Some(other_shard), ..entry(message(3)) },
            StoreEntry { message: None, ..entry(message(4)) },
        ];
        let request_id = request.request_id.clone();
        Ok(StoreQueryResponse { request_id, status_code: 200, messages, ..Default::default() })
    });
    let own: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
    let (messages, result) =
        fetch(engine, Arc::clone(&own), FetchSource::StorePeers, FetchWhat::Messages, 0..50).await;
    assert_eq!(messages, [message(1)]);
    assert_eq!((result.tried[0].outcome.clone(), own.len()), (Ok(1), 1));
}

#[tokio::test]
async fn a_peer_that_repeats_its_cursor_is_left() {
    let engine = FakeEngine::default();
    engine.serve(&["loop"], move |_, request| {
        let cursor = Some(message(0).hash(&TOPIC));
        let request_id = request.request_id.clone();
        Ok(StoreQueryResponse { request_id, status_code: 200, cursor, ..Default::default() })
    });
    let own: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
    let (_, result) = fetch(engine, own, FetchSource::StorePeers, FetchWhat::Messages, 0..50).await;
    assert!(result.tried[0].outcome.is_err());
}

#[tokio::test]
async fn without_store_peers_the_result_says_so() {
    let own: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
    let (_, result) =
        fetch(FakeEngine::default(), own, FetchSource::StorePeers, FetchWhat::Messages, 0..50)
            .await;
    assert!(!result.complete());
    assert_eq!(result.tried[0].source, "store peers");
}
