//! Events as a stream: replay and what follows, several readers, slow ones, and every end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use waku_groupchat_core::{Batch, Store};

use super::rig::{Rig, STREAMS, Sent};
use super::sse::{Frame, Reader};
use crate::chat::api::stream::MAX_STREAMS;
use crate::extension::Extension;

/// A chat whose messages are taken by a peer, so that there are events, and its group.
async fn talking() -> (Rig, String) {
    let rig = Rig::start_with_peer().await;
    let group = rig.group().await;
    (rig, group)
}

/// Sends messages, one after the other, each until its event is there.
async fn say(rig: &Rig, group: &str, count: usize) {
    let mut reader = Reader::open(rig, "/events/stream", &rig.token, None).await;
    reader.ready().await;
    for n in 0..count {
        let body = json!({ "text": format!("no. {n}") });
        let (status, _) = rig.post(&format!("/groups/{group}/messages"), body).await;
        assert_eq!(status, StatusCode::CREATED);
        reader.event().await;
    }
}

/// Every event, from the list.
async fn all(rig: &Rig) -> Vec<Value> {
    let (_, page) = rig.get("/events?limit=1000").await;
    page["events"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn several_readers_get_what_was_and_what_follows() {
    let (rig, group) = talking().await;
    say(&rig, &group, 2).await;
    let before = all(&rig).await;
    let last = before.last().expect("an event")["cursor"].as_u64().expect("a cursor");

    let mut from_start = Reader::open(&rig, "/events/stream?after=0", &rig.token, None).await;
    let mut from_last = Reader::open(&rig, "/events/stream?after=0", &rig.token, Some(last)).await;
    let mut from_now = Reader::open(&rig, "/events/stream", &rig.token, None).await;
    assert_eq!(from_start.ready().await, 0);
    assert_eq!(from_last.ready().await, last, "Last-Event-ID goes before the query");
    assert_eq!(from_now.ready().await, last);
    for event in &before {
        assert_eq!(from_start.event().await, *event);
    }
    say(&rig, &group, 2).await;
    for event in &all(&rig).await[before.len()..] {
        for reader in [&mut from_start, &mut from_last, &mut from_now] {
            assert_eq!(reader.event().await, *event);
        }
    }
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_and_loses_nothing() {
    let (rig, group) = talking().await;
    let mut slow = Reader::open(&rig, "/events/stream", &rig.token, None).await;
    let begin = slow.ready().await;
    // It waits for this one, so it is past the log when the next ones come.
    let (first, ()) = tokio::join!(slow.event(), say(&rig, &group, 1));
    let mut got = vec![first];
    say(&rig, &group, STREAMS.buffer + 2).await;
    let closed = loop {
        match slow.next().await.expect("a frame") {
            Frame::Event(event) => got.push(event),
            Frame::Closed(closed) => break closed,
            frame => panic!("{frame:?}"),
        }
    };
    assert_eq!(closed["reason"], "too-slow");
    assert_eq!(closed["after"], got.last().expect("one at least")["cursor"]);
    assert!(slow.next().await.is_none(), "the stream has ended");

    let mut again =
        Reader::open(&rig, "/events/stream", &rig.token, closed["after"].as_u64()).await;
    again.ready().await;
    let expected: Vec<_> =
        all(&rig).await.into_iter().filter(|e| e["cursor"].as_u64() > Some(begin)).collect();
    while got.len() < expected.len() {
        got.push(again.event().await);
    }
    assert_eq!(got, expected);
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn cursors_that_cannot_be_answered_are_told() {
    // A database whose newest event is number 10,005: the first five are gone.
    let event = json!({ "cursor": 10_005, "at": 1, "type": "registered",
                        "account": "00".repeat(32), "day": 1 });
    let key = [b"event/".as_slice(), &10_005_u64.to_be_bytes()].concat();
    let rig = Rig::start_with(|store| {
        let batch: Batch = [(key, Some(event.to_string().into_bytes()))].into_iter().collect();
        store.commit(batch).expect("written");
    })
    .await;
    for path in ["/events", "/events/stream"] {
        for after in [0, 4] {
            let (status, body) = rig.get(&format!("{path}?after={after}")).await;
            assert_eq!((status.as_u16(), &body["code"]), (410, &json!("gone")));
            assert_eq!(body["oldest"], 6);
        }
        let (status, body) = rig.get(&format!("{path}?after=10006")).await;
        assert_eq!((status.as_u16(), &body["code"]), (409, &json!("cursor-ahead")));
    }
    let mut reader = Reader::open(&rig, "/events/stream?after=5", &rig.token, None).await;
    assert_eq!((reader.ready().await, reader.event().await), (5, event.clone()));
    // Without a cursor, a list begins with what is kept.
    assert_eq!(rig.get("/events").await.1["events"], json!([event]));
    let (status, body) = rig.get("/events/stream?after=x").await;
    assert_eq!((status.as_u16(), &body["code"]), (400, &json!("malformed")));
    let sent = Sent { token: Some(&rig.token), last: Some("x"), body: None };
    let (status, code) = rig.probe(Method::GET, "/chat/v1/events/stream", sent).await;
    assert_eq!((status.as_u16(), code.as_str()), (400, "malformed"));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn streams_end_with_their_token() {
    let rig = Rig::start().await;
    let (_, made) = rig.post("/tokens", json!({ "name": "a", "scopes": ["read"] })).await;
    let at = SystemTime::now() + Duration::from_secs(2);
    let expires = at.duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    let expires = u64::try_from(expires).expect("64 bits");
    let body = json!({ "name": "b", "scopes": ["read"], "expires": expires });
    let (_, short) = rig.post("/tokens", body).await;
    let token = |made: &Value| made["token"].as_str().expect("a secret").to_owned();

    let mut revoked = Reader::open(&rig, "/events/stream", &token(&made), None).await;
    let mut expired = Reader::open(&rig, "/events/stream", &token(&short), None).await;
    let mut stays = Reader::open(&rig, "/events/stream", &rig.token, None).await;
    for reader in [&mut revoked, &mut expired, &mut stays] {
        reader.ready().await;
    }
    let path = format!("/tokens/{}", made["id"].as_str().expect("an id"));
    assert_eq!(rig.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(revoked.closed().await["reason"], "revoked");
    assert_eq!(expired.closed().await["reason"], "expired");
    rig.chat.close();
    assert_eq!(stays.closed().await["reason"], "stopped");
    for reader in [&mut revoked, &mut expired, &mut stays] {
        assert!(reader.next().await.is_none());
    }
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_silent_stream_has_comments() {
    let rig = Rig::start().await;
    let mut reader = Reader::open(&rig, "/events/stream", &rig.token, None).await;
    reader.ready().await;
    for _ in 0..2 {
        assert!(matches!(reader.next_of_any_kind().await, Some(Frame::Comment)));
    }
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn there_is_an_end_to_streams() {
    let rig = Rig::start().await;
    let mut readers = Vec::new();
    for _ in 0..MAX_STREAMS {
        readers.push(Reader::open(&rig, "/events/stream", &rig.token, None).await);
    }
    let (status, body) = rig.get("/events/stream").await;
    assert_eq!((status.as_u16(), &body["code"]), (429, &json!("too-many-streams")));
    readers.pop();
    Reader::open(&rig, "/events/stream", &rig.token, None).await.ready().await;
    rig.chat.shutdown().await;
}
