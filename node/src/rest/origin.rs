//! Requests from browsers (`rest-allow-origin`).
//!
//! A browser names the page's origin. One that no pattern fits is answered with 403, also where no
//! pattern is set: nwaku then takes such requests, but any page a user opens could publish through
//! the user's own node.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::options::OriginPattern;

type Patterns = Arc<[OriginPattern]>;

/// Lets browsers in from the origins that a pattern fits.
pub(super) fn guard(router: Router, patterns: &[OriginPattern]) -> Router {
    let patterns: Patterns = patterns.into();
    let allowed = if patterns.iter().any(OriginPattern::is_any) {
        AllowOrigin::any()
    } else {
        let patterns = Arc::clone(&patterns);
        AllowOrigin::predicate(move |origin, _| fits(&patterns, origin))
    };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([CONTENT_TYPE, AUTHORIZATION, HeaderName::from_static("last-event-id")]);
    router.layer(cors).layer(from_fn_with_state(patterns, refuse))
}

async fn refuse(State(patterns): State<Patterns>, request: Request, next: Next) -> Response {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => next.run(request).await,
        (Some(origin), None) if fits(&patterns, origin) => next.run(request).await,
        (Some(_), None) => (StatusCode::FORBIDDEN, "Origin not allowed").into_response(),
        (Some(_), Some(_)) => {
            (StatusCode::BAD_REQUEST, "Only a single Origin header must be specified")
                .into_response()
        }
    }
}

fn fits(patterns: &[OriginPattern], origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    patterns.iter().any(|pattern| pattern.fits(origin))
}
