//! What the tests share.

mod process;

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};

use waku_groupchat_storage::ArchivedMessage;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

pub(crate) use process::{Process, own_directory, report};

/// Set to a number to run a randomised test again as it ran.
const SEED: &str = "WAKU_GROUPCHAT_TEST_SEED";

/// The seed of this run, which it prints.
pub(crate) fn seed() -> u64 {
    let seed = env::var(SEED)
        .map(|text| text.parse().expect("the seed is a number"))
        .unwrap_or_else(|_| RandomState::new().build_hasher().finish());
    println!("{SEED}={seed}");
    seed
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

pub(crate) fn message(
    shard: PubsubTopic,
    topic: &str,
    timestamp: i64,
    payload: &[u8],
) -> ArchivedMessage {
    let content_topic = ContentTopic::from_wire(topic);
    ArchivedMessage::new(shard, WakuMessage::new(content_topic, payload.to_vec(), timestamp))
}
