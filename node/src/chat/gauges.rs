//! What the metrics show of the core's state: read after changes, but not more often than needed.

use std::time::Duration;

use waku_groupchat_core::api::RefusedReason;
use waku_groupchat_core::api::views::{GapState, GroupState};
use waku_groupchat_core::{Fault, Timestamp};
use waku_groupchat_metrics::{self as metrics, ChatMetrics};

use super::handle::ChatCore;

/// Changes within this time are shown together: reading all gaps costs more than one change.
const EVERY: Duration = Duration::from_secs(2);

/// Every state a gap can have, with its label.
const GAP_STATES: [(GapState, metrics::GapState); 5] = [
    (GapState::Missing, metrics::GapState::Missing),
    (GapState::Fetching, metrics::GapState::Fetching),
    (GapState::Recovered, metrics::GapState::Recovered),
    (GapState::Unavailable, metrics::GapState::Unavailable),
    (GapState::Withdrawn, metrics::GapState::Withdrawn),
];

/// When the gauges are read next.
#[derive(Debug)]
pub(super) struct Gauges {
    due: Option<Timestamp>,
}

impl Gauges {
    /// Not read yet.
    pub(super) fn due(at: Timestamp) -> Self {
        Self { due: Some(at) }
    }

    /// Something changed.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.due.get_or_insert(now + EVERY);
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.due
    }

    /// Reads the core and sets the gauges.
    pub(super) fn read(&mut self, core: &ChatCore, metrics: &ChatMetrics) -> Result<(), Fault> {
        self.due = None;
        let gaps = core.gaps(None)?;
        for (state, label) in GAP_STATES {
            metrics.gaps(label, gaps.iter().filter(|gap| gap.state == state).count());
        }
        let groups = core.groups()?;
        metrics.groups(groups.iter().filter(|g| g.state == GroupState::Joined).count());
        Ok(())
    }
}

/// The label of a reason.
pub(super) fn label(reason: RefusedReason) -> metrics::RefusedReason {
    match reason {
        RefusedReason::Seal => metrics::RefusedReason::Seal,
        RefusedReason::Malformed => metrics::RefusedReason::Malformed,
        RefusedReason::Mls => metrics::RefusedReason::Mls,
        RefusedReason::Core => metrics::RefusedReason::Core,
        RefusedReason::NumberReused => metrics::RefusedReason::NumberReused,
        RefusedReason::NotAllowed => metrics::RefusedReason::NotAllowed,
        RefusedReason::Unproven => metrics::RefusedReason::Unproven,
        RefusedReason::Time => metrics::RefusedReason::Time,
        RefusedReason::Invalid => metrics::RefusedReason::Invalid,
    }
}
