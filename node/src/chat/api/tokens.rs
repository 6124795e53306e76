//! `/tokens`: who may use the API, and for what.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use waku_groupchat_core::Timestamp;

use super::Api;
use super::error::ApiError;
use super::extract::{Json, Path};
use super::types::{CreatedToken, NewToken, TokenList, TokenView};
use crate::chat::access::Scopes;
use crate::chat::now;
use crate::chat::tokens::{NAME_BYTES, Record, TokenId};

/// Make a token
///
/// The answer alone shows the secret; the node keeps its SHA-256.
#[utoipa::path(
    post, path = "/tokens", tag = "tokens", operation_id = "createToken",
    request_body = NewToken,
    responses((status = 201, description = "Made, and on disk", body = CreatedToken)),
)]
pub(super) async fn create(
    State(api): State<Api>,
    Json(NewToken { name, scopes, expires }): Json<NewToken>,
) -> Result<impl IntoResponse, ApiError> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(ApiError::TokenName { got: name.len() });
    }
    let scopes = Scopes(scopes.into_iter().collect());
    if scopes.0.is_empty() {
        return Err(ApiError::NoScope);
    }
    let created = now();
    if expires.is_some_and(|at| at <= created) {
        return Err(ApiError::Expiry);
    }
    let tokens = Arc::clone(&api.tokens);
    // A task of its own: what has begun is finished, also if whoever asked goes away.
    let made = tokio::task::spawn_blocking(move || tokens.create(name, scopes, created, expires));
    let (record, token) = made.await.map_err(|_| ApiError::Panicked)??;
    let made = CreatedToken { token: token.reveal().to_string(), about: view(record) };
    Ok((StatusCode::CREATED, JsonAnswer(made)))
}

/// List the tokens
///
/// Never their secrets.
#[utoipa::path(
    get, path = "/tokens", tag = "tokens", operation_id = "listTokens",
    responses((status = 200, description = "Every token", body = TokenList)),
)]
pub(super) async fn list(State(api): State<Api>) -> JsonAnswer<TokenList> {
    let tokens = api.tokens.list().into_iter().map(view).collect();
    JsonAnswer(TokenList { tokens })
}

/// Revoke a token
///
/// It is refused from then on, and streams of events that it opened end.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "Revoked, and on disk")),
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let tokens = Arc::clone(&api.tokens);
    let revoked = tokio::task::spawn_blocking(move || tokens.revoke(&TokenId(id)));
    revoked.await.map_err(|_| ApiError::Panicked)??;
    Ok(StatusCode::NO_CONTENT)
}

fn view(record: Record) -> TokenView {
    let created = Some(record.created).filter(|at| *at != Timestamp::ZERO);
    TokenView {
        id: record.id.0,
        name: record.name,
        scopes: record.scopes.0.into_iter().collect(),
        created,
        expires: record.expires,
    }
}
