//! A reader of a stream of events, without a socket.

use std::pin::Pin;
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::{Method, StatusCode};
use futures::StreamExt as _;
use serde_json::Value;

use super::rig::{Rig, Sent};

/// The longest that a frame may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// What comes on a stream.
#[derive(Debug)]
pub(super) enum Frame {
    Ready(Value),
    Event(Value),
    Closed(Value),
    Comment,
}

/// Reads one stream.
pub(super) struct Reader {
    body: Pin<Box<BodyDataStream>>,
    held: String,
}

impl Reader {
    /// Opens a stream that must be answered with one.
    pub(super) async fn open(rig: &Rig, path: &str, token: &str, last: Option<u64>) -> Self {
        let last = last.map(|last| last.to_string());
        let sent = Sent { token: Some(token), last: last.as_deref(), body: None };
        let response = rig.send(Method::GET, &format!("/chat/v1{path}"), sent).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: Box::pin(response.into_body().into_data_stream()), held: String::new() }
    }

    /// The next frame; `None` once the stream has ended.
    pub(super) async fn next_of_any_kind(&mut self) -> Option<Frame> {
        loop {
            if let Some((block, rest)) = self.held.split_once("\n\n") {
                let frame = parse(block);
                self.held = rest.to_owned();
                return Some(frame);
            }
            let chunk = tokio::time::timeout(DEADLINE, self.body.next()).await.expect("in time")?;
            let chunk = chunk.expect("a body in memory").to_vec();
            self.held.push_str(&String::from_utf8(chunk).expect("UTF-8"));
        }
    }

    /// The next frame that is no comment.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.next_of_any_kind().await {
                Some(Frame::Comment) => {}
                other => return other,
            }
        }
    }

    /// The cursor that the stream begins after.
    pub(super) async fn ready(&mut self) -> u64 {
        match self.next().await {
            Some(Frame::Ready(ready)) => ready["after"].as_u64().expect("a cursor"),
            other => panic!("{other:?}"),
        }
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> Value {
        match self.next().await {
            Some(Frame::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Why the stream ends.
    pub(super) async fn closed(&mut self) -> Value {
        match self.next().await {
            Some(Frame::Closed(closed)) => closed,
            other => panic!("{other:?}"),
        }
    }
}

fn parse(block: &str) -> Frame {
    if block.starts_with(':') {
        return Frame::Comment;
    }
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let data: Value =
        serde_json::from_str(&field("data").expect("data")).expect("the data is JSON");
    let id: u64 = field("id").expect("an id").parse().expect("a cursor");
    match field("event").as_deref() {
        Some("ready") => {
            assert_eq!(data["after"], id);
            Frame::Ready(data)
        }
        Some("closed") => {
            assert_eq!(data["after"], id);
            Frame::Closed(data)
        }
        None => {
            assert_eq!(data["cursor"], id);
            Frame::Event(data)
        }
        other => panic!("an event of type {other:?}"),
    }
}
