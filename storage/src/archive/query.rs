//! What a query means, the same for every backend.

use waku_groupchat_waku::store::{DEFAULT_PAGE_SIZE, StoreQueryRequest};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic};

use super::keys::Position;

/// Which messages are wanted, and which page of them (13/WAKU2-STORE).
///
/// The default is the first page of everything, going forward, with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveQuery {
    /// Whether the messages are wanted, or their hashes alone.
    pub include_data: bool,
    /// Only messages on this topic. Needed with content topics.
    pub pubsub_topic: Option<PubsubTopic>,
    /// Only messages with one of these; empty means all.
    pub content_topics: Vec<ContentTopic>,
    /// From this timestamp on, in nanoseconds.
    pub time_start: Option<i64>,
    /// Up to this timestamp, exclusive, in nanoseconds.
    pub time_end: Option<i64>,
    /// If not empty: these messages, as far as they are there. Excludes content topics and times.
    /// A pubsub topic may stand beside it, as js-waku sends one, and narrows it.
    pub hashes: Vec<MessageHash>,
    /// The cursor of the page before, exclusive. Any archived message will do.
    pub cursor: Option<MessageHash>,
    /// Towards newer messages from the oldest, or towards older ones from the newest.
    pub forward: bool,
    /// Most messages of the page, more than zero. A Store server has its own bounds for it.
    pub limit: usize,
}

impl Default for ArchiveQuery {
    fn default() -> Self {
        Self {
            include_data: true,
            pubsub_topic: None,
            content_topics: Vec::new(),
            time_start: None,
            time_end: None,
            hashes: Vec::new(),
            cursor: None,
            forward: true,
            limit: usize::try_from(DEFAULT_PAGE_SIZE).unwrap_or(usize::MAX),
        }
    }
}

impl From<&StoreQueryRequest> for ArchiveQuery {
    /// With the page size that the protocol gives the request.
    fn from(request: &StoreQueryRequest) -> Self {
        Self {
            include_data: request.include_data,
            pubsub_topic: request.pubsub_topic,
            content_topics: request.content_topics.clone(),
            time_start: request.time_start,
            time_end: request.time_end,
            hashes: request.hashes.clone(),
            cursor: request.cursor,
            forward: request.forward,
            limit: usize::try_from(request.page_size()).unwrap_or(usize::MAX),
        }
    }
}

/// A query that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuery {
    /// Content topics mean something on a pubsub topic only.
    #[error("content topics need a pubsub topic")]
    ContentTopicsAlone,
    /// Hashes name messages; there is nothing left to filter.
    #[error("a look-up by hash excludes content topics and times")]
    HashesWithFilter,
    /// A page of no messages.
    #[error("a page holds at least one message")]
    ZeroLimit,
}

impl ArchiveQuery {
    pub(super) fn check(&self) -> Result<(), InvalidQuery> {
        let times = self.time_start.is_some() || self.time_end.is_some();
        if self.limit == 0 {
            return Err(InvalidQuery::ZeroLimit);
        }
        if !self.hashes.is_empty() && (times || !self.content_topics.is_empty()) {
            return Err(InvalidQuery::HashesWithFilter);
        }
        if !self.content_topics.is_empty() && self.pubsub_topic.is_none() {
            return Err(InvalidQuery::ContentTopicsAlone);
        }
        Ok(())
    }

    /// How many to look for: one more than a page, to know whether there is a next one.
    pub(super) fn wanted(&self) -> usize {
        self.limit.saturating_add(1)
    }

    /// The part of the order that times and the cursor leave; none if that is nothing.
    pub(super) fn window(&self, cursor: Option<Position>) -> Option<Window> {
        let mut from = Position::start_of(self.time_start.unwrap_or(i64::MIN));
        let mut to = self.time_end.map(Position::start_of);
        if let Some(cursor) = cursor {
            if self.forward {
                from = from.max(cursor.next()?);
            } else {
                to = Some(to.map_or(cursor, |to| to.min(cursor)));
            }
        }
        to.is_none_or(|to| from < to).then_some(Window { from, to })
    }

    /// Makes the page of what was found: at most [`Self::wanted`] positions, in the direction of the
    /// query.
    pub(super) fn page(&self, mut found: Vec<Position>) -> (Vec<Position>, Option<MessageHash>) {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let cursor = found.last().filter(|_| more).map(Position::hash);
        if !self.forward {
            found.reverse();
        }
        (found, cursor)
    }
}

/// A part of the order: from a position on, up to another, exclusive, or to the end.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Position,
    pub(super) to: Option<Position>,
}

impl Window {
    pub(super) fn contains(&self, position: &Position) -> bool {
        *position >= self.from && self.to.is_none_or(|to| *position < to)
    }
}
