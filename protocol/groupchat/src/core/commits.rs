//! Commits: made in a child of the tip, published, and applied once relay peers took them.
//!
//! A commit is made, or processed, in a child of the state it leaves ([`View::Child`]), so that
//! state stays as it was, for what is still under way in it. A child is kept once nothing of it can
//! be refused any more. Until commits of several members converge, only the group's creator
//! commits, and its commits follow one another.

use std::collections::{BTreeMap, BTreeSet};

use openmls::group::MlsGroup;
use prost::Message as _;

use super::loaded::{Loaded, Place};
use super::members;
use super::records::{
    GroupRecord, OutgoingKind, PendingCommit, PendingInvitations, Secret32, StateRecord,
};
use super::state::{Group, load};
use super::{Fault, Inner, Stop, Tx};
use crate::account::{Entry, Log};
use crate::api::{Answer, CommandError, Event, RefusedReason};
use crate::kdf::{self, label};
use crate::mls::message::Inbound;
use crate::mls::package::Package;
use crate::mls::{self, Provider, StateId, View};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId};

/// GroupContext extension: name and description.
pub(super) const PROFILE: u16 = 0xF7A0;
/// GroupContext extension: what never changes.
pub(super) const PARAMETERS: u16 = 0xF7A1;
/// GroupContext extension: digest of the attached log entries.
pub(super) const LOG_DIGEST: u16 = 0xF7A2;

/// What all members agree on, as the GroupContext extensions carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) period: u64,
    pub(super) creator: InstallationId,
    pub(super) nonce: [u8; 16],
    pub(super) log_digest: [u8; 32],
}

impl Agreed {
    pub(super) fn of(record: &GroupRecord) -> Self {
        Self {
            name: record.name.clone(),
            description: record.description.clone(),
            period: record.period,
            creator: record.creator,
            nonce: record.nonce,
            log_digest: log_digest(&record.log),
        }
    }

    /// Whether a group's id is the one of its creator and nonce: nobody else can make that group.
    pub(super) fn names(&self, id: GroupId) -> bool {
        group_id(self.creator, &self.nonce) == id
    }

    pub(super) fn extensions(&self) -> Vec<(u16, Vec<u8>)> {
        let profile =
            pb::Profile { name: self.name.clone(), description: self.description.clone() };
        let parameters = pb::Parameters {
            topic_period: self.period,
            creator: self.creator.as_bytes().to_vec(),
            nonce: self.nonce.to_vec(),
        };
        vec![
            (PROFILE, profile.encode_to_vec()),
            (PARAMETERS, parameters.encode_to_vec()),
            (LOG_DIGEST, self.log_digest.to_vec()),
        ]
    }

    pub(super) fn parse(extensions: &[(u16, Vec<u8>)]) -> Option<Self> {
        let find = |kind| extensions.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.as_slice());
        let profile = pb::Profile::decode(find(PROFILE)?).ok()?;
        let parameters = pb::Parameters::decode(find(PARAMETERS)?).ok()?;
        let sound = (1..=crate::limits::NAME_BYTES).contains(&profile.name.len())
            && profile.description.len() <= crate::limits::DESCRIPTION_BYTES
            && (1..=86_400).contains(&parameters.topic_period);
        sound.then_some(Self {
            name: profile.name,
            description: profile.description,
            period: parameters.topic_period,
            creator: InstallationId::from_slice(&parameters.creator)?,
            nonce: parameters.nonce.try_into().ok()?,
            log_digest: find(LOG_DIGEST)?.try_into().ok()?,
        })
    }
}

/// The id of a group: bound to who made it.
pub(super) fn group_id(creator: InstallationId, nonce: &[u8; 16]) -> GroupId {
    let hash = kdf::hash(label::GROUP_ID, &[creator.as_bytes(), nonce]);
    let mut id = [0; GroupId::LEN];
    id.copy_from_slice(&hash[..GroupId::LEN]);
    GroupId::from_bytes(id)
}

/// Digest of a set of log entries: their order does not enter.
pub(super) fn log_digest(entries: &[Vec<u8>]) -> [u8; 32] {
    let hashes: BTreeSet<[u8; 32]> =
        entries.iter().map(|e| kdf::hash(label::ATTACHED_ENTRY, &[e])).collect();
    let parts: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    kdf::hash(label::ATTACHED_LOG, &parts)
}

/// Whether the accounts' logs prove every one of these installations.
pub(super) fn proven(entries: &[Vec<u8>], members: &[(InstallationId, AccountId)]) -> bool {
    let mut logs: BTreeMap<AccountId, Log> = BTreeMap::new();
    for entry in entries.iter().filter_map(|bytes| Entry::decode(bytes).ok()) {
        let account = entry.body().account;
        logs.entry(account).or_insert_with(|| Log::new(account)).insert(entry);
    }
    let live: BTreeMap<_, _> = logs.into_iter().map(|(a, log)| (a, log.live())).collect();
    members.iter().all(|(installation, account)| {
        live.get(account).is_some_and(|live| live.contains_key(installation))
    })
}

/// The union of two sets of entries, in the order of the first.
pub(super) fn union(known: &[Vec<u8>], more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut there: BTreeSet<&Vec<u8>> = known.iter().collect();
    let new = more.iter().filter(|entry| there.insert(entry));
    known.iter().chain(new).cloned().collect()
}

impl Inner {
    pub(super) fn create_group(
        &mut self,
        tx: &mut Tx<'_>,
        name: String,
        description: String,
    ) -> Result<Answer, Stop> {
        let own = self.own()?;
        let (installation, account, log) = (own.installation, own.account, own.log.clone());
        let signing = own.key();
        super::commands::profile(&name, &description)?;
        let mut nonce = [0; 16];
        self.rng.fill(&mut nonce);
        let id = group_id(installation, &nonce);
        let record = GroupRecord {
            name,
            description,
            creator: installation,
            nonce,
            period: self.config.topic_period.as_secs().max(1),
            states: Vec::new(),
            joined: 0,
            log,
            members: vec![(installation, account)],
            came_at: Vec::new(),
            baselines: Vec::new(),
            pending: None,
            invitation: None,
        };
        let first = self.new_state();
        let extensions = Agreed::of(&record).extensions();
        let identity = members::identity(account, installation);
        let provider = self.provider(tx, View::Child { group: id, parent: None, child: first });
        let group = mls::group::create(&provider, &signing, &identity, &extensions)?;
        provider.keep()?;
        let state = self.state_record(tx, id, first, &group)?;
        self.loaded.put(Place::now(id, first), Loaded::new(group));
        self.groups.insert(id, Group::new(record));
        self.advance(tx, id, state)?;
        let group = self.groups.get(&id).ok_or(Fault::Bug("a group just made"))?;
        group.save(tx, &id)?;
        group.save_send(tx, &id)?;
        Ok(Answer::GroupCreated { group: id })
    }

    /// The record of a new state.
    pub(super) fn state_record(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
        group: &MlsGroup,
    ) -> Result<StateRecord, Fault> {
        let provider = self.provider(tx, View::Base(id, state));
        let wire = mls::group::export(group, &provider, WIRE_EXPORT, &[])?;
        let epoch = mls::group::epoch(group);
        Ok(StateRecord { id: state, epoch, wire: Secret32(*wire), since: tx.now })
    }

    pub(super) fn set_profile(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        name: String,
        description: String,
    ) -> Result<Answer, Stop> {
        super::commands::profile(&name, &description)?;
        self.may_commit(id)?;
        let group = self.joined(id)?;
        let mut after = group.record.clone();
        after.name = name;
        after.description = description;
        self.commit(tx, id, after, Vec::new(), None)?;
        Ok(Answer::Done)
    }

    /// Only the creator commits for now, and one commit at a time.
    pub(super) fn may_commit(&self, id: GroupId) -> Result<(), Stop> {
        let own = self.own()?.installation;
        self.is_the_only_one()?;
        let group = self.joined(id)?;
        if group.record.creator != own {
            return Err(Stop::Command(CommandError::OnlyCreator { group: id }));
        }
        if group.record.pending.is_some() {
            return Err(Stop::Command(CommandError::CommitPending(id)));
        }
        Ok(())
    }

    /// Makes a commit that leads to `after` and queues it. `packages` are added; `invitations`
    /// makes what goes out to them from the Welcome and the tree.
    pub(super) fn commit(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        after: GroupRecord,
        packages: Vec<Package>,
        invitations: Option<super::invite::Invitees>,
    ) -> Result<(), Stop> {
        let before = self.joined(id)?;
        let tip = before.tip().ok_or(Fault::Bug("a joined group without a state"))?.clone();
        let known: BTreeSet<&Vec<u8>> = before.record.log.iter().collect();
        let attached: Vec<Vec<u8>> =
            after.log.iter().filter(|e| !known.contains(e)).cloned().collect();
        let next = self.new_state();
        let provider =
            self.provider(tx, View::Child { group: id, parent: Some(tip.id), child: next });
        let Made { content, invitations, group } =
            self.make_commit(id, &provider, &after, packages, attached, invitations)?;
        provider.keep()?;
        self.mark_seen(tx, id, &content);
        self.note_frame(tx, id, tip.id, &content)?;
        let state = self.state_record(tx, id, next, &group)?;
        let kind = OutgoingKind::Commit { group: id, state: tip.id };
        let outgoing = self.enqueue(tx, kind, content, tx.now)?;
        self.loaded.put(Place::now(id, next), Loaded::new(group));
        let pending = PendingCommit {
            next: state,
            outgoing,
            name: after.name,
            description: after.description,
            log: after.log,
            members: after.members,
            invitations,
        };
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        group.record.pending = Some(pending);
        group.save(tx, &id)?;
        self.topics.clear();
        Ok(())
    }

    /// The part of a commit that can be refused, all in the child that the provider shows.
    fn make_commit(
        &self,
        id: GroupId,
        provider: &Provider<'_>,
        after: &GroupRecord,
        packages: Vec<Package>,
        attached: Vec<Vec<u8>>,
        invitations: Option<super::invite::Invitees>,
    ) -> Result<Made, Stop> {
        let refused = |reason: String| Stop::Command(CommandError::Members(reason));
        if !proven(&after.log, &after.members) {
            return Err(refused("an installation is not proven by its account's log".to_owned()));
        }
        let signing = self.own()?.key();
        let extensions = Agreed::of(after).extensions();
        let mut group = load(provider)?;
        let made = mls::group::commit(&mut group, provider, &signing, packages, Some(&extensions))?
            .map_err(|reason| refused(reason.to_string()))?;
        mls::group::merge_pending(&mut group, provider)?;
        let tree = mls::group::ratchet_tree(&group)?;
        let handshake = pb::Handshake { commit: made.commit, log_entries: attached };
        let mark = super::copied::mark(&signing, &handshake.commit);
        let frame = pb::Frame { body: Some(pb::frame::Body::Handshake(handshake)), mark };
        let content = frame.encode_to_vec();
        super::invite::fits(content.len())?;
        let invitations = match (invitations, made.welcome) {
            (Some(invitees), Some(welcome)) => {
                Some(self.prepare_invitations(id, invitees, &welcome, tree, after)?)
            }
            _ => None,
        };
        Ok(Made { content, invitations, group })
    }

    /// Relay peers took an own commit: it is applied.
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
        let PendingCommit { next, name, description, log, members, invitations, .. } = pending;
        self.advance(tx, id, next)?;
        self.change_record(tx, id, name, description, log, members)?;
        match invitations {
            Some(invitations) => self.send_invitations(tx, id, invitations),
            None => Ok(()),
        }
    }

    /// Takes over what a commit changed, tells of it, and saves the group.
    fn change_record(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        name: String,
        description: String,
        log: Vec<Vec<u8>>,
        members: Vec<(InstallationId, AccountId)>,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let record = &mut group.record;
        let known: BTreeSet<AccountId> = record.members.iter().map(|&(_, a)| a).collect();
        let now: BTreeSet<AccountId> = members.iter().map(|&(_, a)| a).collect();
        let accounts: Vec<AccountId> = now.difference(&known).copied().collect();
        let number = group.send.number;
        let before: BTreeSet<_> = record.members.iter().collect();
        let joined: Vec<(InstallationId, u64)> = members
            .iter()
            .filter(|member| !before.contains(member))
            .map(|&(installation, _)| (installation, number))
            .collect();
        record.came_at.extend(joined);
        let renamed = record.name != name || record.description != description;
        record.name.clone_from(&name);
        record.description.clone_from(&description);
        record.log = log;
        record.members = members;
        group.index_members();
        group.save(tx, &id)?;
        if !accounts.is_empty() {
            self.emit(tx, Event::MembersAdded { group: id, accounts })?;
        }
        if renamed {
            self.emit(tx, Event::ProfileChanged { group: id, name, description })?;
        }
        Ok(())
    }

    /// Another member's commit, sealed under the tip, which is `state`.
    pub(super) fn commit_received(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateId,
        handshake: &pb::Handshake,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let Some(since) = group.tip().map(|tip| tip.since) else { return Ok(()) };
        let record = group.record.clone();
        let next = self.new_state();
        let provider =
            self.provider(tx, View::Child { group: id, parent: Some(state), child: next });
        match apply(&provider, &record, handshake)? {
            Ok((applied, agreed, members, log)) => {
                provider.keep()?;
                let state = self.state_record(tx, id, next, &applied)?;
                self.loaded.put(Place::now(id, next), Loaded::new(applied));
                self.advance(tx, id, state)?;
                self.change_record(tx, id, agreed.name, agreed.description, log, members)?;
                // what was sealed under the new state may have come before this commit, which may
                // itself be a late repeat
                self.replay(tx, id, since);
                Ok(())
            }
            Err((installation, reason)) => self.refuse(tx, Some(id), installation, reason),
        }
    }
}

/// Processes a commit in the child that the provider shows, and judges it by the state it leaves
/// alone.
fn apply(
    provider: &Provider<'_>,
    before: &GroupRecord,
    handshake: &pb::Handshake,
) -> Result<Result<Applied, (Option<InstallationId>, RefusedReason)>, Fault> {
    let mut group = load(provider)?;
    let received = mls::message::receive(&mut group, provider, &handshake.commit)?;
    let Inbound::Commit(staged) = received else {
        return Ok(Err((None, RefusedReason::Mls)));
    };
    let Some((sender, _)) = members::parse(&staged.sender) else {
        return Ok(Err((None, RefusedReason::Mls)));
    };
    if sender != before.creator || staged.removes_self() || !staged.removes.is_empty() {
        return Ok(Err((Some(sender), RefusedReason::NotAllowed)));
    }
    staged.merge(&mut group, provider)?;
    let members = members::parse_all(&mls::group::members(&group)?);
    let agreed = Agreed::parse(&mls::group::extensions(&group)?);
    let (Some(members), Some(agreed)) = (members, agreed) else {
        return Ok(Err((Some(sender), RefusedReason::Malformed)));
    };
    let log = union(&before.log, &handshake.log_entries);
    let sound = agreed.period == before.period
        && agreed.creator == before.creator
        && agreed.nonce == before.nonce
        && agreed.log_digest == log_digest(&log);
    if !sound {
        return Ok(Err((Some(sender), RefusedReason::NotAllowed)));
    }
    if !proven(&log, &members) {
        return Ok(Err((Some(sender), RefusedReason::Unproven)));
    }
    Ok(Ok((group, agreed, members, log)))
}

/// An own commit, not queued yet.
struct Made {
    content: Vec<u8>,
    invitations: Option<PendingInvitations>,
    group: MlsGroup,
}

/// A commit that was processed and found good.
type Applied = (MlsGroup, Agreed, Vec<(InstallationId, AccountId)>, Vec<Vec<u8>>);

/// MLS exporter label of the secret that topics and seals of a state are derived from.
const WIRE_EXPORT: &str = "waku-groupchat/1 wire";
