//! The accounts in a group, their roles, and taking them out.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use waku_groupchat_core::api::Command;
use waku_groupchat_core::{AccountId, GroupId};

use super::error::ApiError;
use super::extract::{Json, Path};
use super::types::{Members, NewRole, Removals};
use super::{Api, groups, schema};

/// List the accounts in a group
#[utoipa::path(
    get, path = "/groups/{group}/members", tag = "groups", operation_id = "listMembers",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 200, description = "With their roles and installations", body = Members)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<Members>, ApiError> {
    let members = api.core.query(move |core| core.members(group)).await?;
    let members = members.ok_or_else(|| groups::unknown(group))?;
    Ok(JsonAnswer(Members { members }))
}

/// Name an account's role in a group
///
/// The event `roles-changed` follows.
#[utoipa::path(
    put, path = "/groups/{group}/members/{account}/role", tag = "groups", operation_id = "setRole",
    params(
        ("group" = schema::GroupId, Path, description = "The group"),
        ("account" = schema::AccountId, Path, description = "Whose role"),
    ),
    request_body = NewRole,
    responses((status = 204, description = "On disk, and goes out")),
)]
pub(super) async fn set_role(
    State(api): State<Api>,
    Path((group, account)): Path<(GroupId, AccountId)>,
    Json(NewRole { role }): Json<NewRole>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::SetRole { group, account, role }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove accounts from a group
///
/// With all their installations. The event `members-removed` follows; at theirs, `removed`.
#[utoipa::path(
    post, path = "/groups/{group}/removals", tag = "groups", operation_id = "removeMembers",
    params(("group" = schema::GroupId, Path, description = "The group")),
    request_body = Removals,
    responses((status = 204, description = "On disk, and goes out")),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(Removals { accounts }): Json<Removals>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::Remove { group, accounts }).await?;
    Ok(StatusCode::NO_CONTENT)
}
