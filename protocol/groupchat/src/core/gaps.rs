//! Missing messages: noticed, reported after a grace, fetched, recovered or unavailable.

use super::fetch::Fetching;
use super::outbox::place_key;
use super::records::{GapEvidence, GapRecord, key, write};
use super::{Fault, Inner, Tx};
use crate::api::views::{Evidence, GapState, GapView, TryView};
use crate::api::{Event, FetchResult, FetchSource, FetchWhat};
use crate::limits::{CLAIMED_GAPS_PER_SENDER, OPEN_GAPS_PER_SENDER};
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// When a gap is due whose answer is awaited: not before that.
pub(super) const AWAITED: Timestamp = Timestamp::from_nanos(u64::MAX);

/// Topics named to the own archive in one question.
pub(super) const TOPICS_A_FETCH: usize = 512;

impl Claim {
    fn evidence(self) -> GapEvidence {
        GapEvidence::Claimed { by: self.by, at: self.at }
    }
}

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

    /// Whether it is still missing, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, Some(GapState::Recovered | GapState::Withdrawn))
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

/// What a member says of another's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) by: InstallationId,
    pub(super) at: Timestamp,
    /// The highest number that it says exists.
    pub(super) top: u64,
}

impl Inner {
    /// Brings the gaps of one sender in line with its numbers, and with what is claimed of them.
    pub(super) fn refresh_gaps(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        claim: Option<Claim>,
    ) -> Result<(), Fault> {
        let due = tx.now + self.config.gap_grace;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(sender) = group.senders.get(&installation) else { return Ok(()) };
        let (tracker, account) = (&sender.tracker, sender.account);
        let mut changed = Vec::new();
        let (mut open, mut proven, mut claimed) = (0, 0, 0);
        for (&(_, number), gap) in
            group.gaps.range_mut((installation, 0)..=(installation, u64::MAX))
        {
            if !gap.is_open() {
                continue;
            }
            open += 1;
            let GapEvidence::Claimed { at, .. } = gap.evidence else {
                proven += usize::from(gap.due.is_some());
                continue;
            };
            claimed += 1;
            gap.evidence = match (tracker.next_held(number), claim) {
                (Some(by_number), _) => GapEvidence::Proven { by_number },
                (None, Some(claim)) if number <= claim.top && claim.at > at => claim.evidence(),
                _ => continue,
            };
            let given_up = gap.state == Some(GapState::Unavailable);
            if given_up && matches!(gap.evidence, GapEvidence::Proven { .. }) {
                // a claim that was given up is now known to be true: asked for anew
                (gap.state, gap.due) = (None, Some(due));
                (gap.answered, gap.asked) = (0, 0);
            }
            changed.push(number);
        }
        let known = |number: &u64| {
            let gap = group.gaps.get(&(installation, *number));
            gap.is_some_and(|gap| gap.state != Some(GapState::Withdrawn))
        };
        let shown = tracker.missing(OPEN_GAPS_PER_SENDER + open).into_iter().filter_map(|number| {
            Some((number, GapEvidence::Proven { by_number: tracker.next_held(number)? }))
        });
        let said = claim.into_iter().flat_map(|claim| {
            let numbers = tracker.claimed(claim.top, CLAIMED_GAPS_PER_SENDER).into_iter();
            numbers.map(move |number| (number, claim.evidence()))
        });
        let new: Vec<(u64, GapEvidence)> = shown
            .filter(|(number, _)| !known(number))
            .take(OPEN_GAPS_PER_SENDER.saturating_sub(proven))
            .chain(
                said.filter(|(number, _)| !known(number))
                    .take(CLAIMED_GAPS_PER_SENDER.saturating_sub(claimed)),
            )
            .collect();
        for number in changed {
            self.save_gap(tx, id, installation, number)?;
        }
        self.notice(tx, id, (installation, account), new)
    }

    /// Notes gaps; they are reported after the grace.
    fn notice(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        (installation, account): (InstallationId, AccountId),
        new: Vec<(u64, GapEvidence)>,
    ) -> Result<(), Fault> {
        let due = tx.now + self.config.gap_grace;
        for (number, evidence) in new {
            let gap = GapRecord {
                account,
                evidence,
                noticed: tx.now,
                from: self.sent_after(tx, id, installation, number)?,
                state: None,
                due: Some(due),
                answered: 0,
                answered_at: Timestamp::ZERO,
                asked: 0,
                tried: Vec::new(),
            };
            let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
            group.gaps.insert((installation, number), gap);
            self.save_gap(tx, id, installation, number)?;
        }
        Ok(())
    }

    /// A number is not older than the one before it that is held, nor than the group is here.
    fn sent_after(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
    ) -> Result<Timestamp, Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(Timestamp::ZERO) };
        let since = group.since();
        let before = group.senders.get(&installation).and_then(|s| s.tracker.previous_held(number));
        let Some(before) = before else { return Ok(since) };
        let time = tx.overlay.get(&place_key(id, &installation, before))?;
        let time = time.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        Ok(time.map_or(since, |nanos| Timestamp::from_nanos(nanos).min(tx.now)))
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
        match gap.state {
            // within the grace: merely late
            None => {
                group.gaps.remove(&(installation, number));
                tx.overlay.delete(gap_key(id, installation, number));
                return Ok(());
            }
            // written after it was claimed: it was never missing
            Some(GapState::Withdrawn) => return Ok(()),
            Some(_) => gap.state = Some(GapState::Recovered),
        }
        self.save_gap(tx, id, installation, number)?;
        self.tell_gap(tx, id, installation, number)
    }

    /// The sender's own message `number`, written at `time`, contradicts claims of higher numbers
    /// that were made before it, and what it shows to be from before the own join.
    pub(super) fn withdraw_claims(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        number: u64,
        time: Timestamp,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(sender) = group.senders.get(&installation) else { return Ok(()) };
        let contradicted: Vec<u64> = group
            .gaps
            .range((installation, 0)..=(installation, u64::MAX))
            .filter(|((_, n), gap)| {
                let claimed_before =
                    matches!(gap.evidence, GapEvidence::Claimed { at, .. } if at <= time);
                // what was known to be missing of an earlier time in the group stays so
                let claim = matches!(gap.evidence, GapEvidence::Claimed { .. });
                let before = (gap.due.is_some() || claim) && sender.tracker.is_before_join(*n);
                let contradicted = claimed_before && *n > number || before;
                gap.is_open() && contradicted
            })
            .map(|(&(_, n), _)| n)
            .collect();
        for n in contradicted {
            let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
            let Some(gap) = group.gaps.get_mut(&(installation, n)) else { continue };
            gap.due = None;
            if gap.state.replace(GapState::Withdrawn).is_none() {
                group.gaps.remove(&(installation, n));
                tx.overlay.delete(gap_key(id, installation, n));
                continue;
            }
            self.save_gap(tx, id, installation, n)?;
            self.tell_gap(tx, id, installation, n)?;
        }
        Ok(())
    }

    /// This installation was out of the group: what was missing before cannot be read any more.
    pub(super) fn end_gaps(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let mut ended = Vec::new();
        for (at, gap) in group.gaps.iter_mut().filter(|(_, gap)| gap.is_open()) {
            gap.due = None;
            if gap.state.replace(GapState::Unavailable) != Some(GapState::Unavailable) {
                ended.push(*at);
            }
        }
        for (installation, number) in ended {
            self.save_gap(tx, id, installation, number)?;
            self.tell_gap(tx, id, installation, number)?;
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
        let asked = self.ask_members(tx, id, &open)?;
        if asked {
            for &(installation, number) in &open {
                let now = tx.now;
                if let Some(gap) = self.gap_mut(id, installation, number) {
                    gap.note(now, "members", "asked".to_owned());
                }
            }
        }
        // whoever has said too much in this hour asks members later: only then it can be given up
        let all = result.complete() && (asked || !self.can_say(id));
        for (installation, number) in open {
            self.not_found(tx, id, installation, number, all)?;
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
        let (now, retry, attempts) = (tx.now, self.config.gap_retry, self.config.gap_attempts);
        let asked = self.gap_mut(id, installation, number).map_or(0, |gap| gap.asked);
        let again = tx.now + self.backoff(self.config.gap_retry, asked.saturating_sub(1));
        let Some(gap) = self.gap_mut(id, installation, number) else { return Ok(()) };
        // several archives that come up at once are one answer
        let counts = answered && now.since(gap.answered_at) >= retry;
        if counts {
            gap.answered += 1;
            gap.answered_at = now;
        }
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

    pub(super) fn save_gap(
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

    pub(super) fn tell_gap(
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

pub(super) fn gap_key(group: GroupId, installation: InstallationId, number: u64) -> Vec<u8> {
    key("gap/", &[group.as_bytes(), installation.as_bytes(), &number.to_be_bytes()])
}
