//! How links behave: loss, delay, duplication. Different delays reorder.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;

/// Behaviour of all links of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    /// Part of all deliveries that never come, from 0 to 1.
    pub loss: f64,
    /// Part of all deliveries that come twice.
    pub duplication: f64,
    /// Shortest delay.
    pub least: Duration,
    /// Longest delay; uniform between the two.
    pub most: Duration,
}

impl Links {
    /// No loss, 10 ms each way.
    pub const fn perfect() -> Self {
        Self {
            loss: 0.0,
            duplication: 0.0,
            least: Duration::from_millis(10),
            most: Duration::from_millis(10),
        }
    }

    /// Loses one in ten, doubles one in ten, takes 10 ms to 3 s.
    pub const fn bad() -> Self {
        Self {
            loss: 0.1,
            duplication: 0.1,
            least: Duration::from_millis(10),
            most: Duration::from_secs(3),
        }
    }

    pub(super) fn delay(&self, rng: &mut ChaCha20Rng) -> Duration {
        let spread = self.most.saturating_sub(self.least);
        let nanos = u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX);
        self.least + Duration::from_nanos(rng.random_range(0..=nanos))
    }

    /// After which delays one message arrives: none, one or two of them.
    pub(super) fn deliveries(&self, rng: &mut ChaCha20Rng) -> Vec<Duration> {
        if rng.random_bool(self.loss) {
            return Vec::new();
        }
        let copies = if rng.random_bool(self.duplication) { 2 } else { 1 };
        (0..copies).map(|_| self.delay(rng)).collect()
    }
}
