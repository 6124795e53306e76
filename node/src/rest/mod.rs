//! HTTP: nwaku's REST endpoints, a file a resource, and the routes of extensions beside them.
//!
//! | route | file |
//! |---|---|
//! | `/health` | `health.rs` |
//! | `/info`, `/version`, and both under `/debug/v1` | `info.rs` |
//! | `/relay/v1/subscriptions`, `/relay/v1/auto/subscriptions` | `relay_subscriptions.rs` |
//! | `/relay/v1/messages/{pubsubTopic}`, `/relay/v1/auto/messages` | `relay_messages.rs` |
//! | `/store/v3/messages` | `store.rs` |
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
mod health;
mod info;
mod json;
mod metrics;
mod origin;
mod relay_messages;
mod relay_subscriptions;
mod server;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod watch;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

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
    let mut own = Router::new()
        .route("/health", get(health::get))
        .route("/info", get(info::info))
        .route("/debug/v1/info", get(info::info))
        .route("/version", get(info::version))
        .route("/debug/v1/version", get(info::version))
        .route("/store/v3/messages", get(store::messages));
    if options.relay.enabled {
        own = own.merge(relay());
    }
    let extensions: Vec<Router> = state.extensions.iter().map(|e| e.routes()).collect();
    let watched = state.metrics.clone();
    let mut router = own
        .layer(DefaultBodyLimit::max(json::body_limit(options.relay.max_msg_size.bytes())))
        .layer(from_fn(watch::deadline))
        .with_state(state);
    for routes in extensions {
        router = router.merge(routes);
    }
    let router = router.fallback(unknown).method_not_allowed_fallback(wrong_method);
    origin::guard(router, &options.rest.allow_origin)
        .layer(from_fn_with_state(watched, watch::count))
}

fn relay() -> Router<State> {
    Router::new()
        .route(
            "/relay/v1/subscriptions",
            post(relay_subscriptions::subscribe).delete(relay_subscriptions::unsubscribe),
        )
        .route(
            "/relay/v1/auto/subscriptions",
            post(relay_subscriptions::subscribe_auto).delete(relay_subscriptions::unsubscribe_auto),
        )
        .route(
            "/relay/v1/messages/{topic}",
            get(relay_messages::read).post(relay_messages::publish),
        )
        .route("/relay/v1/auto/messages/{topic}", get(relay_messages::read_auto))
        .route("/relay/v1/auto/messages", post(relay_messages::publish_auto))
}

async fn unknown(uri: Uri) -> RestError {
    RestError::NoRoute(uri.path().to_owned())
}

async fn wrong_method() -> RestError {
    RestError::Method
}
