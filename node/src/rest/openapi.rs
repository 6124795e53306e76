//! `/openapi.json`: the OpenAPI 3.1 document of the node's own endpoints.
//!
//! Extensions have documents of their own beside their routes ([`crate::chat::api`]).

use std::sync::Arc;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi as Document, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;

use super::relay_messages::ReadMessage;
use super::state::State;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "waku-groupchat: the node",
        license(name = "MIT OR Apache-2.0"),
        description = "nwaku's REST endpoints. They need no token; keep them to those you trust \
            (`rest-address`). Errors are plain text, as nwaku's are: besides those listed, 404 where \
            there is no such path, 405 where it does not take the method, 403 for a browser's \
            request from an origin that is not allowed (`rest-allow-origin`), 503 after 30 seconds. \
            The chat is described by `/chat/v1/openapi.json`, where it is on."
    ),
    tags(
        (name = "node", description = "The node itself"),
        (name = "relay", description = "Publishing and reading, as they come"),
        (name = "store", description = "What is kept"),
        (name = "document", description = "This document"),
    ),
    // of lists of answers, whose bodies are not collected with the routes
    components(schemas(ReadMessage))
)]
struct Base;

/// What is not of one operation.
pub(super) fn base() -> Document {
    Base::openapi()
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "document", operation_id = "document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn document(Extension(document): Extension<Arc<str>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document.to_string())
}

/// The same operation, for where nwaku had it before.
pub(super) fn also_at(
    path: &str,
    (schemas, mut paths, methods): UtoipaMethodRouter<State>,
) -> UtoipaMethodRouter<State> {
    let items = std::mem::take(&mut paths.paths).into_values();
    paths.paths = items.map(|item| (path.to_owned(), older(item, path))).collect();
    (schemas, paths, methods)
}

fn older(mut item: PathItem, path: &str) -> PathItem {
    if let Some(Operation { operation_id, .. }) = &mut item.get {
        *operation_id = Some(path.trim_start_matches('/').replace('/', "-"));
    }
    item
}
