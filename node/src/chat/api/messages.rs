//! The messages of a group.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;
use waku_groupchat_core::api::views::{MessageCursor, MessageView};
use waku_groupchat_core::api::{Answer, Command};
use waku_groupchat_core::{GroupId, InstallationId, MessageId};

use super::error::ApiError;
use super::extract::{Json, Path, Query};
use super::types::{AcceptedMessage, MessageRef, Messages, NewMessage, NewRead};
use super::{Api, groups, made_at, schema};

/// Messages of a page if the query does not say.
const PAGE: usize = 100;
/// Most messages of a page: at the greatest length a text can have, 24 MiB.
const MAX_PAGE: usize = 200;

/// Which page of the messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `next` of the page before; from the beginning if left out.
    #[param(value_type = String, required = false, nullable = false)]
    after: Option<MessageCursor>,
    /// Most messages; 100 if left out.
    #[param(minimum = 1, maximum = 200, required = false, nullable = false)]
    limit: Option<usize>,
}

/// Say something
///
/// The message has its number and is on disk; the events `message-state` say how far it gets.
#[utoipa::path(
    post, path = "/groups/{group}/messages", tag = "messages", operation_id = "sendMessage",
    params(("group" = schema::GroupId, Path, description = "The group")),
    request_body = NewMessage,
    responses((status = 201, description = "Accepted", body = AcceptedMessage)),
)]
pub(super) async fn send(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(NewMessage { text }): Json<NewMessage>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::Send { group, text }).await?;
    let Answer::Accepted { message: id } = answer else {
        return Err(ApiError::Answer);
    };
    let path = format!("/groups/{group}/messages/{}/{}", id.installation, id.number);
    Ok((StatusCode::CREATED, made_at(&path), JsonAnswer(AcceptedMessage { id })))
}

/// List the messages of a group
#[utoipa::path(
    get, path = "/groups/{group}/messages", tag = "messages", operation_id = "listMessages",
    params(("group" = schema::GroupId, Path, description = "The group"), Page),
    responses((status = 200, description = "A page, in causal order", body = Messages)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Query(Page { after, limit }): Query<Page>,
) -> Result<JsonAnswer<Messages>, ApiError> {
    let limit = within(limit, PAGE, MAX_PAGE)?;
    // One more tells whether there is a next page.
    let messages = api.core.query(move |core| core.messages(group, after, limit + 1)).await?;
    let mut messages = messages.ok_or_else(|| groups::unknown(group))?;
    let more = messages.len() > limit;
    messages.truncate(limit);
    let next = messages.last().filter(|_| more).map(MessageView::cursor);
    Ok(JsonAnswer(Messages { messages, next }))
}

/// Say that a group was read up to a message
///
/// At all installations of the account, which are told after a random time; nobody else is. It is
/// never taken back: a message before what was read changes nothing. The event `read` tells of it.
#[utoipa::path(
    put, path = "/groups/{group}/read", tag = "messages", operation_id = "markRead",
    params(("group" = schema::GroupId, Path, description = "The group")),
    request_body = NewRead,
    responses((status = 204, description = "On disk")),
)]
pub(super) async fn mark_read(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(NewRead { upto }): Json<NewRead>,
) -> Result<StatusCode, ApiError> {
    let upto = upto.map(|MessageRef { installation, number }| (installation, number));
    api.core.command(Command::MarkRead { group, upto }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show a message
#[utoipa::path(
    get, path = "/groups/{group}/messages/{installation}/{number}", tag = "messages",
    operation_id = "showMessage",
    params(
        ("group" = schema::GroupId, Path, description = "The group"),
        ("installation" = schema::InstallationId, Path, description = "Its sender"),
        ("number" = u64, Path, description = "The sender's number for it"),
    ),
    responses((status = 200, description = "The message", body = schema::views::MessageView)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Path((group, installation, number)): Path<(GroupId, InstallationId, u64)>,
) -> Result<JsonAnswer<MessageView>, ApiError> {
    let id = MessageId { group, installation, number };
    let message = api.core.query(move |core| core.message(id)).await?;
    message.map(JsonAnswer).ok_or(ApiError::UnknownMessage { installation, number })
}

/// A `limit` of a query: 1 to `max`, `default` if it is left out.
pub(super) fn within(limit: Option<usize>, default: usize, max: usize) -> Result<usize, ApiError> {
    match limit.unwrap_or(default) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        limit => Err(ApiError::Malformed {
            what: "query",
            reason: format!("limit must be 1 to {max}, got {limit}"),
        }),
    }
}
