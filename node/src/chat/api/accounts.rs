//! `/accounts` and `/installations`.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::views::AccountView;
use waku_groupchat_core::api::{Answer, Command, CommandError};
use zeroize::Zeroizing;

use super::error::ApiError;
use super::extract::{Json, Path};
use super::schema::{self, views};
use super::types::{
    CreatedAccount, Installations, Label, LinkAccepted, LinkRequest, LinkRequested, NewAccount,
    NewCard, Recovering, Recovery, Revocations, Revoked,
};
use super::{Api, made_at};

/// Make an account
///
/// With this node as its first installation. The answer alone shows the recovery phrase.
#[utoipa::path(
    post, path = "/accounts", tag = "account", operation_id = "createAccount",
    request_body = NewAccount,
    responses((status = 201, description = "Made, and on disk", body = CreatedAccount)),
)]
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

/// Bring an account back by its recovery phrase
///
/// Where all its installations are lost, or one of them is in wrong hands: this node becomes its only
/// installation, and whatever was live before is not any more. Archives are asked for the newest
/// recovery record first; the event `recovered` or `recovery-failed` follows. The phrase is held in
/// memory until then, and never written.
#[utoipa::path(
    post, path = "/accounts/recovery", tag = "account", operation_id = "recoverAccount",
    request_body = Recovery,
    responses((status = 202, description = "Archives are asked", body = Recovering)),
)]
pub(super) async fn recover(
    State(api): State<Api>,
    Json(Recovery { phrase, stolen }): Json<Recovery>,
) -> Result<impl IntoResponse, ApiError> {
    let words = Zeroizing::new(phrase);
    let phrase = words.parse().map_err(CommandError::Phrase)?;
    match api.core.command(Command::Recover { phrase, stolen }).await? {
        Answer::Recovering { account } => {
            Ok((StatusCode::ACCEPTED, JsonAnswer(Recovering { account })))
        }
        _ => Err(ApiError::Answer),
    }
}

/// Give the account another contact card
///
/// Contacts are told of it in the groups they share with the account; who has the former one cannot
/// invite the account by it any more. The account can be invited by the new one from its next record
/// on.
#[utoipa::path(
    post, path = "/accounts/card", tag = "account", operation_id = "rotateCard",
    request_body = NewAccount,
    responses((status = 200, description = "Changed, and on disk", body = NewCard)),
)]
pub(super) async fn rotate_card(
    State(api): State<Api>,
    Json(NewAccount {}): Json<NewAccount>,
) -> Result<JsonAnswer<NewCard>, ApiError> {
    match api.core.command(Command::RotateCard).await? {
        Answer::CardRotated { card } => Ok(JsonAnswer(NewCard { card: card.to_string() })),
        _ => Err(ApiError::Answer),
    }
}

/// Show the account
#[utoipa::path(
    get, path = "/accounts", tag = "account", operation_id = "showAccount",
    responses((status = 200, description = "The own account", body = views::AccountView)),
)]
pub(super) async fn show(State(api): State<Api>) -> Result<JsonAnswer<AccountView>, ApiError> {
    let account = api.core.query(|core| core.account()).await?;
    account.map(JsonAnswer).ok_or(ApiError::NoAccount(CommandError::NoAccount))
}

/// Ask to be an installation of an existing account
///
/// The request holds a secret. An installation of the account accepts it within five minutes; then
/// both show the same digits.
#[utoipa::path(
    post, path = "/installations/requests", tag = "account", operation_id = "requestLink",
    request_body = NewAccount,
    responses((status = 201, description = "What to accept there", body = LinkRequested)),
)]
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

/// Take in the installation that made a request
///
/// The event `link-digits` follows: both sides show the same digits, and a person at each says so.
#[utoipa::path(
    post, path = "/installations", tag = "account", operation_id = "acceptLink",
    request_body = LinkRequest,
    responses((status = 202, description = "The exchange has begun", body = LinkAccepted)),
)]
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

/// List the account's installations
#[utoipa::path(
    get, path = "/installations", tag = "account", operation_id = "listInstallations",
    responses((status = 200, description = "Those that are live first", body = Installations)),
)]
pub(super) async fn installations(
    State(api): State<Api>,
) -> Result<JsonAnswer<Installations>, ApiError> {
    let installations = api.core.query(|core| core.installations()).await?;
    Ok(JsonAnswer(Installations { installations }))
}

/// Revoke other installations of the account
///
/// For good: a lost one, say. They are taken out of every group, and whoever has heard of it refuses
/// what they send; the event `installation-ended` tells of it. The answer names live installations
/// that those had added, which may be a thief's.
#[utoipa::path(
    post, path = "/installations/revocations", tag = "account", operation_id = "revokeInstallations",
    request_body = Revocations,
    responses((status = 200, description = "Revoked, and on disk", body = Revoked)),
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    Json(Revocations { installations }): Json<Revocations>,
) -> Result<JsonAnswer<Revoked>, ApiError> {
    match api.core.command(Command::Revoke { installations }).await? {
        Answer::Revoked { added } => Ok(JsonAnswer(Revoked { added })),
        _ => Err(ApiError::Answer),
    }
}

/// Call an installation something
///
/// Only the account's own installations see it.
#[utoipa::path(
    put, path = "/installations/{installation}/label", tag = "account", operation_id = "labelInstallation",
    params(("installation" = schema::InstallationId, Path, description = "Which one")),
    request_body = Label,
    responses((status = 204, description = "On disk, and told to the others")),
)]
pub(super) async fn set_label(
    State(api): State<Api>,
    Path(installation): Path<InstallationId>,
    Json(Label { label }): Json<Label>,
) -> Result<StatusCode, ApiError> {
    api.core.command(Command::SetLabel { installation, label }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take this installation out of its account
///
/// And out of all groups, for good. It answers nothing more then.
#[utoipa::path(
    post, path = "/installations/leave", tag = "account", operation_id = "leaveAccount",
    responses((status = 204, description = "On disk, and on its way to the others")),
)]
pub(super) async fn leave(State(api): State<Api>) -> Result<StatusCode, ApiError> {
    api.core.command(Command::LeaveAccount).await?;
    Ok(StatusCode::NO_CONTENT)
}
