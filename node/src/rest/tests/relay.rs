//! The relay endpoints.

use serde_json::{Value, json};
use waku_groupchat_waku::PubsubTopic;

use super::{CONTENT, Rig, TOPIC, TOPIC_PATH, body, message};
use crate::node::now_ns;

const AUTO_PATH: &str = "/relay/v1/auto/messages/%2Fapp%2F1%2Fname%2Fproto";

fn payloads(answer: &Value) -> Vec<&str> {
    answer.as_array().expect("a list").iter().filter_map(|m| m["payload"].as_str()).collect()
}

#[tokio::test]
async fn publishes_and_reads_back_once() {
    let rig = Rig::new().await;
    let answer = rig.http.post(TOPIC_PATH, body("hello")).await;
    assert_eq!(answer.both(), (200, "OK"));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");

    let published = rig.engine.published();
    let (topic, sent) = &published[0];
    assert_eq!((topic, sent.payload.as_slice()), (&TOPIC, &b"hello"[..]));
    let age = now_ns().abs_diff(sent.timestamp.expect("now"));
    assert!(age < 5_000_000_000, "{age} ns");
    assert_eq!(rig.archive.contains(&[sent.hash(topic)]).expect("memory"), [true]);

    let read = rig.http.get(TOPIC_PATH).await;
    assert_eq!(read.status, 200);
    assert_eq!(
        read.json(),
        json!([{
            "payload": "aGVsbG8=",
            "contentTopic": CONTENT,
            "version": 0,
            "timestamp": sent.timestamp,
            "ephemeral": false,
            "proof": "",
        }])
    );
    assert_eq!(rig.http.get(TOPIC_PATH).await.json(), json!([]));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn takes_every_field_of_nwakus_message() {
    let rig = Rig::new().await;
    let timestamp = now_ns();
    let body = json!({
        "payload": "aGVsbG8",
        "contentTopic": CONTENT,
        "version": 2,
        "timestamp": timestamp,
        "meta": "bWV0YQ",
        "ephemeral": true,
        "proof": "cA",
        "laterField": 1,
    });
    assert_eq!(rig.http.post(TOPIC_PATH, body).await.both(), (200, "OK"));
    let (_, sent) = rig.engine.published().remove(0);
    assert_eq!((sent.version, sent.timestamp, sent.ephemeral), (2, Some(timestamp), true));
    assert_eq!((sent.meta.as_slice(), sent.rate_limit_proof.as_slice()), (&b"meta"[..], &b"p"[..]));
    assert!(rig.archive.is_empty(), "ephemeral messages are not archived");
    let read = rig.http.get(TOPIC_PATH).await.json();
    assert_eq!((&read[0]["meta"], &read[0]["proof"]), (&json!("bWV0YQ=="), &json!("cA==")));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn text_plain_and_no_type_are_taken_as_nwaku_does() {
    let rig = Rig::new().await;
    for (i, headers) in
        [&[("content-type", "text/plain; charset=utf-8")][..], &[]].iter().enumerate()
    {
        let text = body(&format!("{i}")).to_string();
        let answer = rig.http.send("POST", TOPIC_PATH, headers, text).await;
        assert_eq!(answer.both(), (200, "OK"));
    }
    rig.node.shutdown().await;
}

#[tokio::test]
async fn messages_that_arrive_are_read_by_topic_and_by_content_topic() {
    let rig = Rig::new().await;
    let subscriptions = "/relay/v1/auto/subscriptions";
    assert_eq!(rig.http.post(subscriptions, json!([CONTENT])).await.both(), (200, "OK"));
    rig.receive(&message("one")).await;
    rig.receive(&message("two")).await;
    let read = rig.http.get(TOPIC_PATH).await.json();
    assert_eq!(payloads(&read), ["b25l", "dHdv"]);
    let read = rig.http.get(AUTO_PATH).await.json();
    assert_eq!(payloads(&read), ["b25l", "dHdv"]);
    assert_eq!(rig.http.delete(subscriptions, json!([CONTENT])).await.both(), (200, "OK"));
    let gone = rig.http.get(AUTO_PATH).await;
    assert_eq!(gone.both(), (404, "Not subscribed to topic: /app/1/name/proto"));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn auto_messages_go_to_the_shard_of_their_content_topic() {
    let rig = Rig::with(&["--cluster-id=1", "--num-shards-in-network=8", "--shard=0"]).await;
    let body = json!({ "payload": "aGk=", "contentTopic": "/toychat/2/huilong/proto" });
    let refused = rig.http.post("/relay/v1/auto/messages", &body).await;
    let why = "Failed to publish: Node not subscribed to topic: /waku/2/rs/1/3";
    assert_eq!(refused.both(), (400, why));
    let topics = json!(["/toychat/2/huilong/proto"]);
    assert_eq!(rig.http.post("/relay/v1/auto/subscriptions", topics).await.status, 200);
    assert_eq!(rig.engine.topics(), [PubsubTopic::new(1, 0), PubsubTopic::new(1, 3)]);
    assert_eq!(rig.http.post("/relay/v1/auto/messages", &body).await.both(), (200, "OK"));
    assert_eq!(rig.engine.published()[0].0, PubsubTopic::new(1, 3));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn a_topic_is_left_once_nobody_wants_it() {
    let rig = Rig::with(&["--num-shards-in-network=8", "--shard=0"]).await;
    let (pubsub, auto) = ("/relay/v1/subscriptions", "/relay/v1/auto/subscriptions");
    let three = PubsubTopic::new(0, 3);
    let content = json!(["/toychat/2/huilong/proto"]);
    rig.http.post(pubsub, json!([three])).await;
    rig.http.post(pubsub, json!([three])).await;
    rig.http.post(auto, &content).await;
    assert!(rig.engine.topics().contains(&three));
    rig.http.delete(pubsub, json!([three])).await;
    assert!(rig.engine.topics().contains(&three), "the content topic still needs it");
    rig.http.delete(auto, &content).await;
    assert!(!rig.engine.topics().contains(&three));
    assert_eq!(rig.http.delete(pubsub, json!([three])).await.both(), (200, "OK"));
    rig.node.shutdown().await;
}

#[tokio::test]
async fn a_full_cache_loses_the_oldest_and_counts() {
    let rig = Rig::with(&["--rest-relay-cache-capacity=2"]).await;
    for text in ["one", "two", "three"] {
        rig.receive(&message(text)).await;
    }
    rig.until(|| rig.metric("waku_groupchat_rest_cache_dropped_total 1")).await;
    let read = rig.http.get(TOPIC_PATH).await.json();
    assert_eq!(payloads(&read), ["dHdv", "dGhyZWU="]);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn without_relay_there_are_no_relay_endpoints() {
    let rig = Rig::with(&["--relay=false"]).await;
    assert_eq!(rig.http.get(TOPIC_PATH).await.status, 404);
    assert_eq!(rig.http.post("/relay/v1/subscriptions", json!([TOPIC])).await.status, 404);
    assert_eq!(rig.http.get("/health").await.json()["protocolsHealth"][0]["Relay"], "NOT_MOUNTED");
    rig.node.shutdown().await;
}
