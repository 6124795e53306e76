//! The one error of `/chat/v1`: status, a name for programs, and the reason for people.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tracing::error;
use waku_groupchat_core::api::CommandError;

use super::code::Code;
use super::types::ErrorBody;
use crate::chat::access::{Scope, Scopes};
use crate::chat::handle::CallError;
use crate::chat::tokens::{ChangeError, NAME_BYTES};

/// When a client may try again after a full queue or a fault, in seconds.
const RETRY_SECS: HeaderValue = HeaderValue::from_static("1");

/// Why a request gave nothing. It changed nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The token is missing.
    #[error("the chat API wants a bearer token: send `Authorization: Bearer <token>`")]
    NoToken,
    /// The token is not one of the node's.
    #[error("this is not a token of this node's chat API: it is wrong, or was revoked")]
    WrongToken,
    /// The token was one of the node's until it expired.
    #[error("this token has expired: make another with a token of scope admin")]
    ExpiredToken,
    /// The token does not allow this.
    #[error("this takes a token of scope {needed}; the one given has {given}")]
    Scope {
        /// What it takes.
        needed: Scope,
        /// What the token has.
        given: Scopes,
    },
    /// Something in the request does not parse.
    #[error("{what}: {reason}")]
    Malformed {
        /// `path`, `query`, `header` or `body`.
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
    /// Events after the cursor are not kept any more.
    #[error(
        "events after {after} are gone up to the oldest kept one, {oldest}: \
         ask for those after {}", oldest.saturating_sub(1)
    )]
    Gone {
        /// As given.
        after: u64,
        /// The cursor of the oldest kept event.
        oldest: u64,
    },
    /// A cursor that was not given yet.
    #[error(
        "cursor {after} is ahead of the newest event, {newest}: it is from another node, or this \
         one was put back to an older state"
    )]
    CursorAhead {
        /// As given.
        after: u64,
        /// The cursor of the newest event; 0 before the first.
        newest: u64,
    },
    /// As many streams as there can be.
    #[error("{0} streams of events are open, the most there can be")]
    TooManyStreams(usize),
    /// A token's name outside its bounds.
    #[error("name must be 1 to {NAME_BYTES} bytes of UTF-8, got {got}")]
    TokenName {
        /// As given.
        got: usize,
    },
    /// A token without a scope.
    #[error("scopes must name at least one of read, send, manage, admin")]
    NoScope,
    /// A token that ends before it begins.
    #[error("expires lies in the past")]
    Expiry,
    /// A token is not made or revoked.
    #[error(transparent)]
    Token(#[from] ChangeError),
    /// A task panicked: a bug.
    #[error("the node met a bug")]
    Panicked,
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
    /// Its name in the table of errors.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::NoToken => Code::NoToken,
            Self::WrongToken => Code::WrongToken,
            Self::ExpiredToken => Code::ExpiredToken,
            Self::Scope { .. } => Code::Scope,
            Self::Malformed { .. } => Code::Malformed,
            Self::MediaType => Code::MediaType,
            Self::BodyTooLarge(_) => Code::BodyTooLarge,
            Self::NoPath => Code::NoPath,
            Self::Method => Code::Method,
            Self::NoAccount(_) => Code::NoAccountHere,
            Self::UnknownMessage { .. } => Code::UnknownMessage,
            Self::Gone { .. } => Code::Gone,
            Self::CursorAhead { .. } => Code::CursorAhead,
            Self::TooManyStreams(_) => Code::TooManyStreams,
            Self::TokenName { .. } => Code::Length,
            Self::NoScope => Code::NoScope,
            Self::Expiry => Code::Expiry,
            Self::Token(error) => match error {
                ChangeError::TooMany => Code::TooManyTokens,
                ChangeError::Unknown(_) => Code::UnknownToken,
                ChangeError::First => Code::FirstToken,
                ChangeError::Write(_) => Code::TokenFile,
                ChangeError::Random(_) => Code::Internal,
            },
            Self::Call(CallError::Refused(error)) => refused(error),
            Self::Call(CallError::Full) => Code::QueueFull,
            Self::Call(CallError::Fault(_)) => Code::Database,
            Self::Call(CallError::Stopped) => Code::Stopped,
            Self::Call(CallError::OtherInstallation(_)) => Code::OtherInstallation,
            Self::Call(CallError::Unfinished(_)) => Code::Unfinished,
            Self::Answer | Self::Panicked => Code::Internal,
        }
    }
}

/// 400 for what is wrong in itself, 404 for what is not here, 409 for what does not fit how things
/// stand, 429 for what may be tried again.
fn refused(error: &CommandError) -> Code {
    match error {
        CommandError::Card(_) => Code::Card,
        CommandError::CardReplaced(_) => Code::CardReplaced,
        CommandError::Phrase(_) => Code::Phrase,
        CommandError::LinkRequest(_) => Code::LinkRequest,
        CommandError::NoLink => Code::NoLink,
        CommandError::NoDigits => Code::NoDigits,
        CommandError::Digits(_) => Code::Digits,
        CommandError::Length { .. } => Code::Length,
        CommandError::RepeatedAccount(_) => Code::RepeatedAccount,
        CommandError::TooManyCards { .. } => Code::TooManyCards,
        CommandError::UnknownMessage(_) => Code::UnknownMessage,
        CommandError::UnknownGroup(_) => Code::UnknownGroup,
        CommandError::NoInvitation(_) => Code::NoInvitation,
        CommandError::NoAccount => Code::NoAccount,
        CommandError::HasAccount(_) => Code::HasAccount,
        CommandError::NotAllowed(_) => Code::NotAllowed,
        CommandError::NotInGroup(_) => Code::NotInGroup,
        CommandError::NotAMember(_) => Code::NotAMember,
        CommandError::OwnAccount => Code::OwnAccount,
        CommandError::NotBlocked(_) => Code::NotBlocked,
        CommandError::TooManyBlocked { .. } => Code::TooManyBlocked,
        CommandError::LastInstallation => Code::LastInstallation,
        CommandError::AlreadyMember(_) => Code::AlreadyMember,
        // Found out when the change is made, after the answer: events tell of it.
        CommandError::Members(_) | CommandError::TooLarge { .. } => Code::Internal,
        CommandError::Busy { .. } => Code::Busy,
        CommandError::Copied => Code::Copied,
        CommandError::Ended => Code::Ended,
        CommandError::Alone => Code::Alone,
        CommandError::OwnInstallation => Code::OwnInstallation,
        CommandError::UnknownInstallation(_) => Code::UnknownInstallation,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.code();
        let status = code.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            error!(code = code.name(), "a request met a bug");
        }
        let body = ErrorBody {
            status: status.as_u16(),
            code: code.name().to_owned(),
            detail: self.to_string(),
            oldest: match self {
                Self::Gone { oldest, .. } => Some(oldest),
                _ => None,
            },
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        } else if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        {
            headers.insert(RETRY_AFTER, RETRY_SECS);
        }
        response
    }
}

impl ApiError {
    /// RFC 6750, section 3.
    fn challenge(&self) -> Option<HeaderValue> {
        const REALM: &str = "Bearer realm=\"waku-groupchat\"";
        let text = match self {
            Self::NoToken => REALM.to_owned(),
            Self::WrongToken | Self::ExpiredToken => format!("{REALM}, error=\"invalid_token\""),
            Self::Scope { needed, .. } => {
                format!("{REALM}, error=\"insufficient_scope\", scope=\"{needed}\"")
            }
            _ => return None,
        };
        HeaderValue::from_str(&text).ok()
    }
}
