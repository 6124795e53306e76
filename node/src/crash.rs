//! Named points at which a test can kill the process, to see that nothing accepted is lost.
//!
//! `WAKU_GROUPCHAT_CRASH_AT=<point>` aborts the process the first time it passes the point,
//! `WAKU_GROUPCHAT_CRASH_AT=<point>:<n>` the n-th time. Only builds with debug assertions look at
//! the variable; in all others [`crash_point`] does nothing.

/// The variable that names a point.
pub const VARIABLE: &str = "WAKU_GROUPCHAT_CRASH_AT";

/// All points there are, in the order in which a sent message passes them.
pub const POINTS: [&str; 5] =
    ["before-commit", "after-commit", "after-answer", "before-publish", "after-publish"];

/// Aborts here, without any clean-up, if a test asked for it. `point` is one of [`POINTS`].
pub fn crash_point(point: &'static str) {
    debug_assert!(POINTS.contains(&point), "crash point {point} is not in the list");
    #[cfg(debug_assertions)]
    armed::pass(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{POINTS, VARIABLE};

    /// Where to abort, and how many passes are left until then.
    pub(super) struct Plan {
        point: &'static str,
        left: AtomicU32,
    }

    impl Plan {
        /// Reads `<point>[:n]`; `None` if it is not of that form.
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (point, count) = text.split_once(':').unwrap_or((text, "1"));
            let point = POINTS.into_iter().find(|p| *p == point)?;
            let count = count.parse().ok().filter(|n| *n > 0)?;
            Some(Self { point, left: AtomicU32::new(count) })
        }

        /// Whether this passing is the one to die at.
        pub(super) fn fires(&self, point: &str) -> bool {
            self.point == point && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        }
    }

    pub(super) fn pass(point: &'static str) {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        let plan = PLAN.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let plan = Plan::parse(&text);
            if plan.is_none() {
                eprintln!("{VARIABLE}: must be one of {POINTS:?}, or one and `:n`, got {text:?}");
                std::process::abort();
            }
            plan
        });
        if plan.as_ref().is_some_and(|plan| plan.fires(point)) {
            std::process::abort();
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::armed::Plan;

    #[test]
    fn fires_at_the_named_pass_only() {
        let plan = Plan::parse("after-commit:3").expect("a plan");
        let passes: Vec<bool> = (0..5).map(|_| plan.fires("after-commit")).collect();
        assert_eq!(passes, [false, false, true, false, false]);
        assert!(!Plan::parse("after-commit").expect("a plan").fires("before-commit"));
    }

    #[test]
    fn refuses_what_is_not_a_plan() {
        for text in ["", "somewhere", "after-commit:", "after-commit:0", "after-commit:x"] {
            assert!(Plan::parse(text).is_none(), "{text}");
        }
    }
}
