//! Messages as a network with many groups has them, each made from its number alone.
//!
//! So an archive of ten million needs no list beside it: any message, its hash and its topic can be
//! made again to ask for it.

use rand::rand_core::SeedableRng as _;
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use waku_groupchat_storage::ArchivedMessage;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

/// Shards that the messages are on.
pub const SHARDS: u16 = 8;

/// Content topics of each shard.
pub const TOPICS: u64 = 1_000;

/// Nanoseconds from one message to the next on average: 20 a second.
pub const STEP: i64 = 50_000_000;

/// Messages come this much out of order, in steps.
const JITTER: i64 = 40;

/// When the first one was sent.
pub const BEGIN: i64 = 1_760_000_000_000_000_000;

/// How long payloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// As sealed chat messages are padded: of ten, eight have 1 KiB, one has 2 and one has 4 KiB.
    Chat,
    /// All the same, in bytes.
    Fixed(usize),
}

impl Sizes {
    /// For people.
    pub fn describe(self) -> String {
        match self {
            Self::Chat => "payloads of 1, 2 and 4 KiB (80, 10 and 10 of 100)".to_owned(),
            Self::Fixed(bytes) => format!("payloads of {bytes} bytes"),
        }
    }

    fn pick(self, random: &mut ChaCha8Rng) -> usize {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Chat => match random.random_range(0..10) {
                0 => 4096,
                1 => 2048,
                _ => 1024,
            },
        }
    }
}

/// The messages of a run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The first message's number, so that two samples differ.
    pub seed: u64,
    /// How long payloads are.
    pub sizes: Sizes,
}

impl Sample {
    /// The message of this number.
    pub fn message(&self, number: u64) -> ArchivedMessage {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(number));
        let shard = random.random_range(0..SHARDS);
        let topic = content_topic(random.random_range(0..TOPICS));
        let late = random.random_range(-JITTER..=JITTER);
        let mut payload = vec![0; self.sizes.pick(&mut random)];
        random.fill_bytes(&mut payload);
        let timestamp = time(number) + late * STEP + random.random_range(0..STEP);
        let message = WakuMessage::new(topic, payload, timestamp);
        ArchivedMessage::new(pubsub_topic(shard), message)
    }

    /// Consecutive messages.
    pub fn batch(&self, from: u64, count: u64) -> Vec<ArchivedMessage> {
        (from..from + count).map(|number| self.message(number)).collect()
    }
}

/// About when the message of this number was sent.
pub fn time(number: u64) -> i64 {
    BEGIN + i64::try_from(number).unwrap_or(i64::MAX / STEP) * STEP
}

/// A shard.
pub fn pubsub_topic(shard: u16) -> PubsubTopic {
    PubsubTopic::new(66, shard)
}

/// A content topic of the form that groups have.
pub fn content_topic(number: u64) -> ContentTopic {
    ContentTopic::from_wire(format!("/wgc/1/benchmarktopicnumber{number:06}/proto"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gives_the_same_message_again_and_no_other() {
        let sample = Sample { seed: 7, sizes: Sizes::Chat };
        assert_eq!(sample.message(3), sample.message(3));
        assert_ne!(sample.message(3).hash, sample.message(4).hash);
        let other = Sample { seed: 1 << 40, ..sample };
        assert_ne!(sample.message(3).hash, other.message(3).hash);
    }

    #[test]
    fn sizes_are_as_they_say() {
        let length =
            |sizes, number| Sample { seed: 0, sizes }.message(number).message.payload.len();
        assert_eq!(length(Sizes::Fixed(400), 1), 400);
        let all: std::collections::BTreeSet<_> =
            (0..100).map(|number| length(Sizes::Chat, number)).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [1024, 2048, 4096]);
    }
}
