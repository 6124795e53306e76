//! Bad input gives a clear error and changes nothing.

use serde_json::{Value, json};

use super::{CONTENT, Rig, TOPIC, TOPIC_PATH, body, message};
use crate::rest::json::to_base64;

/// Everything a request could have changed.
async fn state(rig: &Rig) -> (usize, usize, Vec<waku_groupchat_waku::PubsubTopic>) {
    (rig.engine.published().len(), rig.archive.len(), rig.engine.topics())
}

#[tokio::test]
async fn publishes_that_are_refused() {
    let rig = Rig::new().await;
    let before = state(&rig).await;
    let oversized = to_base64(&vec![0; 150 * 1024]);
    let with =
        |payload: &str, content: &str| json!({ "payload": payload, "contentTopic": content });
    for (body, why) in [
        (with("!", CONTENT), "payload: not base64: "),
        (with("", CONTENT), "payload: is empty"),
        (json!({ "payload": "aGk=" }), "contentTopic: is missing"),
        (
            json!({ "contentTopic": CONTENT }),
            "Invalid content body, could not decode. missing field `payload`",
        ),
        (with("aGk=", "app"), "app: content topic does not begin with a slash"),
        (with("aGk=", "/app/1/name"), "/app/1/name: content topic has 3 parts"),
        (with("aGk=", "/1/app/1/name/proto"), "/1/app/1/name/proto: content topic's generation"),
        (
            with(&oversized, CONTENT),
            "Failed to publish: Message size exceeded maximum of 153600 bytes",
        ),
        (json!({ "payload": "aGk=", "contentTopic": CONTENT, "meta": "*" }), "meta: not base64: "),
        (
            json!({ "payload": "aGk=", "contentTopic": CONTENT, "meta": to_base64(&[0; 65]) }),
            "meta: 65 bytes, at most 64",
        ),
        (
            json!({ "payload": "aGk=", "contentTopic": CONTENT, "version": -1 }),
            "Invalid content body, could not decode. ",
        ),
        (
            json!({ "payload": "aGk=", "contentTopic": CONTENT, "timestamp": "now" }),
            "Invalid content body, could not decode. ",
        ),
        (
            json!({ "payload": 5, "contentTopic": CONTENT }),
            "Invalid content body, could not decode. ",
        ),
        (json!([]), "Invalid content body, could not decode. "),
        (Value::Null, "Invalid content body, could not decode. "),
    ] {
        for path in [TOPIC_PATH, "/relay/v1/auto/messages"] {
            let answer = rig.http.post(path, &body).await;
            assert_eq!(answer.status, 400, "{why}");
            assert!(answer.text.starts_with(why), "{} instead of {why}", answer.text);
        }
    }
    assert_eq!(state(&rig).await, before);
    assert_eq!(rig.http.get(TOPIC_PATH).await.json(), json!([]));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn bodies_that_are_refused() {
    let rig = Rig::new().await;
    let json = [("content-type", "application/json")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let good = body("hi").to_string();
    let twice = r#"{"payload":"aGk=","payload":"aGk=","contentTopic":"/app/1/name/proto"}"#;
    for (headers, body, why) in [
        (&json, String::new(), "Missing content body"),
        (&json, "{".to_owned(), "Invalid content body, could not decode. EOF"),
        (&json, "\u{fffd}".to_owned(), "Invalid content body, could not decode. "),
        (&json, twice.to_owned(), "Invalid content body, could not decode. duplicate field"),
        (&json, "[".repeat(10_000), "Invalid content body, could not decode. "),
        (&json, " ".repeat(300 * 1024), "the body could not be read: "),
        (&form, good, "Wrong Content-Type, expected application/json or text/plain"),
    ] {
        let answer = rig.http.send("POST", TOPIC_PATH, headers, body).await;
        assert_eq!(answer.status, 400, "{why}");
        assert!(answer.text.starts_with(why), "{} instead of {why}", answer.text);
    }
    assert!(rig.engine.published().is_empty());
    rig.node.shutdown().await;
}

#[tokio::test]
async fn topics_that_are_refused() {
    let rig = Rig::new().await;
    let before = state(&rig).await;
    for (path, body, why) in [
        (
            "/relay/v1/subscriptions",
            json!(["/waku/2/rs/0"]),
            "/waku/2/rs/0: pubsub topic is not /waku/2/rs/<cluster>/<shard>",
        ),
        (
            "/relay/v1/subscriptions",
            json!([TOPIC, "/waku/2/rs/7/0"]),
            "/waku/2/rs/7/0 is not on cluster 0",
        ),
        (
            "/relay/v1/subscriptions",
            json!("/waku/2/rs/0/1"),
            "Invalid content body, could not decode. ",
        ),
        (
            "/relay/v1/auto/subscriptions",
            json!(["/app/1/other/proto", "app"]),
            "app: content topic does not begin",
        ),
    ] {
        let answer = rig.http.post(path, body).await;
        assert_eq!(answer.status, 400, "{why}");
        assert!(answer.text.starts_with(why), "{} instead of {why}", answer.text);
    }
    let other = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F0%2F5";
    let why = "Failed to publish: Node not subscribed to topic: /waku/2/rs/0/5";
    assert_eq!(rig.http.post(other, body("hi")).await.both(), (400, why));
    assert_eq!(rig.http.get(other).await.both(), (404, "Not subscribed to topic: /waku/2/rs/0/5"));
    let malformed = rig.http.get("/relay/v1/messages/topic").await;
    let why = "topic: pubsub topic is not /waku/2/rs/<cluster>/<shard>";
    assert_eq!(malformed.both(), (400, why));
    assert_eq!(state(&rig).await, before);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn static_sharding_has_no_auto_topics() {
    let rig = Rig::with(&["--num-shards-in-network=0", "--shard=0"]).await;
    let why = "Autosharding error: the number of shards is zero";
    assert_eq!(rig.http.post("/relay/v1/auto/messages", body("hi")).await.both(), (400, why));
    let answer = rig.http.post("/relay/v1/auto/subscriptions", json!([CONTENT])).await;
    assert_eq!(answer.both(), (400, why));
    assert_eq!(rig.http.post(TOPIC_PATH, body("hi")).await.both(), (200, "OK"));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn too_many_subscriptions() {
    let rig = Rig::new().await;
    let topic = |i| format!("/app/1/{i}/proto");
    let all: Vec<_> = (0..1000).map(topic).collect();
    assert_eq!(rig.http.post("/relay/v1/auto/subscriptions", json!(all)).await.status, 200);
    let more = rig.http.post("/relay/v1/auto/subscriptions", json!([topic(1000)])).await;
    assert_eq!(more.status, 429);
    let again = rig.http.post("/relay/v1/auto/subscriptions", json!([topic(7)])).await;
    assert_eq!(again.status, 200);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn publishes_that_nobody_takes() {
    let rig = Rig::new().await;
    rig.engine.set_peers(0);
    let answer = rig.http.post(TOPIC_PATH, body("hi")).await;
    assert_eq!(answer.both(), (503, "Failed to publish: no relay peer for /waku/2/rs/0/0"));
    rig.engine.set_peers(1);
    rig.engine.set_busy(true);
    let answer = rig.http.post(TOPIC_PATH, body("hi")).await;
    assert_eq!(answer.both(), (429, "Failed to publish: all relay peers are busy"));
    assert!(rig.archive.is_empty(), "what nobody took is not archived");
    rig.engine.set_busy(false);
    let mut body = body("hi");
    body["timestamp"] = json!(message("").timestamp);
    assert_eq!(rig.http.post(TOPIC_PATH, &body).await.status, 200);
    let again = rig.http.post(TOPIC_PATH, &body).await;
    assert_eq!(again.both(), (400, "Failed to publish: the same message was published already"));
    rig.node.shutdown().await;
}
