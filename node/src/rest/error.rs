//! The one error of the REST handlers: a status and a line of text, as nwaku answers.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use waku_groupchat_storage::ArchiveError;
use waku_groupchat_waku::TopicError;

use crate::engine::{EngineError, PublishError, QueryError};
use crate::node::SubscribeError;

/// Why a request is not carried out. It changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    /// No such path.
    #[error("there is no {0} here")]
    NoRoute(String),
    /// No such method on the path.
    #[error("this path does not take that method")]
    Method,
    /// The answer took too long.
    #[error("the node did not answer in time")]
    Deadline,
    /// No body where there has to be one.
    #[error("Missing content body")]
    NoBody,
    /// A body of another kind.
    #[error("Wrong Content-Type, expected application/json or text/plain")]
    ContentType,
    /// A body that is too large or breaks off.
    #[error("the body could not be read: {0}")]
    Body(String),
    /// A body that is not what it should be.
    #[error("Invalid content body, could not decode. {0}")]
    Json(#[from] serde_json::Error),
    /// A field of the body, or a parameter of the query, that is not what it should be.
    #[error("{field}: {reason}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A topic that does not parse.
    #[error("{text}: {reason}")]
    Topic {
        /// As given.
        text: String,
        /// What is wrong with it.
        reason: TopicError,
    },
    /// No shard for a content topic.
    #[error("Autosharding error: {0}")]
    Autosharding(TopicError),
    /// A read from a topic whose messages are not kept.
    #[error("Not subscribed to topic: {0}")]
    NotSubscribed(String),
    /// Too many topics, or another cluster's.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// A publish that was not made.
    #[error("Failed to publish: {}", publish_text(.0))]
    Publish(#[from] PublishError),
    /// A question to the own archive that it cannot answer.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A question to a peer's Store without an answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody to ask.
    #[error("No suitable service peer & no discovery method")]
    NoStorePeer,
    /// The engine cannot answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A handler's own task panicked: our bug.
    #[error("internal error")]
    Internal,
}

/// nwaku's words where it has some.
fn publish_text(error: &PublishError) -> String {
    match error {
        PublishError::NotSubscribed(topic) => format!("Node not subscribed to topic: {topic}"),
        PublishError::TooLarge { max, .. } => {
            format!("Message size exceeded maximum of {max} bytes")
        }
        PublishError::Refused(cause) => format!("{error}: {cause}"),
        other => other.to_string(),
    }
}

impl RestError {
    /// The status that tells it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute(_) | Self::NotSubscribed(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoStorePeer => StatusCode::PRECONDITION_FAILED,
            Self::NoBody
            | Self::ContentType
            | Self::Body(_)
            | Self::Json(_)
            | Self::Field { .. }
            | Self::Topic { .. }
            | Self::Autosharding(_) => StatusCode::BAD_REQUEST,
            Self::Subscribe(SubscribeError::TooMany(_)) => StatusCode::TOO_MANY_REQUESTS,
            Self::Subscribe(SubscribeError::Engine(error)) | Self::Engine(error) => match error {
                EngineError::OtherCluster { .. } => StatusCode::BAD_REQUEST,
                EngineError::Closed => StatusCode::SERVICE_UNAVAILABLE,
                EngineError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Publish(error) => publish_status(error),
            Self::Archive(error) => archive_status(error),
            Self::Query(error) => query_status(error),
            Self::Deadline => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

fn publish_status(error: &PublishError) -> StatusCode {
    match error {
        PublishError::NotSubscribed(_)
        | PublishError::TooLarge { .. }
        | PublishError::Duplicate => StatusCode::BAD_REQUEST,
        PublishError::Refused(_) => StatusCode::INTERNAL_SERVER_ERROR,
        PublishError::Busy => StatusCode::TOO_MANY_REQUESTS,
        PublishError::NoPeers(_) | PublishError::Closed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn archive_status(error: &ArchiveError) -> StatusCode {
    match error {
        ArchiveError::InvalidQuery(_) | ArchiveError::UnknownCursor(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The peer's own 400 and 429 are the asker's; all else is between this node and the peer.
fn query_status(error: &QueryError) -> StatusCode {
    match error {
        QueryError::Status { code: 400, .. } => StatusCode::BAD_REQUEST,
        QueryError::Status { code: 429, .. } => StatusCode::TOO_MANY_REQUESTS,
        QueryError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        QueryError::Malformed(_) | QueryError::Status { .. } => StatusCode::BAD_GATEWAY,
        QueryError::Unreachable(_) | QueryError::Unsupported(_) | QueryError::Closed => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}
