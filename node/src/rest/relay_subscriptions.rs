//! `/relay/v1/subscriptions` and `/relay/v1/auto/subscriptions`.

use axum::extract::State as Shared;
use utoipa::IntoResponses;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, autoshard};

use super::error::RestError;
use super::json::Json;
use super::state::State;

/// What all of these answer, for the document.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "a list")]
enum Subscribing {
    /// OK
    #[response(status = 200)]
    Done(String),
    /// A topic that does not parse, or of another cluster
    #[response(status = 400)]
    Topic(String),
    /// Too many topics
    #[response(status = 429)]
    Full(String),
    /// The engine has ended
    #[response(status = 503)]
    Ended(String),
}

/// Subscribe to pubsub topics
///
/// Joins them, and keeps their messages for reading.
#[utoipa::path(
    post, path = "/relay/v1/subscriptions", tag = "relay", operation_id = "subscribe",
    request_body(content = Vec<String>, example = json!(["/waku/2/rs/66/3"])),
    responses(Subscribing),
)]
pub(super) async fn subscribe(
    Shared(state): Shared<State>,
    Json(topics): Json<Vec<String>>,
) -> Result<&'static str, RestError> {
    let topics = pubsub_topics(&state, &topics)?;
    state.subscriptions.subscribe(&topics).await?;
    topics.iter().for_each(|topic| state.cache.open_pubsub(*topic));
    Ok("OK")
}

/// Unsubscribe from pubsub topics
///
/// Forgets their messages, and leaves those that nothing else in
/// the node needs. Topics that are not subscribed to are no error.
#[utoipa::path(
    delete, path = "/relay/v1/subscriptions", tag = "relay", operation_id = "unsubscribe",
    request_body(content = Vec<String>, example = json!(["/waku/2/rs/66/3"])),
    responses(Subscribing),
)]
pub(super) async fn unsubscribe(
    Shared(state): Shared<State>,
    Json(topics): Json<Vec<String>>,
) -> Result<&'static str, RestError> {
    let topics = pubsub_topics(&state, &topics)?;
    topics.iter().for_each(|topic| state.cache.close_pubsub(*topic));
    state.subscriptions.unsubscribe(&topics).await?;
    Ok("OK")
}

/// Subscribe to content topics
///
/// Joins their shards, and keeps the messages of these topics for reading.
#[utoipa::path(
    post, path = "/relay/v1/auto/subscriptions", tag = "relay", operation_id = "subscribeAuto",
    request_body(content = Vec<String>, example = json!(["/app/1/name/proto"])),
    responses(Subscribing),
)]
pub(super) async fn subscribe_auto(
    Shared(state): Shared<State>,
    Json(topics): Json<Vec<String>>,
) -> Result<&'static str, RestError> {
    let topics =
        topics.iter().map(|topic| auto_topic(&state, topic)).collect::<Result<Vec<_>, _>>()?;
    state.subscriptions.subscribe_content(&topics).await?;
    topics.into_iter().for_each(|(content, _)| state.cache.open_content(content));
    Ok("OK")
}

/// Unsubscribe from content topics
#[utoipa::path(
    delete, path = "/relay/v1/auto/subscriptions", tag = "relay", operation_id = "unsubscribeAuto",
    request_body(content = Vec<String>, example = json!(["/app/1/name/proto"])),
    responses(Subscribing),
)]
pub(super) async fn unsubscribe_auto(
    Shared(state): Shared<State>,
    Json(topics): Json<Vec<String>>,
) -> Result<&'static str, RestError> {
    let topics = topics.iter().map(|text| content_topic(text)).collect::<Result<Vec<_>, _>>()?;
    topics.iter().for_each(|topic| state.cache.close_content(topic));
    state.subscriptions.unsubscribe_content(&topics).await?;
    Ok("OK")
}

/// A pubsub topic from its text.
pub(super) fn pubsub_topic(text: &str) -> Result<PubsubTopic, RestError> {
    text.parse().map_err(|reason| RestError::Topic { text: text.to_owned(), reason })
}

/// A content topic from its text.
pub(super) fn content_topic(text: &str) -> Result<ContentTopic, RestError> {
    text.parse().map_err(|reason| RestError::Topic { text: text.to_owned(), reason })
}

/// A content topic and its shard.
pub(super) fn auto_topic(
    state: &State,
    text: &str,
) -> Result<(ContentTopic, PubsubTopic), RestError> {
    let content = content_topic(text)?;
    let network = &state.options.network;
    let topic = autoshard(network.cluster_id, network.num_shards_in_network, &content)
        .map_err(RestError::Autosharding)?;
    Ok((content, topic))
}

/// Pubsub topics from their texts. Those of other clusters are refused before any is joined.
fn pubsub_topics(state: &State, texts: &[String]) -> Result<Vec<PubsubTopic>, RestError> {
    let cluster = state.options.network.cluster_id;
    let topic = |text: &String| {
        let topic = pubsub_topic(text)?;
        if topic.cluster() == cluster {
            Ok(topic)
        } else {
            Err(crate::engine::EngineError::OtherCluster { topic, cluster }.into())
        }
    };
    texts.iter().map(topic).collect()
}
