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
use super::{Api, made_at};

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

pub(super) async fn list(State(api): State<Api>) -> Result<JsonAnswer<Groups>, ApiError> {
    let groups = api.core.query(|core| core.groups()).await?;
    Ok(JsonAnswer(Groups { groups }))
}

pub(super) async fn show(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<GroupView>, ApiError> {
    let view = api.core.query(move |core| core.group(group)).await?;
    view.map(JsonAnswer).ok_or_else(|| unknown(group))
}

pub(super) async fn set_profile(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(Profile { name, description }): Json<Profile>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::SetProfile { group, name, description }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn members(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<JsonAnswer<Members>, ApiError> {
    let members = api.core.query(move |core| core.members(group)).await?;
    let members = members.ok_or_else(|| unknown(group))?;
    Ok(JsonAnswer(Members { members }))
}

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

pub(super) async fn all_missing(State(api): State<Api>) -> Result<JsonAnswer<Gaps>, ApiError> {
    let gaps = api.core.query(|core| core.gaps(None)).await?;
    Ok(JsonAnswer(Gaps { gaps }))
}

/// No such group here.
pub(super) fn unknown(group: GroupId) -> ApiError {
    CommandError::UnknownGroup(group).into()
}
