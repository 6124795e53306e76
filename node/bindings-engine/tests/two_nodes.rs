//! Two of these programs relay to each other, and each ends when its socket does.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TOPIC: &str = "/waku/2/rs/0/5";
const DEADLINE: Duration = Duration::from_secs(20);

/// One program and the socket to it.
struct Engine {
    child: Child,
    socket: BufReader<UnixStream>,
    requests: u64,
    events: Vec<Value>,
}

impl Engine {
    fn spawn() -> Self {
        let (own, theirs) = UnixStream::pair().expect("a socket pair");
        own.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let child = Command::new(env!("CARGO_BIN_EXE_waku-groupchat-bindings-engine"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        Self { child, socket: BufReader::new(own), requests: 0, events: Vec::new() }
    }

    /// A started node that may send `credit` events and is subscribed.
    fn subscribed(credit: u32) -> (Self, String) {
        let mut engine = Self::spawn();
        let info = engine.call("start", json!({ "host": "127.0.0.1", "port": 0 }));
        let address = info["result"]["addresses"][0].as_str().expect("an address").to_owned();
        engine.call("credit", json!({ "events": credit }));
        engine.call("relay-subscribe", json!({ "pubsubTopic": TOPIC }));
        (engine, address)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let mut request = json!({ "id": self.requests, "method": method });
        if !params.is_null() {
            request["params"] = params;
        }
        self.send(format!("{request}\n").as_bytes());
        loop {
            let line = self.line().expect("an answer");
            if line.get("event").is_some() {
                self.events.push(line);
            } else {
                assert_eq!(line["id"], self.requests);
                return line;
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).expect("sent");
    }

    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.socket.read_line(&mut line).expect("a line before the deadline");
        (read > 0).then(|| serde_json::from_str(&line).expect("JSON"))
    }

    /// The next message event.
    fn message(&mut self) -> Value {
        if self.events.is_empty() {
            let event = self.line().expect("an event");
            self.events.push(event);
        }
        self.events.remove(0)
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + DEADLINE;
        while self.call("relay-ready", json!({ "pubsubTopic": TOPIC }))["result"]["ready"] != true {
            assert!(Instant::now() < end, "no peer on the topic within {DEADLINE:?}");
        }
    }

    fn end(mut self) -> ExitStatus {
        drop(self.socket);
        self.child.wait().expect("the program ends")
    }
}

fn message(payload: &str, timestamp: i64) -> Value {
    json!({
        "payload": payload, "contentTopic": "/Toy/1/two-nodes/PROTO", "version": 1,
        "timestamp": timestamp, "meta": "AAEC", "ephemeral": true,
    })
}

/// Publishes at one node and checks what both report.
fn exchange(from: &mut Engine, to: &mut Engine, sent: Value) {
    let request = json!({ "pubsubTopic": TOPIC, "message": sent });
    let answer = from.call("relay-publish", request);
    // go-waku reports own messages too.
    for event in [from.message(), to.message()] {
        assert_eq!(event["message"], sent);
        assert_eq!(event["pubsubTopic"], TOPIC);
        assert_eq!(event["messageId"], answer["result"]["messageId"], "{answer}");
    }
}

#[test]
fn messages_go_both_ways_unchanged() {
    let ((mut a, _), (mut b, address)) = (Engine::subscribed(1000), Engine::subscribed(1000));
    let early =
        a.call("relay-publish", json!({"pubsubTopic": TOPIC, "message": message("AA==", 1)}));
    assert_eq!(early["error"]["code"], "no-peers");
    assert_eq!(a.call("connect", json!({ "multiaddr": address }))["result"], json!({}));
    a.wait_until_ready();
    b.wait_until_ready();
    for (round, payload) in (1..).zip(["AP/+", "eA==", "8J+SrA=="]) {
        // Another timestamp each way: the same bytes would be one message to gossipsub.
        exchange(&mut a, &mut b, message(payload, 1_700_000_000_000_000_000 + round));
        exchange(&mut b, &mut a, message(payload, 1_700_000_000_000_000_000 - round));
    }
    assert_eq!(a.call("peers", Value::Null)["result"]["peers"][0]["connected"], true);
    assert_eq!(a.call("stop", Value::Null)["result"], json!({}));
    assert!(a.child.wait().expect("ends").success());
    assert!(b.end().success());
}

#[test]
fn without_credit_events_wait_and_answers_come() {
    let ((mut a, _), (mut b, address)) = (Engine::subscribed(10), Engine::subscribed(1));
    a.call("connect", json!({ "multiaddr": address }));
    a.wait_until_ready();
    for stamp in 1..=3 {
        let sent = message("AA==", stamp);
        let answer = a.call("relay-publish", json!({ "pubsubTopic": TOPIC, "message": sent }));
        assert!(answer["result"].is_object(), "{answer}");
    }
    // go-waku validates in parallel: no order is kept.
    let mut stamps = vec![b.message()["message"]["timestamp"].as_i64()];
    assert!(b.call("info", Value::Null)["result"].is_object());
    assert!(b.events.is_empty(), "an event came without credit");
    b.call("credit", json!({ "events": 2 }));
    stamps.extend([(); 2].map(|()| b.message()["message"]["timestamp"].as_i64()));
    stamps.sort_unstable();
    assert_eq!(stamps, [Some(1), Some(2), Some(3)]);
    assert_eq!(b.call("credit", json!({"events": 1_000_000}))["error"]["code"], "bad-request");
}

#[test]
fn errors_are_answers_and_change_nothing() {
    let mut engine = Engine::spawn();
    assert_eq!(engine.call("info", Value::Null)["error"]["code"], "not-started");
    assert_eq!(engine.call("fly", Value::Null)["error"]["code"], "bad-request");
    engine.send(b"not json\n");
    let answer = engine.line().expect("an answer");
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!("bad-request")));
    let bad_key = json!({ "host": "127.0.0.1", "port": 0, "nodeKey": "00" });
    assert_eq!(engine.call("start", bad_key)["error"]["code"], "bad-request");
    let start = json!({ "host": "127.0.0.1", "port": 0 });
    assert!(engine.call("start", start.clone())["result"].is_object());
    assert_eq!(engine.call("start", start)["error"]["code"], "already-started");
    let publish = json!({ "pubsubTopic": TOPIC, "message": message("AA==", 1) });
    assert_eq!(engine.call("relay-publish", publish)["error"]["code"], "not-subscribed");
    let nobody = json!({ "multiaddr": "/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAmHzBkRq62mG95vsjKMuYQBezZCtjPXYWUoyVxMxi71aB3" });
    assert_eq!(engine.call("connect", nobody)["error"]["code"], "waku");
    assert!(engine.end().success());
}

#[test]
fn it_ends_with_its_socket_whatever_it_is_doing() {
    let mut engine = Engine::spawn();
    engine.call("start", json!({ "host": "127.0.0.1", "port": 0 }));
    // Nobody answers there: the dial is under way when the socket goes.
    engine.send(b"{\"id\":9,\"method\":\"connect\",\"params\":{\"multiaddr\":\"/ip4/192.0.2.1/tcp/9/p2p/16Uiu2HAmHzBkRq62mG95vsjKMuYQBezZCtjPXYWUoyVxMxi71aB3\"}}\n");
    assert!(engine.end().success());
    let mut long = Engine::spawn();
    long.send(&vec![b'x'; 2 * 1024 * 1024 + 1]);
    assert_eq!(long.line().expect("an answer")["error"]["code"], "bad-request");
    assert_eq!(long.child.wait().expect("ends").code(), Some(1));
}
