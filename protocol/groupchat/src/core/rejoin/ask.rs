//! The side that cannot follow: noticing it, asking, and taking an answer.

use prost::Message as _;

use super::back::ComesBy;
use super::wire::{Wanted, verify_answer};
use crate::api::{Event, RefusedReason};
use crate::core::notes::short_tie;
use crate::core::records::{AskRecord, AskedPackage, OutgoingKind, StateName, key, write};
use crate::core::{Fault, Inner, Tx, members};
use crate::limits::{PACKAGE_AGE, REJOIN_HOURLY, REJOIN_LEAVES, REJOIN_PACKAGES, REJOIN_STATES};
use crate::mls::slot::{Opener, Use};
use crate::mls::{self, StateId};
use crate::proto::group as pb;
use crate::{GroupId, InstallationId, Timestamp};

impl Inner {
    /// Somebody else was read in a group, in something published at `at`.
    pub(in crate::core) fn heard(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let (now, after) = (tx.now, self.config.rejoin_after);
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let at = at.min(now);
        let ask = &mut group.ask;
        // written once in a while
        let asking = ask.attempts > 0 || ask.due.is_some();
        if at <= ask.heard || (!asking && at.since(ask.heard) < after / 8) {
            return Ok(());
        }
        ask.heard = at;
        let waited = ask.waiting;
        let follows = at + after > now && ask.lost.is_none() && !ask.behind;
        if follows {
            (ask.attempts, ask.due, ask.waiting) = (0, None, false);
        }
        save_ask(tx, id, ask)?;
        if follows && waited {
            self.emit(tx, Event::Rejoined { group: id })?;
        }
        Ok(())
    }

    /// When somebody was last read, as far as that makes it to ask; `None` where nobody is to be
    /// asked.
    fn quiet_since(&self, id: GroupId) -> Option<Timestamp> {
        self.account.as_ref()?;
        let group = self.groups.get(&id)?;
        let tip = group.tip()?;
        let others = group.size() > 1;
        let heard =
            if group.ask.heard == Timestamp::ZERO { group.since() } else { group.ask.heard };
        match &tip.keys {
            Some(_) if group.ask.lost.is_some() || group.ask.behind => Some(Timestamp::ZERO),
            Some(_) => others.then_some(heard),
            // its own request was used: only the Welcome is missing
            None => self.swapped_out(id).then_some(Timestamp::ZERO),
        }
    }

    /// Whether the newest state has the own leaf swapped at its own request.
    pub(in crate::core) fn swapped_out(&self, id: GroupId) -> bool {
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return false };
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else { return false };
        let closed = line.tip().is_some_and(|tip| tip.keys.is_none());
        closed && line.graph.commit(line.tip).is_some_and(|c| c.swaps.contains(&own))
    }

    pub(super) fn next_ask(&self) -> Option<Timestamp> {
        if self.relay_peers == 0 {
            return None;
        }
        self.groups
            .iter()
            .filter_map(|(id, group)| {
                let quiet = self.quiet_since(*id)? + self.config.rejoin_after;
                Some(group.ask.due.map_or(quiet, |due| due.max(quiet)))
            })
            .min()
    }

    /// Asks in each group where nothing was read for long, though everything that archives hold was
    /// asked for.
    pub(super) fn asks_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.next_ask().is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        let after = self.config.rejoin_after;
        let ids: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in ids {
            let Some(quiet) = self.quiet_since(id) else { continue };
            let due = self.groups.get(&id).and_then(|g| g.ask.due);
            if quiet + after > tx.now || due.is_some_and(|due| due > tx.now) {
                continue;
            }
            let behind = tx.now.since(self.clock.caught_up) > self.config.catch_up * 2;
            if due.is_none() {
                // a sync of the group itself comes first
                let wait = after / 12 + self.rng.duration_below(after / 24);
                self.ask_at(tx, id, tx.now + wait)?;
            } else if self.clock.store_seen && behind {
                self.ask_at(tx, id, tx.now + self.config.catch_up)?;
            } else {
                self.ask_for_a_way(tx, id)?;
            }
        }
        Ok(())
    }

    /// Others went on from a state in a way that is not known here, whoever is still read.
    pub(super) fn must_ask(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        if !std::mem::replace(&mut group.ask.behind, true) {
            save_ask(tx, id, &group.ask)?;
        }
        Ok(())
    }

    fn ask_at(&mut self, tx: &Tx<'_>, id: GroupId, due: Timestamp) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        group.ask.due = Some(due);
        Ok(save_ask(tx, id, &group.ask)?)
    }

    /// Publishes a request on the topics of the newest and the oldest state from which this
    /// installation can go on, and of the oldest from which it can come back.
    fn ask_for_a_way(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let (signing, identity) = (own.key(), members::identity(own.account, own.installation));
        let package = mls::package::create(&self.global_provider(tx), &signing, &identity)?;
        let checked = mls::package::check(&self.global_provider(tx), &package.bytes)
            .map_err(|_| Fault::Bug("an own key package does not hold"))?;
        let states = self.open_states(id);
        let oldest = states.first().and_then(|name| self.way_back(id, *name).pop());
        let leaves = self.own_leaves(id);
        let wanted = Wanted {
            group: id,
            time: tx.now,
            key_package: &package.bytes,
            leaves,
            states: some_of(&states),
            lost: self.groups.get(&id).and_then(|g| g.ask.lost),
        };
        let signed = wanted.sign(&signing);
        let content = super::frame(pb::rejoin::Body::Request(signed));
        self.mark_seen(tx, id, &content);
        let mut names: Vec<StateName> = Vec::new();
        let lost = self.groups.get(&id).and_then(|g| g.ask.lost);
        let on = states.first().into_iter().chain(states.last()).chain(&oldest).chain(&lost);
        for name in on {
            if !names.contains(name) {
                names.push(*name);
            }
        }
        for name in names {
            let kind = OutgoingKind::Rejoin { group: id, name };
            self.enqueue(tx, kind, content.clone(), tx.now)?;
        }
        let asked = AskedPackage {
            reference: checked.reference,
            bytes: package.bytes,
            leaf: checked.leaf_key,
            at: tx.now,
        };
        self.note_asked(tx, id, asked)
    }

    fn note_asked(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        asked: AskedPackage,
    ) -> Result<(), Fault> {
        let (retry, after) = (self.config.rejoin_retry, self.config.rejoin_after);
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let ask = &mut group.ask;
        let wait = if ask.attempts < REJOIN_HOURLY { retry } else { after.max(retry) };
        ask.due = Some(tx.now + wait + self.rng.duration_below(wait / 8));
        // the first one may ask in a group where nobody has said anything
        let tell = ask.attempts > 0;
        ask.attempts = ask.attempts.saturating_add(1);
        ask.packages.push(asked);
        let over = ask.packages.len().saturating_sub(REJOIN_PACKAGES);
        let old =
            |(place, p): &(usize, &AskedPackage)| *place < over || tx.now.since(p.at) > PACKAGE_AGE;
        let gone: Vec<Vec<u8>> =
            ask.packages.iter().enumerate().filter(old).map(|(_, p)| p.bytes.clone()).collect();
        ask.packages.retain(|p| !gone.contains(&p.bytes));
        save_ask(tx, id, ask)?;
        for package in gone {
            mls::package::forget(&self.global_provider(tx), &package)?;
        }
        if tell { self.wait_for_member(tx, id) } else { Ok(()) }
    }

    /// Says, once, that this installation can only wait for a member.
    pub(in crate::core) fn wait_for_member(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        if std::mem::replace(&mut group.ask.waiting, true) {
            return Ok(());
        }
        save_ask(tx, id, &group.ask)?;
        self.emit(tx, Event::Waiting { group: id })?;
        self.tell_of_again(tx, id)
    }

    /// The states that can be gone on from, the newest first.
    fn open_states(&self, id: GroupId) -> Vec<StateName> {
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else {
            return Vec::new();
        };
        let path = line.graph.ancestry(line.tip);
        path.filter_map(|at| Some(line.states.get(&at)?.keys.as_ref()?.name)).collect()
    }

    /// A state and those before it, as far back as one can come back from.
    pub(super) fn way_back(&self, id: GroupId, from: StateName) -> Vec<StateName> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let before = |name: &StateName| group.rejoin.get(name).and_then(|record| record.parent);
        std::iter::successors(Some(from), before).take(group.rejoin.len().max(1)).collect()
    }

    /// The keys of all leaves that may be the own one, as others know the group.
    fn own_leaves(&self, id: GroupId) -> Vec<Vec<u8>> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let mut states: Vec<_> = group.rejoin.values().map(|r| (r.since, &r.leaf)).collect();
        states.sort_unstable_by(|a, b| b.cmp(a));
        let packages = group.ask.packages.iter().rev().map(|p| &p.leaf);
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        for leaf in packages.chain(states.into_iter().map(|(_, leaf)| leaf)) {
            if leaves.len() < REJOIN_LEAVES && !leaves.contains(leaf) {
                leaves.push(leaf.clone());
            }
        }
        leaves
    }

    /// An answer to somebody. To this installation: it is taken. To another: that one is helped.
    pub(super) fn way_answered(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        answer: &pb::RejoinAnswer,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let Some((reference, by)) = verify_answer(answer) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Invalid);
        };
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let asked = group.ask.packages.iter().find(|p| p.reference == reference).cloned();
        let Some(asked) = asked else {
            if group.account_of(&by).is_some() {
                self.requests.answered(id, &reference, by);
            }
            return Ok(());
        };
        let provider = self.global_provider(tx);
        let plain = match Opener::new(&provider, &asked.bytes)? {
            Some(opener) => opener.open(&provider, Use::Rejoin, &answer.sealed),
            None => None,
        };
        let content = plain.and_then(|plain| pb::RejoinContent::decode(plain.as_slice()).ok());
        let Some(content) = content else {
            return self.refuse(tx, Some(id), Some(by), RefusedReason::Malformed);
        };
        self.take_answer(tx, id, by, content, at)
    }

    fn take_answer(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        by: InstallationId,
        content: pb::RejoinContent,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let common: Option<StateName> = content.from.as_slice().try_into().ok();
        if let Some(welcome) = content.welcome {
            // commits are checked by themselves; a Welcome rests on who gives it
            if self.groups.get(&id).is_none_or(|g| g.account_of(&by).is_none()) {
                return self.refuse(tx, Some(id), Some(by), RefusedReason::NotAllowed);
            }
            if !self.may_be_led(id, common.as_ref()) {
                return Ok(());
            }
            let Some(shared) = &welcome.shared else {
                return self.refuse(tx, Some(id), Some(by), RefusedReason::Malformed);
            };
            let came = self.look_into(tx, shared, &welcome.group_secrets, at)?;
            let back = match came {
                Some((group, inviter, record)) if group == id && inviter == by => {
                    let by = ComesBy { inviter, common, anew: false };
                    self.come_back(tx, id, record, by)?
                }
                _ => false,
            };
            if !back {
                return self.refuse(tx, Some(id), Some(by), RefusedReason::Invalid);
            }
            if let Some(group) = self.groups.get_mut(&id) {
                group.ask.lost = None;
            }
            return self.found(tx, id);
        }
        let from = common.and_then(|name| self.state_of(id, &name));
        let Some(mut at_state) = from else {
            return self.refuse(tx, Some(id), Some(by), RefusedReason::Invalid);
        };
        for commit in content.commits {
            match self.follow(tx, id, at_state, &commit)? {
                Some(next) => at_state = next,
                None => return Ok(()),
            }
        }
        self.taken_out(tx, id, by, at_state)?;
        self.found(tx, id)
    }

    /// A member shows commits up to one that takes this installation out, as what stands. Whoever did
    /// not stand on it when this was last heard may have moved: nothing is said until that is heard
    /// again.
    fn taken_out(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        by: InstallationId,
        state: StateId,
    ) -> Result<(), Fault> {
        let own = self.account.as_ref().map(|a| a.account);
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let another = group.account_of(&by).is_some_and(|account| Some(account) != own);
        let Some(line) = group.line.as_ref().filter(|_| another) else { return Ok(()) };
        if line.states.get(&state).is_none_or(|state| state.keys.is_some()) {
            return Ok(());
        }
        let ties: Vec<u64> = line.aside(state).map(|commit| short_tie(&commit.tie)).collect();
        group.record.passed_over.retain(|tie| !ties.contains(tie));
        group.save(tx, &id)?;
        self.mind_unsettled(tx, id);
        Ok(())
    }

    /// Whether a Welcome is taken: it was asked for, and it leads on from a state of the own path, or
    /// the own path is known not to stand. Who merely heard nothing is not led to another branch.
    fn may_be_led(&self, id: GroupId, common: Option<&StateName>) -> bool {
        let Some(ask) = self.groups.get(&id).map(|g| &g.ask) else { return false };
        let on_path = common.is_some_and(|name| self.open_states(id).contains(name));
        ask.attempts > 0 && (on_path || ask.lost.is_some() || self.swapped_out(id))
    }

    /// The way back was found. From the lost side of a long split only a Welcome leads: others of
    /// that side may say what they like.
    pub(super) fn found(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        if let Some(group) = self.groups.get_mut(&id) {
            group.ask.behind = false;
        }
        self.heard(tx, id, tx.now)
    }

    /// A kept state, by the name that members give it.
    pub(super) fn state_of(&self, id: GroupId, name: &StateName) -> Option<StateId> {
        let line = self.groups.get(&id)?.line.as_ref()?;
        let named = |s: &&crate::core::records::StateRecord| {
            s.keys.as_ref().is_some_and(|keys| keys.name == *name)
        };
        line.states.values().find(named).map(|state| state.id)
    }

    /// Takes a commit that leaves a state; where it leads, if it holds.
    fn follow(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateId,
        content: &[u8],
    ) -> Result<Option<StateId>, Fault> {
        let frame = pb::Frame::decode(content).ok().and_then(|frame| frame.body);
        let Some(pb::frame::Body::Handshake(handshake)) = frame else {
            self.refuse(tx, Some(id), None, RefusedReason::Malformed)?;
            return Ok(None);
        };
        if let Some(known) = self.after(id, state, &handshake.commit) {
            return Ok(Some(known));
        }
        self.mark_seen(tx, id, content);
        self.commit_received(tx, id, state, &handshake, (content, tx.now))?;
        Ok(self.after(id, state, &handshake.commit))
    }

    /// The state that this very commit leads to, if it is in the graph.
    fn after(&self, id: GroupId, state: StateId, commit: &[u8]) -> Option<StateId> {
        let line = self.groups.get(&id)?.line.as_ref()?;
        let tie = crate::core::effect::tie_of(line.states.get(&state)?, commit);
        line.graph
            .children(state)
            .find(|next| line.graph.commit(*next).is_some_and(|c| c.tie == tie))
    }
}

/// The first ones, then more and more apart, and the last.
fn some_of(states: &[StateName]) -> Vec<StateName> {
    let mut some: Vec<StateName> = Vec::new();
    let places = std::iter::successors(Some(0usize), |p| Some(if *p == 0 { 1 } else { p * 2 }));
    for place in places.take_while(|p| *p < states.len()).take(REJOIN_STATES - 1) {
        some.push(states[place]);
    }
    if let Some(last) = states.last().filter(|last| !some.contains(last)) {
        some.push(*last);
    }
    some
}

pub(super) fn save_ask(
    tx: &Tx<'_>,
    id: GroupId,
    ask: &AskRecord,
) -> Result<(), crate::store::StoreError> {
    write(tx.overlay, key("asking/", &[id.as_bytes()]), ask)
}
