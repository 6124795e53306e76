//! Commits: made on a copy of the tip, published, and only then part of the group's graph.
//!
//! Each state has a namespace of its own in the store. A commit is made, or processed, in a copy
//! of the state it leaves, so that state stays as it was, for what is still under way in it and for
//! other commits that leave it. Whoever made it, a commit that is valid by the state it leaves
//! enters the graph; where the group then stands is for [`super::standing`] to say.

use openmls::group::MlsGroup;
use prost::Message as _;

use super::agreed::Agreed;
use super::effect::Moves;
use super::group::{commit_key, save_state};
use super::loaded::{Loaded, Place};
use super::log_set::LogSet;
use super::records::{
    OutgoingKind, PendingCommit, PendingInvitations, StateName, StateRecord, Wish,
};
use super::rejoin::Swap;
use super::state::load;
use super::{Fault, Inner, Stop, Tx};
use crate::api::CommandError;
use crate::mls::group::Proposals;
use crate::mls::package::Package;
use crate::mls::{self, MlsError, Provider, StateId, View};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId};

/// A commit that is to be made in the tip.
pub(super) struct Plan {
    /// What all agree on after it; the digest of log entries is filled in.
    pub(super) agreed: Agreed,
    pub(super) adds: Vec<(AccountId, Package)>,
    pub(super) removes: Vec<InstallationId>,
    /// Members that go by their own word, with it.
    pub(super) words: Vec<(InstallationId, pb::SignedWord)>,
    /// A member whose leaf is exchanged at its own request.
    pub(super) swap: Option<Swap>,
    pub(super) attached: Vec<Vec<u8>>,
    pub(super) invitees: Option<super::invite::Invitees>,
    pub(super) update: bool,
    pub(super) fulfils: Vec<Wish>,
}

impl Plan {
    fn moves(&self) -> Moves {
        let adds = self.adds.iter().map(|(account, package)| (package.installation, *account));
        let swap = self.swap.iter().map(|swap| &swap.request);
        let swapped = swap.clone().map(|request| (request.installation, request.account));
        Moves {
            adds: adds.chain(swapped).collect(),
            removes: self.removes.clone(),
            leaving: self.words.iter().map(|(leaver, _)| *leaver).collect(),
            swaps: swap.map(|request| request.installation).collect(),
        }
    }
}

/// An own commit, not queued yet.
struct Made {
    content: Vec<u8>,
    commit: Vec<u8>,
    invitations: Option<PendingInvitations>,
    /// For the member whose leaf is swapped, by the state that its request is known by.
    welcome: Option<(StateName, Vec<u8>)>,
    group: MlsGroup,
}

impl Inner {
    /// Whether an own commit can be made now: one at a time.
    pub(super) fn may_commit(&self, id: GroupId) -> bool {
        let stays = self.groups.get(&id).is_some_and(|group| !group.record.leaving);
        stays && self.is_free(id)
    }

    /// Whether this installation can take out members that go: also one that leaves itself, if all
    /// others do too.
    pub(super) fn may_take_out(&self, id: GroupId) -> bool {
        let own = self.account.as_ref().map(|own| own.installation);
        let last =
            own.zip(self.groups.get(&id)).is_some_and(|(own, group)| group.leaves_last(&own));
        self.may_commit(id) || (last && self.is_free(id))
    }

    fn is_free(&self, id: GroupId) -> bool {
        self.groups.get(&id).is_some_and(|group| {
            let inside = group.open_tip().is_some();
            inside && group.record.pending.is_none() && self.copied.is_none()
        })
    }

    /// Makes a commit in the tip and queues it. Refused is what would not be valid.
    pub(super) fn commit(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        mut plan: Plan,
    ) -> Result<(), Stop> {
        let own = self.own()?;
        let author = (own.installation, own.account);
        let group = self.joined(id)?;
        let tip = group.tip().ok_or(Fault::Bug("a joined group without a state"))?.id;
        let from =
            group.parent(tip).ok_or(Fault::Bug("a joined group without its newest state"))?;
        let mut log = from.log.clone();
        let attached = log.missing(&plan.attached);
        log.extend(&attached);
        plan.agreed.log_digest = log.digest();
        let (agreed, fulfils) = (plan.agreed.clone(), std::mem::take(&mut plan.fulfils));
        let moves = plan.moves();
        let proposed = from.proposed(author, &moves, (&agreed, &from.parameters), &log);
        let uses = proposed
            .judge()
            .map_err(|breach| Stop::Command(CommandError::NotAllowed(breach.to_string())))?;
        let next = self.new_state();
        let provider = self.provider(tx, View::Child { group: id, parent: Some(tip), child: next });
        let made = self.make_commit(tx, id, &provider, plan, &attached, &log)?;
        provider.keep()?;
        self.mark_seen(tx, id, &made.content);
        self.note_frame(tx, id, tip, &made.content)?;
        let commit = proposed.effect(uses, &made.commit, &attached);
        let mut state = self.state_record(tx, id, next, &made.group, agreed)?;
        state.commit = Some(commit);
        (state.attached, state.fulfils) = (attached, fulfils);
        tx.overlay.put(commit_key(&id, next), made.content.clone());
        let kind = OutgoingKind::Commit { group: id, state: tip };
        let outgoing = self.enqueue(tx, kind, made.content, tx.now)?;
        self.loaded.put(Place::now(id, next), Loaded::new(made.group));
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        let invitations = made.invitations;
        if let Some((name, answer)) = made.welcome {
            super::rejoin::keep_welcome(tx, &id, next, name, &answer)?;
        }
        group.record.pending = Some(PendingCommit { next: state, outgoing, invitations });
        group.save(tx, &id)?;
        self.topics.clear();
        Ok(())
    }

    /// The part of a commit that MLS can refuse, all in the child that the provider shows.
    fn make_commit(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        provider: &Provider<'_>,
        plan: Plan,
        attached: &[Vec<u8>],
        log: &LogSet,
    ) -> Result<Made, Stop> {
        let signing = self.own()?.key();
        let group = self.joined(id)?;
        let changed = group.agreed().is_none_or(|before| *before != plan.agreed);
        let extensions = plan.agreed.extensions(&group.parameters());
        let Moves { removes, leaving, swaps, .. } = plan.moves();
        let removes = [removes, leaving, swaps].concat();
        let adds = plan.adds.into_iter().map(|(_, package)| package);
        let words: Vec<_> = plan.words.into_iter().map(|(_, word)| word).collect();
        let requests: Vec<_> = plan.swap.iter().map(|s| s.request.signed.clone()).collect();
        let proposals = Proposals {
            adds: adds.chain(plan.swap.iter().map(|s| s.request.package.clone())).collect(),
            removes: &removes,
            extensions: changed.then_some(extensions.as_slice()),
            update: plan.update,
            bound: super::evidence::bound(&words, &requests),
        };
        let mut group = load(provider)?;
        let made = mls::group::commit(&mut group, provider, &signing, proposals)?
            .map_err(|reason| Stop::Command(CommandError::Members(reason.to_string())))?;
        mls::group::merge_pending(&mut group, provider)?;
        let tree = mls::group::ratchet_tree(&group)?;
        let handshake = pb::Handshake {
            commit: made.commit.clone(),
            log_entries: attached.to_vec(),
            words,
            requests,
        };
        let mark = super::copied::mark(&signing, &handshake.commit);
        let frame = pb::Frame { body: Some(pb::frame::Body::Handshake(handshake)), mark };
        let content = frame.encode_to_vec();
        super::invite::fits(content.len())?;
        let welcome = match (plan.swap, &made.welcome) {
            (Some(swap), Some(welcome)) => {
                Some(self.rejoin_welcome(tx, id, swap, welcome, tree.clone(), log)?)
            }
            _ => None,
        };
        let invitations = match (plan.invitees, made.welcome) {
            (Some(invitees), Some(welcome)) => {
                Some(self.prepare_invitations(tx.now, id, invitees, &welcome, tree, log)?)
            }
            _ => None,
        };
        Ok(Made { content, commit: made.commit, invitations, welcome, group })
    }

    /// Relay peers took an own commit: it is part of the graph, and others may stand on it.
    pub(super) fn commit_published(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        outgoing: u64,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(pending) = group.record.pending.take_if(|p| p.outgoing == outgoing) else {
            return Ok(());
        };
        let PendingCommit { next, invitations, .. } = pending;
        let state = next.id;
        group.save(tx, &id)?;
        let since = next.since;
        if !self.enter(tx, id, next)? {
            return Ok(());
        }
        // others may have been quicker to build on it than relay peers to take it
        self.replay(tx, id, state, since);
        self.send_welcome(tx, id, state)?;
        match invitations {
            Some(invitations) => self.send_invitations(tx, id, state, invitations),
            None => Ok(()),
        }
    }

    /// Puts a state into the graph and settles where the group stands; `false` if the state it
    /// comes from is not kept any more.
    pub(super) fn enter(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateRecord,
    ) -> Result<bool, Fault> {
        let Some(line) = self.groups.get_mut(&id).and_then(|g| g.line.as_mut()) else {
            return Ok(false);
        };
        let (fulfils, next) = (state.fulfils.clone(), state.id);
        let names: Vec<(StateId, StateName)> =
            line.states.values().filter_map(|s| Some((s.id, s.keys.as_ref()?.name))).collect();
        let crowded = line.crowded(&state);
        let crowded_names: Vec<StateName> =
            names.into_iter().filter(|(s, _)| crowded.contains(s)).map(|(_, name)| name).collect();
        if !line.insert(state.clone()) {
            self.drop_states(tx, id, &[state.id])?;
            return Ok(false);
        }
        save_state(tx, &id, &state)?;
        self.fulfilled(tx, id, state.id, &fulfils)?;
        self.forget_rejoin(tx, id, &crowded_names);
        self.drop_states(tx, id, &crowded)?;
        self.keep_rejoin(tx, id, next)?;
        self.topics.clear();
        self.settle(tx, id)?;
        self.mind_unsettled(tx, id);
        if self.takes_out_aside(id, next) {
            // who is taken out there waits to hear that
            self.active(tx, id);
        }
        Ok(true)
    }

    /// Whether a commit that the group does not stand on takes out a member.
    fn takes_out_aside(&self, id: GroupId, state: StateId) -> bool {
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else { return false };
        let takes_out = line.graph.commit(state).is_some_and(|commit| {
            commit.removes.iter().any(|gone| line.members.contains_key(gone))
        });
        takes_out && !line.graph.leads_to(state, line.tip)
    }

    /// Deletes what is kept of states.
    pub(super) fn drop_states(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        states: &[StateId],
    ) -> Result<(), Fault> {
        mls::delete_states(tx.overlay, id, states).map_err(MlsError::from)?;
        for state in states {
            tx.overlay.delete(super::group::state_key(&id, *state));
            tx.overlay.delete(commit_key(&id, *state));
            tx.overlay.delete(super::rejoin::welcome_key(&id, *state));
        }
        self.loaded.forget(id, states);
        Ok(())
    }
}
