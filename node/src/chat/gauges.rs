//! What the metrics show of the core's state: read after changes, but not more often than needed.

use std::collections::BTreeMap;
use std::time::Duration;

use waku_groupchat_core::api::views::{GapState, GroupState, GroupView, SendState};
use waku_groupchat_core::api::{ChangeKind, RefusedReason};
use waku_groupchat_core::{Fault, GroupId, Timestamp};
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
    /// The epoch that each group was in when it was last looked at.
    epochs: BTreeMap<GroupId, u64>,
}

impl Gauges {
    /// Not read yet.
    pub(super) fn due(at: Timestamp) -> Self {
        Self { due: Some(at), epochs: BTreeMap::new() }
    }

    /// Something changed.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.due.get_or_insert(now + EVERY);
    }

    /// This installation is in a group now: its epochs count from here.
    pub(super) fn joined(&mut self, core: &ChatCore, group: GroupId) -> Result<(), Fault> {
        if let Some(view) = core.group(group)? {
            self.epochs.insert(group, view.epoch);
        }
        Ok(())
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
        let mut groups = core.groups()?;
        groups.retain(|group| matches!(group.state, GroupState::Joined | GroupState::Leaving));
        metrics.groups(groups.len());
        metrics.epochs(self.passed(&groups));
        Ok(())
    }

    /// How many epochs the groups went through since the last time. The one that a group is found
    /// in first was not gone through here.
    fn passed(&mut self, groups: &[GroupView]) -> u64 {
        let before = std::mem::take(&mut self.epochs);
        self.epochs = groups.iter().map(|group| (group.group, group.epoch)).collect();
        let passed = |(group, epoch): (&GroupId, &u64)| {
            before.get(group).map_or(0, |before| epoch.saturating_sub(*before))
        };
        self.epochs.iter().map(passed).sum()
    }
}

/// The label of how far an own message got; none before anybody took it.
pub(super) fn delivery(state: SendState) -> Option<metrics::DeliveryState> {
    match state {
        SendState::Queued => None,
        SendState::Published { .. } => Some(metrics::DeliveryState::Published),
        SendState::Stored => Some(metrics::DeliveryState::Stored),
        SendState::Acknowledged => Some(metrics::DeliveryState::Acknowledged),
    }
}

/// The label of what somebody asked to change.
pub(super) fn change(change: ChangeKind) -> metrics::ChangeKind {
    match change {
        ChangeKind::Profile => metrics::ChangeKind::Profile,
        ChangeKind::Remove => metrics::ChangeKind::Remove,
        ChangeKind::Role => metrics::ChangeKind::Role,
        ChangeKind::Policy => metrics::ChangeKind::Policy,
        ChangeKind::Update => metrics::ChangeKind::Update,
        ChangeKind::Installation => metrics::ChangeKind::Installation,
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
        RefusedReason::Revoked => metrics::RefusedReason::Revoked,
    }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::InstallationId;
    use waku_groupchat_core::api::Policy;

    use super::*;

    fn group(id: u8, epoch: u64) -> GroupView {
        GroupView {
            group: GroupId::from_bytes([id; 16]),
            name: String::new(),
            description: String::new(),
            state: GroupState::Joined,
            epoch,
            accounts: 1,
            installations: 1,
            creator: InstallationId::from_bytes([0; 32]),
            policy: Policy::default(),
            unread: 0,
            read_upto: None,
        }
    }

    #[test]
    fn epochs_count_from_where_a_group_was_found() {
        let mut gauges = Gauges::due(Timestamp::ZERO);
        assert_eq!(gauges.passed(&[group(1, 7)]), 0);
        assert_eq!(gauges.passed(&[group(1, 9), group(2, 3)]), 2);
        assert_eq!(gauges.passed(&[group(1, 9), group(2, 4)]), 1);
        assert_eq!(gauges.passed(&[group(2, 4)]), 0, "a group that was left");
        assert_eq!(gauges.passed(&[group(1, 20), group(2, 5)]), 1, "and joined again");
    }
}
