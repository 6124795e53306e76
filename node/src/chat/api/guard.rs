//! `/guard` and `/blocked`: who may invite this account.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use waku_groupchat_core::AccountId;
use waku_groupchat_core::api::Command;
use waku_groupchat_core::api::views::GuardView;

use super::error::ApiError;
use super::extract::{Json, Path};
use super::schema::views;
use super::types::NewGuard;
use super::{Api, schema};

/// Show who may invite this account
///
/// With who is blocked, and how many invitations were turned away.
#[utoipa::path(
    get, path = "/guard", tag = "invitations", operation_id = "showGuard",
    responses((status = 200, description = "As this installation keeps it", body = views::GuardView)),
)]
pub(super) async fn show(State(api): State<Api>) -> Result<JsonAnswer<GuardView>, ApiError> {
    Ok(JsonAnswer(api.core.query(|core| core.guard()).await?))
}

/// Say who may invite this account
///
/// The event `invitation-turned-away` tells of those that may not.
#[utoipa::path(
    put, path = "/guard", tag = "invitations", operation_id = "setGuard",
    request_body = NewGuard,
    responses((status = 204, description = "On disk")),
)]
pub(super) async fn set(
    State(api): State<Api>,
    Json(NewGuard { contacts_only }): Json<NewGuard>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::SetInvitations { contacts_only }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Block an account
///
/// Its invitations are turned away, those that wait too, and its messages in shared groups are
/// marked. Nobody is told.
#[utoipa::path(
    put, path = "/blocked/{account}", tag = "invitations", operation_id = "block",
    params(("account" = schema::AccountId, Path, description = "Whom")),
    responses((status = 204, description = "On disk")),
)]
pub(super) async fn block(
    State(api): State<Api>,
    Path(account): Path<AccountId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::Block { account }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unblock an account
#[utoipa::path(
    delete, path = "/blocked/{account}", tag = "invitations", operation_id = "unblock",
    params(("account" = schema::AccountId, Path, description = "Whom")),
    responses((status = 204, description = "On disk")),
)]
pub(super) async fn unblock(
    State(api): State<Api>,
    Path(account): Path<AccountId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::Unblock { account }).await?;
    Ok(StatusCode::NO_CONTENT)
}
