//! What goes over the socket: requests, answers, events and error codes.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// Longest line in bytes, its newline included. go-waku takes at most 1 MiB a message, which is
/// 1.4 MiB in base64.
pub(crate) const MAX_LINE: usize = 2 * 1024 * 1024;

/// A request, by `method` and `params`.
#[derive(Debug, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Makes and starts the node; once in a process.
    Start(Start),
    /// Dials a peer and waits for the connection.
    Connect(Connect),
    /// Joins the mesh of a pubsub topic; its messages come as events.
    RelaySubscribe(Topic),
    /// Leaves the mesh of a pubsub topic.
    RelayUnsubscribe(Topic),
    /// Publishes a message on a subscribed topic.
    RelayPublish(Box<Publish>),
    /// Whether any peer is subscribed to a topic.
    RelayReady(Topic),
    /// All peers that go-waku knows.
    Peers,
    /// Peer id, addresses, topics.
    Info,
    /// Allows this many more events.
    Credit(Credit),
    /// Stops the node, answers, and ends the program.
    Stop,
}

/// Parameters of `start`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Start {
    /// secp256k1 secret key, 64 hex digits; random where absent.
    pub(crate) node_key: Option<String>,
    /// Address to listen at.
    pub(crate) host: IpAddr,
    /// TCP port, 0 for any free one.
    pub(crate) port: u16,
}

// By hand, so that the key is never printed.
impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("host", &self.host).field("port", &self.port).finish()
    }
}

/// Parameters of `connect`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Connect {
    /// Address with `/p2p/<peer id>`.
    pub(crate) multiaddr: String,
    /// At most this long, 10,000 where absent.
    pub(crate) timeout_ms: Option<u32>,
}

/// Parameters of `credit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credit {
    /// How many; at most [`crate::events::MAX_CREDIT`] may be open.
    pub(crate) events: u32,
}

/// Parameters that are one pubsub topic.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Topic {
    /// `/waku/2/rs/<cluster>/<shard>`.
    pub(crate) pubsub_topic: String,
}

/// Parameters of `relay-publish`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Publish {
    /// A subscribed topic.
    pub(crate) pubsub_topic: String,
    /// The message.
    pub(crate) message: Message,
}

/// A Waku message. Byte strings are base64 with padding; an absent field is absent on the wire.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Message {
    /// Base64.
    #[serde(default)]
    pub(crate) payload: String,
    /// Any text.
    #[serde(default)]
    pub(crate) content_topic: String,
    /// 0 where absent.
    #[serde(default)]
    pub(crate) version: u32,
    /// Nanoseconds since 1970; go-waku writes it as text.
    #[serde(default, deserialize_with = "integer", skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<i64>,
    /// Base64, at most 64 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) meta: String,
    /// Base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) rate_limit_proof: String,
    /// Not to be stored.
    #[serde(default)]
    pub(crate) ephemeral: bool,
}

/// The event of a relay message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "event", rename = "message")]
pub(crate) struct MessageEvent {
    /// Where it came.
    pub(crate) pubsub_topic: String,
    /// go-waku's hash, which leaves the timestamp out.
    pub(crate) message_id: String,
    /// The message.
    pub(crate) message: Message,
}

/// Why a request failed, as it goes over the socket.
#[derive(Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// What kind, for programs.
    pub(crate) code: Code,
    /// The reason, for people.
    pub(crate) message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    /// Not a request of this protocol, or a bad value in it.
    BadRequest,
    /// The node is not started.
    NotStarted,
    /// The node was started before.
    AlreadyStarted,
    /// The topic is not subscribed.
    NotSubscribed,
    /// No peer is subscribed to the topic.
    NoPeers,
    /// A well-formed message that go-waku or its bindings cannot send as it is.
    Unsupported,
    /// Too much of it is under way.
    Busy,
    /// go-waku refused or failed.
    Waku,
}

impl Failure {
    /// A failure of this kind.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A request that breaks the protocol.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }
}

/// A line that is no request, with its id as far as it could be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestError {
    pub(crate) id: Option<u64>,
    pub(crate) failure: Failure,
}

/// Reads one line.
///
/// # Errors
/// A failure of [`Code::BadRequest`] that names what is wrong.
pub(crate) fn parse(line: &[u8]) -> Result<(u64, Request), RequestError> {
    let mut id = None;
    let fail = |id, message: String| RequestError { id, failure: Failure::bad_request(message) };
    let mut value: Value =
        serde_json::from_slice(line).map_err(|error| fail(id, format!("not JSON: {error}")))?;
    id = value.as_object_mut().and_then(|object| object.remove("id")).and_then(|id| id.as_u64());
    let Some(number) = id else {
        return Err(fail(None, "the request has no id that is a whole number".into()));
    };
    match serde_json::from_value(value) {
        Ok(request) => Ok((number, request)),
        Err(error) => Err(fail(id, error.to_string())),
    }
}

/// The line of an answer.
pub(crate) fn answer(id: Option<u64>, outcome: Result<Value, Failure>) -> Vec<u8> {
    line(match outcome {
        Ok(result) => json!({ "id": id, "result": result }),
        Err(failure) => json!({ "id": id, "error": failure }),
    })
}

/// The line of an event.
pub(crate) fn event(event: &MessageEvent) -> Vec<u8> {
    line(json!(event))
}

/// A result without content.
pub(crate) fn empty() -> Value {
    json!({})
}

fn line(value: Value) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// A whole number, as a number or as text: protobuf's JSON writes 64-bit integers as text.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Integer {
        Number(i64),
        Text(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Integer::Number(number)) => Ok(Some(number)),
        Some(Integer::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Message, Request, parse};

    #[test]
    fn reads_requests_with_and_without_params() {
        let (id, request) = parse(br#"{"id":7,"method":"peers"}"#).expect("parses");
        assert_eq!(id, 7);
        assert!(matches!(request, Request::Peers));
        let line =
            br#"{"id":8,"method":"relay-subscribe","params":{"pubsubTopic":"/waku/2/rs/0/5"}}"#;
        let (_, request) = parse(line).expect("parses");
        assert!(
            matches!(request, Request::RelaySubscribe(topic) if topic.pubsub_topic == "/waku/2/rs/0/5")
        );
    }

    #[test]
    fn names_what_is_wrong() {
        for (line, id, part) in [
            (&b"{"[..], None, "not JSON"),
            (br#"{"method":"peers"}"#, None, "no id"),
            (br#"{"id":-1,"method":"peers"}"#, None, "no id"),
            (br#"{"id":1,"method":"fly"}"#, Some(1), "fly"),
            (br#"{"id":2,"method":"start","params":{"host":"::1","port":1,"x":2}}"#, Some(2), "x"),
            (br#"{"id":3,"method":"start","params":{"host":"here","port":1}}"#, Some(3), "IP"),
        ] {
            let error = parse(line).expect_err("refused");
            assert_eq!(error.id, id);
            assert_eq!(error.failure.code, Code::BadRequest);
            assert!(error.failure.message.contains(part), "{}", error.failure.message);
        }
    }

    #[test]
    fn a_timestamp_is_a_number_or_text() {
        for text in
            [r#"{"timestamp":1700000000000000001}"#, r#"{"timestamp":"1700000000000000001"}"#]
        {
            let message: Message = serde_json::from_str(text).expect("parses");
            assert_eq!(message.timestamp, Some(1_700_000_000_000_000_001));
        }
        let message: Message = serde_json::from_str("{}").expect("parses");
        assert_eq!(message.timestamp, None);
    }
}
