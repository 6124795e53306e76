//! The Store endpoint.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use waku_groupchat_storage::{Archive, ArchivedMessage, MemoryArchive};
use waku_groupchat_waku::WakuMessage;

use super::{CONTENT, Rig, TOPIC, body, message};
use crate::engine::QueryError;
use crate::testing::PEER;

const PATH: &str = "/store/v3/messages";

/// A store node with five messages, oldest first.
async fn filled(rig: &Rig) -> Vec<WakuMessage> {
    let now = super::now_ns();
    let messages: Vec<_> = (0..5)
        .map(|i| {
            let mut message = message(&format!("{i}"));
            message.timestamp = Some(now + i);
            message
        })
        .collect();
    for message in &messages {
        rig.receive(message).await;
    }
    messages
}

fn hashes(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().expect("a list");
    messages.iter().filter_map(|m| m["messageHash"].as_str()).collect()
}

#[tokio::test]
async fn a_store_node_asks_itself_in_nwakus_shape() {
    let rig = Rig::with(&["--store"]).await;
    let sent = filled(&rig).await;
    let page = rig.http.get(&format!("{PATH}?includeData=true&pageSize=1")).await.json();
    let hash = sent[0].hash(&TOPIC).to_string();
    assert!(page["requestId"].as_str().is_some_and(|id| id.len() == 20));
    assert_eq!((&page["statusCode"], &page["statusDesc"]), (&json!(200), &json!("OK")));
    assert_eq!(
        page["messages"],
        json!([{
            "messageHash": hash,
            "message": {
                "payload": "MA==",
                "contentTopic": CONTENT,
                "version": 0,
                "timestamp": sent[0].timestamp,
                "ephemeral": false,
            },
            "pubsubTopic": "/waku/2/rs/0/0",
        }])
    );
    assert_eq!(page["paginationCursor"], json!(hash));
    assert!(rig.engine.asked().is_empty());
    rig.node.shutdown().await;
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let rig = Rig::with(&["--store"]).await;
    let sent: Vec<String> =
        filled(&rig).await.iter().map(|message| message.hash(&TOPIC).to_string()).collect();
    for ascending in [true, false] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{PATH}?pageSize=2&ascending={ascending}&cursor={cursor}");
            let page = rig.http.get(&path).await.json();
            assert!(page["messages"][0].get("message").is_none(), "no data unless asked for");
            let part: Vec<String> = hashes(&page).into_iter().map(Into::into).collect();
            assert!(part.len() <= 2);
            seen = if ascending { [seen, part].concat() } else { [part, seen].concat() };
            match page["paginationCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, sent, "ascending {ascending}");
    }
    rig.node.shutdown().await;
}

#[tokio::test]
async fn every_filter_filters() {
    let rig = Rig::with(&["--store"]).await;
    let sent = filled(&rig).await;
    let hash = |i: usize| sent[i].hash(&TOPIC).to_string();
    let time = |i: usize| sent[i].timestamp.expect("set");
    let topic = "pubsubTopic=%2Fwaku%2F2%2Frs%2F0%2F0";
    for (query, wanted) in [
        (format!("startTime={}&endTime={}", time(1), time(3)), vec![1, 2]),
        (format!("startTime=0&endTime={}", time(1)), vec![0]),
        (format!("hashes={},{}", hash(4), &hash(1)[2..]), vec![1, 4]),
        (
            format!("{topic}&contentTopics=%2Fapp%2F1%2Fname%2Fproto,%2Fb%2F1%2Fc%2Fd"),
            vec![0, 1, 2, 3, 4],
        ),
        (format!("{topic}&contentTopics=%2Fb%2F1%2Fc%2Fd"), vec![]),
        ("pubsubTopic=%2Fwaku%2F2%2Frs%2F0%2F1".to_owned(), vec![]),
        ("peerAddr=&cursor=&hashes=".to_owned(), vec![0, 1, 2, 3, 4]),
    ] {
        let page = rig.http.get(&format!("{PATH}?{query}")).await.json();
        let wanted: Vec<String> = wanted.into_iter().map(hash).collect();
        assert_eq!(hashes(&page), wanted, "{query}");
    }
    rig.node.shutdown().await;
}

#[tokio::test]
async fn questions_that_are_refused() {
    let rig = Rig::with(&["--store"]).await;
    let unknown = "00".repeat(32);
    for (query, why) in [
        ("includeData=maybe", "includeData: must be true or false"),
        ("pageSize=x", "pageSize: must be a whole number"),
        ("pageSize=-1", "pageSize: must be a whole number"),
        ("startTime=now", "startTime: must be nanoseconds since 1970"),
        ("hashes=0x12", "hashes: a message hash is 0x and 64 hex digits"),
        ("cursor=zz", "cursor: a message hash is 0x and 64 hex digits"),
        ("pubsubTopic=x", "x: pubsub topic is not"),
        ("contentTopics=%2Fa%2F1%2Fb%2Fc", "query: content topics need a pubsub topic"),
        ("peerAddr=%2Fip4%2F127.0.0.1", "peerAddr: must be a multiaddress that ends in /p2p/"),
        ("pagesize=1", "query: there is no parameter pagesize"),
        ("pageSize=1&pageSize=2", "pageSize: is given twice"),
        (&format!("cursor={unknown}"), "no message 0x0000"),
    ] {
        let answer = rig.http.get(&format!("{PATH}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text.starts_with(why), "{} instead of {why}", answer.text);
    }
    rig.node.shutdown().await;
}

#[tokio::test]
async fn without_a_store_of_its_own_a_node_asks_a_peer() {
    let rig = Rig::new().await;
    let nobody = rig.http.get(PATH).await;
    assert_eq!(nobody.both(), (412, "No suitable service peer & no discovery method"));
    let remote = Arc::new(MemoryArchive::new());
    let held = ArchivedMessage::new(TOPIC, message("far"));
    remote.insert(std::slice::from_ref(&held)).expect("memory");
    rig.engine.set_store(remote);
    let page = rig.http.get(&format!("{PATH}?includeData=true")).await.json();
    assert_eq!(hashes(&page), [held.hash.to_string()]);
    assert_eq!(page["messages"][0]["message"]["payload"], "ZmFy");

    let address = format!("/ip4/127.0.0.1/tcp/1/p2p/{PEER}");
    let query = format!("{PATH}?peerAddr={}", address.replace('/', "%2F"));
    assert_eq!(rig.http.get(&query).await.status, 200);
    let asked: Vec<String> = rig.engine.asked().iter().map(|(p, _)| p.to_string()).collect();
    assert_eq!(asked, [PEER.to_owned(), address]);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn a_peers_refusal_becomes_a_status() {
    let rig = Rig::new().await;
    rig.engine.set_store(Arc::new(MemoryArchive::new()));
    let refusals: [(fn() -> QueryError, u16); 6] = [
        (|| QueryError::Status { code: 400, description: "no".to_owned() }, 400),
        (|| QueryError::Status { code: 429, description: "no".to_owned() }, 429),
        (|| QueryError::Status { code: 503, description: "no".to_owned() }, 502),
        (|| QueryError::Timeout(Duration::from_secs(20)), 504),
        (|| QueryError::Malformed("x".to_owned()), 502),
        (|| QueryError::Closed, 503),
    ];
    for (refusal, wanted) in refusals {
        rig.engine.refuse_queries(refusal);
        assert_eq!(rig.http.get(PATH).await.status, wanted);
    }
    rig.node.shutdown().await;
}

#[tokio::test]
async fn own_publishes_are_in_the_own_store() {
    let rig = Rig::with(&["--store"]).await;
    assert_eq!(rig.http.post(super::TOPIC_PATH, body("mine")).await.status, 200);
    let page = rig.http.get(PATH).await.json();
    let (topic, sent) = rig.engine.published().remove(0);
    assert_eq!(hashes(&page), [sent.hash(&topic).to_string()]);
    rig.node.shutdown().await;
}
