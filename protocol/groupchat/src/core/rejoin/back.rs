//! The way back in by a Welcome: the group is the same one, its graph begins anew.
//!
//! Messages, numbers, gaps, what is counted of others and what was asked for stay. Own messages
//! that nobody on the new path may have go out again under the same numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::agreed::Parameters;
use crate::core::group::{Line, entry_key, leaf_key, sealed_key};
use crate::core::loaded::{Loaded, Place};
use crate::core::log_set::LogSet;
use crate::core::records::{
    AskRecord, GroupRecord, InvitationRecord, InviterRecord, OutgoingKind, StateName, key, read,
    write,
};
use crate::core::{Fault, Inner, Tx};
use crate::mls::{self, StateId, View};
use crate::order::Leaf;
use crate::{GroupId, InstallationId, MessageId, Timestamp};

/// By whom, and from where.
pub(in crate::core) struct ComesBy {
    pub(in crate::core) inviter: InstallationId,
    /// A state that the way led through, as the inviter says.
    pub(in crate::core) common: Option<StateName>,
    /// By an invitation: this installation's time in the group begins with it.
    pub(in crate::core) anew: bool,
}

impl Inner {
    /// Goes on in a group from the state of a Welcome. `false` if it is none of this group, or of a
    /// state that is known: nothing changed then.
    pub(in crate::core) fn come_back(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        came: GroupRecord,
        by: ComesBy,
    ) -> Result<bool, Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(false) };
        let Some(invitation) = came.invitation.clone() else { return Ok(false) };
        let Some(before) = self.shown(id) else { return Ok(false) };
        if group.parameters() != Parameters::of(&came) {
            return Ok(false);
        }
        let InvitationRecord { agreed, members, log: entries, welcome, tree, at, .. } = invitation;
        let state = self.new_state();
        let provider = self.provider(tx, View::Child { group: id, parent: None, child: state });
        let Ok(joining) = mls::welcome::open(&provider, &welcome, &tree)? else { return Ok(false) };
        let joined = joining.finish(&provider)?;
        let mut first = self.state_record(tx, id, state, &joined, agreed)?;
        first.since = at;
        let name = first.keys.as_ref().map(|keys| keys.name);
        if group.states().any(|s| s.keys.as_ref().map(|keys| keys.name) == name) {
            return Ok(false);
        }
        provider.keep()?;
        let lost = self.lost_states(id, by.common.as_ref());
        let mut again = self.numbers_under(tx, id, &lost)?;
        let mut parted = None;
        if let Some(name) = group.ask.lost
            && let Some(left) = self.left_at(id, &name)
        {
            parted = Some(left);
            let known: BTreeSet<u64> = again.iter().map(|(number, _)| *number).collect();
            // the states that they were sealed under are gone
            let gone = self.new_state();
            let since = self.numbers_since(tx, id, left)?.into_iter();
            again.extend(since.filter(|n| !known.contains(n)).map(|n| (n, gone)));
            again.sort_unstable();
        }
        self.reopen(tx, id, &lost)?;
        let all: Vec<StateId> = self.groups[&id].states().map(|state| state.id).collect();
        self.settle_repeats(tx, id, &all, |state| !lost.contains(&state))?;
        self.leave_states(tx, id)?;
        self.loaded.put(Place::now(id, state), Loaded::new(joined));
        let mut log = LogSet::default();
        log.extend(&entries);
        let leaf = |(installation, account)| (Leaf { installation, since: None }, account);
        let line = Line::new(first, members.into_iter().map(leaf), log);
        let old = self.enter_line(tx, id, line)?;
        if by.anew {
            self.begin_anew(tx, id, came)?;
        }
        self.note_newcomers(tx, id, &old, &BTreeSet::new())?;
        self.keep_rejoin(tx, id, state)?;
        let inviter = InviterRecord { inviter: by.inviter, state: Some(state) };
        write(tx.overlay, inviter_key(&id), &inviter)?;
        self.topics.clear();
        self.tell_changes(tx, id, before)?;
        self.learn(tx, &entries)?;
        self.mind_departed(tx, id)?;
        self.say_again(tx, id, again)?;
        if let Some(parted) = parted {
            self.ask_again(tx, id, parted)?;
        }
        self.close_fulfilled(tx, id)?;
        self.replay(tx, id, state, at);
        Ok(true)
    }

    /// The states of the own path after `common`, and those aside of it.
    fn lost_states(&self, id: GroupId, common: Option<&StateName>) -> Vec<StateId> {
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else {
            return Vec::new();
        };
        let named = |state: &StateId| line.states.get(state)?.keys.as_ref().map(|keys| keys.name);
        let shared: BTreeSet<StateId> = match common {
            Some(_) => line
                .graph
                .ancestry(line.tip)
                .skip_while(|state| named(state).as_ref() != common)
                .collect(),
            None => BTreeSet::new(),
        };
        line.states.keys().copied().filter(|state| !shared.contains(state)).collect()
    }

    /// Own messages that were sealed under these states, and under no other one.
    fn numbers_under(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        lost: &[StateId],
    ) -> Result<Vec<(u64, StateId)>, Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(Vec::new()) };
        let mut numbers = BTreeMap::new();
        for state in lost {
            numbers.extend(self.sealed_under(tx, id, *state)?.into_iter().map(|n| (n, *state)));
        }
        for state in group.states().filter(|state| !lost.contains(&state.id)) {
            for number in self.sealed_under(tx, id, state.id)? {
                numbers.remove(&number);
            }
        }
        Ok(numbers.into_iter().collect())
    }

    /// Own messages that were written after a time, in states that are not kept any more.
    fn numbers_since(&self, tx: &Tx<'_>, id: GroupId, since: Timestamp) -> Result<Vec<u64>, Fault> {
        let Some(own) = self.account.as_ref().map(|a| a.installation) else {
            return Ok(Vec::new());
        };
        let prefix = key("place/", &[id.as_bytes(), own.as_bytes()]);
        let mut numbers = Vec::new();
        for (k, time) in tx.overlay.scan(&prefix)? {
            let number = k[prefix.len()..].try_into().map(u64::from_be_bytes);
            let time = time.try_into().map(u64::from_be_bytes);
            let (Ok(number), Ok(time)) = (number, time) else {
                return Err(Fault::Bug("the place of a message"));
            };
            if time >= since.as_nanos() {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// Lets go of all states of a group, and of what is on its way out of them.
    fn leave_states(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let states: Vec<StateId> = group.states().map(|state| state.id).collect();
        let pending = group.record.pending.take();
        let members: Vec<InstallationId> = group
            .line
            .iter()
            .flat_map(|line| line.graph.members(line.graph.root()).into_keys())
            .collect();
        for installation in members {
            tx.overlay.delete(leaf_key(&id, &installation));
        }
        for entry in group.line.iter().flat_map(|line| line.root_log().iter()) {
            tx.overlay.delete(entry_key(&id, entry));
        }
        if let Some(pending) = pending {
            self.forget_outgoing(tx, pending.outgoing);
        }
        for state in &states {
            for number in self.sealed_under(tx, id, *state)? {
                tx.overlay.delete(sealed_key(&id, *state, number));
            }
        }
        self.drop_states(tx, id, &states)
    }

    /// What was first sealed while this installation was away does not concern it; what it knew to
    /// be missing before cannot come any more.
    fn begin_anew(&mut self, tx: &mut Tx<'_>, id: GroupId, came: GroupRecord) -> Result<(), Fault> {
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        let before: BTreeMap<InstallationId, u64> = came.baselines.iter().copied().collect();
        for (installation, sender) in &mut group.senders {
            let baseline = before.get(installation).copied().unwrap_or_default();
            sender.tracker.join_again(came.joined, baseline);
        }
        (group.record.joined, group.record.baselines) = (came.joined, came.baselines);
        group.record.passed_over.clear();
        group.record.leaving = false;
        group.exchange.before_join.clear();
        let packages = std::mem::take(&mut group.ask.packages);
        group.ask = AskRecord { packages, heard: tx.now, ..AskRecord::default() };
        for name in std::mem::take(&mut group.splits).into_keys() {
            tx.overlay.delete(key("split/", &[id.as_bytes(), &name]));
        }
        for installation in std::mem::take(&mut group.heard_in).into_keys() {
            tx.overlay.delete(key("heard/", &[id.as_bytes(), installation.as_bytes()]));
        }
        group.save(tx, &id)?;
        super::ask::save_ask(tx, id, &group.ask)?;
        for installation in group.senders.keys() {
            group.save_sender(tx, &id, installation)?;
        }
        self.end_gaps(tx, id)
    }

    /// Puts the new line in place of the old one. Who was in the old tip.
    fn enter_line(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        line: Line,
    ) -> Result<Arc<BTreeMap<InstallationId, crate::AccountId>>, Fault> {
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        let old = group.line.as_ref().map(|line| line.members.clone()).unwrap_or_default();
        group.enter(line);
        group.save(tx, &id)?;
        group.save_root(tx, &id)?;
        Ok(old)
    }

    fn say_again(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        numbers: Vec<(u64, StateId)>,
    ) -> Result<(), Fault> {
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return Ok(()) };
        for (number, state) in numbers {
            let message = MessageId { group: id, installation: own, number };
            if let Some(sequence) = self.outgoing.find_message(message) {
                self.forget_outgoing(tx, sequence);
            }
            let kind = OutgoingKind::Message { id: message, state };
            self.enqueue(tx, kind, Vec::new(), tx.now)?;
        }
        Ok(())
    }

    /// Another invitation to a group that this installation is in: the commit of the first one lost
    /// its place, and its maker made it again. Taken only from the very installation that invited
    /// it: if it was made later, as long as the state that it came with is kept, or if nobody answers
    /// it any more. Nobody else can lead it elsewhere.
    pub(in crate::core) fn invited_again(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        inviter: InstallationId,
        record: GroupRecord,
    ) -> Result<bool, Fault> {
        let known: Option<InviterRecord> = read(tx.overlay, &inviter_key(&id))?;
        let Some(group) = self.groups.get(&id) else { return Ok(false) };
        let at = record.invitation.as_ref().map(|invitation| invitation.at);
        let fits = known.zip(group.line.as_ref()).is_some_and(|(known, line)| {
            let root = line.graph.root();
            let kept = known.state.is_some_and(|state| state == root);
            // archives may show an older one again
            let newer = line.states.get(&root).is_some_and(|root| at > Some(root.since));
            known.inviter == inviter && ((kept && newer) || group.ask.waiting)
        });
        if !fits {
            return Ok(false);
        }
        self.come_back(tx, id, record, ComesBy { inviter, common: None, anew: true })
    }
}

pub(in crate::core) fn inviter_key(id: &GroupId) -> Vec<u8> {
    key("inviter/", &[id.as_bytes()])
}
