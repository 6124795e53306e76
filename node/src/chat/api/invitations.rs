//! Inviting, and the invitations that wait for an answer.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::GroupId;
use waku_groupchat_core::api::{Answer, Command};

use super::Api;
use super::error::ApiError;
use super::extract::{Json, Path};
use super::types::{Invitations, Inviting, NewInvitations};

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

pub(super) async fn list(State(api): State<Api>) -> Result<JsonAnswer<Invitations>, ApiError> {
    let invitations = api.core.query(|core| core.invitations()).await?;
    Ok(JsonAnswer(Invitations { invitations }))
}

pub(super) async fn accept(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::AcceptInvitation { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn decline(
    State(api): State<Api>,
    Path(group): Path<GroupId>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::DeclineInvitation { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}
