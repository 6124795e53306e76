//! HTTP: nwaku's REST endpoints, a file a resource, and the routes of extensions beside them.
//!
//! | route | file |
//! |---|---|
//! | `/health` | `health.rs` |
//! | `/info`, `/version`, and both under `/debug/v1` | `info.rs` |
//! | `/relay/v1/subscriptions`, `/relay/v1/auto/subscriptions` | `relay_subscriptions.rs` |
//! | `/relay/v1/messages/{pubsubTopic}`, `/relay/v1/auto/messages` | `relay_messages.rs` |
//! | `/store/v3/messages` | `store.rs` |
//! | `/openapi.json` | `openapi.rs` |
//! | `/metrics`, on the metrics server | `metrics.rs` |
//!
//! Shapes and texts are nwaku's (v0.37): JSON for what is asked for, plain text for `OK` and for
//! every error (`error.rs`). Paths are URL-encoded: a topic in a path is written
//! `%2Fwaku%2F2%2Frs%2F0%2F0`.
//!
//! Own routes end after 30 seconds and take bodies a little over the largest message; a server has
//! at most 256 connections at a time, and further ones wait. Every answer is counted by resource
//! and class of status.

mod cache;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod health;
mod info;
mod json;
mod metrics;
mod openapi;
mod origin;
mod relay_messages;
mod relay_subscriptions;
mod server;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use cache::RelayCache;
use error::RestError;
pub use info::VERSION;
#[cfg(test)]
pub(crate) use json::to_base64;
pub(crate) use metrics::router as metrics_router;
pub(crate) use server::Server;
pub(crate) use state::{Parts, State};

/// All routes of the node: its own and those of its extensions.
pub(crate) fn router(state: State) -> Router {
    let options = state.options.clone();
    let (own, document) = documented(options.relay.enabled);
    let extensions: Vec<Router> = state.extensions.iter().map(|e| e.routes()).collect();
    let watched = state.metrics.clone();
    let mut router = own
        .layer(DefaultBodyLimit::max(json::body_limit(options.relay.max_msg_size.bytes())))
        .layer(from_fn(watch::deadline))
        .layer(Extension(document))
        .with_state(state);
    for routes in extensions {
        router = router.merge(routes);
    }
    let router = router.fallback(unknown).method_not_allowed_fallback(wrong_method);
    origin::guard(router, &options.rest.allow_origin)
        .layer(from_fn_with_state(watched, watch::count))
}

/// The own routes, and the document of them.
fn documented(relay: bool) -> (Router<State>, Arc<str>) {
    let mut own = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(health::get))
        .routes(routes!(info::info))
        .routes(openapi::also_at("/debug/v1/info", routes!(info::info)))
        .routes(routes!(info::version))
        .routes(openapi::also_at("/debug/v1/version", routes!(info::version)))
        .routes(routes!(store::messages))
        .routes(routes!(openapi::document));
    if relay {
        own = own
            .routes(routes!(relay_subscriptions::subscribe, relay_subscriptions::unsubscribe))
            .routes(routes!(
                relay_subscriptions::subscribe_auto,
                relay_subscriptions::unsubscribe_auto
            ))
            .routes(routes!(relay_messages::read, relay_messages::publish))
            .routes(routes!(relay_messages::read_auto))
            .routes(routes!(relay_messages::publish_auto));
    }
    let (own, document) = own.split_for_parts();
    (own, crate::openapi::render(document).into())
}

async fn unknown(uri: Uri) -> RestError {
    RestError::NoRoute(uri.path().to_owned())
}

async fn wrong_method() -> RestError {
    RestError::Method
}
