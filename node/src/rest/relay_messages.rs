//! `/relay/v1/messages/{pubsubTopic}` and `/relay/v1/auto/messages`.

use axum::Json as Answer;
use axum::extract::{Path, State as Shared};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::{IntoResponses, ToSchema};
use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use super::error::RestError;
use super::json::{Json, from_base64, to_base64};
use super::relay_subscriptions::{auto_topic, content_topic, pubsub_topic};
use super::state::State;
use crate::chat::PUBLISH_LOG_TARGET;
use crate::node::now_ns;

/// nwaku's `RelayWakuMessage`, as it is given. Fields that are not known are skipped.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage {
    /// Base64, with padding or without; not empty.
    payload: String,
    /// Must be there, whatever the path says.
    #[serde(default)]
    content_topic: Option<String>,
    /// 0 if left out.
    #[serde(default)]
    version: Option<u32>,
    /// Nanoseconds since 1970-01-01T00:00:00Z; now if left out or zero.
    #[serde(default)]
    timestamp: Option<i64>,
    /// Base64, at most 64 bytes.
    #[serde(default)]
    meta: Option<String>,
    /// Whether no Store is to keep it.
    #[serde(default)]
    ephemeral: Option<bool>,
    /// Base64.
    #[serde(default)]
    proof: Option<String>,
}

/// nwaku's `RelayWakuMessage`, as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadMessage {
    /// Base64.
    payload: String,
    content_topic: String,
    version: u32,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    timestamp: i64,
    /// Base64; left out where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    meta: String,
    ephemeral: bool,
    /// Base64.
    proof: String,
}

/// What reading answers, for the document.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "a list")]
enum Reading {
    /// Oldest first
    #[response(status = 200, example = json!([{
        "payload": "aGVsbG8=", "contentTopic": "/app/1/name/proto", "version": 0,
        "timestamp": 1763860953000000000_i64, "ephemeral": false, "proof": "",
    }]))]
    Messages(Vec<ReadMessage>),
    /// The topic does not parse
    #[response(status = 400)]
    Topic(String),
    /// Not subscribed to
    #[response(status = 404)]
    NotSubscribed(String),
}

/// What publishing answers, for the document.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "a list")]
enum Publishing {
    /// OK: handed to a peer at least
    #[response(status = 200)]
    Done(String),
    /// Not a message, too large, or not subscribed to
    #[response(status = 400)]
    Refused(String),
    /// The peers' queues are full
    #[response(status = 429)]
    Full(String),
    /// The engine refuses it
    #[response(status = 500)]
    Engine(String),
    /// No peers, or the engine has ended
    #[response(status = 503)]
    NoPeers(String),
}

/// Read the messages of a pubsub topic
///
/// Those that came since the last time, at most `rest-relay-cache-capacity`; reading takes them.
#[utoipa::path(
    get, path = "/relay/v1/messages/{topic}", tag = "relay", operation_id = "readMessages",
    params(("topic" = String, Path, description = "The pubsub topic, URL-encoded")),
    responses(Reading),
)]
pub(super) async fn read(
    Shared(state): Shared<State>,
    Path(topic): Path<String>,
) -> Result<Answer<Vec<ReadMessage>>, RestError> {
    let ring = state.cache.take_pubsub(pubsub_topic(&topic)?);
    let ring = ring.ok_or(RestError::NotSubscribed(topic))?;
    Ok(Answer(ring.iter().map(|message| message.as_ref().into()).collect()))
}

/// Read the messages of a content topic
#[utoipa::path(
    get, path = "/relay/v1/auto/messages/{topic}", tag = "relay", operation_id = "readMessagesAuto",
    params(("topic" = String, Path, description = "The content topic, URL-encoded")),
    responses(Reading),
)]
pub(super) async fn read_auto(
    Shared(state): Shared<State>,
    Path(topic): Path<String>,
) -> Result<Answer<Vec<ReadMessage>>, RestError> {
    let ring = state.cache.take_content(&content_topic(&topic)?);
    let ring = ring.ok_or(RestError::NotSubscribed(topic))?;
    Ok(Answer(ring.iter().map(|message| message.as_ref().into()).collect()))
}

/// Publish on a pubsub topic
#[utoipa::path(
    post, path = "/relay/v1/messages/{topic}", tag = "relay", operation_id = "publish",
    params(("topic" = String, Path, description = "The pubsub topic, URL-encoded")),
    request_body(
        content = NewMessage,
        example = json!({ "payload": "aGVsbG8", "contentTopic": "/app/1/name/proto" }),
    ),
    responses(Publishing),
)]
pub(super) async fn publish(
    Shared(state): Shared<State>,
    Path(topic): Path<String>,
    Json(message): Json<NewMessage>,
) -> Result<&'static str, RestError> {
    let topic = pubsub_topic(&topic)?;
    send(&state, topic, message.try_into()?).await
}

/// Publish on the shard of the message's content topic
#[utoipa::path(
    post, path = "/relay/v1/auto/messages", tag = "relay", operation_id = "publishAuto",
    request_body(
        content = NewMessage,
        example = json!({ "payload": "aGVsbG8", "contentTopic": "/app/1/name/proto" }),
    ),
    responses(Publishing),
)]
pub(super) async fn publish_auto(
    Shared(state): Shared<State>,
    Json(message): Json<NewMessage>,
) -> Result<&'static str, RestError> {
    let message: WakuMessage = message.try_into()?;
    let (_, topic) = auto_topic(&state, message.content_topic.as_str())?;
    send(&state, topic, message).await
}

async fn send(
    state: &State,
    topic: PubsubTopic,
    message: WakuMessage,
) -> Result<&'static str, RestError> {
    let published = state.publisher.publish_for_others(topic, message).await?;
    let (hash, peers) = (published.hash, published.peers);
    info!(target: PUBLISH_LOG_TARGET, %hash, kind = "rest", %topic, peers, "published");
    Ok("OK")
}

impl TryFrom<NewMessage> for WakuMessage {
    type Error = RestError;

    fn try_from(message: NewMessage) -> Result<Self, RestError> {
        let missing = || RestError::Field { field: "contentTopic", reason: "is missing".into() };
        let content = message.content_topic.ok_or_else(missing)?;
        let payload = from_base64("payload", &message.payload)?;
        if payload.is_empty() {
            return Err(RestError::Field { field: "payload", reason: "is empty".into() });
        }
        let meta = from_base64("meta", message.meta.as_deref().unwrap_or_default())?;
        if meta.len() > Self::MAX_META_LEN {
            let reason = format!("{} bytes, at most {}", meta.len(), Self::MAX_META_LEN);
            return Err(RestError::Field { field: "meta", reason });
        }
        // Missing or zero means now.
        let timestamp = message.timestamp.filter(|t| *t != 0).unwrap_or_else(now_ns);
        let mut made = Self::new(content_topic(&content)?, payload, timestamp);
        made.version = message.version.unwrap_or_default();
        made.meta = meta;
        made.ephemeral = message.ephemeral.unwrap_or_default();
        made.rate_limit_proof = from_base64("proof", message.proof.as_deref().unwrap_or_default())?;
        Ok(made)
    }
}

impl From<&WakuMessage> for ReadMessage {
    fn from(message: &WakuMessage) -> Self {
        Self {
            payload: to_base64(&message.payload),
            content_topic: message.content_topic.as_str().to_owned(),
            version: message.version,
            timestamp: message.timestamp.unwrap_or_default(),
            meta: to_base64(&message.meta),
            ephemeral: message.ephemeral,
            proof: to_base64(&message.rate_limit_proof),
        }
    }
}
