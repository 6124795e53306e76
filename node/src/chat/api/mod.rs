//! `/chat/v1`: the chat over HTTP, in JSON, for whoever has a token of the node.
//!
//! | method and path | takes | answers |
//! |---|---|---|
//! | `POST /accounts` | [`types::NewAccount`] | 201 [`types::CreatedAccount`] |
//! | `POST /accounts/card` | [`types::NewAccount`] | [`types::NewCard`] |
//! | `POST /accounts/recovery` | [`types::Recovery`] | 202 [`types::Recovering`] |
//! | `GET /accounts` | | the own account ([`AccountView`]), 404 without one |
//! | `POST /installations/requests` | [`types::NewAccount`] | 201 [`types::LinkRequested`] |
//! | `POST /installations` | [`types::LinkRequest`] | 202 [`types::LinkAccepted`] |
//! | `GET /installations` | | [`types::Installations`] |
//! | `PUT /installations/{installation}/label` | [`types::Label`] | 204 |
//! | `POST /installations/leave` | | 204 |
//! | `POST /installations/revocations` | [`types::Revocations`] | [`types::Revoked`] |
//! | `GET /installations/link` | | [`views::LinkView`](waku_groupchat_core::api::views::LinkView) |
//! | `POST /installations/link/digits` | [`types::LinkDigits`] | [`types::Compared`] |
//! | `DELETE /installations/link` | | 204 |
//! | `GET /installations/link/request.svg`, `GET /accounts/card.svg` | | an image |
//! | `POST /groups` | [`types::Profile`] | 201 [`types::CreatedGroup`] |
//! | `GET /groups` | | [`types::Groups`] |
//! | `GET /groups/{group}` | | [`GroupView`] |
//! | `PUT /groups/{group}/profile` | [`types::Profile`] | 204 |
//! | `PUT /groups/{group}/policy` | [`types::Policy`] | 204 |
//! | `POST /groups/{group}/keys` | | 204 |
//! | `POST /groups/{group}/leave` | | 202 [`types::AcceptedMessage`] |
//! | `GET /groups/{group}/changes` | | [`types::Changes`] |
//! | `GET /groups/{group}/members` | | [`types::Members`] |
//! | `PUT /groups/{group}/members/{account}/role` | [`types::NewRole`] | 204 |
//! | `POST /groups/{group}/removals` | [`types::Removals`] | 204 |
//! | `POST /groups/{group}/invitations` | [`types::NewInvitations`] | 202 [`types::Inviting`] |
//! | `GET /invitations` | | [`types::Invitations`] |
//! | `POST /invitations/{group}/accept`, `…/decline` | | 204 |
//! | `POST /groups/{group}/messages` | [`types::NewMessage`] | 201 [`types::AcceptedMessage`] |
//! | `GET /groups/{group}/messages?after=&limit=` | | [`types::Messages`] |
//! | `GET /groups/{group}/messages/{installation}/{number}` | | [`MessageView`] |
//! | `GET /history`, `POST /history`, `DELETE /history` | | how far messages of before are ([`HistoryView`]), 202, 204 |
//! | `PUT /groups/{group}/read` | [`types::NewRead`] | 204 |
//! | `GET /groups/{group}/missing`, `GET /missing` | | [`types::Gaps`] |
//! | `GET /events?after=&limit=&wait=` | | [`types::Events`] |
//! | `GET /events/stream?after=` | | server-sent events (`stream.rs`) |
//! | `POST /tokens` | [`types::NewToken`] | 201 [`types::CreatedToken`] |
//! | `GET /tokens`, `DELETE /tokens/{id}` | | [`types::TokenList`], 204 |
//! | `GET /guard`, `PUT /guard` | [`types::NewGuard`] | who may invite ([`GuardView`]), 204 |
//! | `PUT /blocked/{account}`, `DELETE …` | | 204 |
//! | `POST /wipe` | [`types::Wipe`] | 204 |
//! | `GET /openapi.json` | | the OpenAPI document, without a token (`openapi.rs`) |
//!
//! A change is answered once it is on disk in a synced write. Every error is a
//! [`types::ErrorBody`] with a code of the table in `code.rs`, and whatever it concerns changed
//! nothing: 400 for what does not parse or is wrong in itself, 401 without a good token, 403 for one
//! that does not allow it, 404 for what is not here, 409 for what does not fit how things stand, 410
//! for events that are not kept any more, 413 for a body over 1 MiB, 429 (with `Retry-After`) when
//! there is too much to do, 503 when the database fails or the node stops.
//!
//! [`AccountView`]: waku_groupchat_core::api::views::AccountView
//! [`GroupView`]: waku_groupchat_core::api::views::GroupView
//! [`HistoryView`]: waku_groupchat_core::api::views::HistoryView
//! [`GuardView`]: waku_groupchat_core::api::views::GuardView
//! [`MessageView`]: waku_groupchat_core::api::views::MessageView

mod accounts;
mod code;
mod cursor;
mod error;
#[allow(unused_qualifications, reason = "utoipa's macro qualifies what it is given")]
mod events;
mod examples;
mod extract;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod groups;
mod guard;
mod history;
mod invitations;
mod linking;
mod members;
#[allow(unused_qualifications, reason = "utoipa's macro qualifies what it is given")]
mod messages;
mod openapi;
mod routes;
mod schema;
#[allow(unused_qualifications, reason = "utoipa's macro qualifies what it is given")]
pub(super) mod stream;
mod tokens;
pub mod types;
mod wipe;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::LOCATION;
use axum::middleware;
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::routes;

pub(super) use self::code::Code;
use self::error::ApiError;
#[cfg(test)]
pub(super) use self::examples::events as example_events;
use self::routes::Routes;
use super::StreamOptions;
use super::access::Scope::{Admin, Manage, Read, Send};
use super::handle::CoreHandle;
use super::tokens::Tokens;

/// Where the API is.
pub const PREFIX: &str = "/chat/v1";

/// The largest body, in bytes: the longest text with every character escaped.
const BODY_LIMIT: usize = 1024 * 1024;

/// What every handler may use.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) core: CoreHandle,
    pub(super) tokens: Arc<Tokens>,
    /// Ends long polls and streams when the node stops.
    pub(super) closing: CancellationToken,
    /// Places for streams.
    pub(super) places: Arc<Semaphore>,
    /// How often streams have a comment.
    pub(super) keep_alive: Duration,
    /// The OpenAPI document.
    document: Arc<str>,
}

/// The routes, with full paths.
pub(super) fn routes(
    core: CoreHandle,
    tokens: Arc<Tokens>,
    streams: StreamOptions,
    closing: CancellationToken,
) -> Router {
    let (below, document) = documented();
    let document = openapi::render(document).into();
    let places = Arc::new(Semaphore::new(stream::MAX_STREAMS));
    let keep_alive = streams.keep_alive;
    let api = Api { core, tokens, closing, places, keep_alive, document };
    let below = below
        .fallback(|| async { ApiError::NoPath })
        .method_not_allowed_fallback(|| async { ApiError::Method })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(api.clone(), routes::know));
    let document = get(openapi::document).fallback(|| async { ApiError::Method });
    Router::new()
        .route(&format!("{PREFIX}/openapi.json"), document)
        .nest(PREFIX, below)
        .with_state(api)
}

/// The OpenAPI document.
#[cfg(test)]
pub(super) fn document() -> String {
    openapi::render(documented().1)
}

/// Every operation: the scope it takes, the errors of its own, its handler.
fn documented() -> (Router<Api>, utoipa::openapi::OpenApi) {
    use Code::{
        Alone, AlreadyMember, Busy, Card, CardReplaced, Copied, CursorAhead, Digits, Expiry,
        FirstToken, Gone, HasAccount, LastInstallation, Length, LinkRequest, NoAccount,
        NoAccountHere, NoDigits, NoInvitation, NoLink, NoScope, NotAMember, NotAllowed, NotBlocked,
        NotInGroup, OtherInstallation, OwnAccount, OwnInstallation, Phrase, RepeatedAccount,
        TokenFile, TooManyBlocked, TooManyCards, TooManyStreams, TooManyTokens, Unfinished,
        UnknownGroup, UnknownInstallation, UnknownMessage, UnknownToken,
    };
    let linking = &[NoAccount, LinkRequest];
    let naming = &[NoAccount, Length, UnknownInstallation];
    let revoking = [NoAccount, OwnInstallation, UnknownInstallation];
    let inside = [NoAccount, UnknownGroup, NotInGroup, Copied];
    let changing = [inside.as_slice(), &[NotAllowed, Busy]].concat();
    let profile = [changing.as_slice(), &[Length]].concat();
    let role = [changing.as_slice(), &[NotAMember]].concat();
    let removing = [role.as_slice(), &[OwnAccount]].concat();
    let invited = [NotAllowed, Card, CardReplaced, RepeatedAccount, TooManyCards, AlreadyMember];
    let inviting = [inside.as_slice(), &invited].concat();
    let saying = [inside.as_slice(), &[Busy]].concat();
    let sending = [saying.as_slice(), &[Length]].concat();
    let answering = &[NoAccount, NoInvitation];
    Routes::new()
        .core(Admin, &[HasAccount], routes!(accounts::create))
        .core(Admin, &[NoAccount, Copied], routes!(accounts::rotate_card))
        .core(Admin, &[HasAccount, Phrase], routes!(accounts::recover))
        .core(Read, &[NoAccountHere], routes!(accounts::show))
        .core(Admin, &[HasAccount], routes!(accounts::request_link))
        .core(Admin, linking, routes!(accounts::accept_link))
        .core(Read, &[NoAccountHere], routes!(linking::card_code))
        .core(Admin, &[NoLink], routes!(linking::show, linking::cancel))
        .core(Admin, &[NoLink, NoDigits, Digits], routes!(linking::confirm))
        .core(Admin, &[NoLink], routes!(linking::request_code))
        .core(Read, &[], routes!(accounts::installations))
        .core(Admin, &revoking, routes!(accounts::revoke))
        .core(Admin, naming, routes!(accounts::set_label))
        .core(Admin, &[NoAccount, LastInstallation, Copied], routes!(accounts::leave))
        .core(Manage, &[NoAccount, Length], routes!(groups::create))
        .core(Read, &[], routes!(groups::list))
        .core(Read, &[UnknownGroup], routes!(groups::show))
        .core(Manage, &profile, routes!(groups::set_profile))
        .core(Manage, &changing, routes!(groups::set_policy))
        .core(Manage, &saying, routes!(groups::renew_keys))
        .core(Manage, &saying, routes!(groups::leave))
        .core(Read, &[UnknownGroup], routes!(groups::changes))
        .core(Read, &[UnknownGroup], routes!(members::list))
        .core(Manage, &role, routes!(members::set_role))
        .core(Manage, &removing, routes!(members::remove))
        .core(Manage, &inviting, routes!(invitations::create))
        .core(Read, &[], routes!(invitations::list))
        .core(Manage, answering, routes!(invitations::accept))
        .core(Manage, answering, routes!(invitations::decline))
        .core(Read, &[], routes!(guard::show))
        .core(Manage, &[NoAccount], routes!(guard::set))
        .core(Manage, &[NoAccount, OwnAccount, TooManyBlocked], routes!(guard::block))
        .core(Manage, &[NotBlocked], routes!(guard::unblock))
        .core(Send, &sending, routes!(messages::send))
        .core(Read, &[UnknownGroup], routes!(messages::list))
        .core(Read, &[UnknownMessage], routes!(messages::show))
        .core(Send, &[NoAccount, UnknownGroup, UnknownMessage], routes!(messages::mark_read))
        .core(Read, &[], routes!(history::show))
        .core(Manage, &[NoAccount, Alone], routes!(history::ask))
        .core(Manage, &[], routes!(history::decline))
        .core(Read, &[UnknownGroup], routes!(groups::missing))
        .core(Read, &[], routes!(groups::all_missing))
        .core(Read, &[Gone, CursorAhead], routes!(events::list))
        .core(Read, &[Gone, CursorAhead, TooManyStreams], routes!(stream::open))
        .own(Admin, &[Length, NoScope, Expiry, TooManyTokens, TokenFile], routes!(tokens::create))
        .own(Admin, &[], routes!(tokens::list))
        .own(Admin, &[UnknownToken, FirstToken, TokenFile], routes!(tokens::revoke))
        .core(Admin, &[NoAccount, OtherInstallation, Unfinished], routes!(wipe::wipe))
        .finish()
}

/// Names where what was made can be read, below [`PREFIX`].
fn made_at(path: &str) -> [(axum::http::HeaderName, String); 1] {
    [(LOCATION, format!("{PREFIX}{path}"))]
}
