//! `/store/v3/messages`: the own archive, or a peer's Store.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Query, State as Shared};
use data_encoding::HEXLOWER;
use serde::Serialize;
use utoipa::ToSchema;
use waku_groupchat_metrics::NodeError;
use waku_groupchat_storage::{Archive, ArchiveError, ArchiveQuery};
use waku_groupchat_waku::store::{StoreEntry, StoreQueryRequest, StoreQueryResponse, status};
use waku_groupchat_waku::{ContentTopic, MessageHash, WakuMessage};

use super::error::RestError;
use super::json::to_base64;
use super::relay_subscriptions::pubsub_topic;
use super::state::State;
use crate::engine::PeerName;
use crate::options::PeerAddress;

/// nwaku's `StoreQueryResponse`; hashes are `0x` and hex.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StorePage)]
pub(super) struct Page {
    request_id: String,
    status_code: u32,
    status_desc: String,
    messages: Vec<Entry>,
    /// What to give as `cursor` for the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pagination_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoreEntry)]
struct Entry {
    message_hash: String,
    /// With `includeData`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<Message>,
    /// With `includeData`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pubsub_topic: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoreMessage)]
struct Message {
    payload: String,
    content_topic: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    meta: String,
    version: u32,
    timestamp: i64,
    ephemeral: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    proof: String,
}

/// Query a Store
///
/// Without `peerAddr`: the own archive if the node serves the Store, else the first connected peer
/// that does. A page is in ascending order of time and hash. An empty parameter counts as absent.
#[utoipa::path(
    get, path = "/store/v3/messages", tag = "store", operation_id = "queryStore",
    params(
        ("peerAddr" = Option<String>, Query, description = "A peer's multiaddress"),
        ("includeData" = Option<bool>, Query, description = "Whether to answer with messages, not hashes alone"),
        ("pubsubTopic" = Option<String>, Query, description = "Only this pubsub topic"),
        ("contentTopics" = Option<String>, Query, description = "Only these, joined by commas; takes a pubsub topic"),
        ("startTime" = Option<i64>, Query, description = "From then on, nanoseconds"),
        ("endTime" = Option<i64>, Query, description = "Up to then, exclusive, nanoseconds"),
        ("hashes" = Option<String>, Query, description = "These messages, by `0x` and hex, joined by commas"),
        ("cursor" = Option<String>, Query, description = "After this message, by its hash"),
        ("pageSize" = Option<u64>, Query, description = "20 if left out, at most 100"),
        ("ascending" = Option<bool>, Query, description = "Whether pages go forward in time; true if left out"),
    ),
    responses(
        (status = 200, description = "A page", body = Page, example = json!({
            "requestId": "6f1d0c7be2a94b35e810", "statusCode": 200, "statusDesc": "OK",
            "messages": [{
                "messageHash": "0x7d1c2c7d6a37a7d1f0a5a5e3d0a7e3e1c7a1c8b9d4d2c9f5b6a4a3c2b1a09f8e",
                "message": {
                    "payload": "aGVsbG8=", "contentTopic": "/app/1/name/proto", "version": 0,
                    "timestamp": 1763860953000000000_i64, "ephemeral": false,
                },
                "pubsubTopic": "/waku/2/rs/66/3",
            }],
        })),
        (status = 400, description = "Not a query, or an unknown cursor", body = String),
        (status = 412, description = "No Store peer", body = String),
        (status = 429, description = "The peer has too much to do", body = String),
        (status = 500, description = "The archive fails", body = String),
        (status = 502, description = "The peer's answer is none", body = String),
        (status = 503, description = "The peer cannot be reached, or the engine has ended", body = String),
        (status = 504, description = "The peer does not answer in time", body = String),
    ),
)]
pub(super) async fn messages(
    Shared(state): Shared<State>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Page>, RestError> {
    let (request, peer) = read(parameters)?;
    request
        .check()
        .map_err(|reason| RestError::Field { field: "query", reason: reason.to_string() })?;
    let response = match (peer, &state.archive) {
        (None, Some(archive)) => ask_self(&state, Arc::clone(archive), request).await?,
        (peer, _) => ask_peer(&state, peer, request).await?,
    };
    Ok(Json(response.into()))
}

async fn ask_self(
    state: &State,
    archive: Arc<dyn Archive>,
    request: StoreQueryRequest,
) -> Result<StoreQueryResponse, RestError> {
    let query = ArchiveQuery::from(&request);
    let begin = Instant::now();
    let page = tokio::task::spawn_blocking(move || archive.query(&query))
        .await
        .map_err(|_| RestError::Internal)?;
    state.metrics.store().queried(begin.elapsed());
    let page = page.inspect_err(|error| {
        let asked = matches!(error, ArchiveError::InvalidQuery(_) | ArchiveError::UnknownCursor(_));
        if !asked {
            state.metrics.node().error(NodeError::ArchiveQuery);
        }
    })?;
    Ok(StoreQueryResponse {
        request_id: request.request_id,
        status_code: status::OK,
        status_desc: "OK".to_owned(),
        messages: page.messages,
        cursor: page.cursor,
    })
}

async fn ask_peer(
    state: &State,
    peer: Option<PeerName>,
    request: StoreQueryRequest,
) -> Result<StoreQueryResponse, RestError> {
    let peer = match peer {
        Some(peer) => peer,
        None => {
            let peers = state.engine.store_peers().await?;
            peers.into_iter().next().ok_or(RestError::NoStorePeer)?
        }
    };
    Ok(state.engine.store_query(&peer, request).await?)
}

/// The request that the parameters make, and whom to ask. An empty parameter counts as absent.
pub(super) fn read(
    parameters: Vec<(String, String)>,
) -> Result<(StoreQueryRequest, Option<PeerName>), RestError> {
    let mut request = StoreQueryRequest { forward: true, ..StoreQueryRequest::default() };
    let (mut peer, mut seen) = (None, Vec::new());
    for (name, text) in &parameters {
        let text = text.as_str();
        let field = field(name)?;
        if seen.contains(&field) {
            return Err(wrong(field, "is given twice"));
        }
        seen.push(field);
        if text.is_empty() {
            continue;
        }
        match field {
            "peerAddr" => {
                let address = text.parse::<PeerAddress>();
                let address = address.map_err(|reason| wrong(field, &reason.to_string()))?;
                peer = Some(PeerName::new(address.multiaddr().to_string()));
            }
            "includeData" => request.include_data = boolean(field, text)?,
            "pubsubTopic" => request.pubsub_topic = Some(pubsub_topic(text)?),
            "contentTopics" => {
                request.content_topics = text.split(',').map(ContentTopic::from_wire).collect();
            }
            "startTime" => request.time_start = time(field, text)?,
            "endTime" => request.time_end = time(field, text)?,
            "hashes" => {
                request.hashes =
                    text.split(',').map(|part| hash(field, part)).collect::<Result<_, _>>()?;
            }
            "cursor" => request.cursor = Some(hash(field, text)?),
            "ascending" => request.forward = boolean(field, text)?,
            _ => {
                let size = text.parse().map_err(|_| wrong(field, "must be a whole number"))?;
                request.limit = Some(size);
            }
        }
    }
    request.request_id = request_id()?;
    Ok((request, peer))
}

/// The parameters there are.
fn field(name: &str) -> Result<&'static str, RestError> {
    const FIELDS: [&str; 10] = [
        "peerAddr",
        "includeData",
        "pubsubTopic",
        "contentTopics",
        "startTime",
        "endTime",
        "hashes",
        "cursor",
        "ascending",
        "pageSize",
    ];
    FIELDS
        .into_iter()
        .find(|field| *field == name)
        .ok_or_else(|| wrong("query", &format!("there is no parameter {name}")))
}

fn wrong(field: &'static str, reason: &str) -> RestError {
    RestError::Field { field, reason: reason.to_owned() }
}

/// As Nim's `parseBool`.
fn boolean(field: &'static str, text: &str) -> Result<bool, RestError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err(wrong(field, "must be true or false")),
    }
}

/// Nanoseconds; nwaku takes zero and what is below as absent.
fn time(field: &'static str, text: &str) -> Result<Option<i64>, RestError> {
    let time: i64 = text.parse().map_err(|_| wrong(field, "must be nanoseconds since 1970"))?;
    Ok(Some(time).filter(|time| *time > 0))
}

fn hash(field: &'static str, text: &str) -> Result<MessageHash, RestError> {
    text.parse()
        .map_err(|reason: waku_groupchat_waku::ParseHashError| wrong(field, &reason.to_string()))
}

fn request_id() -> Result<String, RestError> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).map_err(|_| RestError::Internal)?;
    Ok(HEXLOWER.encode(&bytes))
}

impl From<StoreQueryResponse> for Page {
    fn from(response: StoreQueryResponse) -> Self {
        Self {
            request_id: response.request_id,
            status_code: response.status_code,
            status_desc: response.status_desc,
            messages: response.messages.into_iter().map(Into::into).collect(),
            pagination_cursor: response.cursor.map(|hash| hash.to_string()),
        }
    }
}

impl From<StoreEntry> for Entry {
    fn from(entry: StoreEntry) -> Self {
        Self {
            message_hash: entry.hash.to_string(),
            message: entry.message.map(Into::into),
            pubsub_topic: entry.pubsub_topic.map(|topic| topic.to_string()),
        }
    }
}

impl From<WakuMessage> for Message {
    fn from(message: WakuMessage) -> Self {
        Self {
            payload: to_base64(&message.payload),
            content_topic: message.content_topic.into_string(),
            meta: to_base64(&message.meta),
            version: message.version,
            timestamp: message.timestamp.unwrap_or_default(),
            ephemeral: message.ephemeral,
            proof: to_base64(&message.rate_limit_proof),
        }
    }
}
