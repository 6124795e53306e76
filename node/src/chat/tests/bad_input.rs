//! Bad input gives a clear error and leaves the core's database as it was, byte for byte.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Rig, TOPIC, foreign_message};
use crate::extension::{Arrived, Extension};

const UNKNOWN: &str = "00112233445566778899aabbccddeeff";

#[tokio::test]
async fn requests_that_are_refused_change_nothing() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let own_card = rig.get("/accounts").await.1["card"].clone();
    let long_name = "n".repeat(129);
    let long_text = "t".repeat(120 * 1024 + 1);
    let messages = format!("/groups/{group}/messages");
    let invite = format!("/groups/{group}/invitations");
    let before = rig.dump().await;
    let cases: Vec<(&str, String, Value, u16, &str)> = vec![
        (
            "unknown group",
            format!("/groups/{UNKNOWN}/messages"),
            json!({"text": "x"}),
            404,
            "unknown-group",
        ),
        ("bad group id", "/groups/xyz/messages".into(), json!({"text": "x"}), 400, "malformed"),
        (
            "short group id",
            format!("/groups/{}/messages", &UNKNOWN[2..]),
            json!({"text": "x"}),
            400,
            "malformed",
        ),
        ("empty text", messages.clone(), json!({"text": ""}), 400, "length"),
        ("long text", messages.clone(), json!({ "text": long_text }), 400, "length"),
        ("no text", messages.clone(), json!({}), 400, "malformed"),
        ("text of another type", messages.clone(), json!({"text": 7}), 400, "malformed"),
        ("unknown field", messages.clone(), json!({"text": "x", "to": "all"}), 400, "malformed"),
        ("empty name", "/groups".into(), json!({"name": ""}), 400, "length"),
        ("long name", "/groups".into(), json!({ "name": long_name }), 400, "length"),
        ("bad card", invite.clone(), json!({"cards": ["not a card"]}), 400, "card"),
        ("own card", invite.clone(), json!({ "cards": [own_card] }), 400, "repeated-account"),
        (
            "no such invitation",
            format!("/invitations/{UNKNOWN}/accept"),
            json!({}),
            404,
            "no-invitation",
        ),
        (
            "no such invitation",
            format!("/invitations/{UNKNOWN}/decline"),
            json!({}),
            404,
            "no-invitation",
        ),
        (
            "bad link request",
            "/installations".into(),
            json!({"request": "nonsense"}),
            400,
            "link-request",
        ),
        (
            "nobody to revoke",
            "/installations/revocations".into(),
            json!({"installations": []}),
            400,
            "own-installation",
        ),
        (
            "a stranger to revoke",
            "/installations/revocations".into(),
            json!({"installations": ["22".repeat(32)]}),
            404,
            "unknown-installation",
        ),
        (
            "digits of no linking",
            "/installations/link/digits".into(),
            json!({"digits": "1234 5678"}),
            404,
            "no-link",
        ),
        ("a second account", "/accounts".into(), json!({}), 409, "has-account"),
        ("no such path", "/grops".into(), json!({}), 404, "no-path"),
        ("no such method", "/events".into(), json!({}), 405, "method"),
    ];
    for (name, path, body, status, code) in cases {
        let (got, answer) = rig.post(&path, body).await;
        assert_eq!((got.as_u16(), &answer["code"]), (status, &json!(code)), "{name}: {answer}");
        assert_eq!(answer["status"], json!(status), "{name}");
        assert!(!answer["detail"].as_str().unwrap_or_default().is_empty(), "{name}");
        assert_eq!(rig.dump().await, before, "{name}");
    }
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_long_change_nothing() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}/messages");
    let before = rig.dump().await;
    let huge = format!("{{\"text\":\"{}\"}}", "x".repeat(2 << 20));
    for (body, status, code) in [
        ("", 400, "malformed"),
        ("{", 400, "malformed"),
        ("{\"text\":\"\\ud800\"}", 400, "malformed"),
        ("[]", 400, "malformed"),
        (huge.as_str(), 413, "body-too-large"),
    ] {
        let (got, answer) = rig.post_text(&path, body).await;
        assert_eq!((got.as_u16(), &answer["code"]), (status, &json!(code)), "{answer}");
    }
    // Without a content type.
    let (status, answer) = rig.call(Method::POST, &path, None).await;
    assert_eq!((status.as_u16(), &answer["code"]), (415, &json!("media-type")));
    assert_eq!(rig.dump().await, before);
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn bad_queries_and_tokens_change_nothing() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let before = rig.dump().await;
    for path in [
        "/events?wait=31",
        "/events?limit=0",
        "/events?limit=1001",
        "/events?after=-1",
        "/events?since=1",
        &format!("/groups/{group}/messages?limit=201"),
        &format!("/groups/{group}/messages?after=x"),
        &format!("/groups/{group}/messages/abc/1"),
        &format!("/groups/{group}/messages/{}/x", "00".repeat(32)),
        "/groups/%ff",
    ] {
        let (status, answer) = rig.get(path).await;
        assert_eq!((status.as_u16(), &answer["code"]), (400, &json!("malformed")), "{path}");
    }
    for path in ["", "/members", "/missing", "/messages"] {
        let (status, answer) = rig.get(&format!("/groups/{UNKNOWN}{path}")).await;
        assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("unknown-group")), "{path}");
    }
    let (status, _, _) = rig.get_as("/groups", Some("Bearer 00")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.dump().await, before);
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn messages_of_strangers_change_nothing() {
    let rig = Rig::start().await;
    rig.group().await;
    let before = rig.dump().await;
    let now = crate::chat::now().as_waku();
    for payload in [&b""[..], b"\xff\xff\xff\xff", &[0; 4096], &vec![7; 150 * 1024]] {
        let mut messages = vec![
            foreign_message(now, payload),
            foreign_message(0, payload),
            foreign_message(i64::MAX, payload),
            foreign_message(-1, payload),
        ];
        messages[1].timestamp = None;
        let arrived: Vec<_> = messages
            .into_iter()
            .map(|message| Arrived { hash: message.hash(&TOPIC), message: Arc::new(message) })
            .collect();
        rig.chat.on_messages(&arrived).await;
        // The dump waits behind the messages in the core's queue.
        assert_eq!(rig.dump().await, before);
    }
    rig.chat.shutdown().await;
}
