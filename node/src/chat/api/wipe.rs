//! `/wipe`.

use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::error::ApiError;
use super::extract::Json;
use super::types::Wipe;

/// Remove all chat data of this installation
///
/// Keys, groups, messages and events of this node's chat go for good; the node goes on as a relay
/// without an account. The body names the installation, so that nothing else is wiped by mistake.
/// Other installations and groups are not told: remove this one there first. Streams of events end,
/// and cursors begin anew.
#[utoipa::path(
    post, path = "/wipe", tag = "account", operation_id = "wipe",
    request_body = Wipe,
    responses((status = 204, description = "Gone from this disk")),
)]
pub(super) async fn wipe(
    State(api): State<Api>,
    Json(Wipe { installation }): Json<Wipe>,
) -> Result<StatusCode, ApiError> {
    api.core.wipe(installation).await?;
    Ok(StatusCode::NO_CONTENT)
}
