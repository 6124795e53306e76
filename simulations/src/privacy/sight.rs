//! What an observer of the whole shard has of one account's record.

use std::sync::Arc;

use waku_groupchat_core::Timestamp;
use waku_groupchat_waku::{ContentTopic, WakuMessage};

/// Bytes of a string that may recur.
pub const TAG: usize = 8;

/// One publish, as it came.
#[derive(Clone, Debug)]
pub struct Sight {
    /// When it came.
    pub came: Timestamp,
    /// All of it: payload, content topic, timestamp.
    pub message: Arc<WakuMessage>,
}

/// All that came on the topics of one account's record of one day, in the order in which it came. Its
/// account and how many installations it had is what the observer wants to know.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose it is.
    pub account: usize,
    /// The day, from the first one of the run.
    pub day: u64,
    /// How many live installations its account had.
    pub installations: usize,
    /// Whether the phrase brought the account back on that day or the one before: an installation that
    /// somebody has taken learns of it by the next record alone.
    pub recovery: bool,
    /// The publishes.
    pub sights: Vec<Sight>,
}

impl Record {
    /// This record with 8 bytes of its account's put into one of its payloads: a leak that has to be
    /// found. `at` is where.
    #[must_use]
    pub fn tagged(&self, tag: [u8; TAG], at: usize) -> Self {
        let mut record = self.clone();
        let count = record.sights.len().max(1);
        if let Some(sight) = record.sights.get_mut(at % count) {
            let message = Arc::make_mut(&mut sight.message);
            let room = message.payload.len().saturating_sub(TAG).max(1);
            let from = (at / count) % room;
            if let Some(place) = message.payload.get_mut(from..from + TAG) {
                place.copy_from_slice(&tag);
            }
        }
        record
    }

    /// This record with 8 letters of its account's put into the name of one of its topics.
    #[must_use]
    pub fn renamed(&self, letters: &str) -> Self {
        let mut record = self.clone();
        if let Some(sight) = record.sights.first_mut() {
            let message = Arc::make_mut(&mut sight.message);
            let mut name = message.content_topic.as_str().to_owned();
            let from = name.len() - "/proto".len() - letters.len();
            name.replace_range(from..from + letters.len(), letters);
            message.content_topic = ContentTopic::from_wire(name);
        }
        record
    }
}
