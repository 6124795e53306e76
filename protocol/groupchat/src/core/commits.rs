//! Commits: made on a copy of the tip, published, and only then part of the group's graph.
//!
//! Each state has a namespace of its own in the store. A commit is made, or processed, in a copy
//! of the state it leaves, so that state stays as it was, for what is still under way in it and for
//! other commits that leave it. Whoever made it, a commit that is valid by the state it leaves
//! enters the graph; where the group then stands is for [`super::standing`] to say.

use openmls::group::MlsGroup;
use prost::Message as _;

use super::agreed::{Agreed, Parameters};
use super::group::{Group, Line, commit_key, save_state};
use super::judge::{Breach, Proposed};
use super::loaded::{Loaded, Place};
use super::log_set::LogSet;
use super::members;
use super::records::{
    GroupRecord, OutgoingKind, PendingCommit, PendingInvitations, Secret32, StateKeys, StateName,
    StateRecord, Wish,
};
use super::rejoin::Swap;
use super::state::load;
use super::{Fault, Inner, Stop, Tx};
use crate::api::{Answer, CommandError, RefusedReason};
use crate::group::message::SignedCore;
use crate::kdf::{self, label};
use crate::mls::group::Proposals;
use crate::mls::message::{Inbound, Staged};
use crate::mls::package::Package;
use crate::mls::{self, MlsError, Provider, StateId, View};
use crate::order::roles::{Authority, Rights};
use crate::order::{Commit, Leaf};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// MLS exporter label of the secret that topics and seals of a state are derived from.
const WIRE_EXPORT: &str = "waku-groupchat/1 wire";
/// MLS exporter label of the secret that decides between commits that leave a state.
const TIE_EXPORT: &str = "waku-groupchat/1 tie";
/// MLS exporter label of the name by which members call a state.
const NAME_EXPORT: &str = "waku-groupchat/1 state";

/// What was sealed under a state may be so much older than the envelope of the commit that led to
/// it, for commits are repeated until a Store has them.
const REPEATED_WITHIN: std::time::Duration = std::time::Duration::from_secs(3600);

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
    pub(super) fn create_group(
        &mut self,
        tx: &mut Tx<'_>,
        name: String,
        description: String,
    ) -> Result<Answer, Stop> {
        let own = self.own()?;
        let (installation, account) = (own.installation, own.account);
        let (entries, signing) = (own.log.clone(), own.key());
        super::commands::profile(&name, &description)?;
        let mut nonce = [0; 16];
        self.rng.fill(&mut nonce);
        let id = super::agreed::group_id(installation, &nonce);
        let mut log = LogSet::default();
        log.extend(&entries);
        let authority = Authority::of_owner(account);
        let agreed = Agreed { name, description, authority, log_digest: log.digest() };
        let first = self.new_state();
        let record = GroupRecord {
            creator: installation,
            nonce,
            period: self.config.topic_period.as_secs().max(1),
            root: Some(first),
            joined: 0,
            came_at: Vec::new(),
            baselines: Vec::new(),
            revoked: Vec::new(),
            pending: None,
            invitation: None,
            passed_over: Vec::new(),
            update_at: Timestamp::ZERO,
            leaving: false,
        };
        let extensions = agreed.extensions(&Parameters::of(&record));
        let identity = members::identity(account, installation);
        let provider = self.provider(tx, View::Child { group: id, parent: None, child: first });
        let group = mls::group::create(&provider, &signing, &identity, &extensions)?;
        provider.keep()?;
        let state = self.state_record(tx, id, first, &group, agreed)?;
        self.loaded.put(Place::now(id, first), Loaded::new(group));
        let leaf = Leaf { installation, since: None };
        let line = Line::new(state, [(leaf, account)], log);
        let group = Group::new(record, Some(line));
        group.save(tx, &id)?;
        group.save_send(tx, &id)?;
        group.save_root(tx, &id)?;
        self.groups.insert(id, group);
        self.wait_for_quiet(tx, id);
        self.plan_leaf_update(tx, id, false)?;
        self.keep_rejoin(tx, id, first)?;
        self.topics.clear();
        Ok(Answer::GroupCreated { group: id })
    }

    /// The record of a new state.
    pub(super) fn state_record(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
        group: &MlsGroup,
        agreed: Agreed,
    ) -> Result<StateRecord, Fault> {
        let keys = export_keys(group, &self.provider(tx, View::Base(id, state)))?;
        Ok(StateRecord {
            id: state,
            epoch: mls::group::epoch(group),
            keys: Some(keys),
            since: tx.now,
            agreed,
            commit: None,
            attached: Vec::new(),
            fulfils: Vec::new(),
        })
    }

    /// Whether an own commit can be made now: one at a time.
    pub(super) fn may_commit(&self, id: GroupId) -> bool {
        self.groups.get(&id).is_some_and(|group| {
            let inside = group.tip().is_some_and(|tip| tip.keys.is_some());
            let free = group.record.pending.is_none() && !group.record.leaving;
            inside && free && self.copied.is_none()
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
        let line = group.line.as_ref().ok_or(Fault::Bug("a joined group without states"))?;
        let tip = line.tip().ok_or(Fault::Bug("a joined group without a state"))?.clone();
        let mut log = line.log.clone();
        let attached = log.missing(&plan.attached);
        log.extend(&attached);
        plan.agreed.log_digest = log.digest();
        let mut adds: Vec<_> = plan.adds.iter().map(|(a, p)| (p.installation, *a)).collect();
        adds.extend(plan.swap.iter().map(|s| (s.request.installation, s.request.account)));
        let swaps: Vec<_> = plan.swap.iter().map(|s| s.request.installation).collect();
        let leaving: Vec<InstallationId> = plan.words.iter().map(|(i, _)| *i).collect();
        let parameters = group.parameters();
        let uses = Proposed {
            author,
            adds: &adds,
            removes: &plan.removes,
            leaving: &leaving,
            swaps: &swaps,
            members: &line.members,
            before: (&tip.agreed, &parameters),
            after: (&plan.agreed, &parameters),
            log: &log,
        }
        .judge()
        .map_err(|breach| Stop::Command(CommandError::NotAllowed(breach.to_string())))?;
        let revoked = revoked_by(&log, &attached, &line.members);
        let (agreed, fulfils) = (plan.agreed.clone(), std::mem::take(&mut plan.fulfils));
        let mut removes = plan.removes.clone();
        removes.extend(&leaving);
        let gone: Vec<InstallationId> = removes.iter().chain(&swaps).copied().collect();
        let next = self.new_state();
        let provider =
            self.provider(tx, View::Child { group: id, parent: Some(tip.id), child: next });
        let made = self.make_commit(tx, id, &provider, plan, &gone, &attached, &log)?;
        provider.keep()?;
        self.mark_seen(tx, id, &made.content);
        self.note_frame(tx, id, tip.id, &made.content)?;
        let moves = Moves { adds, removes, swaps };
        let mut commit = effect(&tip, author, &made.commit, moves, uses, &agreed);
        commit.revokes = revoked;
        let mut state = self.state_record(tx, id, next, &made.group, agreed)?;
        state.commit = Some(commit);
        (state.attached, state.fulfils) = (attached, fulfils);
        tx.overlay.put(commit_key(&id, next), made.content.clone());
        let kind = OutgoingKind::Commit { group: id, state: tip.id };
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
    #[allow(clippy::too_many_arguments)]
    fn make_commit(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        provider: &Provider<'_>,
        plan: Plan,
        removes: &[InstallationId],
        attached: &[Vec<u8>],
        log: &LogSet,
    ) -> Result<Made, Stop> {
        let signing = self.own()?.key();
        let group = self.joined(id)?;
        let changed = group.agreed().is_none_or(|before| *before != plan.agreed);
        let extensions = plan.agreed.extensions(&group.parameters());
        let adds = plan.adds.into_iter().map(|(_, package)| package);
        let proposals = Proposals {
            adds: adds.chain(plan.swap.iter().map(|s| s.request.package.clone())).collect(),
            removes,
            extensions: changed.then_some(extensions.as_slice()),
            update: plan.update,
        };
        let mut group = load(provider)?;
        let made = mls::group::commit(&mut group, provider, &signing, proposals)?
            .map_err(|reason| Stop::Command(CommandError::Members(reason.to_string())))?;
        mls::group::merge_pending(&mut group, provider)?;
        let tree = mls::group::ratchet_tree(&group)?;
        let handshake = pb::Handshake {
            commit: made.commit.clone(),
            log_entries: attached.to_vec(),
            words: plan.words.into_iter().map(|(_, word)| word).collect(),
            requests: plan.swap.iter().map(|s| s.request.signed.clone()).collect(),
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
                Some(self.prepare_invitations(id, invitees, &welcome, tree, log)?)
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
    fn enter(&mut self, tx: &mut Tx<'_>, id: GroupId, state: StateRecord) -> Result<bool, Fault> {
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
        Ok(true)
    }

    /// Another member's commit, sealed under `state`: its content, and the time of its envelope.
    /// Whether it holds and entered the graph.
    pub(super) fn commit_received(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateId,
        handshake: &pb::Handshake,
        (content, at): (&[u8], Timestamp),
    ) -> Result<bool, Fault> {
        let Some(from) = self.groups.get(&id).and_then(|g| g.state(state)).cloned() else {
            return Ok(false);
        };
        let next = self.new_state();
        let parent = Some(state);
        let provider = self.provider(tx, View::Child { group: id, parent, child: next });
        let applied = self.apply(tx, id, &provider, (&from, next), handshake)?;
        if let Ok((_, Some(_))) = &applied {
            provider.keep()?;
        }
        match applied {
            Ok((record, group)) => {
                if let Some(group) = group {
                    self.loaded.put(Place::now(id, next), Loaded::new(group));
                }
                tx.overlay.put(commit_key(&id, next), content.to_vec());
                let open = record.keys.is_some();
                let entered = self.enter(tx, id, record)?;
                if entered && open {
                    // what was sealed under the new state may have come before this commit, and
                    // before the state that it leaves was known here: archives are not in order,
                    // and the commit itself may be a repeat
                    self.replay(tx, id, next, from.since.min(at - REPEATED_WITHIN));
                }
                Ok(entered)
            }
            Err((installation, reason)) => {
                self.refuse(tx, Some(id), installation, reason)?;
                Ok(false)
            }
        }
    }

    /// Processes a commit in the child that the provider shows, and judges it by the state it
    /// leaves alone. Without a group if it takes this installation out.
    fn apply(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        provider: &Provider<'_>,
        (from, next): (&StateRecord, StateId),
        handshake: &pb::Handshake,
    ) -> Result<Result<Applied, (Option<InstallationId>, RefusedReason)>, Fault> {
        let mut group = load(provider)?;
        let received = mls::message::receive(&mut group, provider, &handshake.commit)?;
        let Inbound::Commit(staged) = received else {
            return Ok(Err((None, RefusedReason::Mls)));
        };
        let Some(author) = members::parse(&staged.sender) else {
            return Ok(Err((None, RefusedReason::Mls)));
        };
        let refused = |reason| Ok(Err((Some(author.0), reason)));
        let judged = match self.judge(id, from, &group, author, &staged, handshake) {
            Ok(judged) => judged,
            Err(reason) => return refused(reason),
        };
        let Judged { commit, agreed } = judged;
        let (mut record, group) = if staged.removes_self() {
            let closed = StateRecord {
                id: next,
                epoch: staged.epoch,
                keys: None,
                since: tx.now,
                agreed,
                commit: None,
                attached: Vec::new(),
                fulfils: Vec::new(),
            };
            (closed, None)
        } else {
            staged.merge(&mut group, provider)?;
            (self.state_record(tx, id, next, &group, agreed)?, Some(group))
        };
        record.commit = Some(commit);
        record.attached = handshake.log_entries.clone();
        Ok(Ok((record, group)))
    }

    /// The rules of the groups here, beyond those of MLS.
    fn judge(
        &self,
        id: GroupId,
        from: &StateRecord,
        mls_group: &MlsGroup,
        author: (InstallationId, AccountId),
        staged: &Staged,
        handshake: &pb::Handshake,
    ) -> Result<Judged, RefusedReason> {
        let group = self.groups.get(&id).ok_or(RefusedReason::Invalid)?;
        let line = group.line.as_ref().ok_or(RefusedReason::Invalid)?;
        let identity = |p: &Package| {
            members::parse_identity(&p.identity).filter(|(named, _)| *named == p.installation)
        };
        let adds: Option<Vec<_>> = staged.adds.iter().map(identity).collect();
        let gone: Option<Vec<_>> = staged.removes.iter().map(members::parse).collect();
        let adds = adds.ok_or(RefusedReason::Malformed)?;
        let gone: Vec<InstallationId> =
            gone.ok_or(RefusedReason::Malformed)?.into_iter().map(|(i, _)| i).collect();
        let parameters = group.parameters();
        let (after, after_parameters) = match &staged.extensions {
            None => (from.agreed.clone(), parameters),
            Some(all) => Agreed::parse(all).ok_or(RefusedReason::Malformed)?,
        };
        let before: std::collections::BTreeMap<InstallationId, AccountId> =
            line.graph.members(from.id).into_iter().map(|(i, (_, a))| (i, a)).collect();
        let mut log = line.log_at(from.id);
        if !handshake.log_entries.iter().all(|entry| log.insert(entry) == Some(true)) {
            return Err(RefusedReason::NotAllowed);
        }
        let mut leaving = Vec::new();
        for word in &handshake.words {
            let leaver = leaver(id, word, mls_group).ok_or(RefusedReason::NotAllowed)?;
            if !gone.contains(&leaver) || leaving.contains(&leaver) {
                return Err(RefusedReason::NotAllowed);
            }
            leaving.push(leaver);
        }
        let swaps = super::rejoin::swapped(id, mls_group, staged, &handshake.requests)
            .ok_or(RefusedReason::NotAllowed)?;
        let gone: Vec<_> = gone.into_iter().filter(|i| !swaps.contains(i)).collect();
        let removes: Vec<_> = gone.iter().filter(|i| !leaving.contains(i)).copied().collect();
        let proposed = Proposed {
            author,
            adds: &adds,
            removes: &removes,
            leaving: &leaving,
            swaps: &swaps,
            members: &before,
            before: (&from.agreed, &parameters),
            after: (&after, &after_parameters),
            log: &log,
        };
        let uses = proposed.judge().map_err(|breach| {
            tracing::debug!(%breach, "a commit is refused");
            match breach {
                Breach::Unproven => RefusedReason::Unproven,
                _ => RefusedReason::NotAllowed,
            }
        })?;
        let moves = Moves { adds, removes: gone, swaps };
        let mut commit = effect(from, author, &handshake.commit, moves, uses, &after);
        commit.revokes = revoked_by(&log, &handshake.log_entries, &before);
        Ok(Judged { commit, agreed: after })
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

/// A commit that was processed and found good: the state after it.
type Applied = (StateRecord, Option<MlsGroup>);

/// What judging a commit gives.
struct Judged {
    commit: Commit,
    agreed: Agreed,
}

/// Whose leaves come and go.
struct Moves {
    adds: Vec<(InstallationId, AccountId)>,
    removes: Vec<InstallationId>,
    swaps: Vec<InstallationId>,
}

/// What a commit does, as the graph takes it.
fn effect(
    from: &StateRecord,
    (author, account): (InstallationId, AccountId),
    commit: &[u8],
    Moves { adds, removes, swaps }: Moves,
    uses: Rights,
    after: &Agreed,
) -> Commit {
    let changed = after.authority != from.agreed.authority;
    Commit {
        parent: from.id,
        author,
        account,
        tie: tie_of(from, commit),
        adds,
        removes,
        swaps,
        uses,
        authority: changed.then(|| after.authority.clone()),
        revokes: Vec::new(),
    }
}

/// What is derived from a state.
pub(super) fn export_keys(
    group: &MlsGroup,
    provider: &Provider<'_>,
) -> Result<StateKeys, MlsError> {
    Ok(StateKeys {
        wire: Secret32(*mls::group::export(group, provider, WIRE_EXPORT, &[])?),
        tie: Secret32(*mls::group::export(group, provider, TIE_EXPORT, &[])?),
        name: *mls::group::export(group, provider, NAME_EXPORT, &[])?,
    })
}

/// What decides between a commit that leaves a state and others that do, if they weigh the same.
/// Made with a secret of the state, so that nobody else can tell, nor choose who wins without a
/// commit for each try.
pub(super) fn tie_of(from: &StateRecord, commit: &[u8]) -> [u8; 32] {
    let secret = from.keys.as_ref().map_or([0; 32], |keys| keys.tie.0);
    kdf::hash(label::COMMIT_TIE, &[&secret, commit])
}

/// The members that entries which come with a commit prove to be live no more.
fn revoked_by(
    log: &LogSet,
    attached: &[Vec<u8>],
    members: &std::collections::BTreeMap<InstallationId, AccountId>,
) -> Vec<InstallationId> {
    if attached.is_empty() {
        return Vec::new();
    }
    let mut concerned = LogSet::default();
    concerned.extend(attached);
    let accounts = concerned.accounts();
    members
        .iter()
        .filter(|(i, account)| accounts.contains(account) && !log.is_live(**account, **i))
        .map(|(installation, _)| *installation)
        .collect()
}

/// Whose leaf a signed word allows to take out of the state that `group` is in.
pub(super) fn leaver(
    id: GroupId,
    word: &pb::SignedWord,
    group: &MlsGroup,
) -> Option<InstallationId> {
    let core = SignedCore::from_parts(word.core.clone(), &word.signature)?.verify()?;
    let key = core.leave()?;
    let same = mls::group::leaf_key(group, &core.installation).is_some_and(|leaf| leaf == key);
    (core.group == id && same).then_some(core.installation)
}
