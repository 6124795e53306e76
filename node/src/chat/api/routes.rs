//! One table for routing, for who may call what, and for the document: each operation is added once,
//! with its scope and its errors.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::Api;
use super::code::Code;
use super::error::ApiError;
use super::openapi;
use crate::chat::access::{Access, Scope};
use crate::chat::now;
use crate::chat::tokens::{Denied, Tokens};
use crate::openapi::operations;

/// What every operation that asks the core may answer.
const CORE: &[Code] = &[Code::QueueFull, Code::Database, Code::Stopped];

/// Operations, with their routes and their part of the document.
pub(super) struct Routes(OpenApiRouter<Api>);

impl Routes {
    pub(super) fn new() -> Self {
        Self(OpenApiRouter::default())
    }

    /// Adds an operation that asks the core: what it takes to call it, its errors, its handler.
    pub(super) fn core(self, scope: Scope, codes: &[Code], op: UtoipaMethodRouter<Api>) -> Self {
        // What takes more than reading changes something.
        let ended: &[Code] = if scope == Scope::Read { &[] } else { &[Code::Ended] };
        self.own(scope, &[codes, ended, CORE].concat(), op)
    }

    /// Adds an operation that the core is not asked for.
    pub(super) fn own(self, scope: Scope, codes: &[Code], op: UtoipaMethodRouter<Api>) -> Self {
        let (schemas, mut paths, methods) = op.map(|methods| {
            methods
                .route_layer(middleware::from_fn(move |request, next| allow(scope, request, next)))
        });
        for operation in paths.paths.values_mut().flat_map(operations) {
            openapi::describe(operation, scope, codes);
        }
        Self(self.0.routes((schemas, paths, methods)))
    }

    /// The router below the prefix, and its part of the document.
    pub(super) fn finish(self) -> (Router<Api>, OpenApi) {
        self.0.split_for_parts()
    }
}

/// Lets requests with a token of this node in, and keeps answers out of caches: they hold secrets.
pub(super) async fn know(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let mut response = match access(&api.tokens, &request) {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 6750, section 2.1.
fn access(tokens: &Tokens, request: &Request) -> Result<Access, ApiError> {
    let header = request.headers().get(AUTHORIZATION).ok_or(ApiError::NoToken)?;
    let text = header.to_str().map_err(|_| ApiError::WrongToken)?;
    let (scheme, given) = text.split_once(' ').ok_or(ApiError::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::NoToken);
    }
    tokens.access(given, now()).map_err(|denied| match denied {
        Denied::Unknown => ApiError::WrongToken,
        Denied::Expired => ApiError::ExpiredToken,
    })
}

/// Lets requests in whose token has the scope.
async fn allow(scope: Scope, request: Request, next: Next) -> Response {
    match request.extensions().get::<Access>() {
        Some(access) if access.scopes.allow(scope) => next.run(request).await,
        Some(access) => {
            ApiError::Scope { needed: scope, given: access.scopes.clone() }.into_response()
        }
        None => ApiError::NoToken.into_response(),
    }
}
