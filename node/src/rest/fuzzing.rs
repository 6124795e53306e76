//! Fuzz targets for the bodies of the relay's endpoints and for the Store's query.

use axum::extract::Query;
use axum::http::Uri;
use waku_groupchat_waku::store::StoreQueryRequest;
use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use super::json::decode;
use super::relay_messages::{NewMessage, ReadMessage};
use super::relay_subscriptions::{content_topic, pubsub_topic};
use super::store::read;
use crate::fuzzing::{Target, choose};

/// A body of `/relay/v1`: the first byte says of what.
pub(crate) fn relay_body(data: &[u8]) -> bool {
    const BODIES: [Target; 3] = [message, topics, topics_auto];
    choose(&BODIES, data).is_some_and(|(body, data)| body(data))
}

/// What is published reads as the same message.
fn message(data: &[u8]) -> bool {
    let message = decode::<NewMessage>(data).and_then(WakuMessage::try_from);
    let Ok(message) = message else { return false };
    assert!(!message.payload.is_empty() && message.meta.len() <= WakuMessage::MAX_META_LEN);
    assert!(message.timestamp.is_some_and(|time| time != 0), "now where none is given");
    let read = serde_json::to_vec(&ReadMessage::from(&message)).expect("it encodes");
    let again = decode::<NewMessage>(&read).and_then(WakuMessage::try_from);
    assert_eq!(again.expect("what is read can be published"), message);
    true
}

fn topics(data: &[u8]) -> bool {
    let Ok(texts) = decode::<Vec<String>>(data) else { return false };
    texts
        .iter()
        .all(|text| pubsub_topic(text).is_ok_and(|topic: PubsubTopic| topic.to_string() == *text))
}

fn topics_auto(data: &[u8]) -> bool {
    let Ok(texts) = decode::<Vec<String>>(data) else { return false };
    texts.iter().all(|text| content_topic(text).is_ok_and(|topic| topic.as_str() == text))
}

/// The query of `/store/v3/messages`: what it asks for can be asked of a peer.
pub(crate) fn store_query(data: &[u8]) -> bool {
    let Ok(uri) = Uri::try_from([b"/store/v3/messages?", data].concat()) else { return false };
    let Ok(Query(parameters)) = Query::try_from_uri(&uri) else { return false };
    let Ok((request, _)) = read(parameters) else { return false };
    assert!((1..=100).contains(&request.page_size()));
    assert!(request.time_start.is_none_or(|time| time > 0));
    if request.check().is_err() {
        return false;
    }
    if let Ok(again) = StoreQueryRequest::decode(&request.encode()) {
        assert_eq!(again, request);
    }
    true
}

/// Target, file, content.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let full = r#"{"payload":"aGVsbG8=","contentTopic":"/app/1/name/proto","version":2,
        "timestamp":1763860953000000000,"meta":"aGk","ephemeral":true,"proof":"aGk="}"#;
    let bare = r#"{"payload":"aGVsbG8","contentTopic":"/app/1/name/proto","other":[null,{}]}"#;
    let page = "includeData=true&pubsubTopic=%2Fwaku%2F2%2Frs%2F66%2F3&contentTopics=\
        %2Fapp%2F1%2Fname%2Fproto,%2Fapp%2F1%2Fother%2Fproto&startTime=1&endTime=2000000000\
        &pageSize=100&ascending=off&peerAddr=";
    let hash = format!("0x{}", "7d".repeat(32));
    let hashes = format!("hashes={hash},{hash}&cursor=&pageSize=2");
    let with = |first: u8, text: &str| [&[first], text.as_bytes()].concat();
    vec![
        ("http_relay_body", "good-full", with(0, full)),
        ("http_relay_body", "good-bare", with(0, bare)),
        ("http_relay_body", "good-topics", with(1, r#"["/waku/2/rs/66/3","/waku/2/rs/0/0"]"#)),
        ("http_relay_body", "good-auto", with(2, r#"["/app/1/name/proto","/0/a/1/b/c"]"#)),
        ("http_relay_body", "refused-empty", vec![0]),
        ("http_store_query", "good-page", page.into()),
        ("http_store_query", "good-hashes", hashes.into()),
        ("http_store_query", "good-all", Vec::new()),
        ("http_store_query", "refused-twice", b"cursor=&cursor=".to_vec()),
    ]
}
