//! Two nodes on the native engine, over TCP on the loopback and HTTP.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::Node;
use crate::options::Options;
use crate::testing::Http;

const PATH: &str = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F0";

/// A node without chat in a folder, with more arguments.
async fn start(folder: &Path, more: &[String]) -> (Node, Http) {
    let mut arguments = vec![
        format!("--data-dir={}", folder.display()),
        "--cluster-id=16".to_owned(),
        "--listen-address=127.0.0.1".to_owned(),
        "--tcp-port=0".to_owned(),
        "--rest-port=0".to_owned(),
        "--group-chat-enabled=false".to_owned(),
    ];
    arguments.extend_from_slice(more);
    let options = Options::load(arguments.into_iter().map(Into::into), []).expect("good options");
    let node = Node::start_native(&options, None).await.expect("it starts");
    let http = Http::new(node.rest_address().expect("REST is on"));
    (node, http)
}

async fn address(http: &Http) -> String {
    let info = http.get("/info").await.json();
    info["listenAddresses"][0].as_str().expect("an address").to_owned()
}

/// Asks until the answer is as wanted.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), asking).await;
    waited.unwrap_or_else(|_| panic!("not in time: {what}"))
}

fn body(text: &str) -> Value {
    json!({ "payload": crate::rest::to_base64(text.as_bytes()), "contentTopic": "/app/1/n/proto" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_by_relay_and_is_in_the_store() {
    let folders = tempfile::tempdir().expect("a folder");
    let (store, store_http) = start(&folders.path().join("a"), &["--store".to_owned()]).await;
    let far = address(&store_http).await;
    let (node, http) = start(&folders.path().join("b"), &[format!("--storenode={far}")]).await;

    until("a publish that a peer took", async || {
        let answer = http.post(PATH, body("hello")).await;
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text);
        (answer.status == 200).then_some(())
    })
    .await;
    let read = until("the message at the other node", async || {
        let read = store_http.get(PATH).await.json();
        (read != json!([])).then_some(read)
    })
    .await;
    assert_eq!(read[0]["payload"], body("hello")["payload"]);

    // The node has no Store of its own: it asks the other one.
    let page = until("the page of the other's Store", async || {
        let page = http.get("/store/v3/messages?includeData=true").await;
        (page.status == 200).then(|| page.json())
    })
    .await;
    assert_eq!(page["messages"][0]["message"], {
        let mut wanted = read[0].clone();
        wanted.as_object_mut().expect("an object").remove("proof");
        wanted
    });
    assert_eq!(page["messages"][0]["pubsubTopic"], "/waku/2/rs/16/0");

    // And the other way: what the store node publishes.
    assert_eq!(store_http.post(PATH, body("back")).await.both(), (200, "OK"));
    until("the answer", async || {
        let read = http.get(PATH).await.json();
        let back = &body("back")["payload"];
        read.as_array()?.iter().any(|m| m["payload"] == *back).then_some(())
    })
    .await;
    node.shutdown().await;
    store.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_archive_outlive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = |address: &str| address.rsplit('/').next().expect("an id").to_owned();
    let store = ["--store".to_owned()];
    let (first, http) = start(folder.path(), &store).await;
    let before = peer(&address(&http).await);
    let busy = Options::load(
        [format!("--data-dir={}", folder.path().display()).into(), "--rest-port=0".into()],
        [],
    );
    let second = Node::start_native(&busy.expect("good options"), None).await;
    let error = second.expect_err("one node a folder").to_string();
    assert!(error.ends_with("is in use by another node"), "{error}");
    first.shutdown().await;
    let (again, http) = start(folder.path(), &store).await;
    assert_eq!(peer(&address(&http).await), before);
    again.shutdown().await;
}
