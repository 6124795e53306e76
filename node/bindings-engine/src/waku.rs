//! The go-waku node: typed calls into `waku-bindings`, with its text errors sorted by kind.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use waku_bindings::{
    ContentFilter, Encoding, Multiaddr, Running, SecretKey, WakuContentTopic, WakuLogLevel,
    WakuMessage, WakuNodeConfig, WakuNodeHandle, waku_new,
};

use crate::wire::{Code, Failure, Message, Start};

/// How long a publish may take; it waits for go-waku's own queues only.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// The one running node of this process. All calls take `&self`; go-waku locks for itself.
pub(crate) struct Node {
    handle: WakuNodeHandle<Running>,
    /// Subscribed topics. A publish on another topic would join it half-way inside go-waku, and a
    /// later subscribe to it would then end the process, so publishes are checked against this.
    topics: Mutex<BTreeSet<String>>,
}

/// The answer to `info` and `start`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    peer_id: String,
    addresses: Vec<String>,
    pubsub_topics: Vec<String>,
}

/// A peer in the answer to `peers`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer {
    peer_id: String,
    addresses: Vec<String>,
    protocols: Vec<String>,
    connected: bool,
}

impl Node {
    /// Makes the node and starts it: relay on, store off, no discovery.
    ///
    /// # Errors
    /// A bad node key, or go-waku's reason (the port is taken, say).
    pub(crate) fn start(start: Start) -> Result<Self, Failure> {
        let node_key = start.node_key.as_deref().map(str::parse::<SecretKey>).transpose();
        let node_key = node_key.map_err(|_| {
            Failure::bad_request("nodeKey must be a secp256k1 key in 64 hex digits")
        })?;
        let config = WakuNodeConfig {
            host: Some(start.host),
            port: Some(start.port.into()),
            node_key,
            relay: Some(true),
            store: Some(false),
            discv5: Some(false),
            // So that a publish that reaches nobody is an error.
            min_peers_to_publish: Some(1),
            log_level: Some(WakuLogLevel::Error),
            ..WakuNodeConfig::default()
        };
        let handle = waku_new(Some(config)).and_then(WakuNodeHandle::start).map_err(waku)?;
        Ok(Self { handle, topics: Mutex::default() })
    }

    /// Dials a peer.
    pub(crate) fn connect(&self, multiaddr: &str, timeout: Duration) -> Result<(), Failure> {
        let address: Multiaddr = multiaddr
            .parse()
            .map_err(|error| Failure::bad_request(format!("multiaddr {multiaddr}: {error}")))?;
        self.handle.connect_peer_with_address(&address, Some(timeout)).map_err(waku)
    }

    /// Joins a topic; a second call changes nothing.
    pub(crate) fn subscribe(&self, topic: &str) -> Result<(), Failure> {
        let mut topics = self.topics();
        if !topics.contains(topic) {
            self.handle.relay_subscribe(&filter(topic)).map_err(waku)?;
            topics.insert(topic.to_owned());
        }
        Ok(())
    }

    /// Leaves a topic; one that is not subscribed is left alone.
    pub(crate) fn unsubscribe(&self, topic: &str) -> Result<(), Failure> {
        let mut topics = self.topics();
        if topics.remove(topic) {
            self.handle.relay_unsubscribe(&filter(topic)).map_err(waku)?;
        }
        Ok(())
    }

    /// Publishes and gives go-waku's hash.
    pub(crate) fn publish(&self, topic: String, message: &Message) -> Result<String, Failure> {
        let message = outbound(message)?;
        if !self.topics().contains(&topic) {
            return Err(Failure::new(Code::NotSubscribed, format!("not subscribed to {topic}")));
        }
        self.handle.relay_publish_message(&message, Some(topic), Some(PUBLISH_TIMEOUT)).map_err(
            |reason| {
                let none = reason.contains("not enough peers");
                Failure::new(if none { Code::NoPeers } else { Code::Waku }, reason)
            },
        )
    }

    /// Whether a peer is subscribed to the topic.
    pub(crate) fn ready(&self, topic: String) -> Result<bool, Failure> {
        self.handle.relay_enough_peers(Some(topic)).map_err(waku)
    }

    /// Known peers, the node itself left out.
    pub(crate) fn peers(&self) -> Result<Vec<Peer>, Failure> {
        let own = self.handle.peer_id().map_err(waku)?;
        let peers = self.handle.peers().map_err(waku)?;
        Ok(peers
            .iter()
            .filter(|peer| *peer.peer_id() != own)
            .map(|peer| Peer {
                peer_id: peer.peer_id().clone(),
                addresses: peer.addresses().iter().map(ToString::to_string).collect(),
                protocols: peer.protocols().to_vec(),
                connected: peer.connected(),
            })
            .collect())
    }

    /// Peer id, listen addresses with `/p2p/<peer id>`, topics.
    pub(crate) fn info(&self) -> Result<Info, Failure> {
        Ok(Info {
            peer_id: self.handle.peer_id().map_err(waku)?,
            addresses: self
                .handle
                .listen_addresses()
                .map_err(waku)?
                .iter()
                .map(ToString::to_string)
                .collect(),
            pubsub_topics: self.topics().iter().cloned().collect(),
        })
    }

    /// Stops the node.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.handle.stop().map_err(waku)
    }

    fn topics(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All content topics of a pubsub topic.
fn filter(topic: &str) -> ContentFilter {
    ContentFilter::new(Some(topic.to_owned()), Vec::new())
}

fn waku(reason: String) -> Failure {
    Failure::new(Code::Waku, reason)
}

/// The message in the bindings' type. What that type cannot carry is refused, never changed.
fn outbound(message: &Message) -> Result<WakuMessage, Failure> {
    let bytes = |field: &str, text: &str| {
        BASE64.decode(text).map_err(|error| Failure::bad_request(format!("{field}: {error}")))
    };
    let unsupported = |reason: &str| Failure::new(Code::Unsupported, reason);
    let payload = bytes("payload", &message.payload)?;
    if payload.is_empty() {
        return Err(unsupported("go-waku takes no empty payload"));
    }
    if !message.rate_limit_proof.is_empty() {
        return Err(unsupported("the bindings carry no rate limit proof"));
    }
    let timestamp = message.timestamp.and_then(|timestamp| usize::try_from(timestamp).ok());
    let timestamp = timestamp
        .ok_or_else(|| unsupported("the bindings need a timestamp that is not negative"))?;
    let topic = content_topic(&message.content_topic)
        .ok_or_else(|| unsupported("the bindings need a content topic of four parts"))?;
    let meta = bytes("meta", &message.meta)?;
    // Lossless: the program runs on 64-bit systems only, as go-waku's bindings do.
    let version = message.version as usize;
    Ok(WakuMessage::new(payload, topic, version, timestamp, meta, message.ephemeral))
}

/// Splits a content topic so that writing it again gives the same text. The bindings' own `FromStr`
/// changes the case of some encodings.
fn content_topic(text: &str) -> Option<WakuContentTopic> {
    let mut parts = text.strip_prefix('/')?.splitn(4, '/').map(str::to_owned);
    Some(WakuContentTopic {
        application_name: parts.next()?.into(),
        version: parts.next()?.into(),
        content_topic_name: parts.next()?.into(),
        encoding: Encoding::Unknown(parts.next()?),
    })
}

#[cfg(test)]
mod tests {
    use super::{content_topic, outbound};
    use crate::wire::{Code, Message};

    #[test]
    fn a_content_topic_keeps_its_text() {
        for text in ["/toychat/2/huilong/proto", "/a/1/b/PROTO", "/0/a/1/b/proto", "/é/1//x"] {
            assert_eq!(content_topic(text).expect("four parts").to_string(), text);
        }
        for text in ["", "a/1/b/proto", "/a/1/b"] {
            assert!(content_topic(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_the_bindings_cannot_carry_is_refused() {
        let good = || Message {
            payload: "AAE=".into(),
            content_topic: "/a/1/b/proto".into(),
            timestamp: Some(1),
            ..Message::default()
        };
        outbound(&good()).expect("carried");
        let cases = [
            (Message { payload: String::new(), ..good() }, Code::Unsupported),
            (Message { payload: "?".into(), ..good() }, Code::BadRequest),
            (Message { timestamp: None, ..good() }, Code::Unsupported),
            (Message { timestamp: Some(-1), ..good() }, Code::Unsupported),
            (Message { rate_limit_proof: "AA==".into(), ..good() }, Code::Unsupported),
            (Message { content_topic: "x".into(), ..good() }, Code::Unsupported),
        ];
        for (message, code) in cases {
            assert_eq!(outbound(&message).expect_err("refused").code, code, "{message:?}");
        }
    }
}
