//! Missing messages: noticed, reported after a grace, fetched, recovered or unavailable.

use super::fetch::Fetching;
use super::records::{GapEvidence, GapRecord, key, write};
use super::{Fault, Inner, Tx};
use crate::api::views::{Evidence, GapState, GapView, TryView};
use crate::api::{Event, FetchResult, FetchSource, FetchWhat};
use crate::limits::OPEN_GAPS_PER_SENDER;
use crate::{GroupId, InstallationId, Timestamp};

/// When a gap is due whose answer is awaited: not before that.
pub(super) const AWAITED: Timestamp = Timestamp::from_nanos(u64::MAX);

/// Topics named to the own archive in one question.
pub(super) const TOPICS_A_FETCH: usize = 512;

impl GapRecord {
    /// For people, once it was reported.
    pub(super) fn view(
        &self,
        group: GroupId,
        installation: InstallationId,
        number: u64,
    ) -> Option<GapView> {
        Some(GapView {
            group,
            account: self.account,
            installation,
            number,
            evidence: match self.evidence {
                GapEvidence::Proven { by_number } => Evidence::Proven { by_number },
                GapEvidence::Claimed { by, .. } => Evidence::Claimed { by },
            },
            first_noticed: self.noticed,
            state: self.state?,
            tried: self.tried.clone(),
        })
    }

    fn note(&mut self, now: Timestamp, source: &str, outcome: String) {
        match self.tried.iter_mut().find(|t| t.source == source && t.outcome == outcome) {
            Some(same) => {
                same.times = same.times.saturating_add(1);
                same.at = now;
            }
            None => {
                let source = source.to_owned();
                self.tried.push(TryView { source, outcome, times: 1, at: now });
            }
        }
    }
}

impl Inner {
    /// Brings the gaps of one sender in line with its numbers. `from`: what is newly noticed was
    /// not sent before that.
    pub(super) fn refresh_gaps(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        claim: Option<(InstallationId, Timestamp)>,
        from: Timestamp,
    ) -> Result<(), Fault> {
        let due = tx.now + self.config.gap_grace;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(sender) = group.senders.get(&installation) else { return Ok(()) };
        let tracker = &sender.tracker;
        let mut changed = Vec::new();
        for (&(_, number), gap) in
            group.gaps.range_mut((installation, 0)..=(installation, u64::MAX))
        {
            let next = tracker.next_held(number);
            if let (GapEvidence::Claimed { .. }, Some(by_number), true) =
                (gap.evidence, next, tracker.is_proven(number))
            {
                gap.evidence = GapEvidence::Proven { by_number };
                changed.push(number);
            }
        }
        for number in tracker.missing(OPEN_GAPS_PER_SENDER) {
            if group.gaps.contains_key(&(installation, number)) {
                continue;
            }
            let evidence = match (tracker.next_held(number), claim) {
                (Some(by_number), _) => GapEvidence::Proven { by_number },
                (None, Some((by, at))) => GapEvidence::Claimed { by, at },
                (None, None) => continue,
            };
            let gap = GapRecord {
                account: sender.account,
                evidence,
                noticed: tx.now,
                from,
                state: None,
                due: Some(due),
                answered: 0,
                asked: 0,
                tried: Vec::new(),
            };
            group.gaps.insert((installation, number), gap);
            changed.push(number);
        }
        for number in changed {
            self.save_gap(tx, id, installation, number)?;
        }
        Ok(())
    }

    /// A number came: its gap, if there is one, is closed.
    pub(super) fn close_gap(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(gap) = group.gaps.get_mut(&(installation, number)) else { return Ok(()) };
        gap.due = None;
        if gap.state.is_none() {
            // within the grace: merely late
            group.gaps.remove(&(installation, number));
            tx.overlay.delete(gap_key(id, installation, number));
            return Ok(());
        }
        gap.state = Some(GapState::Recovered);
        self.save_gap(tx, id, installation, number)?;
        self.tell_gap(tx, id, installation, number)
    }

    /// The sender's own message `number`, written at `time`, contradicts claims of higher numbers
    /// that were made before it.
    pub(super) fn withdraw_claims(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
        time: Timestamp,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let false_claims: Vec<u64> = group
            .gaps
            .range((installation, number + 1)..=(installation, u64::MAX))
            .filter(|(_, gap)| {
                gap.due.is_some()
                    && matches!(gap.evidence, GapEvidence::Claimed { at, .. } if at <= time)
            })
            .map(|(&(_, n), _)| n)
            .collect();
        if false_claims.is_empty() {
            return Ok(());
        }
        if let Some(sender) = group.senders.get_mut(&installation) {
            sender.tracker.forget_claims_above(number);
        }
        for n in false_claims {
            let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
            let Some(gap) = group.gaps.get_mut(&(installation, n)) else { continue };
            gap.due = None;
            let reported = gap.state.replace(GapState::Withdrawn).is_some();
            self.save_gap(tx, id, installation, n)?;
            if reported {
                self.tell_gap(tx, id, installation, n)?;
            }
        }
        Ok(())
    }

    pub(super) fn next_gap(&self) -> Option<Timestamp> {
        self.groups
            .values()
            .flat_map(|g| g.gaps.values())
            .filter_map(|gap| gap.due)
            .filter(|due| *due != AWAITED)
            .min()
    }

    /// Reports what outlasted its grace, and asks archives for what is due.
    pub(super) fn gaps_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in groups {
            let due: Vec<(InstallationId, u64)> = self.groups[&id]
                .gaps
                .iter()
                .filter(|(_, gap)| gap.due.is_some_and(|at| at <= tx.now))
                .map(|(k, _)| *k)
                .collect();
            if !due.is_empty() {
                self.report_and_ask(tx, id, due)?;
            }
        }
        Ok(())
    }

    fn report_and_ask(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        due: Vec<(InstallationId, u64)>,
    ) -> Result<(), Fault> {
        let mut from = tx.now;
        for &(installation, number) in &due {
            for state in [GapState::Missing, GapState::Fetching] {
                self.gap_state(tx, id, installation, number, state)?;
            }
            let Some(gap) = self.gap_mut(id, installation, number) else { continue };
            gap.due = Some(AWAITED);
            gap.asked += 1;
            from = from.min(gap.from);
            self.save_gap(tx, id, installation, number)?;
        }
        let topics = self.group_topics(&id, from, tx.now, TOPICS_A_FETCH);
        self.fetch(
            tx,
            Fetching::Gaps { group: id, gaps: due, own: true },
            FetchSource::OwnArchive(topics),
            FetchWhat::Messages,
            from,
            tx.now,
        );
        Ok(())
    }

    /// Moves a gap on, and tells; steps back only from unavailable.
    fn gap_state(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
        state: GapState,
    ) -> Result<(), Fault> {
        let Some(gap) = self.gap_mut(id, installation, number) else { return Ok(()) };
        let moves = match gap.state {
            None => true,
            Some(now) => now != state && state != GapState::Missing,
        };
        if moves {
            gap.state = Some(state);
            self.tell_gap(tx, id, installation, number)?;
        }
        Ok(())
    }

    /// An archive answered: what is still missing goes to the next one, or waits.
    pub(super) fn gaps_fetched(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        gaps: Vec<(InstallationId, u64)>,
        own: bool,
        result: &FetchResult,
    ) -> Result<(), Fault> {
        let mut open = Vec::new();
        let mut from = tx.now;
        for (installation, number) in gaps {
            let now = tx.now;
            let Some(gap) = self.gap_mut(id, installation, number) else { continue };
            if gap.due.is_none() {
                continue;
            }
            for tried in &result.tried {
                let outcome = match &tried.outcome {
                    Ok(_) => "answered without it".to_owned(),
                    Err(reason) => reason.clone(),
                };
                gap.note(now, &tried.source, outcome);
            }
            if result.tried.is_empty() && !own {
                gap.note(now, "store peers", "none connected".to_owned());
            }
            from = from.min(gap.from);
            open.push((installation, number));
        }
        if open.is_empty() {
            return Ok(());
        }
        if own {
            for &(installation, number) in &open {
                self.save_gap(tx, id, installation, number)?;
            }
            let what_for = Fetching::Gaps { group: id, gaps: open, own: false };
            self.fetch(tx, what_for, FetchSource::StorePeers, FetchWhat::Messages, from, tx.now);
            return Ok(());
        }
        for (installation, number) in open {
            self.not_found(tx, id, installation, number, result.complete())?;
        }
        Ok(())
    }

    fn not_found(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
        answered: bool,
    ) -> Result<(), Fault> {
        let attempts = self.config.gap_attempts;
        let asked = self.gap_mut(id, installation, number).map_or(0, |gap| gap.asked);
        let again = tx.now + self.backoff(self.config.gap_retry, asked.saturating_sub(1));
        let Some(gap) = self.gap_mut(id, installation, number) else { return Ok(()) };
        gap.answered += u32::from(answered);
        let give_up = gap.answered >= attempts;
        gap.due = (!give_up).then_some(again);
        if give_up {
            self.gap_state(tx, id, installation, number, GapState::Unavailable)?;
        }
        self.save_gap(tx, id, installation, number)
    }

    /// New peers: what waits to be asked for again need not wait longer.
    pub(super) fn hurry_gaps(&mut self, tx: &Tx<'_>) {
        for gap in self.groups.values_mut().flat_map(|g| g.gaps.values_mut()) {
            let waits = gap.due.is_some_and(|due| due != AWAITED);
            if waits && gap.state == Some(GapState::Fetching) {
                gap.due = Some(tx.now);
            }
        }
    }

    fn gap_mut(
        &mut self,
        id: GroupId,
        installation: InstallationId,
        number: u64,
    ) -> Option<&mut GapRecord> {
        self.groups.get_mut(&id)?.gaps.get_mut(&(installation, number))
    }

    fn save_gap(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
    ) -> Result<(), Fault> {
        if let Some(gap) = self.groups.get(&id).and_then(|g| g.gaps.get(&(installation, number))) {
            write(tx.overlay, gap_key(id, installation, number), gap)?;
        }
        Ok(())
    }

    fn tell_gap(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
    ) -> Result<(), Fault> {
        let view = self
            .gap_mut(id, installation, number)
            .and_then(|gap| gap.view(id, installation, number));
        match view {
            Some(gap) => self.emit(tx, Event::Gap { gap }),
            None => Ok(()),
        }
    }
}

fn gap_key(group: GroupId, installation: InstallationId, number: u64) -> Vec<u8> {
    key("gap/", &[group.as_bytes(), installation.as_bytes(), &number.to_be_bytes()])
}
