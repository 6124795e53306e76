//! The OpenAPI document against the routes.

use super::{DOCUMENT, Rig};
use crate::rest::documented;
use crate::testing::document::{METHODS, routed};

#[tokio::test]
async fn every_operation_has_a_route_and_every_route_an_operation() {
    let rig = Rig::new().await;
    let paths = DOCUMENT.paths();
    let routed = routed(&documented(true).0);
    assert!(routed.iter().eq(paths.keys()), "{routed:?}");
    for (path, methods) in paths {
        // No such topic, or none at all: an answer comes all the same.
        let path = path.replace("{topic}", "t");
        for method in METHODS {
            let answer = rig.http.send(method.as_str(), &path, &[], String::new()).await;
            let there = methods.contains(method.as_str());
            assert_eq!(answer.status != 405, there, "{method} {path}: {}", answer.text);
        }
    }
    let served = rig.http.get("/openapi.json").await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.json(), DOCUMENT.0);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn a_node_without_relay_does_not_document_it() {
    let rig = Rig::with(&["--relay=false"]).await;
    let document = rig.http.get("/openapi.json").await.json();
    assert!(document["paths"]["/health"].is_object());
    assert!(document["paths"]["/relay/v1/subscriptions"].is_null());
    rig.node.shutdown().await;
}

#[test]
fn every_body_has_an_example_that_is_as_its_schema_says() {
    let seen = DOCUMENT.check_examples();
    assert!(seen >= 12, "{seen} examples");
}
