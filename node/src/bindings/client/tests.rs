//! The client against a made-up program at the other end of a socket.

use super::{CREDIT_STEP, CallError, Client, EVENT_CREDIT, Events};
use crate::bindings::wire::FailureCode;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

const TOPIC: PubsubTopic = PubsubTopic::new(0, 5);

/// The other end.
struct Program(BufReader<UnixStream>);

impl Program {
    fn with_client() -> (Self, Arc<Client>, Events) {
        let (own, theirs) = UnixStream::pair().unwrap();
        let (client, events) = Client::over(own);
        (Self(BufReader::new(theirs)), client, events)
    }

    async fn request(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "the client has closed");
        serde_json::from_str(&line).unwrap()
    }

    async fn send(&mut self, value: &Value) {
        self.0.write_all(format!("{value}\n").as_bytes()).await.unwrap();
    }

    async fn send_message(&mut self, number: u32) {
        let message = json!({"payload": "AA==", "contentTopic": "/a/1/b/c", "version": number, "ephemeral": false});
        let event = json!({"event": "message", "pubsubTopic": TOPIC, "messageId": "0x", "message": message});
        self.send(&event).await;
    }
}

#[tokio::test]
async fn an_answer_finds_its_request() {
    let (mut program, client, _events) = Program::with_client();
    let message = WakuMessage::new(ContentTopic::from_wire("/a/1/b/c"), vec![0, 255], 7);
    let server = async {
        let (first, second) = (program.request().await, program.request().await);
        assert_eq!(first["method"], "relay-ready");
        assert_eq!(second["params"]["message"]["payload"], "AP8=");
        assert_eq!(second["params"]["pubsubTopic"], "/waku/2/rs/0/5");
        let refused = json!({"code": "no-peers", "message": "nobody"});
        program.send(&json!({"id": second["id"], "error": refused})).await;
        // One that nobody waits for changes nothing.
        program.send(&json!({"id": 1_000_000, "result": {}})).await;
        program.send(&json!({"id": first["id"], "result": {"ready": true}})).await;
    };
    let (ready, published, ()) =
        tokio::join!(client.ready(TOPIC), client.publish(TOPIC, &message), server);
    assert!(ready.unwrap());
    match published {
        Err(CallError::Refused(failure)) => assert_eq!(failure.code, FailureCode::NoPeers),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_program_fails_all_requests() {
    let (mut program, client, mut events) = Program::with_client();
    let lose = async {
        program.request().await;
        drop(program);
    };
    let (waiting, ()) = tokio::join!(client.info(), lose);
    assert!(matches!(waiting, Err(CallError::Closed)), "{waiting:?}");
    assert!(matches!(client.peers().await, Err(CallError::Closed)));
    assert!(events.next().await.is_none());
    client.shutdown().await;
}

#[tokio::test]
async fn a_line_that_is_no_answer_ends_the_connection() {
    let (mut program, client, _events) = Program::with_client();
    let garbage = async {
        program.request().await;
        program.0.write_all(b"garbage\n").await.unwrap();
    };
    let (waiting, ()) = tokio::join!(client.info(), garbage);
    assert!(matches!(waiting, Err(CallError::Closed)), "{waiting:?}");
}

#[tokio::test]
async fn credit_is_given_back_as_events_are_read() {
    let (mut program, client, mut events) = Program::with_client();
    let serve = async {
        assert_eq!(program.request().await["params"]["events"], EVENT_CREDIT);
        for number in 0..EVENT_CREDIT {
            program.send_message(number).await;
        }
        let more = program.request().await;
        assert_eq!(
            (&more["method"], &more["params"]["events"]),
            (&json!("credit"), &json!(CREDIT_STEP))
        );
    };
    let read = async {
        for number in 0..=CREDIT_STEP {
            let message = events.next().await.unwrap().message;
            assert_eq!(WakuMessage::try_from(message).unwrap().version, number);
        }
    };
    tokio::join!(serve, read);
    drop((client, events));
    // An error where the client left something unread.
    let after = program.0.read_line(&mut String::new()).await;
    assert!(matches!(after, Ok(0) | Err(_)), "dropping closes the socket");
}
