//! Where a group stands, and what follows when that changes.
//!
//! The graph alone says which path stands. When the tip moves on along its path, members see what
//! the new commits changed. When it moves to another branch, what was asked for on the abandoned
//! one is made again, and own messages sealed there go out once more, under the same numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::{commit_key, entry_key, leaf_key, save_leaf, save_state, sealed_key};
use super::records::{OutgoingKind, key};
use super::{Fault, Inner, Tx};
use crate::api::Event;
use crate::limits::{KEPT_STATE_AGE, KEPT_STATES, KEPT_STATES_LEAST_AGE, KEPT_STATES_MOST};
use crate::mls::StateId;
use crate::order::mutation::{Mutation, is_active};
use crate::order::roles::Authority;
use crate::{AccountId, GroupId, InstallationId, MessageId};

/// What people see of a state.
pub(super) struct Shown {
    members: Arc<BTreeMap<InstallationId, AccountId>>,
    name: String,
    description: String,
    authority: Authority,
    inside: bool,
}

/// The accounts that are new in a state, and those that are not in it any more.
fn accounts_changed(
    before: &BTreeMap<InstallationId, AccountId>,
    now: &BTreeMap<InstallationId, AccountId>,
) -> [Vec<AccountId>; 2] {
    if before == now {
        return [Vec::new(), Vec::new()];
    }
    let accounts =
        |members: &BTreeMap<_, AccountId>| members.values().copied().collect::<BTreeSet<_>>();
    let (before, now) = (accounts(before), accounts(now));
    let beyond =
        |a: &BTreeSet<AccountId>, b: &BTreeSet<AccountId>| a.difference(b).copied().collect();
    [beyond(&now, &before), beyond(&before, &now)]
}

impl Inner {
    /// Moves to where the graph says the group stands.
    pub(super) fn settle(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(before) = self.shown(id) else { return Ok(()) };
        let Some(line) = self.groups.get_mut(&id).and_then(|g| g.line.as_mut()) else {
            return Ok(());
        };
        let (old, new) = (line.tip, line.graph.tip());
        if old == new {
            return Ok(());
        }
        let fork = line.graph.fork_of(old, new);
        let depth = line.graph.depth(old) - line.graph.depth(fork);
        let abandoned: Vec<StateId> = line.graph.ancestry(old).take(depth).collect();
        let gained = line.graph.depth(new) - line.graph.depth(fork);
        let path: Vec<StateId> = line.graph.ancestry(new).take(gained).collect();
        let members = Arc::clone(&line.members);
        line.look_up(new);
        let came = path.iter().filter_map(|state| line.graph.commit(*state)).flat_map(|commit| {
            let adds = commit.adds.iter().map(|(installation, _)| *installation);
            adds.filter(|installation| !commit.swaps.contains(installation))
        });
        let came: BTreeSet<InstallationId> = came.collect();
        self.note_newcomers(tx, id, &members, &came)?;
        if depth > 0 {
            self.emit(tx, Event::Reordered { group: id, depth: depth as u64 })?;
            self.mind_lost(tx, id)?;
        }
        self.tell_changes(tx, id, before)?;
        self.reopen(tx, id, &abandoned)?;
        self.give_up_pending(tx, id)?;
        self.send_again(tx, id, &abandoned, &path)?;
        self.leave_again(tx, id)?;
        self.prune_states(tx, id)?;
        self.mind_departed(tx, id)?;
        self.moved(tx, id, &members)?;
        self.active(tx, id);
        self.topics.clear();
        Ok(())
    }

    pub(super) fn shown(&self, id: GroupId) -> Option<Shown> {
        let group = self.groups.get(&id)?;
        let tip = group.tip()?;
        Some(Shown {
            members: Arc::clone(&group.line.as_ref()?.members),
            name: tip.agreed.name.clone(),
            description: tip.agreed.description.clone(),
            authority: tip.agreed.authority.clone(),
            inside: tip.keys.is_some() && !group.is_over(),
        })
    }

    /// Who is in the group now and was not before never had what was sent before, and neither has
    /// who went and came in between.
    pub(super) fn note_newcomers(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        before: &BTreeMap<InstallationId, AccountId>,
        came: &BTreeSet<InstallationId>,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(line) = &group.line else { return Ok(()) };
        if *before == *line.members && came.is_empty() {
            return Ok(());
        }
        let number = group.send.number;
        let known = group.record.came_at.iter().filter(|(i, _)| !came.contains(i));
        let known: BTreeMap<InstallationId, u64> = known.copied().collect();
        group.record.came_at = line
            .members
            .keys()
            .filter(|i| known.contains_key(i) || !before.contains_key(i) || came.contains(i))
            .map(|i| (*i, known.get(i).copied().unwrap_or(number)))
            .collect();
        group.index_members();
        group.save(tx, &id)?;
        Ok(())
    }

    pub(super) fn tell_changes(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        before: Shown,
    ) -> Result<(), Fault> {
        let Some(now) = self.shown(id) else { return Ok(()) };
        if before.inside && !now.inside {
            // a swap of the own leaf is a way back in
            if self.swapped_out(id) {
                return self.wait_for_member(tx, id);
            }
            self.emit(tx, Event::Removed { group: id })?;
            return self.tell_of_again(tx, id);
        }
        if !before.inside && now.inside {
            self.emit(tx, Event::Joined { group: id })?;
        }
        let [added, removed] = accounts_changed(&before.members, &now.members);
        if !added.is_empty() {
            self.emit(tx, Event::MembersAdded { group: id, accounts: added })?;
        }
        if !removed.is_empty() {
            self.emit(tx, Event::MembersRemoved { group: id, accounts: removed })?;
        }
        if (&before.name, &before.description) != (&now.name, &now.description) {
            let (name, description) = (now.name, now.description);
            self.emit(tx, Event::ProfileChanged { group: id, name, description })?;
        }
        if before.authority != now.authority {
            self.emit(tx, Event::RolesChanged { group: id })?;
        }
        Ok(())
    }

    /// An own commit that nobody was given yet, and that leaves a state which is not the tip any
    /// more, is not published: what it carries out is made again.
    fn give_up_pending(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let (Some(pending), Some(line)) = (&group.record.pending, &group.line) else {
            return Ok(());
        };
        let parent = pending.next.commit.as_ref().map(|commit| commit.parent);
        let given = self.outgoing.get(pending.outgoing).is_some_and(|o| o.attempts > 0);
        let kept = parent.is_some_and(|parent| line.graph.contains(parent));
        if parent == Some(line.tip) || (given && kept) {
            return Ok(());
        }
        let (outgoing, state) = (pending.outgoing, pending.next.id);
        self.forget_outgoing(tx, outgoing);
        if let Some(group) = self.groups.get_mut(&id) {
            group.record.pending = None;
            group.save(tx, &id)?;
        }
        self.drop_states(tx, id, &[state])?;
        self.topics.clear();
        Ok(())
    }

    /// Own messages that were sealed in abandoned states, and in none of those the group stands on
    /// instead, go out again.
    fn send_again(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        abandoned: &[StateId],
        path: &[StateId],
    ) -> Result<(), Fault> {
        if is_active(Mutation::NothingResent) {
            return Ok(());
        }
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return Ok(()) };
        let mut lost: BTreeMap<u64, StateId> = BTreeMap::new();
        for state in abandoned {
            for number in self.sealed_under(tx, id, *state)? {
                lost.insert(number, *state);
            }
        }
        for state in path {
            for number in self.sealed_under(tx, id, *state)? {
                lost.remove(&number);
            }
        }
        for (number, state) in lost {
            let message = MessageId { group: id, installation: own, number };
            let kind = OutgoingKind::Message { id: message, state };
            if let Some(sequence) = self.outgoing.find_message(message) {
                self.forget_outgoing(tx, sequence);
            }
            self.enqueue(tx, kind, Vec::new(), tx.now)?;
        }
        Ok(())
    }

    pub(super) fn sealed_under(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
    ) -> Result<Vec<u64>, Fault> {
        let prefix = key("sealed/", &[id.as_bytes(), state.as_bytes()]);
        let mut numbers = Vec::new();
        for (k, _) in tx.overlay.scan(&prefix)? {
            let number = k[prefix.len()..].try_into().map(u64::from_be_bytes);
            numbers.push(number.map_err(|_| Fault::Bug("a sealed message's key"))?);
        }
        Ok(numbers)
    }

    /// Notes that an own message was sealed under a state.
    pub(super) fn note_sealed(&self, tx: &Tx<'_>, state: StateId, message: MessageId) {
        tx.overlay.put(sealed_key(&message.group, state, message.number), Vec::new());
    }

    /// Lets go of states beyond the window: the oldest one that is kept lies on the standing path.
    pub(super) fn prune_states(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let now = tx.now;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(line) = group.line.as_mut() else { return Ok(()) };
        let mut path: Vec<StateId> = line.graph.ancestry(line.tip).collect();
        path.reverse();
        // a state is in use until its successor begins
        let left = |place: usize| path.get(place + 1).and_then(|next| line.states.get(next));
        let keep = (0..path.len())
            .find(|place| {
                let Some(next) = left(*place) else { return true };
                let (age, behind) = (now.since(next.since), path.len() - 1 - place);
                let young = age <= KEPT_STATES_LEAST_AGE && behind <= KEPT_STATES_MOST;
                young || (age <= KEPT_STATE_AGE && behind <= KEPT_STATES)
            })
            .unwrap_or(0);
        let root = path[keep];
        if root == line.graph.root() {
            return Ok(());
        }
        let before = line.graph.members(line.graph.root());
        let dropped = line.graph.prune(root);
        let after = line.graph.members(root);
        for installation in before.keys().filter(|i| !after.contains_key(i)) {
            tx.overlay.delete(leaf_key(&id, installation));
        }
        for (installation, (leaf, account)) in after {
            if before.get(&installation) != Some(&(leaf, account)) {
                save_leaf(tx, &id, installation, leaf, account)?;
            }
        }
        for at in &path[..=keep] {
            let Some(state) = line.states.get_mut(at) else { continue };
            if let Some(commit) = state.commit.take() {
                group.record.revoked.extend(commit.revokes);
            }
            for entry in std::mem::take(&mut state.attached) {
                tx.overlay.put(entry_key(&id, &entry), entry);
            }
            line.attach_to_root(*at);
        }
        if let Some(state) = line.states.get(&root) {
            save_state(tx, &id, state)?;
            tx.overlay.delete(commit_key(&id, root));
        }
        group.record.root = Some(root);
        for state in &dropped {
            line.forget(state);
        }
        group.save(tx, &id)?;
        let stood = &path[..keep];
        self.settle_repeats(tx, id, &dropped, |state| stood.contains(&state))?;
        for state in &dropped {
            for number in self.sealed_under(tx, id, *state)? {
                tx.overlay.delete(sealed_key(&id, *state, number));
            }
        }
        self.drop_states(tx, id, &dropped)?;
        self.close_fulfilled(tx, id)
    }

    /// Takes an entry out of the queue.
    pub(super) fn forget_outgoing(&mut self, tx: &Tx<'_>, sequence: u64) {
        self.outgoing.remove(sequence);
        tx.overlay.delete(super::outbox::out_key(sequence));
    }
}
