//! Tokens: made, shown without their secrets, refused once they are revoked or have expired.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Rig, Sent};
use crate::extension::Extension;

fn in_millis(millis: u64) -> u64 {
    let at = SystemTime::now() + Duration::from_millis(millis);
    u64::try_from(at.duration_since(UNIX_EPOCH).expect("a clock").as_nanos()).expect("64 bits")
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn a_token_does_what_its_scopes_allow_and_survives_a_restart() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let body =
        json!({ "name": "bot", "scopes": ["send", "send"], "expires": in_millis(3_600_000) });
    let (status, made) = rig.post("/tokens", body).await;
    assert_eq!((status, &made["scopes"]), (StatusCode::CREATED, &json!(["send"])));
    let secret = made["token"].as_str().expect("a secret").to_owned();

    let rig = rig.restart().await;
    let (status, list) = rig.get("/tokens").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&list["tokens"][0]["id"], &list["tokens"][1]["id"]),
        (&json!("first"), &made["id"])
    );
    assert!(!list.to_string().contains(&secret), "{list}");
    assert!(!list.to_string().contains(&rig.token), "{list}");
    let kept = std::fs::read_to_string(rig.path("api-tokens.json")).expect("the file");
    assert!(!kept.contains(&secret), "{kept}");

    let path = format!("/groups/{group}/messages");
    let sent = Sent { token: Some(&secret), body: Some(json!({ "text": "beep" })), last: None };
    assert_eq!(rig.probe(Method::POST, &full(&path), sent).await.0, StatusCode::CREATED);
    let (status, headers, body) = rig.get_as(&path, Some(&bearer(&secret))).await;
    assert_eq!((status.as_u16(), &body["code"]), (403, &json!("scope")));
    let detail = body["detail"].as_str().expect("text");
    assert!(detail.contains("scope read") && detail.contains("has send"), "{detail}");
    let challenge = headers["www-authenticate"].to_str().expect("text");
    assert!(challenge.contains(r#"error="insufficient_scope", scope="read""#), "{challenge}");
    rig.chat.shutdown().await;
}

fn full(path: &str) -> String {
    format!("/chat/v1{path}")
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let rig = Rig::start().await;
    let (_, made) = rig.post("/tokens", json!({ "name": "bot", "scopes": ["read"] })).await;
    let secret = bearer(made["token"].as_str().expect("a secret"));
    assert_eq!(rig.get_as("/groups", Some(&secret)).await.0, StatusCode::OK);

    let path = format!("/tokens/{}", made["id"].as_str().expect("an id"));
    let waiting = rig.get_as("/events?wait=30", Some(&secret));
    let revoking = rig.call(Method::DELETE, &path, None);
    let (waited, revoked) = tokio::join!(waiting, revoking);
    assert_eq!(revoked, (StatusCode::NO_CONTENT, Value::Null));
    for (status, headers, body) in [waited, rig.get_as("/groups", Some(&secret)).await] {
        assert_eq!((status.as_u16(), &body["code"]), (401, &json!("wrong-token")));
        let challenge = headers["www-authenticate"].to_str().expect("text");
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    let (status, body) = rig.call(Method::DELETE, &path, None).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("unknown-token")));
    let rig = rig.restart().await;
    assert_eq!(rig.get_as("/groups", Some(&secret)).await.0, StatusCode::UNAUTHORIZED);
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_token_ends_when_it_said_it_would() {
    let rig = Rig::start().await;
    let body = json!({ "name": "bot", "scopes": ["read"], "expires": in_millis(300) });
    let (status, made) = rig.post("/tokens", body).await;
    assert_eq!(status, StatusCode::CREATED);
    let secret = bearer(made["token"].as_str().expect("a secret"));
    // It is good when the poll begins, and ends it.
    let (status, _, body) = rig.get_as("/events?wait=30", Some(&secret)).await;
    assert_eq!((status.as_u16(), &body["code"]), (401, &json!("expired-token")));
    let (status, _, body) = rig.get_as("/groups", Some(&secret)).await;
    assert_eq!((status.as_u16(), &body["code"]), (401, &json!("expired-token")));
    let (_, list) = rig.get("/tokens").await;
    assert_eq!(list["tokens"][1]["id"], made["id"], "it stays listed");
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_not_made() {
    let rig = Rig::start().await;
    let cases = [
        (json!({ "name": "", "scopes": ["read"] }), "length"),
        (json!({ "name": "n".repeat(65), "scopes": ["read"] }), "length"),
        (json!({ "name": "n", "scopes": [] }), "no-scope"),
        (json!({ "name": "n", "scopes": ["write"] }), "malformed"),
        (json!({ "name": "n" }), "malformed"),
        (json!({ "name": "n", "scopes": ["read"], "expires": 1 }), "expiry"),
        (json!({ "name": "n", "scopes": ["read"], "expires": "never" }), "malformed"),
    ];
    for (body, code) in cases {
        let (status, answer) = rig.post("/tokens", body.clone()).await;
        assert_eq!((status.as_u16(), &answer["code"]), (400, &json!(code)), "{body}");
    }
    let (status, answer) = rig.call(Method::DELETE, "/tokens/first", None).await;
    assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("first-token")));
    assert_eq!(rig.get("/tokens").await.1["tokens"].as_array().map(Vec::len), Some(1));
    assert!(!rig.path("api-tokens.json").exists());
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_written_is_not_made() {
    let rig = Rig::start().await;
    // A folder where the new file would be written first.
    std::fs::create_dir(rig.path("api-tokens.json.new")).expect("own folder");
    let (status, body) = rig.post("/tokens", json!({ "name": "bot", "scopes": ["read"] })).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("token-file")));
    assert_eq!(rig.get("/tokens").await.1["tokens"].as_array().map(Vec::len), Some(1));
    rig.chat.shutdown().await;
}
