//! `/events/stream`: events as they happen, as server-sent events (WHATWG HTML, section 9.2).
//!
//! ```text
//!  core ──► log of 10,000 events ──page by page──┐
//!    └────► ring of the newest, shared by all ───┴──► reader ──► its connection
//! ```
//!
//! A reader first takes what follows its cursor from the log, then each event as it happens from a
//! ring that all readers share, so the core does the same work for one reader and for many. A
//! reader holds one page at most. One that falls further behind than the ring is long is closed and
//! told its cursor; what it missed is still in the log.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;
use waku_groupchat_core::api::EventRecord;

use super::Api;
use super::cursor::{self, Found};
use super::error::ApiError;
use super::extract::Query;
use super::types::{CloseReason, StreamClosed, StreamReady};
use crate::chat::access::{Access, AccessEnd};
use crate::chat::handle::{CallError, CoreHandle};

/// Streams at a time: well below the connections that the server takes.
pub(in crate::chat) const MAX_STREAMS: usize = 64;
/// Events that are read from the log together.
const PAGE: usize = 100;
/// How long a reader should wait before it connects again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// Events after this cursor; 0 for the very first one. Only those that happen from now on if
    /// it is left out and there is no `Last-Event-ID`.
    #[param(required = false, nullable = false)]
    after: Option<u64>,
}

/// Follow events
///
/// Server-sent events. The first one is `ready` with the cursor that the stream begins after;
/// then each event without a name, its cursor as `id` and an `EventRecord` as `data`; a comment
/// every 15 seconds. A stream that the node ends has `closed` last, with the reason and the cursor
/// to go on after. The header `Last-Event-ID`, which browsers send when they connect again, goes
/// before `after`.
#[utoipa::path(
    get, path = "/events/stream", tag = "events", operation_id = "streamEvents",
    params(
        From,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last `id` that was received"),
    ),
    responses((
        status = 200, description = "A stream", body = String, content_type = "text/event-stream",
    )),
)]
pub(super) async fn open(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    Query(From { after }): Query<From>,
) -> Result<impl IntoResponse, ApiError> {
    let place = Arc::clone(&api.places).try_acquire_owned();
    let place = place.map_err(|_| ApiError::TooManyStreams(MAX_STREAMS))?;
    let after = match last_event_id(&headers)?.or(after) {
        Some(after) => {
            // What cannot be answered is told at once, as any other error.
            api.core.query(cursor::after(Some(after), 1)).await?.events(after)?;
            after
        }
        None => cursor::newest(&api).await?,
    };
    let live = api.core.status().events.subscribe();
    let wipes = api.core.status().wipes.subscribe();
    let source = Source { core: api.core, live, after, page: VecDeque::new(), replaying: true };
    let reader = Reader {
        source,
        access,
        closing: api.closing,
        wipes,
        phase: Phase::Opening,
        _place: place,
    };
    let unbuffered =
        [(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))];
    let keep_alive = KeepAlive::new().interval(api.keep_alive);
    Ok((unbuffered, Sse::new(frames(reader)).keep_alive(keep_alive)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(header) = headers.get("last-event-id") else { return Ok(None) };
    let cursor = header.to_str().ok().and_then(|text| text.parse().ok());
    let reason = "Last-Event-ID must be a cursor, a whole number".to_owned();
    cursor.map(Some).ok_or(ApiError::Malformed { what: "header", reason })
}

fn frames(reader: Reader) -> impl Stream<Item = Result<Frame, Infallible>> {
    stream::unfold(reader, |mut reader| async {
        let frame = reader.next().await?;
        Some((Ok(frame), reader))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Closed,
}

/// One stream.
struct Reader {
    source: Source,
    access: Access,
    closing: CancellationToken,
    wipes: watch::Receiver<u64>,
    phase: Phase,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// The next frame; `None` after the last one.
    async fn next(&mut self) -> Option<Frame> {
        match self.phase {
            Phase::Opening => {
                self.phase = Phase::Open;
                let after = self.source.after;
                return Some(frame(after, &StreamReady { after }).event("ready").retry(RECONNECT));
            }
            Phase::Open => {}
            Phase::Closed => return None,
        }
        let reason = tokio::select! {
            biased;
            () = self.closing.cancelled() => CloseReason::Stopped,
            end = self.access.ended() => match end {
                AccessEnd::Revoked => CloseReason::Revoked,
                AccessEnd::Expired => CloseReason::Expired,
            },
            // gone only with the core's status, and then the node stops
            _ = self.wipes.changed() => CloseReason::Wiped,
            event = self.source.next() => match event {
                Ok(event) => return Some(frame(event.cursor, &*event)),
                Err(reason) => reason,
            }
        };
        self.phase = Phase::Closed;
        let after = self.source.after;
        let closed = StreamClosed { reason, detail: detail(reason).to_owned(), after };
        Some(frame(after, &closed).event("closed"))
    }
}

/// Where a stream's events come from.
struct Source {
    core: CoreHandle,
    live: broadcast::Receiver<Arc<EventRecord>>,
    /// The cursor of the last event that was given.
    after: u64,
    /// Read from the log, and not given yet.
    page: VecDeque<EventRecord>,
    /// Whether the log may have more.
    replaying: bool,
}

impl Source {
    async fn next(&mut self) -> Result<Arc<EventRecord>, CloseReason> {
        while self.replaying {
            if let Some(event) = self.page.pop_front() {
                self.after = event.cursor;
                return Ok(Arc::new(event));
            }
            // Before the log is read: what happens in between is in both, and is given once.
            self.live = self.live.resubscribe();
            self.page = self.read().await?.into();
            self.replaying = !self.page.is_empty();
        }
        loop {
            match self.live.recv().await {
                Ok(event) if event.cursor <= self.after => {}
                Ok(event) => {
                    self.after = event.cursor;
                    return Ok(event);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => return Err(CloseReason::TooSlow),
                Err(broadcast::error::RecvError::Closed) => return Err(CloseReason::Stopped),
            }
        }
    }

    async fn read(&self) -> Result<Vec<EventRecord>, CloseReason> {
        match self.core.query_in_turn(cursor::after(Some(self.after), PAGE)).await {
            Ok(Found::Events(events)) => Ok(events),
            Ok(Found::Gone { .. }) => Err(CloseReason::Gone),
            // Only the core goes back, and then it has said so by a fault.
            Ok(Found::Ahead { .. }) | Err(CallError::Fault(_)) => Err(CloseReason::Database),
            Err(_) => Err(CloseReason::Stopped),
        }
    }
}

/// A frame with JSON as its data.
fn frame(cursor: u64, data: &impl Serialize) -> Frame {
    let frame = Frame::default().id(cursor.to_string());
    // Plain data always has a JSON form; without one the reader sees a frame without data.
    match serde_json::to_string(data) {
        Ok(json) => frame.data(json),
        Err(_) => frame,
    }
}

fn detail(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::TooSlow => "more events wait than a reader may be behind",
        CloseReason::Gone => "the next events are not kept any more",
        CloseReason::Revoked => "the token was revoked",
        CloseReason::Expired => "the token has expired",
        CloseReason::Database => "the chat's database fails",
        CloseReason::Wiped => "all chat data was removed from this node",
        CloseReason::Stopped => "the node stops",
    }
}
