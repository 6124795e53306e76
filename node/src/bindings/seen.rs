//! Messages seen a short time ago. Without IO; the time comes as an argument.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use waku_groupchat_waku::MessageHash;

/// How long a message counts as seen, as in gossipsub's own cache (Waku's `seen TTL`).
const TTL: Duration = Duration::from_secs(120);

/// Most messages that are remembered; the oldest go first.
const CAPACITY: usize = 16_384;

/// Hashes of what came or went in the last two minutes. go-waku reports own messages as if they had
/// come from the network, and does not say that a publish was a repetition: this tells them apart.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashes: HashSet<MessageHash>,
    order: VecDeque<(Instant, MessageHash)>,
}

impl Seen {
    /// Remembers a message; whether it is new.
    pub(super) fn insert(&mut self, hash: MessageHash, now: Instant) -> bool {
        while let Some((at, _)) = self.order.front() {
            if now.duration_since(*at) < TTL && self.order.len() < CAPACITY {
                break;
            }
            if let Some((_, oldest)) = self.order.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
        let new = self.hashes.insert(hash);
        if new {
            self.order.push_back((now, hash));
        }
        new
    }

    /// Forgets a message that did not go out. Such failures are few: it looks at all.
    pub(super) fn forget(&mut self, hash: &MessageHash) {
        if self.hashes.remove(hash) {
            self.order.retain(|(_, known)| known != hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Duration, Instant, MessageHash, Seen, TTL};

    fn hash(number: usize) -> MessageHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        MessageHash::from_bytes(bytes)
    }

    #[test]
    fn a_message_is_new_once_in_two_minutes() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        assert!(seen.insert(hash(1), start));
        assert!(!seen.insert(hash(1), start + TTL - Duration::from_nanos(1)));
        assert!(seen.insert(hash(1), start + TTL));
        seen.forget(&hash(1));
        assert!(seen.insert(hash(1), start + TTL));
        assert_eq!(seen.order.len(), 1);
    }

    #[test]
    fn the_oldest_go_first() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        for number in 0..=CAPACITY {
            assert!(seen.insert(hash(number), now));
        }
        assert_eq!((seen.hashes.len(), seen.order.len()), (CAPACITY, CAPACITY));
        assert!(!seen.insert(hash(CAPACITY), now));
        assert!(seen.insert(hash(0), now));
    }
}
