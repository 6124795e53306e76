//! `/groups`, their profile, policy and own keys, leaving them, and what is missing in them.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::GroupId;
use waku_groupchat_core::api::views::GroupView;
use waku_groupchat_core::api::{Answer, Command, CommandError};

use super::error::ApiError;
use super::extract::{Json, Path};
use super::types::{AcceptedMessage, Changes, CreatedGroup, Gaps, Groups, Policy, Profile};
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

/// Set which role each right needs in a group
///
/// The event `roles-changed` follows.
#[utoipa::path(
    put, path = "/groups/{group}/policy", tag = "groups", operation_id = "setPolicy",
    params(("group" = schema::GroupId, Path, description = "The group")),
    request_body = Policy,
    responses((status = 204, description = "On disk, and goes out")),
)]
pub(super) async fn set_policy(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(policy): Json<Policy>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::SetPolicy { group, policy: policy.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Renew this installation's keys in a group
///
/// Who learned the old ones reads nothing that is said from then on.
#[utoipa::path(
    post, path = "/groups/{group}/keys", tag = "groups", operation_id = "renewKeys",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 204, description = "On disk, and goes out")),
)]
pub(super) async fn renew_keys(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::UpdateKeys { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave a group
///
/// With this installation alone: others of the account stay. Its word that it leaves is its last
/// message there; the events `message-state` say how far that gets, and `removed` follows once a
/// member has taken it out.
#[utoipa::path(
    post, path = "/groups/{group}/leave", tag = "groups", operation_id = "leaveGroup",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 202, description = "On disk, and goes out", body = AcceptedMessage)),
)]
pub(super) async fn leave(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::Leave { group }).await?;
    let Answer::Accepted { message: id } = answer else {
        return Err(ApiError::Answer);
    };
    Ok((StatusCode::ACCEPTED, JsonAnswer(AcceptedMessage { id })))
}

/// List what was asked for in a group and does not stand for good yet
///
/// Asked for at this installation. What is carried out is listed until no change that others made at
/// the same time can take its place any more.
#[utoipa::path(
    get, path = "/groups/{group}/changes", tag = "groups", operation_id = "listChanges",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 200, description = "Each with how far it is", body = Changes)),
)]
pub(super) async fn changes(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<Changes>, ApiError> {
    let changes = api.core.query(move |core| core.changes(group)).await?;
    let changes = changes.ok_or_else(|| unknown(group))?;
    Ok(JsonAnswer(Changes { changes }))
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
