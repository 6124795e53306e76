//! Blocking and who may invite, over HTTP.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::rig::Rig;
use crate::extension::Extension as _;

#[tokio::test]
async fn accounts_are_blocked_and_unblocked_and_strangers_kept_out() {
    let rig = Rig::start().await;
    let other = "ab".repeat(32);
    let path = format!("/blocked/{other}");
    let (status, body) = rig.call(Method::PUT, &path, None).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("no-account")));
    rig.group().await;
    let own = rig.get("/accounts").await.1["account"].as_str().expect("an id").to_owned();
    let (status, body) = rig.call(Method::PUT, &format!("/blocked/{own}"), None).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("own-account")));
    assert_eq!(rig.call(Method::PUT, &path, None).await.0, StatusCode::NO_CONTENT);
    let body = json!({ "contactsOnly": true });
    assert_eq!(rig.call(Method::PUT, "/guard", Some(body)).await.0, StatusCode::NO_CONTENT);
    let rig = rig.restart().await;
    let (status, guard) = rig.get("/guard").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(guard["contactsOnly"], true);
    assert_eq!(guard["blocked"][0]["account"], json!(other));
    assert_eq!(guard["blocked"][0]["invitations"], 0);
    assert_eq!(rig.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    let (status, body) = rig.call(Method::DELETE, &path, None).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("not-blocked")));
    rig.chat.shutdown().await;
}
