//! `/chat/v1`: the chat over HTTP, in JSON, for whoever has the node's token.
//!
//! | method and path | takes | answers |
//! |---|---|---|
//! | `POST /accounts` | [`types::NewAccount`] | 201 [`types::CreatedAccount`] |
//! | `GET /accounts` | | the own account ([`AccountView`]), 404 without one |
//! | `POST /installations/requests` | [`types::NewAccount`] | 201 [`types::LinkRequested`] |
//! | `POST /installations` | [`types::LinkRequest`] | 202 [`types::LinkAccepted`] |
//! | `GET /installations` | | [`types::Installations`] |
//! | `POST /groups` | [`types::Profile`] | 201 [`types::CreatedGroup`] |
//! | `GET /groups` | | [`types::Groups`] |
//! | `GET /groups/{group}` | | [`GroupView`] |
//! | `PUT /groups/{group}/profile` | [`types::Profile`] | 204 |
//! | `GET /groups/{group}/members` | | [`types::Members`] |
//! | `POST /groups/{group}/invitations` | [`types::NewInvitations`] | 202 [`types::Inviting`] |
//! | `GET /invitations` | | [`types::Invitations`] |
//! | `POST /invitations/{group}/accept`, `…/decline` | | 204 |
//! | `POST /groups/{group}/messages` | [`types::NewMessage`] | 201 [`types::AcceptedMessage`] |
//! | `GET /groups/{group}/messages?after=&limit=` | | [`types::Messages`] |
//! | `GET /groups/{group}/messages/{installation}/{number}` | | [`MessageView`] |
//! | `GET /groups/{group}/missing`, `GET /missing` | | [`types::Gaps`] |
//! | `GET /events?after=&limit=&wait=` | | [`types::Events`] |
//!
//! A change is answered once it is on disk in a synced write. Every error is a
//! [`types::ErrorBody`], and whatever it concerns changed nothing: 400 for what does not parse or is
//! wrong in itself, 401 without the token, 404 for what is not here, 409 for what does not fit how
//! things stand, 413 for a body over 1 MiB, 429 (with `Retry-After`) when there is too much to do,
//! 503 when the database fails or the node stops.
//!
//! [`AccountView`]: waku_groupchat_core::api::views::AccountView
//! [`GroupView`]: waku_groupchat_core::api::views::GroupView
//! [`MessageView`]: waku_groupchat_core::api::views::MessageView

mod accounts;
mod error;
mod events;
mod extract;
mod groups;
mod invitations;
mod messages;
pub mod types;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tokio_util::sync::CancellationToken;

use self::error::ApiError;
use super::handle::CoreHandle;
use super::token::Token;

/// Where the API is.
pub const PREFIX: &str = "/chat/v1";

/// The largest body, in bytes: the longest text with every character escaped.
const BODY_LIMIT: usize = 1024 * 1024;

/// What every handler may use.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) core: CoreHandle,
    pub(super) token: Arc<Token>,
    /// Ends long polls when the node stops.
    pub(super) stop: CancellationToken,
}

/// The routes, with full paths.
pub(super) fn routes(api: Api) -> Router {
    let routes = Router::new()
        .route("/accounts", post(accounts::create).get(accounts::show))
        .route("/installations", post(accounts::accept_link).get(accounts::installations))
        .route("/installations/requests", post(accounts::request_link))
        .route("/groups", post(groups::create).get(groups::list))
        .route("/groups/{group}", get(groups::show))
        .route("/groups/{group}/profile", put(groups::set_profile))
        .route("/groups/{group}/members", get(groups::members))
        .route("/groups/{group}/missing", get(groups::missing))
        .route("/missing", get(groups::all_missing))
        .route("/groups/{group}/invitations", post(invitations::create))
        .route("/invitations", get(invitations::list))
        .route("/invitations/{group}/accept", post(invitations::accept))
        .route("/invitations/{group}/decline", post(invitations::decline))
        .route("/groups/{group}/messages", post(messages::send).get(messages::list))
        .route("/groups/{group}/messages/{installation}/{number}", get(messages::show))
        .route("/events", get(events::list))
        .fallback(|| async { ApiError::NoPath })
        .method_not_allowed_fallback(|| async { ApiError::Method })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .with_state(api);
    Router::new().nest(PREFIX, routes)
}

/// Lets requests with the token in, and keeps answers out of caches: they hold secrets.
async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = match authorised(&api.token, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 6750, section 2.1.
fn authorised(token: &Token, request: &Request) -> Result<(), ApiError> {
    let header = request.headers().get(AUTHORIZATION).ok_or(ApiError::NoToken)?;
    let text = header.to_str().map_err(|_| ApiError::WrongToken)?;
    let (scheme, given) = text.split_once(' ').ok_or(ApiError::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::NoToken);
    }
    if token.is(given) { Ok(()) } else { Err(ApiError::WrongToken) }
}

/// Names where what was made can be read, below [`PREFIX`].
fn made_at(path: &str) -> [(axum::http::HeaderName, String); 1] {
    [(LOCATION, format!("{PREFIX}{path}"))]
}
