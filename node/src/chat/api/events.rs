//! `/events`: what happened, in order, with a long poll for what happens next.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json as JsonAnswer};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::Query;
use super::messages::within;
use super::types::Events;
use super::{Api, cursor};
use crate::chat::access::{Access, AccessEnd};

/// Events of a page if the query does not say.
const PAGE: usize = 100;
/// Most events of a page.
const MAX_PAGE: usize = 1000;
/// The longest wait, in seconds: shorter than what proxies allow a silent connection.
const MAX_WAIT: u64 = 30;

/// Which events, and how long to wait for one.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Events after this cursor; 0 for the very first one. All that are kept if left out.
    #[param(required = false, nullable = false)]
    after: Option<u64>,
    /// Most events; 100 if left out.
    #[param(minimum = 1, maximum = 1000, required = false, nullable = false)]
    limit: Option<usize>,
    /// If there is none, wait for one this many seconds; 0 if left out.
    #[serde(default)]
    #[param(maximum = 30)]
    wait: u64,
}

/// List events
///
/// The newest 10,000 are kept.
#[utoipa::path(
    get, path = "/events", tag = "events", operation_id = "listEvents",
    params(Page),
    responses((status = 200, description = "A page of events, in their order", body = Events)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Query(Page { after, limit, wait }): Query<Page>,
) -> Result<JsonAnswer<Events>, ApiError> {
    let limit = within(limit, PAGE, MAX_PAGE)?;
    if wait > MAX_WAIT {
        let reason = format!("wait must be 0 to {MAX_WAIT} seconds, got {wait}");
        return Err(ApiError::Malformed { what: "query", reason });
    }
    let from = after.unwrap_or(0);
    // Before the first look, so that an event in between is not missed.
    let mut newest = api.core.status().newest_event.subscribe();
    newest.mark_unchanged();
    let read = || api.core.query(cursor::after(after, limit));
    let mut events = read().await?.events(from)?;
    if events.is_empty() && wait > 0 {
        tokio::select! {
            biased;
            () = api.closing.cancelled() => {}
            end = access.ended() => return Err(match end {
                AccessEnd::Revoked => ApiError::WrongToken,
                AccessEnd::Expired => ApiError::ExpiredToken,
            }),
            () = tokio::time::sleep(Duration::from_secs(wait)) => {}
            _ = newest.wait_for(|cursor| *cursor > from) => {}
        }
        events = read().await?.events(from)?;
    }
    let next = events.last().map_or(from, |event| event.cursor);
    Ok(JsonAnswer(Events { events, next }))
}
