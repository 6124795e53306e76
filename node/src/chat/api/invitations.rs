//! Inviting, and the invitations that wait for an answer.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::GroupId;
use waku_groupchat_core::api::{Answer, Command};

use super::error::ApiError;
use super::extract::{Json, Path};
use super::types::{Invitations, Inviting, NewInvitations};
use super::{Api, schema};

/// Invite accounts
///
/// By their contact cards, in one commit, as soon as their registration records are found. The
/// events `invited` and `members-added` follow.
#[utoipa::path(
    post, path = "/groups/{group}/invitations", tag = "groups", operation_id = "invite",
    params(("group" = schema::GroupId, Path, description = "The group")),
    request_body = NewInvitations,
    responses((status = 202, description = "On disk, and goes on by itself", body = Inviting)),
)]
pub(super) async fn create(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
    Json(NewInvitations { cards }): Json<NewInvitations>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::Invite { group, cards }).await?;
    let Answer::Inviting { accounts } = answer else {
        return Err(ApiError::Answer);
    };
    Ok((StatusCode::ACCEPTED, JsonAnswer(Inviting { accounts })))
}

/// List the invitations that wait for an answer
#[utoipa::path(
    get, path = "/invitations", tag = "groups", operation_id = "listInvitations",
    responses((status = 200, description = "To this installation", body = Invitations)),
)]
pub(super) async fn list(State(api): State<Api>) -> Result<JsonAnswer<Invitations>, ApiError> {
    let invitations = api.core.query(|core| core.invitations()).await?;
    Ok(JsonAnswer(Invitations { invitations }))
}

/// Join a group
#[utoipa::path(
    post, path = "/invitations/{group}/accept", tag = "groups", operation_id = "acceptInvitation",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 204, description = "On disk; the event `joined` follows")),
)]
pub(super) async fn accept(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::AcceptInvitation { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Turn an invitation down
#[utoipa::path(
    post, path = "/invitations/{group}/decline", tag = "groups", operation_id = "declineInvitation",
    params(("group" = schema::GroupId, Path, description = "The group")),
    responses((status = 204, description = "Forgotten")),
)]
pub(super) async fn decline(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::DeclineInvitation { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}
