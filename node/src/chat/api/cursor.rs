//! Where a reader stands in the events, and what follows from there.

use waku_groupchat_core::api::EventRecord;

use super::error::ApiError;
use crate::chat::handle::{CallError, ChatCore};

/// What the core said of a cursor.
pub(super) enum Found {
    /// The events after it, as many as were asked for.
    Events(Vec<EventRecord>),
    /// Some events after it are not kept any more.
    Gone {
        /// The cursor of the oldest one that is.
        oldest: u64,
    },
    /// It was not given yet.
    Ahead {
        /// The newest one that was.
        newest: u64,
    },
}

impl Found {
    /// The events, or why there are none to give.
    pub(super) fn events(self, after: u64) -> Result<Vec<EventRecord>, ApiError> {
        match self {
            Self::Events(events) => Ok(events),
            Self::Gone { oldest } => Err(ApiError::Gone { after, oldest }),
            Self::Ahead { newest } => Err(ApiError::CursorAhead { after, newest }),
        }
    }
}

/// A question for the core: up to `limit` events after a cursor, or after what is not kept any
/// more if there is none.
pub(super) fn after(
    after: Option<u64>,
    limit: usize,
) -> impl FnOnce(&ChatCore) -> Result<Found, waku_groupchat_core::Fault> + Send + 'static {
    move |core| {
        let (oldest, newest) = core.event_cursors().into_inner();
        match after {
            Some(after) if after > newest => Ok(Found::Ahead { newest }),
            Some(after) if after + 1 < oldest => Ok(Found::Gone { oldest }),
            after => core.events_after(after.unwrap_or(0), limit).map(Found::Events),
        }
    }
}

/// The newest cursor: after it, there is nothing yet.
pub(super) async fn newest(api: &super::Api) -> Result<u64, CallError> {
    api.core.query(|core| Ok(*core.event_cursors().end())).await
}
