//! `/groups`, their profile and members, and what is missing in them.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::GroupId;
use waku_groupchat_core::api::views::GroupView;
use waku_groupchat_core::api::{Answer, Command, CommandError};

use super::error::ApiError;
use super::extract::{Json, Path};
use super::types::{CreatedGroup, Gaps, Groups, Members, Profile};
use super::{Api, made_at, schema};

/// Make a group
///
/// With this account in it.
#[utoipa::path(
    post, path = "/groups", tag = "groups", operation_id = "createGroup",
    request_body = Profile,
    responses((status = 201, description = "Made, and on disk", body = CreatedGroup)),
)]
pub(super) async fn create(
    State(api): State<Api>,
    Json(Profile { name, description }): Json<Profile>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::CreateGroup { name, description }).await?;
    let Answer::GroupCreated { group } = answer else {
        return Err(ApiError::Answer);
    };
    let location = made_at(&format!("/groups/{group}"));
    Ok((StatusCode::CREATED, location, JsonAnswer(CreatedGroup { group })))
}

/// List the groups
#[utoipa::path(
    get, path = "/groups", tag = "groups", operation_id = "listGroups",
    responses((status = 200, description = "All of this installation", body = Groups)),
)]
pub(super) async fn list(State(api): State<Api>) -> Result<JsonAnswer<Groups>, ApiError> {
    let groups = api.core.query(|core| core.groups()).await?;
    Ok(JsonAnswer(Groups { groups }))
}

/// Show a group
#[utoipa::path(
    get, path = "/groups/{group}", tag = "groups", operation_id = "showGroup",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 200, description = "The group", body = schema::views::GroupView)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<GroupView>, ApiError> {
    let view = api.core.query(move |core| core.group(group)).await?;
    view.map(JsonAnswer).ok_or_else(|| unknown(group))
}

/// Set a group's name and description for all
///
/// The event `profile-changed` follows.
#[utoipa::path(
    put, path = "/groups/{group}/profile", tag = "groups", operation_id = "setProfile",
    params(("group" = schema::GroupId, Path, description = "The group")),
    request_body = Profile,
    responses((status = 204, description = "On disk, and goes out")),
)]
pub(super) async fn set_profile(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(Profile { name, description }): Json<Profile>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::SetProfile { group, name, description }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the accounts in a group
#[utoipa::path(
    get, path = "/groups/{group}/members", tag = "groups", operation_id = "listMembers",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 200, description = "With their installations", body = Members)),
)]
pub(super) async fn members(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<Members>, ApiError> {
    let members = api.core.query(move |core| core.members(group)).await?;
    let members = members.ok_or_else(|| unknown(group))?;
    Ok(JsonAnswer(Members { members }))
}

/// List what is missing in a group
#[utoipa::path(
    get, path = "/groups/{group}/missing", tag = "messages", operation_id = "listGroupGaps",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 200, description = "Every gap that was reported", body = Gaps)),
)]
pub(super) async fn missing(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<Gaps>, ApiError> {
    let gaps = api
        .core
        .query(move |core| match core.group(group)? {
            Some(_) => core.gaps(Some(group)).map(Some),
            None => Ok(None),
        })
        .await?;
    let gaps = gaps.ok_or_else(|| unknown(group))?;
    Ok(JsonAnswer(Gaps { gaps }))
}

/// List what is missing
#[utoipa::path(
    get, path = "/missing", tag = "messages", operation_id = "listGaps",
    responses((status = 200, description = "Every gap that was reported", body = Gaps)),
)]
pub(super) async fn all_missing(State(api): State<Api>) -> Result<JsonAnswer<Gaps>, ApiError> {
    let gaps = api.core.query(|core| core.gaps(None)).await?;
    Ok(JsonAnswer(Gaps { gaps }))
}

/// No such group here.
pub(super) fn unknown(group: GroupId) -> ApiError {
    CommandError::UnknownGroup(group).into()
}
