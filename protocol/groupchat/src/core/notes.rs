//! Notes: what installations say to each other that is no message.
//!
//! A note is an MLS application message like any other on the wire. It has no number, is handed
//! out once, and is capped for each group and hour, so that nobody can make a group talk without
//! end. Who answers waits a random time, and does not if another answers first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::group::Group;
use super::reading::Origin;
use super::records::OutgoingKind;
use super::{Fault, Inner, Tx};
use crate::limits::KEPT_STATE_AGE;
use crate::mls::StateId;
use crate::proto::group as pb;
use crate::{GroupId, InstallationId, Timestamp};

/// Most notes and repeated commits of this installation in one group in an hour.
const NOTES_AN_HOUR: usize = 60;
const HOUR: Duration = Duration::from_secs(3600);
/// A member more, and answers are spread over this much more time.
const SPREAD_A_MEMBER: Duration = Duration::from_millis(100);
/// Most commits that a message says the sender does not stand on.
const PASSED_OVER: usize = 4;

/// What is under way between installations of one group; not kept over restarts.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// When a sync leaves after activity.
    pub(super) sync_at: Option<Timestamp>,
    /// When one leaves because nothing was read for long.
    pub(super) quiet_at: Option<Timestamp>,
    /// Buckets to answer, and when.
    pub(super) buckets: BTreeMap<u8, Timestamp>,
    /// Messages to hand over, and when.
    pub(super) hands: BTreeMap<(InstallationId, u64), Timestamp>,
    /// Messages that were asked for here, and when.
    pub(super) asked: BTreeMap<(InstallationId, u64), Timestamp>,
    /// Somebody stands in this state, which others have left: when it gets what follows.
    pub(super) behind: Option<(StateId, Timestamp)>,
    /// The highest numbers said to be from before the own join.
    pub(super) before_join: BTreeMap<InstallationId, u64>,
    /// When the commits that take this installation out are shown to others, as long as it is open
    /// whether they stand.
    pub(super) show_at: Option<Timestamp>,
    sent: VecDeque<Timestamp>,
}

impl Exchange {
    /// When something is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let behind = self.behind.map(|(_, at)| at);
        let answers = self.buckets.values().chain(self.hands.values()).copied();
        let syncs = self.sync_at.into_iter().chain(self.quiet_at).chain(self.show_at);
        syncs.chain(behind).chain(answers).min()
    }

    /// Whether one more may be said; counts it.
    pub(super) fn may_speak(&mut self, now: Timestamp) -> bool {
        while self.sent.front().is_some_and(|at| now.since(*at) > HOUR) {
            self.sent.pop_front();
        }
        if self.sent.len() >= NOTES_AN_HOUR {
            return false;
        }
        self.sent.push_back(now);
        true
    }
}

impl Group {
    /// The last state on the standing path that this installation was in, where it has been out of
    /// the group for no longer than states are kept.
    fn last_within(&self, now: Timestamp) -> Option<StateId> {
        let line = self.line.as_ref()?;
        let recent = now.since(line.tip()?.since) <= KEPT_STATE_AGE;
        line.last_open().filter(|_| recent).map(|state| state.id)
    }
}

impl Inner {
    pub(super) fn next_note(&self) -> Option<Timestamp> {
        self.groups.values().filter_map(|group| group.exchange.next()).min()
    }

    /// Says what is due.
    pub(super) fn notes_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(_, g)| g.exchange.next().is_some_and(|at| at <= tx.now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.sync_due(tx, id)?;
            self.buckets_due(tx, id)?;
            self.hands_due(tx, id)?;
            self.behind_due(tx, id)?;
            self.show_due(tx, id)?;
        }
        Ok(())
    }

    /// Another member's note. `names_all`: what [`Inner::names_all`] says of what came with it.
    pub(super) fn note(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        note: pb::Note,
        frontier: &[pb::FrontierEntry],
        names_all: bool,
    ) -> Result<bool, Fault> {
        let (id, from) = (origin.group, origin.installation);
        match note.body {
            Some(pb::note::Body::Sync(sync)) => Ok(self.synced(tx, id, &sync, names_all)),
            Some(pb::note::Body::Bucket(bucket)) => {
                Ok(self.bucket_told(tx, id, bucket.number, frontier))
            }
            Some(pb::note::Body::Ask(ask)) => self.asked(tx, id, from, &ask),
            Some(pb::note::Body::Hand(hand)) => self.handed(tx, id, hand, origin.hash),
            Some(
                body @ (pb::note::Body::HistoryAsk(_)
                | pb::note::Body::HistoryList(_)
                | pb::note::Body::HistoryHand(_)),
            ) => self.history_note(tx, id, from, body),
            None => Ok(false),
        }
    }

    /// Sends a note under the tip, if that is still allowed in this hour. While it is open whether this
    /// installation is in the group, a sync alone: others that are taken out on another branch wait to
    /// hear of that. Who is out says that too, where it passed over other branches, under the last
    /// state that it was in: nobody else may be left to say it.
    pub(super) fn send_note(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        note: pb::note::Body,
        frontier: Vec<pb::FrontierEntry>,
    ) -> Result<bool, Fault> {
        let repair = !matches!(note, pb::note::Body::Sync(_));
        let passed_over = self.passed_over(id);
        let Some(group) = self.groups.get_mut(&id) else { return Ok(false) };
        let inside = group.open_tip().map(|tip| tip.id);
        let last = || group.last_within(tx.now).filter(|_| !repair && !passed_over.is_empty());
        let Some(state) = inside.or_else(last) else { return Ok(false) };
        if self.copied.is_some()
            || group.record.leaving
            || (repair && group.unsettled())
            || !group.exchange.may_speak(tx.now)
        {
            return Ok(false);
        }
        let application = pb::Application {
            core: Vec::new(),
            signature: Vec::new(),
            frontier,
            note: Some(pb::Note { body: Some(note) }),
            passed_over,
        };
        let content = self.encrypt_frame(tx, id, None, state, &application)?;
        self.enqueue(tx, OutgoingKind::Note { group: id, state, repair }, content, tx.now)?;
        Ok(true)
    }

    /// Whether this installation can say something in a group, now or in an hour.
    pub(super) fn can_say(&self, id: GroupId) -> bool {
        self.copied.is_none() && self.groups.get(&id).is_some_and(Group::stays)
    }

    /// A random time within which something is answered; the larger the group, the longer.
    pub(super) fn answer_at(&self, now: Timestamp, id: GroupId) -> Timestamp {
        let members = self.groups.get(&id).map_or(0, Group::size);
        let within = self.config.answer_within + SPREAD_A_MEMBER * members;
        now + self.rng.duration_below(within)
    }

    /// Commits that are known here and that the group does not stand on, where each branch begins:
    /// the first bytes of their ties. First the branches that take a member out, who waits to hear
    /// that, then the newest. While it is open whether this installation is in the group, none that
    /// takes it out.
    pub(super) fn passed_over(&self, id: GroupId) -> Vec<u64> {
        self.branches_aside(id).into_iter().rev().take(PASSED_OVER).map(|(.., tie)| tie).collect()
    }

    /// Whether another's message names every branch that takes a member out and that would be named
    /// here too: then nobody waits to hear it from this installation.
    pub(super) fn names_all(&self, id: GroupId, told: &[u64]) -> bool {
        let own = self.branches_aside(id).into_iter().rev().take(PASSED_OVER);
        own.filter(|(takes_out, ..)| *takes_out).all(|(.., tie)| told.contains(&tie))
    }

    /// Branches that the group does not stand on: whether one takes a member out, since when it is
    /// known, and the first bytes of its first commit's tie. The most important one last.
    fn branches_aside(&self, id: GroupId) -> Vec<(bool, Timestamp, u64)> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let Some(line) = &group.line else { return Vec::new() };
        if line.graph.depth(line.tip) == line.graph.states().count() {
            // one path, and nothing beside it
            return Vec::new();
        }
        let path: BTreeSet<StateId> = line.graph.ancestry(line.tip).collect();
        let (mut aside, mut unread) = (BTreeMap::new(), BTreeSet::new());
        for state in line.graph.states().filter(|state| !path.contains(state)) {
            let branch = line.graph.ancestry(state).take_while(|at| !path.contains(at));
            let Some((first, begun)) =
                branch.last().and_then(|first| Some((first, line.graph.commit(first)?)))
            else {
                continue;
            };
            let since = line.states.get(&first).map_or(Timestamp::ZERO, |state| state.since);
            let takes_out = line.graph.commit(state).is_some_and(|commit| {
                commit.removes.iter().any(|gone| line.members.contains_key(gone))
            });
            let entry = aside.entry(first).or_insert((false, since, short_tie(&begun.tie)));
            entry.0 |= takes_out;
            if line.states.get(&state).is_some_and(|state| state.keys.is_none()) {
                unread.insert(first);
            }
        }
        if group.unsettled() {
            // how heavy a branch is that takes this installation out, it cannot read
            aside.retain(|first, _| !unread.contains(first));
        }
        let mut aside: Vec<(bool, Timestamp, u64)> = aside.into_values().collect();
        aside.sort_unstable();
        aside
    }
}

/// How a commit is named in messages of those who do not stand on it.
pub(super) fn short_tie(tie: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&tie[..8]);
    u64::from_be_bytes(first)
}
