//! `/accounts` and `/installations`.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::api::views::AccountView;
use waku_groupchat_core::api::{Answer, Command, CommandError};

use super::error::ApiError;
use super::extract::Json;
use super::types::{
    CreatedAccount, Installations, LinkAccepted, LinkRequest, LinkRequested, NewAccount,
};
use super::{Api, made_at};

pub(super) async fn create(
    State(api): State<Api>,
    Json(NewAccount {}): Json<NewAccount>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::CreateAccount).await?;
    let Answer::AccountCreated { account, installation, phrase, card } = answer else {
        return Err(ApiError::Answer);
    };
    let made = CreatedAccount {
        account,
        installation,
        phrase: phrase.words().join(" "),
        card: card.to_string(),
    };
    Ok((StatusCode::CREATED, made_at("/accounts"), JsonAnswer(made)))
}

pub(super) async fn show(State(api): State<Api>) -> Result<JsonAnswer<AccountView>, ApiError> {
    let account = api.core.query(|core| core.account()).await?;
    account.map(JsonAnswer).ok_or(ApiError::NoAccount(CommandError::NoAccount))
}

pub(super) async fn request_link(
    State(api): State<Api>,
    Json(NewAccount {}): Json<NewAccount>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::RequestLink).await?;
    let Answer::LinkRequested { installation, request } = answer else {
        return Err(ApiError::Answer);
    };
    Ok((StatusCode::CREATED, JsonAnswer(LinkRequested { installation, request })))
}

pub(super) async fn accept_link(
    State(api): State<Api>,
    Json(LinkRequest { request }): Json<LinkRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = api.core.command(Command::AcceptLink { request }).await?;
    let Answer::LinkAccepted { installation } = answer else {
        return Err(ApiError::Answer);
    };
    Ok((StatusCode::ACCEPTED, JsonAnswer(LinkAccepted { installation })))
}

pub(super) async fn installations(
    State(api): State<Api>,
) -> Result<JsonAnswer<Installations>, ApiError> {
    let installations = api.core.query(|core| core.installations()).await?;
    Ok(JsonAnswer(Installations { installations }))
}
