//! The OpenAPI 3.1 document of the chat API, made from the handlers and the table of routes.
//!
//! It is served by the extension, apart from the node's own (`/openapi.json`): the extension alone
//! knows its routes, and the two differ in who may call them and in how errors look. It needs no
//! token: it holds nothing of this node's.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder,
};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::code::Code;
use super::schema::events::EventRecord;
use super::types::{ErrorBody, StreamClosed, StreamReady};
use super::{Api, PREFIX, examples};
use crate::chat::access::Scope;
use crate::openapi::operations;

/// The name of the bearer token in the document.
const TOKEN: &str = "token";
const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";

#[derive(OpenApi)]
#[openapi(
    info(title = "waku-groupchat: the chat", license(name = "MIT OR Apache-2.0")),
    components(schemas(EventRecord, StreamReady, StreamClosed, ErrorBody)),
    tags(
        (name = "account", description = "The own account and its installations"),
        (name = "groups", description = "Groups, their members, and invitations to them"),
        (name = "messages", description = "What is said, and what is missing of it"),
        (name = "events", description = "What happens, in order"),
        (name = "tokens", description = "Who may use this API, and for what"),
        (name = "document", description = "This document"),
    )
)]
struct Base;

/// The whole document, as it is served.
pub(super) fn render(inner: Document) -> String {
    let itself = OpenApiRouter::<Api>::default().routes(routes!(document)).into_openapi();
    let mut document = Base::openapi().nest(PREFIX, itself).nest(PREFIX, inner);
    document.info.description = Some(about());
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "64 hex digits. The first token is in the file `api-token` of the node's data directory; \
         it may do everything, and makes others by `POST /chat/v1/tokens`. The names listed at an \
         operation are the scopes it takes.",
    ));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme.build()));
    let examples = examples::by_schema();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        illustrate(operation, &examples);
    }
    crate::openapi::render(document)
}

fn about() -> String {
    let mut text = "The group chat of a waku-groupchat node. A change is answered once it is on \
        disk. Ids are lower-case hex; times are nanoseconds since 1970-01-01T00:00:00Z. Every error \
        is an `ErrorBody`, and what was asked changed nothing then. Besides the errors listed at an \
        operation, a path that is not here is answered `no-path` and a method that a path does not \
        take `method`; a browser's request from an origin that the node does not allow \
        (`rest-allow-origin`) is answered 403 in plain text.\n\n| status | code | meaning |\n\
        |---|---|---|\n"
        .to_owned();
    for code in Code::ALL {
        let (status, name) = (code.status().as_u16(), code.name());
        text.push_str(&format!("| {status} | `{name}` | {} |\n", code.about()));
    }
    text
}

/// Adds to an operation who may call it, and every error it may answer.
pub(super) fn describe(operation: &mut Operation, scope: Scope, codes: &[Code]) {
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, [scope.name()])]);
    let mut all = vec![Code::NoToken, Code::WrongToken, Code::ExpiredToken, Code::Scope];
    all.push(Code::Internal);
    all.extend(codes);
    if operation.parameters.as_ref().is_some_and(|p| !p.is_empty()) {
        all.push(Code::Malformed);
    }
    if operation.request_body.is_some() {
        all.extend([Code::Malformed, Code::MediaType, Code::BodyTooLarge]);
    }
    all.sort_unstable();
    all.dedup();
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in all {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    for (status, codes) in by_status {
        operation.responses.responses.insert(status.to_string(), RefOr::T(refusal(&codes)));
    }
}

/// The response with these codes, which share a status.
fn refusal(codes: &[Code]) -> Response {
    let lines: Vec<_> = codes.iter().map(|c| format!("`{}`: {}", c.name(), c.about())).collect();
    let mut content =
        ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name(ErrorBody::name()))));
    for code in codes {
        let body = ErrorBody {
            status: code.status().as_u16(),
            code: code.name().to_owned(),
            detail: code.about().to_owned(),
            oldest: (*code == Code::Gone).then_some(12_001),
        };
        let example = ExampleBuilder::new().value(Some(json!(body)));
        content = content.examples_from_iter([(code.name(), RefOr::T(example.build()))]);
    }
    ResponseBuilder::new().description(lines.join("\n\n")).content(JSON, content.build()).build()
}

/// Adds an example to each body of an operation.
fn illustrate(operation: &mut Operation, examples: &BTreeMap<&'static str, Value>) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(|content| show(content, examples));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.values_mut().for_each(|content| show(content, examples));
            if let Some(RefOr::T(content)) = response.content.get_mut(STREAM) {
                content.example = Some(examples::stream().into());
            }
        }
    }
}

fn show(content: &mut RefOr<Content>, examples: &BTreeMap<&'static str, Value>) {
    let RefOr::T(content) = content else { return };
    let Some(RefOr::Ref(schema)) = &content.schema else { return };
    let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
    if content.examples.is_empty() && content.example.is_none() {
        content.example = examples.get(name).cloned();
    }
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "document", operation_id = "document",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn document(State(api): State<Api>) -> impl IntoResponse {
    ([(CONTENT_TYPE, JSON)], api.document.to_string())
}
