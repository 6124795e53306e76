//! Wiping the installation: what goes, who may ask, what streams see, and what a failure leaves.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;

use super::rig::Rig;
use super::sse::{Frame, Reader};
use crate::extension::Extension as _;

async fn installation(rig: &Rig) -> String {
    let (_, account) = rig.get("/accounts").await;
    account["installation"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn everything_goes_and_another_account_can_be_made() {
    let rig = Rig::start_with_peer().await;
    let group = rig.group().await;
    let (status, _) = rig.post(&format!("/groups/{group}/messages"), json!({ "text": "hi" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let own = installation(&rig).await;
    let mut reader = Reader::open(&rig, "/events/stream?after=0", &rig.token, None).await;
    reader.ready().await;
    reader.event().await;

    let (status, _) = rig.post("/wipe", json!({ "installation": own })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(rig.dump().await, []);
    assert_eq!(rig.get("/accounts").await.0, StatusCode::NOT_FOUND);
    assert_eq!(rig.get("/groups").await.1, json!({ "groups": [] }));
    assert_eq!(rig.get("/events").await.1["events"], json!([]));
    let closed = loop {
        match reader.next().await.expect("it is said why") {
            Frame::Closed(closed) => break closed,
            Frame::Event(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(closed["reason"], "wiped");
    assert_eq!(rig.chat.health()[0].1, "READY");
    let (status, body) = rig.post("/wipe", json!({ "installation": own })).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("no-account")));

    // the network is there for the next account: what it says is published
    let group = rig.group().await;
    assert_ne!(installation(&rig).await, own);
    let mut reader = Reader::open(&rig, "/events/stream", &rig.token, None).await;
    reader.ready().await;
    let path = format!("/groups/{group}/messages");
    assert_eq!(rig.post(&path, json!({ "text": "again" })).await.0, StatusCode::CREATED);
    assert_eq!(reader.event().await["type"], "message-state");
    let rig = rig.restart().await;
    let (_, messages) = rig.get(&path).await;
    assert_eq!(messages["messages"][0]["text"], "again");
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn the_installation_has_to_be_named_by_somebody_who_may() {
    let rig = Rig::start().await;
    let (status, body) = rig.post("/wipe", json!({ "installation": "00".repeat(32) })).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("no-account")));
    rig.group().await;
    let before = rig.dump().await;
    let (status, body) = rig.post("/wipe", json!({ "installation": "00".repeat(32) })).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("other-installation")));
    assert_eq!(rig.post("/wipe", json!({})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.dump().await, before);
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_wipe_that_fails_stops_the_chat_and_says_so() {
    let rig = Rig::start().await;
    rig.group().await;
    let own = installation(&rig).await;
    rig.broken.store(true, Ordering::SeqCst);
    let (status, body) = rig.post("/wipe", json!({ "installation": own })).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("wipe-unfinished")));
    let detail = body["detail"].as_str().expect("a reason");
    assert!(detail.contains("the disk is gone") && detail.contains("start the node again"));
    let (status, body) = rig.post("/accounts", json!({})).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("stopped")));
    assert_eq!(rig.chat.health()[0].1, "stopped");
    rig.chat.shutdown().await;
}
