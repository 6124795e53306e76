//! `/history`: messages of before, from the account's other installations.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use waku_groupchat_core::api::Command;
use waku_groupchat_core::api::views::HistoryView;

use super::Api;
use super::error::ApiError;
use super::schema::views;

/// Show how far asking for messages of before is
///
/// A new installation asks the account's others by itself; the event `history` tells of it.
#[utoipa::path(
    get, path = "/history", tag = "messages", operation_id = "showHistory",
    responses((status = 200, description = "How it stands", body = views::HistoryView)),
)]
pub(super) async fn show(State(api): State<Api>) -> Result<JsonAnswer<HistoryView>, ApiError> {
    Ok(JsonAnswer(api.core.query(|core| core.history()).await?))
}

/// Ask the account's other installations for messages of before
///
/// For all that they hold of the groups that this one is in, and that is not here. What was declined
/// before is wanted again.
#[utoipa::path(
    post, path = "/history", tag = "messages", operation_id = "askHistory",
    responses((status = 202, description = "On disk, and goes out")),
)]
pub(super) async fn ask(State(api): State<Api>) -> Result<StatusCode, ApiError> {
    api.core.command(Command::AskHistory).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Decline messages of before
///
/// None are asked for any more, also those of groups that come. What is here stays.
#[utoipa::path(
    delete, path = "/history", tag = "messages", operation_id = "declineHistory",
    responses((status = 204, description = "On disk")),
)]
pub(super) async fn decline(State(api): State<Api>) -> Result<StatusCode, ApiError> {
    api.core.command(Command::DeclineHistory).await?;
    Ok(StatusCode::NO_CONTENT)
}
