//! `/events`: what happened, in order, with a long poll for what happens next.

use std::time::Duration;

use axum::Json as JsonAnswer;
use axum::extract::State;
use serde::Deserialize;
use waku_groupchat_core::api::EventRecord;

use super::Api;
use super::error::ApiError;
use super::extract::Query;
use super::messages::within;
use super::types::Events;

/// Events of a page if the query does not say.
const PAGE: usize = 100;
/// Most events of a page.
const MAX_PAGE: usize = 1000;
/// The longest wait, in seconds: shorter than what proxies allow a silent connection.
const MAX_WAIT: u64 = 30;

/// Which events, and how long to wait for one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Events after this cursor; all that are kept if left out.
    #[serde(default)]
    after: u64,
    /// Most events, 1 to 1000; 100 if left out.
    limit: Option<usize>,
    /// If there is none, wait for one this many seconds, at most 30; 0 if left out.
    #[serde(default)]
    wait: u64,
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(Page { after, limit, wait }): Query<Page>,
) -> Result<JsonAnswer<Events>, ApiError> {
    let limit = within(limit, PAGE, MAX_PAGE)?;
    if wait > MAX_WAIT {
        let reason = format!("wait must be 0 to {MAX_WAIT} seconds, got {wait}");
        return Err(ApiError::Malformed { what: "query", reason });
    }
    // Before the first look, so that an event in between is not missed.
    let mut newest = api.core.status().newest_event.subscribe();
    newest.mark_unchanged();
    let mut events = read(&api, after, limit).await?;
    if events.is_empty() && wait > 0 {
        tokio::select! {
            () = api.stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(wait)) => {}
            _ = newest.wait_for(|cursor| *cursor > after) => {}
        }
        events = read(&api, after, limit).await?;
    }
    let next = events.last().map_or(after, |event| event.cursor);
    Ok(JsonAnswer(Events { events, next }))
}

async fn read(api: &Api, after: u64, limit: usize) -> Result<Vec<EventRecord>, ApiError> {
    Ok(api.core.query(move |core| core.events_after(after, limit)).await?)
}
