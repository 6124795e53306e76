//! Store v3 (13/WAKU2-STORE): asking an archive for messages, a page at a time.
//!
//! One request frame and one response frame a stream ([`crate::framing`]). A page is in ascending
//! order of (timestamp, hash), whichever direction was asked for; the cursor is the hash of the
//! message at the page's far end, and is itself excluded from the next page.

use prost::Message;

use crate::error::check_len;
use crate::wire::check_count;
use crate::{ContentTopic, DecodeError, MessageHash, PubsubTopic, WakuMessage, proto};

/// The protocol id.
pub const PROTOCOL: &str = "/vac/waku/store-query/3.0.0";

/// Messages of a page when the request names no limit.
pub const DEFAULT_PAGE_SIZE: u64 = 20;

/// Most messages of a page.
pub const MAX_PAGE_SIZE: u64 = 100;

/// Most bytes of an encoded request: about 1,900 hashes.
pub const MAX_REQUEST_LEN: usize = 64 * 1024;

/// Most bytes of an encoded response: a full page of messages of
/// [`crate::relay::MAX_MESSAGE_SIZE`]. A server on a network with larger ones ends its page early.
pub const MAX_RESPONSE_LEN: usize = 16 * 1024 * 1024;

/// Status codes of a response. 200 to 299 mean success.
pub mod status {
    /// The page is in the response.
    pub const OK: u32 = 200;
    /// The peer's answer made no sense.
    pub const BAD_RESPONSE: u32 = 300;
    /// The request is malformed or contradicts itself.
    pub const BAD_REQUEST: u32 = 400;
    /// More requests than the server takes.
    pub const TOO_MANY_REQUESTS: u32 = 429;
    /// The archive cannot answer now.
    pub const SERVICE_UNAVAILABLE: u32 = 503;
    /// The peer could not be reached.
    pub const PEER_DIAL_FAILURE: u32 = 504;
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreQueryRequest {
    /// Repeated in the response (field 1).
    pub request_id: String,
    /// Whether the messages are wanted, or their hashes alone (field 2).
    pub include_data: bool,
    /// Only messages on this topic (field 10); needed with content topics.
    pub pubsub_topic: Option<PubsubTopic>,
    /// Only messages with one of these (field 11); empty means all.
    pub content_topics: Vec<ContentTopic>,
    /// From this timestamp on, in nanoseconds (field 12).
    pub time_start: Option<i64>,
    /// Up to this timestamp, exclusive, in nanoseconds (field 13).
    pub time_end: Option<i64>,
    /// Exactly these messages (field 20); excludes the filter above.
    pub hashes: Vec<MessageHash>,
    /// The cursor of the page before (field 51), exclusive.
    pub cursor: Option<MessageHash>,
    /// Towards newer messages, or towards older ones (field 52). Absent on the wire means older.
    pub forward: bool,
    /// Most messages of the page (field 53); see [`Self::page_size`].
    pub limit: Option<u64>,
}

/// A request that contradicts itself; answered with [`status::BAD_REQUEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Content topics without a pubsub topic.
    #[error("content topics need a pubsub topic")]
    ContentTopicsAlone,
    /// Hashes together with content topics or times.
    #[error("a look-up by hash excludes content topics and times")]
    HashesWithFilter,
}

impl StoreQueryRequest {
    /// Whether it contradicts itself (13/WAKU2-STORE, query criteria). Hashes beside a pubsub topic
    /// are answered, though the specification excludes them: js-waku asks so, and nwaku answers.
    pub fn check(&self) -> Result<(), RequestError> {
        let times = self.time_start.is_some() || self.time_end.is_some();
        if !self.hashes.is_empty() && (times || !self.content_topics.is_empty()) {
            return Err(RequestError::HashesWithFilter);
        }
        if !self.content_topics.is_empty() && self.pubsub_topic.is_none() {
            return Err(RequestError::ContentTopicsAlone);
        }
        Ok(())
    }

    /// Messages of the page it asks for: [`DEFAULT_PAGE_SIZE`] for none or zero, at most
    /// [`MAX_PAGE_SIZE`].
    pub fn page_size(&self) -> u64 {
        match self.limit {
            None | Some(0) => DEFAULT_PAGE_SIZE,
            Some(limit) => limit.min(MAX_PAGE_SIZE),
        }
    }

    /// Its protobuf bytes.
    pub fn encode(&self) -> Vec<u8> {
        proto::StoreQueryRequest {
            request_id: Some(self.request_id.clone()),
            include_data: self.include_data,
            pubsub_topic: self.pubsub_topic.map(|t| t.to_string()),
            content_topics: self.content_topics.iter().map(|t| t.as_str().to_owned()).collect(),
            time_start: self.time_start,
            time_end: self.time_end,
            message_hashes: self.hashes.iter().map(|h| h.as_bytes().to_vec()).collect(),
            pagination_cursor: self.cursor.map(|h| h.as_bytes().to_vec()),
            pagination_forward: Some(self.forward),
            pagination_limit: self.limit,
        }
        .encode_to_vec()
    }

    /// From protobuf bytes, at most [`MAX_REQUEST_LEN`]. An empty pubsub topic or cursor counts as
    /// absent. Does not [`Self::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len("store request", bytes.len(), MAX_REQUEST_LEN)?;
        let request = proto::StoreQueryRequest::decode(bytes)?;
        Ok(Self {
            request_id: request.request_id.unwrap_or_default(),
            include_data: request.include_data,
            pubsub_topic: pubsub_topic(request.pubsub_topic)?,
            content_topics: request
                .content_topics
                .into_iter()
                .map(ContentTopic::from_wire)
                .collect(),
            time_start: request.time_start,
            time_end: request.time_end,
            hashes: request
                .message_hashes
                .iter()
                .map(|hash| MessageHash::from_slice(hash))
                .collect::<Result<_, _>>()?,
            cursor: cursor(request.pagination_cursor)?,
            forward: request.pagination_forward.unwrap_or(false),
            limit: request.pagination_limit,
        })
    }
}

/// A message that fits a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreEntry {
    /// Its hash (field 1).
    pub hash: MessageHash,
    /// The message (field 2), if data was asked for.
    pub message: Option<WakuMessage>,
    /// The topic it was published on (field 3), if data was asked for.
    pub pubsub_topic: Option<PubsubTopic>,
}

/// A page of an archive, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreQueryResponse {
    /// That of the request (field 1).
    pub request_id: String,
    /// See [`status`] (field 10).
    pub status_code: u32,
    /// The same for people (field 11).
    pub status_desc: String,
    /// The page (field 20), ascending by (timestamp, hash).
    pub messages: Vec<StoreEntry>,
    /// Where the next page continues (field 51); absent on the last one.
    pub cursor: Option<MessageHash>,
}

impl StoreQueryResponse {
    /// Whether the status says success.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status_code)
    }

    /// Its protobuf bytes.
    pub fn encode(&self) -> Vec<u8> {
        proto::StoreQueryResponse {
            request_id: Some(self.request_id.clone()),
            status_code: Some(self.status_code),
            status_desc: Some(self.status_desc.clone()),
            messages: self.messages.iter().cloned().map(Into::into).collect(),
            pagination_cursor: self.cursor.map(|h| h.as_bytes().to_vec()),
        }
        .encode_to_vec()
    }

    /// From protobuf bytes: at most [`MAX_RESPONSE_LEN`], with at most [`MAX_PAGE_SIZE`] messages.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len("store response", bytes.len(), MAX_RESPONSE_LEN)?;
        check_count("store entries", bytes, 20, MAX_PAGE_SIZE as usize)?;
        let response = proto::StoreQueryResponse::decode(bytes)?;
        Ok(Self {
            request_id: response.request_id.unwrap_or_default(),
            status_code: response.status_code.ok_or(DecodeError::Missing("status_code"))?,
            status_desc: response.status_desc.unwrap_or_default(),
            messages: response
                .messages
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            cursor: cursor(response.pagination_cursor)?,
        })
    }
}

impl From<StoreEntry> for proto::WakuMessageKeyValue {
    fn from(entry: StoreEntry) -> Self {
        Self {
            message_hash: Some(entry.hash.as_bytes().to_vec()),
            message: entry.message.map(Into::into),
            pubsub_topic: entry.pubsub_topic.map(|t| t.to_string()),
        }
    }
}

impl TryFrom<proto::WakuMessageKeyValue> for StoreEntry {
    type Error = DecodeError;

    fn try_from(entry: proto::WakuMessageKeyValue) -> Result<Self, DecodeError> {
        let hash = entry.message_hash.ok_or(DecodeError::Missing("message_hash"))?;
        Ok(Self {
            hash: MessageHash::from_slice(&hash)?,
            message: entry.message.map(TryInto::try_into).transpose()?,
            pubsub_topic: pubsub_topic(entry.pubsub_topic)?,
        })
    }
}

fn pubsub_topic(text: Option<String>) -> Result<Option<PubsubTopic>, DecodeError> {
    Ok(text.filter(|t| !t.is_empty()).map(|t| t.parse()).transpose()?)
}

fn cursor(bytes: Option<Vec<u8>>) -> Result<Option<MessageHash>, DecodeError> {
    bytes.filter(|b| !b.is_empty()).map(|b| MessageHash::from_slice(&b)).transpose()
}
