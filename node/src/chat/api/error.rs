//! The one error of `/chat/v1`: status, a name for programs, and the reason for people.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tracing::error;
use waku_groupchat_core::api::CommandError;

use super::types::ErrorBody;
use crate::chat::handle::CallError;

/// When a client may try again after a full queue or a fault, in seconds.
const RETRY_SECS: HeaderValue = HeaderValue::from_static("1");

/// Why a request gave nothing. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// The token is missing.
    #[error("the chat API wants a bearer token: send `Authorization: Bearer <token>`")]
    NoToken,
    /// The token is not the node's.
    #[error("this is not the token of this node's chat API")]
    WrongToken,
    /// Something in the request does not parse.
    #[error("{what}: {reason}")]
    Malformed {
        /// `path`, `query` or `body`.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The body is not declared as JSON.
    #[error("the body must be JSON: send `Content-Type: application/json`")]
    MediaType,
    /// The body is over the limit.
    #[error("the body is over {0} bytes")]
    BodyTooLarge(usize),
    /// No such path.
    #[error("there is nothing at this path")]
    NoPath,
    /// The path takes other methods.
    #[error("this path does not take this method")]
    Method,
    /// The own account, which is not there yet.
    #[error(transparent)]
    NoAccount(CommandError),
    /// A message that is not here.
    #[error("no message {number} of installation {installation} here")]
    UnknownMessage {
        /// Its sender.
        installation: waku_groupchat_core::InstallationId,
        /// Its number.
        number: u64,
    },
    /// The core gave nothing.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The core gave an answer of another kind than its command has: a bug.
    #[error("the chat gave an answer that does not fit")]
    Answer,
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        Self::Call(CallError::Refused(error))
    }
}

impl ApiError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "no-token"),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "wrong-token"),
            Self::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            Self::NoPath => (StatusCode::NOT_FOUND, "no-path"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::NoAccount(_) => (StatusCode::NOT_FOUND, "no-account"),
            Self::UnknownMessage { .. } => (StatusCode::NOT_FOUND, "unknown-message"),
            Self::Call(CallError::Refused(error)) => refused(error),
            Self::Call(CallError::Full) => (StatusCode::TOO_MANY_REQUESTS, "queue-full"),
            Self::Call(CallError::Fault(_)) => (StatusCode::SERVICE_UNAVAILABLE, "database"),
            Self::Call(CallError::Stopped) => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
            Self::Answer => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// 400 for what is wrong in itself, 404 for what is not here, 409 for what does not fit how things
/// stand, 429 for what may be tried again.
fn refused(error: &CommandError) -> (StatusCode, &'static str) {
    match error {
        CommandError::Card(_) => (StatusCode::BAD_REQUEST, "card"),
        CommandError::LinkRequest(_) => (StatusCode::BAD_REQUEST, "link-request"),
        CommandError::Length { .. } => (StatusCode::BAD_REQUEST, "length"),
        CommandError::RepeatedAccount(_) => (StatusCode::BAD_REQUEST, "repeated-account"),
        CommandError::TooManyCards { .. } => (StatusCode::BAD_REQUEST, "too-many-cards"),
        CommandError::UnknownGroup(_) => (StatusCode::NOT_FOUND, "unknown-group"),
        CommandError::NoInvitation(_) => (StatusCode::NOT_FOUND, "no-invitation"),
        CommandError::NoAccount => (StatusCode::CONFLICT, "no-account"),
        CommandError::HasAccount(_) => (StatusCode::CONFLICT, "has-account"),
        CommandError::OnlyCreator { .. } => (StatusCode::CONFLICT, "only-creator"),
        CommandError::OnlyFirstInstallation => (StatusCode::CONFLICT, "only-first-installation"),
        CommandError::CommitPending(_) => (StatusCode::CONFLICT, "commit-pending"),
        CommandError::AlreadyMember(_) => (StatusCode::CONFLICT, "already-member"),
        CommandError::Members(_) => (StatusCode::CONFLICT, "members"),
        CommandError::TooLarge { .. } => (StatusCode::CONFLICT, "too-large"),
        CommandError::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, "busy"),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            error!(code, "a request met a bug");
        }
        let detail = self.to_string();
        let body = ErrorBody { status: status.as_u16(), code: code.to_owned(), detail };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self {
            // RFC 6750, section 3.
            Self::NoToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            }
            Self::WrongToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE_AGAIN));
            }
            _ if status == StatusCode::TOO_MANY_REQUESTS
                || status == StatusCode::SERVICE_UNAVAILABLE =>
            {
                headers.insert(RETRY_AFTER, RETRY_SECS);
            }
            _ => {}
        }
        response
    }
}

const CHALLENGE: &str = "Bearer realm=\"waku-groupchat\"";
const CHALLENGE_AGAIN: &str = "Bearer realm=\"waku-groupchat\", error=\"invalid_token\"";
