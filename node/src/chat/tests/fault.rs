//! A database that fails: commands are told, health shows it, results wait until it works again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::rig::Rig;
use crate::chat::handle::Health;
use crate::extension::Extension;

/// The longest anything may take here.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_command_that_cannot_be_written_changes_nothing() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}/messages");
    let before = rig.dump().await;

    rig.broken.store(true, Ordering::SeqCst);
    let (status, body) = rig.post(&path, json!({ "text": "lost?" })).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("database")));
    let health = rig.chat.health();
    assert!(health[0].1.contains("database"), "{health:?}");
    assert_eq!(rig.dump().await, before);

    rig.broken.store(false, Ordering::SeqCst);
    let (status, body) = rig.post(&path, json!({ "text": "there" })).await;
    assert_eq!((status, &body["id"]["number"]), (StatusCode::CREATED, &json!(1)));
    assert_eq!(rig.chat.health()[0].1, "READY");
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn what_waits_goes_on_once_the_database_works() {
    let rig = Rig::start_with_peer().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}/messages");
    let gate = rig.engine.gate.lock().await;
    let (status, body) = rig.post(&path, json!({ "text": "on its way" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let own = format!("{path}/{}/1", body["id"]["installation"].as_str().expect("an id"));

    rig.broken.store(true, Ordering::SeqCst);
    drop(gate);
    let mut health = rig.chat.core.status().health.subscribe();
    let faulty = health.wait_for(|health| matches!(health, Health::Fault(_)));
    tokio::time::timeout(DEADLINE, faulty).await.expect("in time").expect("it runs");
    assert_eq!(sending(&rig, &own).await, json!("queued"));

    rig.broken.store(false, Ordering::SeqCst);
    let ready = health.wait_for(|health| *health == Health::Ready);
    tokio::time::timeout(DEADLINE, ready).await.expect("in time").expect("it runs");
    let published = async {
        while sending(&rig, &own).await != json!("published") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, published).await.expect("in time");
    rig.chat.shutdown().await;
}

async fn sending(rig: &Rig, path: &str) -> Value {
    let (status, message) = rig.get(path).await;
    assert_eq!(status, StatusCode::OK);
    message["sending"]["state"].clone()
}
