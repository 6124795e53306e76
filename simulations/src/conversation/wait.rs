//! Waiting for something to be so, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a condition is looked at that nothing reports by itself.
const LOOK: Duration = Duration::from_millis(50);

/// Something did not happen in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: waited {} s in vain", deadline.as_secs())]
pub struct InVain {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub deadline: Duration,
}

/// Looks again and again until `condition` gives something. Its errors end the wait.
pub async fn until<T>(
    what: impl Into<String>,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < end {
        looks.tick().await;
        if let Some(found) = condition().await? {
            return Ok(found);
        }
    }
    Err(InVain { what: what.into(), deadline }.into())
}
