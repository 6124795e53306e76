//! The system's clock, and in builds for tests one that a test sets.
//!
//! `WAKU_GROUPCHAT_CLOCK_FILE=<path>` names a file with a number of seconds by which the clock is
//! ahead, or behind if it is negative; it is read each time, so a test can set the clock of a node
//! that runs. Only builds with debug assertions look at the variable.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use waku_groupchat_core::Timestamp;

/// The variable that names the file.
pub const VARIABLE: &str = "WAKU_GROUPCHAT_CLOCK_FILE";

/// A difference between the two clocks of the system after which the one was set.
const STEP_NS: u64 = 1_000_000_000;

/// The time by the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    #[cfg(debug_assertions)]
    let nanos = nanos.saturating_add_signed(set::ahead());
    Timestamp::from_nanos(nanos)
}

/// Notices that the system's clock was set, by the one that nobody can set.
#[derive(Debug)]
pub(crate) struct Steps {
    shown: Timestamp,
    at: Instant,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { shown: now(), at: Instant::now() }
    }

    /// Whether it was set since the last time. A clock that is moved slowly was not.
    pub(crate) fn stepped(&mut self) -> bool {
        let (shown, at) = (now(), Instant::now());
        let expected = self.shown + at.duration_since(self.at);
        *self = Self { shown, at };
        shown.as_nanos().abs_diff(expected.as_nanos()) > STEP_NS
    }
}

#[cfg(debug_assertions)]
mod set {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use super::VARIABLE;

    /// By how many nanoseconds a test has the clock ahead.
    pub(super) fn ahead() -> i64 {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let file = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let Some(file) = file else { return 0 };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let seconds: i64 = text.trim().parse().unwrap_or_else(|_| {
            eprintln!("{VARIABLE}: {} must hold a number of seconds", file.display());
            std::process::abort()
        });
        seconds.saturating_mul(1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_was_not_set() {
        let mut steps = Steps::new();
        assert!(!steps.stepped());
        steps.shown = steps.shown - std::time::Duration::from_secs(2);
        assert!(steps.stepped());
        assert!(!steps.stepped());
    }
}
