//! `/installations/link`: the linking that is under way, and what is compared; codes to scan.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use waku_groupchat_core::api::views::LinkView;
use waku_groupchat_core::api::{Answer, Command, CommandError};

use super::Api;
use super::error::ApiError;
use super::extract::Json;
use super::schema::views;
use super::types::{Compared, LinkDigits};
use crate::qr;

/// What an SVG image is declared as.
const SVG: &str = "image/svg+xml";

/// Show the linking that is under way
///
/// On the new side and on the existing one. It holds a secret on the new side.
#[utoipa::path(
    get, path = "/installations/link", tag = "account", operation_id = "showLink",
    responses((status = 200, description = "How far it is", body = views::LinkView)),
)]
pub(super) async fn show(State(api): State<Api>) -> Result<JsonAnswer<LinkView>, ApiError> {
    under_way(&api).await.map(JsonAnswer)
}

/// Say which digits the other side of the linking shows
///
/// On both sides: only then the account is handed over. Other digits than the own ones end the
/// linking, for somebody may stand between the two.
#[utoipa::path(
    post, path = "/installations/link/digits", tag = "account", operation_id = "confirmLink",
    request_body = LinkDigits,
    responses((status = 200, description = "Compared with the own digits", body = Compared)),
)]
pub(super) async fn confirm(
    State(api): State<Api>,
    Json(LinkDigits { digits }): Json<LinkDigits>,
) -> Result<JsonAnswer<Compared>, ApiError> {
    match api.core.command(Command::ConfirmLink { digits }).await? {
        Answer::LinkCompared { same } => Ok(JsonAnswer(Compared { same })),
        _ => Err(ApiError::Answer),
    }
}

/// Give up the linking that is under way
#[utoipa::path(
    delete, path = "/installations/link", tag = "account", operation_id = "cancelLink",
    responses((status = 204, description = "Given up")),
)]
pub(super) async fn cancel(State(api): State<Api>) -> Result<StatusCode, ApiError> {
    api.core.command(Command::CancelLink).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show the own request as a QR code
///
/// An SVG image. The request holds a secret.
#[utoipa::path(
    get, path = "/installations/link/request.svg", tag = "account", operation_id = "showRequestCode",
    responses((status = 200, description = "The code", body = String, content_type = "image/svg+xml")),
)]
pub(super) async fn request_code(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    let request = under_way(&api).await?.request.ok_or(CommandError::NoLink)?;
    code(&request)
}

/// Show the contact card as a QR code
///
/// An SVG image. Who has the card can invite the account.
#[utoipa::path(
    get, path = "/accounts/card.svg", tag = "account", operation_id = "showCardCode",
    responses((status = 200, description = "The code", body = String, content_type = "image/svg+xml")),
)]
pub(super) async fn card_code(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    let account = api.core.query(|core| core.account()).await?;
    let account = account.ok_or(ApiError::NoAccount(CommandError::NoAccount))?;
    code(&account.card)
}

async fn under_way(api: &Api) -> Result<LinkView, ApiError> {
    let link = api.core.query(|core| core.linking()).await?;
    Ok(link.ok_or(CommandError::NoLink)?)
}

fn code(text: &str) -> Result<impl IntoResponse + use<>, ApiError> {
    // No card and no request is too long for a code.
    let image = qr::image(text).map_err(|_| ApiError::Answer)?;
    Ok(([(CONTENT_TYPE, SVG)], image))
}
