//! Health, info, version, metrics, origins, routes that are not there, and the end.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Rig, TOPIC_PATH, body};
use crate::testing::{Http, OWN};

#[tokio::test]
async fn health_in_nwakus_shape() {
    let rig = Rig::with(&["--store"]).await;
    let health = rig.http.get("/health").await;
    assert_eq!(health.status, 200);
    assert_eq!(
        health.json(),
        json!({
            "nodeHealth": "READY",
            "protocolsHealth": [
                { "Relay": "READY" },
                { "Store": "READY" },
                { "Store Client": "NOT_READY", "desc": "No Store service peer available yet" },
            ],
        })
    );
    rig.engine.set_peers(0);
    let health = rig.http.get("/health").await.json();
    assert_eq!(
        health["protocolsHealth"][0],
        json!({ "Relay": "NOT_READY", "desc": "No connected peers" })
    );
    rig.node.shutdown().await;
}

#[tokio::test]
async fn info_and_version_stand_in_both_places() {
    let rig = Rig::new().await;
    for path in ["/info", "/debug/v1/info"] {
        let address = format!("/ip4/127.0.0.1/tcp/60000/p2p/{OWN}");
        let wanted = json!({ "listenAddresses": [address], "enrUri": "" });
        assert_eq!(rig.http.get(path).await.json(), wanted);
    }
    for path in ["/version", "/debug/v1/version"] {
        assert_eq!(rig.http.get(path).await.both(), (200, crate::rest::VERSION));
    }
    rig.node.shutdown().await;
}

#[tokio::test]
async fn metrics_have_a_server_of_their_own() {
    let rig = Rig::with(&["--metrics-server"]).await;
    rig.http.get("/health").await;
    let metrics = Http::new(rig.node.metrics_address().expect("it is on"));
    let scrape = metrics.get("/metrics").await;
    assert_eq!(scrape.headers["content-type"], "text/plain; version=0.0.4");
    let line = "waku_groupchat_http_requests_total{resource=\"health\",status=\"2xx\"} 1";
    assert!(scrape.text.lines().any(|l| l == line), "{}", scrape.text);
    assert_eq!(rig.http.get("/metrics").await.status, 404);
    assert_eq!(metrics.get("/health").await.status, 404);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let rig = Rig::new().await;
    assert_eq!(
        rig.http.get("/admin/v1/peers").await.both(),
        (404, "there is no /admin/v1/peers here")
    );
    assert_eq!(rig.http.get("/").await.status, 404);
    assert_eq!(rig.http.post("/health", "").await.status, 405);
    assert_eq!(rig.http.get("/relay/v1/subscriptions").await.status, 405);
    rig.node.shutdown().await;
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let strict = Rig::new().await;
    let text = body("hi").to_string();
    let page = [("origin", "http://page.example"), ("content-type", "text/plain")];
    let answer = strict.http.send("POST", TOPIC_PATH, &page, text.clone()).await;
    assert_eq!(answer.both(), (403, "Origin not allowed"));
    assert!(strict.engine.published().is_empty());
    strict.node.shutdown().await;

    let open = Rig::with(&["--rest-allow-origin=page.example"]).await;
    let answer = open.http.send("POST", TOPIC_PATH, &page, text.clone()).await;
    assert_eq!(answer.both(), (200, "OK"));
    assert_eq!(answer.headers["access-control-allow-origin"], "http://page.example");
    let preflight = [
        ("origin", "http://page.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = open.http.send("OPTIONS", TOPIC_PATH, &preflight, String::new()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains_key("access-control-allow-methods"));
    let other = [("origin", "http://other.example")];
    assert_eq!(open.http.send("GET", "/health", &other, String::new()).await.status, 403);
    assert_eq!(open.http.get("/health").await.status, 200);
    open.node.shutdown().await;
}

#[tokio::test]
async fn connections_that_fall_silent_do_not_hold_up_the_end() {
    let rig = Rig::new().await;
    let address = rig.node.rest_address().expect("REST is on");
    let mut silent = Vec::new();
    for begin in [
        &b""[..],
        b"GET /heal",
        b"POST /relay/v1/subscriptions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        stream.write_all(begin).await.expect("sent");
        silent.push(stream);
    }
    // By now the server has accepted those before it.
    assert_eq!(rig.http.get("/health").await.status, 200);
    tokio::time::timeout(Duration::from_secs(20), rig.node.shutdown()).await.expect("in time");
}
