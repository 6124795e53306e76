//! What keeps a core sound over time: clocks that step back, drivers that do not answer, starts,
//! and letting go of what is not needed any more.

use std::time::Duration;

use super::fetch::Fetching;
use super::gaps::AWAITED;
use super::records::{key, write};
use super::{Fault, Inner, Tx};
use crate::Timestamp;
use crate::api::views::GapState;
use crate::api::{FetchResult, FetchSource, FetchWhat, PublishResult};
use crate::limits::{
    BACKOFF_DOUBLINGS, CLOSED_GAP_AGE, DRIVER_PATIENCE, FETCH_ALIGN, KEPT_STATE_AGE,
};

/// A clock that falls by more than this stepped back.
const STEP: Duration = Duration::from_secs(60);
/// How often the upkeep that takes a scan is done.
const PRUNE_EVERY: Duration = Duration::from_secs(6 * 3600);
/// Records that it looks at in one go: there may be many of them.
const PRUNED_AT_ONCE: usize = 1000;

impl Inner {
    /// Where the clock stepped back, nothing may wait for a time that was due by the old one.
    pub(super) fn mind_the_clock(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let before = std::mem::replace(&mut self.last_now, tx.now);
        if before <= tx.now + STEP {
            return Ok(());
        }
        let now = tx.now;
        let longest = |base: Duration| now + base * 2u32.pow(BACKOFF_DOUBLINGS) * 2;
        self.clock.caught_up = self.clock.caught_up.min(now - before.since(now) - FETCH_ALIGN);
        write(tx.overlay, key("clock", &[]), &self.clock)?;
        self.catch_up_at = now;
        self.prune_at = now;
        let most = longest(self.config.publish_retry);
        self.outgoing.reschedule(|record| record.due.min(most));
        let most = longest(self.config.gap_retry);
        for gap in self.groups.values_mut().flat_map(|g| g.gaps.values_mut()) {
            gap.due = gap.due.map(|due| if due == AWAITED { due } else { due.min(most) });
        }
        self.intents.hurry(most);
        self.hurry_repeats(now);
        self.hurry_handover(now);
        for change in self.groups.values_mut().flat_map(|g| g.changes.values_mut()) {
            change.due = change.due.min(most);
        }
        if let Some(own) = &mut self.account {
            own.register_at = own.register_at.min(now + self.config.registration_period);
        }
        self.save_account(tx)
    }

    /// Right after opening, and after a fault: asks again for what was being waited for.
    pub(super) fn resume(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.resumed, true) {
            return Ok(());
        }
        self.keep_all_rejoins(tx)?;
        self.resume_welcomes(tx)?;
        self.resume_reads(tx);
        self.resume_handover(tx);
        let tips: Vec<_> = self
            .groups
            .iter()
            .filter_map(|(id, group)| group.tip().map(|tip| (*id, tip.id, tip.since)))
            .collect();
        for (id, state, since) in tips {
            self.replay(tx, id, state, since);
            self.wait_for_quiet(tx, id);
            self.mind_unsettled(tx, id);
        }
        let awaited: Vec<_> =
            self.awaited.iter().map(|((topic, _), a)| (topic.clone(), a.at)).collect();
        for (topic, at) in awaited {
            let source = FetchSource::OwnArchive(vec![topic.clone()]);
            let what_for = Fetching::Shared { topic, own: true, at };
            self.fetch(tx, what_for, source, FetchWhat::Messages, at, tx.now);
        }
        Ok(())
    }

    pub(super) fn next_upkeep(&self) -> Option<Timestamp> {
        let asked = self.fetches.values().map(|(at, _)| *at + DRIVER_PATIENCE);
        let handed = self.in_flight.values().map(|(at, _)| *at + DRIVER_PATIENCE);
        asked.chain(handed).min()
    }

    /// What a driver did not answer in time counts as failed.
    pub(super) fn upkeep_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let late = |at: Timestamp| at + DRIVER_PATIENCE <= tx.now;
        let fetches: Vec<_> =
            self.fetches.iter().filter(|(_, (at, _))| late(*at)).map(|(id, _)| *id).collect();
        let publishes: Vec<_> =
            self.in_flight.iter().filter(|(_, (at, _))| late(*at)).map(|(id, _)| *id).collect();
        for id in fetches {
            self.fetched(tx, id, FetchResult { tried: Vec::new(), hashes: Vec::new() })?;
        }
        for id in publishes {
            self.published(tx, id, PublishResult::Failed { reason: "no answer".to_owned() })?;
        }
        if self.prune_at <= tx.now {
            self.prune_at = tx.now + PRUNE_EVERY;
            self.prune(tx)?;
        }
        Ok(())
    }

    fn prune(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        self.segments.expire(tx.now);
        // of groups one by one: a sealed store has no order among them
        let seen = self.groups.keys().map(|id| key("seen/", &[id.as_bytes()]));
        for prefix in seen.chain([b"handled/".to_vec()]) {
            let mut from = prefix.clone();
            loop {
                let page = tx.overlay.scan_from(&prefix, &from, PRUNED_AT_ONCE)?;
                let Some((last, _)) = page.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                for (k, when) in page {
                    let when = when.try_into().map(u64::from_be_bytes).unwrap_or_default();
                    if tx.now.since(Timestamp::from_secs(when)) > KEPT_STATE_AGE * 2 {
                        tx.overlay.delete(k);
                    }
                }
            }
        }
        let mut answers = tx.overlay.scan(b"answered/")?;
        answers.retain(|(_, when)| {
            let when = when.as_slice().try_into().map(u64::from_be_bytes).unwrap_or_default();
            super::again::is_old_answer(tx.now, Timestamp::from_secs(when))
        });
        answers.into_iter().for_each(|(k, _)| tx.overlay.delete(k));
        for id in self.groups.keys() {
            super::wishes::prune_past(tx, *id)?;
        }
        self.prune_again(tx)?;
        self.prune_made(tx)?;
        self.prune_packages(tx)?;
        self.prune_rejoins(tx);
        for (id, group) in &mut self.groups {
            group.gaps.retain(|(installation, number), gap| {
                // an unavailable one is still missing: forgotten, it would be noticed again
                let closed = matches!(gap.state, Some(GapState::Recovered | GapState::Withdrawn));
                let keep = !closed || tx.now.since(gap.noticed) <= CLOSED_GAP_AGE;
                if !keep {
                    tx.overlay.delete(super::gaps::gap_key(*id, *installation, *number));
                }
                keep
            });
        }
        Ok(())
    }
}
