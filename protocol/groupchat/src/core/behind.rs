//! Members that missed a commit: they are told by what they seal under a state that others left.
//!
//! Whoever receives that answers there, after a random time, with the commits that follow: each
//! goes out again under the state it leaves, so who is behind follows one by one. Who hears another
//! answer keeps quiet.

use std::time::Duration;

use super::group::commit_key;
use super::records::OutgoingKind;
use super::{Fault, Inner, Tx};
use crate::mls::StateId;
use crate::{GroupId, Timestamp};

/// Who seals under a state this long after its successor was known here has missed that.
const GRACE: Duration = Duration::from_secs(20);
/// What takes this installation out is shown to others if it is open for this long whether that stands.
const UNSETTLED_FOR: Duration = Duration::from_secs(3600);
/// And again after this time.
const SHOWN_EVERY: Duration = Duration::from_secs(6 * 3600);
/// Most commits of one answer.
const MOST_COMMITS: usize = 16;

impl Inner {
    /// Something was sealed under a state at a time: if the group has left that by then, its
    /// sender does not know.
    pub(super) fn look_behind(&mut self, tx: &Tx<'_>, id: GroupId, state: StateId, at: Timestamp) {
        let Some(fork) = self.fork_left(id, state, at) else { return };
        let due = self.answer_at(tx.now, id);
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(line) = &group.line else { return };
        let deeper =
            |(known, _): (StateId, Timestamp)| line.graph.depth(known) <= line.graph.depth(fork);
        if !group.exchange.behind.is_some_and(deeper) {
            let due = group.exchange.behind.map_or(due, |(_, due)| due);
            group.exchange.behind = Some((fork, due));
        }
    }

    /// Where the group has left the way to a state, if it had done so by a time.
    fn fork_left(&self, id: GroupId, state: StateId, at: Timestamp) -> Option<StateId> {
        let line = self.groups.get(&id)?.line.as_ref()?;
        if state == line.tip || !line.graph.contains(state) {
            return None;
        }
        let fork = line.graph.fork_of(state, line.tip);
        let next = line.graph.ancestry(line.tip).take_while(|at| *at != fork).last();
        let since = next.and_then(|next| line.states.get(&next)).map(|next| next.since)?;
        (at > since + GRACE).then_some(fork)
    }

    /// A commit that is known here came again: somebody else answers.
    pub(super) fn answered_elsewhere(&mut self, id: GroupId, state: StateId) {
        if let Some(group) = self.groups.get_mut(&id)
            && group.exchange.behind.is_some_and(|(fork, _)| fork == state)
        {
            group.exchange.behind = None;
        }
    }

    pub(super) fn behind_due(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some((fork, _)) = group.exchange.behind.take_if(|(_, at)| *at <= tx.now) else {
            return Ok(());
        };
        let Some(line) = &group.line else { return Ok(()) };
        if !line.graph.leads_to(fork, line.tip) || group.record.leaving {
            return Ok(());
        }
        let mut path: Vec<StateId> =
            line.graph.ancestry(line.tip).take_while(|at| *at != fork).collect();
        path.reverse();
        self.send_commits(tx, id, &path)
    }

    /// Where it is open whether this installation is in the group, others may not know the commits that
    /// would take it out: whoever made them can have shown them to it alone. After a while it shows them
    /// to all, so that somebody says which branch stands.
    pub(super) fn mind_unsettled(&mut self, tx: &Tx<'_>, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        if group.exchange.show_at.is_some() || !group.unsettled() {
            return;
        }
        let at = tx.now + UNSETTLED_FOR + self.rng.duration_below(UNSETTLED_FOR / 4);
        if let Some(group) = self.groups.get_mut(&id) {
            group.exchange.show_at = Some(at);
        }
    }

    pub(super) fn show_due(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let next = tx.now + SHOWN_EVERY + self.rng.duration_below(SHOWN_EVERY / 4);
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        if group.exchange.show_at.take_if(|at| *at <= tx.now).is_none() || !group.unsettled() {
            return Ok(());
        }
        group.exchange.show_at = Some(next);
        let Some(line) = &group.line else { return Ok(()) };
        let mut path: Vec<StateId> = Vec::new();
        for out in group.open_branches() {
            let off = line.graph.ancestry(out).take_while(|at| !line.graph.leads_to(*at, line.tip));
            let branch: Vec<StateId> = off.filter(|at| !path.contains(at)).collect();
            path.extend(branch.into_iter().rev());
        }
        self.send_commits(tx, id, &path)
    }

    /// Publishes the commits that lead to these states again, in this order.
    fn send_commits(&mut self, tx: &Tx<'_>, id: GroupId, path: &[StateId]) -> Result<(), Fault> {
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else { return Ok(()) };
        let steps: Vec<(StateId, StateId)> = path
            .iter()
            .filter_map(|state| Some((line.graph.commit(*state)?.parent, *state)))
            .take(MOST_COMMITS)
            .collect();
        for (state, next) in steps {
            let Some(content) = tx.overlay.get(&commit_key(&id, next))? else { continue };
            let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
            if !group.exchange.may_speak(tx.now) {
                return Ok(());
            }
            self.enqueue(tx, OutgoingKind::CommitAgain { group: id, state }, content, tx.now)?;
        }
        Ok(())
    }
}
