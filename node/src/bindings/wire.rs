//! The lines of the socket (`docs/spec/bindings-engine.md`).

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use waku_groupchat_waku::{ContentTopic, WakuMessage};

/// Longest line in bytes, with its newline.
pub const MAX_LINE: usize = 2 * 1024 * 1024;

/// A request as it is written.
#[derive(Serialize)]
pub(super) struct Request<'r, P> {
    pub(super) id: u64,
    pub(super) method: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<&'r P>,
}

/// A line as it is read: an answer, or an event.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Event(Event),
    Failed { id: Option<u64>, error: Failure },
    Done { id: u64, result: Value },
}

/// Parameters of `start`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start<'s> {
    /// secp256k1 secret key in 64 hex digits; random where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_key: Option<&'s str>,
    /// Where to listen.
    pub host: IpAddr,
    /// TCP port, 0 for any free one.
    pub port: u16,
}

impl fmt::Debug for Start<'_> {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// The result of `start` and `info`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// The node's peer id.
    pub peer_id: String,
    /// Listen addresses with `/p2p/<peer id>`.
    pub addresses: Vec<String>,
    /// Subscribed topics.
    pub pubsub_topics: Vec<String>,
}

/// A peer that go-waku knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its peer id.
    pub peer_id: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Protocol ids that it speaks.
    pub protocols: Vec<String>,
    /// Whether it is connected now.
    pub connected: bool,
}

/// An event.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    Message(Received),
}

/// A relay message of a subscribed topic, own ones too.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// Where it came.
    pub pubsub_topic: String,
    /// go-waku's hash, without the timestamp: `0x` and hex.
    pub message_id: String,
    /// The message.
    pub message: JsonMessage,
}

/// A Waku message as it is written in JSON. Byte strings are base64.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonMessage {
    payload: String,
    content_topic: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    meta: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    rate_limit_proof: String,
    ephemeral: bool,
}

impl fmt::Debug for JsonMessage {
    /// Lengths instead of contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonMessage")
            .field("content_topic", &self.content_topic)
            .field("payload_base64_len", &self.payload.len())
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

impl From<&WakuMessage> for JsonMessage {
    fn from(message: &WakuMessage) -> Self {
        Self {
            payload: BASE64.encode(&message.payload),
            content_topic: message.content_topic.as_str().to_owned(),
            version: message.version,
            timestamp: message.timestamp,
            meta: BASE64.encode(&message.meta),
            rate_limit_proof: BASE64.encode(&message.rate_limit_proof),
            ephemeral: message.ephemeral,
        }
    }
}

impl TryFrom<JsonMessage> for WakuMessage {
    type Error = base64::DecodeError;

    fn try_from(message: JsonMessage) -> Result<Self, Self::Error> {
        Ok(Self {
            payload: BASE64.decode(message.payload)?,
            content_topic: ContentTopic::from_wire(message.content_topic),
            version: message.version,
            timestamp: message.timestamp,
            meta: BASE64.decode(message.meta)?,
            rate_limit_proof: BASE64.decode(message.rate_limit_proof)?,
            ephemeral: message.ephemeral,
        })
    }
}

/// Why the program did not carry out a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind.
    pub code: FailureCode,
    /// The reason, in words.
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// Our bug: not a request of the protocol; or a bad value in it.
    BadRequest,
    /// The node is not started.
    NotStarted,
    /// The node was started before.
    AlreadyStarted,
    /// The topic is not subscribed.
    NotSubscribed,
    /// No peer is subscribed to the topic.
    NoPeers,
    /// go-waku cannot send this message as it is.
    Unsupported,
    /// Too many dials are under way.
    Busy,
    /// go-waku's own error.
    Waku,
    /// One that this client does not know.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde_json::json;

    use super::{ContentTopic, Event, FailureCode, JsonMessage, Line, WakuMessage};

    #[test]
    fn lines_are_told_apart() {
        let line = |value| serde_json::from_value::<Line>(value).expect("a line");
        assert!(matches!(line(json!({"id": 3, "result": {}})), Line::Done { id: 3, .. }));
        let Line::Failed { id, error } =
            line(json!({"id": null, "error": {"code": "new", "message": "m"}}))
        else {
            panic!("not a failure");
        };
        assert_eq!((id, error.code), (None, FailureCode::Other));
        let event = line(json!({
            "event": "message", "pubsubTopic": "/waku/2/rs/0/5", "messageId": "0x00",
            "message": {"payload": "AA==", "contentTopic": "/a/1/b/c", "version": 0, "ephemeral": false},
        }));
        assert!(matches!(event, Line::Event(Event::Message(_))));
    }

    proptest! {
        #[test]
        fn a_message_survives_json(
            payload: Vec<u8>, topic: String, version: u32, timestamp in any::<Option<i64>>(),
            meta: Vec<u8>, rate_limit_proof: Vec<u8>, ephemeral: bool,
        ) {
            let content_topic = ContentTopic::from_wire(topic);
            let message = WakuMessage {
                payload, content_topic, version, timestamp, meta, rate_limit_proof, ephemeral,
            };
            let text = serde_json::to_vec(&JsonMessage::from(&message)).expect("JSON");
            let read: JsonMessage = serde_json::from_slice(&text).expect("JSON");
            assert_eq!(WakuMessage::try_from(read).expect("base64"), message);
        }
    }
}
