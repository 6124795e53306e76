//! The side that can follow: answering who asks, one member for all.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::keys::chain_key;
use super::wire::{Request, sign_answer};
use crate::api::{CommandError, RefusedReason};
use crate::core::commits::Plan;
use crate::core::loaded::Place;
use crate::core::log_set::LogSet;
use crate::core::records::{OutgoingKind, StateName, WelcomeRecord, key, read, write};
use crate::core::{Fault, Inner, Stop, Tx};
use crate::limits::{REJOIN_CHAIN_BYTES, REJOIN_REQUESTS, REQUEST_AGE, TIME_AHEAD};
use crate::mls::slot::Use;
use crate::mls::{self, StateId};
use crate::proto::group as pb;
use crate::{GroupId, InstallationId, Timestamp};

/// A leaf that a commit swaps: for whom, and where it asked.
pub(in crate::core) struct Swap {
    pub(in crate::core) request: Request,
    pub(in crate::core) name: StateName,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Open {
    request: Request,
    name: StateName,
    due: Timestamp,
}

/// Requests of others, and what is still to be sent to them. Not kept over a restart: a request
/// that nobody answers comes again.
#[derive(Debug, Default)]
pub(in crate::core) struct Requests {
    open: BTreeMap<(GroupId, InstallationId), Open>,
    /// Who answered somebody's earlier requests: its word alone does not silence others again.
    helped: BTreeMap<(GroupId, InstallationId), BTreeSet<InstallationId>>,
    /// Welcomes of own commits that have to stand for a moment first.
    welcomes: BTreeMap<(GroupId, StateId), Timestamp>,
}

impl Requests {
    pub(super) fn next(&self) -> Option<Timestamp> {
        let open = self.open.values().map(|open| open.due);
        open.chain(self.welcomes.values().copied()).min()
    }

    /// A member answered a request.
    pub(super) fn answered(&mut self, group: GroupId, package: &[u8; 32], by: InstallationId) {
        let is_it = |open: &Open| open.request.package.reference == *package;
        let found = self.open.iter().find(|((g, _), open)| *g == group && is_it(open));
        let Some(at) = found.map(|(at, _)| *at) else { return };
        if self.helped.len() >= REJOIN_REQUESTS && !self.helped.contains_key(&at) {
            self.helped.pop_first();
        }
        if self.helped.entry(at).or_default().insert(by) {
            self.open.remove(&at);
        }
    }
}

impl Inner {
    /// Somebody asks for a way back into a group.
    pub(super) fn way_asked(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        name: StateName,
        signed: pb::SignedRequest,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let Some(request) = Request::verify(&self.global_provider(tx), id, signed) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Invalid);
        };
        let installation = request.installation;
        if self.is_departed(id, (installation, request.account)) {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Revoked);
        }
        if request.time > at + TIME_AHEAD {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Time);
        }
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let member = group.account_of(&installation) == Some(request.account);
        let gone =
            |(i, account): &(InstallationId, _)| *i == installation && *account == request.account;
        let known = member || group.rejoin.values().any(|r| r.removes.iter().any(gone));
        if !known {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::NotAllowed);
        }
        let open = group.tip().and_then(|tip| tip.keys.as_ref());
        let Some(tip) = open.map(|keys| keys.name) else { return Ok(()) };
        let own = self.account.as_ref().is_some_and(|own| own.installation == installation);
        if own || tx.now.since(request.time) > REQUEST_AGE {
            return Ok(());
        }
        if member && request.states.first() == Some(&tip) {
            self.heard(tx, id, at)?;
        }
        let slot = (id, installation);
        let held = self.requests.open.get(&slot);
        let newer = held.is_none_or(|open| open.request.time < request.time);
        let full = held.is_none() && self.requests.open.len() >= REJOIN_REQUESTS;
        if full {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::NotAllowed);
        }
        if newer {
            let due = tx.now + self.rng.duration_below(self.config.rejoin_backoff);
            self.requests.open.insert(slot, Open { request, name, due });
        }
        Ok(())
    }

    /// Answers what is due.
    pub(super) fn answers_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due = self.requests.open.iter().filter(|(_, open)| open.due <= tx.now);
        let due: Vec<(GroupId, InstallationId)> = due.map(|(at, _)| *at).collect();
        for at in due {
            let Some(open) = self.requests.open.remove(&at) else { continue };
            match self.answer(tx, at.0, &open) {
                Ok(()) => {}
                Err(Stop::Fault(fault)) => return Err(fault),
                // an own commit is on its way
                Err(Stop::Command(CommandError::Busy { .. })) => {
                    let due = tx.now + self.config.rejoin_backoff / 4;
                    self.requests.open.insert(at, Open { due, ..open });
                }
                Err(Stop::Command(reason)) => {
                    tracing::warn!(%reason, "a member that cannot follow is not answered");
                }
            }
        }
        let welcomes = self.requests.welcomes.iter().filter(|(_, due)| **due <= tx.now);
        let welcomes: Vec<(GroupId, StateId)> = welcomes.map(|(at, _)| *at).collect();
        for (id, state) in welcomes {
            self.requests.welcomes.remove(&(id, state));
            self.welcome_due(tx, id, state)?;
        }
        Ok(())
    }

    /// The commits that follow where it stands, if they fit; else, and where its states have come
    /// off the standing path, a swap of its leaf.
    fn answer(&mut self, tx: &mut Tx<'_>, id: GroupId, open: &Open) -> Result<(), Stop> {
        let request = &open.request;
        let path = self.path_names(id);
        let Some(tip) = path.first() else { return Ok(()) };
        let group = self.joined(id)?;
        if group.ask.lost.is_some() {
            // who is to leave this branch leads nobody along it
            return Ok(());
        }
        let member = group.account_of(&request.installation) == Some(request.account);
        let common = request.states.iter().find(|name| path.contains(name));
        let lost = request.lost.is_some_and(|name| path.contains(&name));
        // who has to leave its side may keep a common state: what stands there for it, by the graph
        // alone, is its own side
        if let Some(common) = common.filter(|_| !(member && lost)) {
            let swapped = member && self.went(id, &path, common, &request.installation);
            let commits = if common == tip {
                member.then(Vec::new)
            } else {
                self.chain(tx, id, &path, common, (!member).then_some(request.installation))?
            };
            if let Some(commits) = commits.filter(|_| !swapped) {
                let from = common.to_vec();
                let content = pb::RejoinContent { from, commits, welcome: None };
                return self.send_answer(tx, id, open, &content.encode_to_vec());
            }
        }
        match (member, common.is_some() || lost) {
            (true, true) => self.swap(tx, id, open),
            // it stands on another branch, and which one stands has to be settled first
            (true, false) => Ok(self.say_chain(tx, id, open.name)?),
            (false, _) => Ok(()),
        }
    }

    /// Whether a leaf of an installation went on a path after a state, whoever came for it.
    fn went(
        &self,
        id: GroupId,
        path: &[StateName],
        after: &StateName,
        installation: &InstallationId,
    ) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        let names = path.iter().take_while(|name| *name != after);
        let gone = names.filter_map(|name| group.rejoin.get(name)).flat_map(|r| &r.removes);
        gone.into_iter().any(|(i, _)| i == installation)
    }

    /// The commits from a state of the path on, to the tip, or to the one that takes `gone` out.
    /// `None` if they are not all kept, or are too many.
    fn chain(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        path: &[StateName],
        from: &StateName,
        gone: Option<InstallationId>,
    ) -> Result<Option<Vec<Vec<u8>>>, Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(None) };
        let after: Vec<&StateName> = path.iter().take_while(|name| *name != from).collect();
        let (mut commits, mut bytes) = (Vec::new(), 0);
        for name in after.into_iter().rev() {
            let Some(content) = tx.overlay.get(&chain_key(&id, name))? else { return Ok(None) };
            bytes += content.len() + 8;
            if bytes > REJOIN_CHAIN_BYTES {
                return Ok(None);
            }
            commits.push(content);
            let takes_out = |gone| {
                let record = group.rejoin.get(name);
                record.is_some_and(|r| r.removes.iter().any(|(i, _)| *i == gone))
            };
            if gone.is_some_and(takes_out) {
                return Ok(Some(commits));
            }
        }
        // whoever never came in on this path is not shown what it does
        Ok(gone.is_none().then_some(commits))
    }

    /// Has the leaf swapped. Its Welcome follows once the commit stands.
    fn swap(&mut self, tx: &mut Tx<'_>, id: GroupId, open: &Open) -> Result<(), Stop> {
        let request = open.request.clone();
        if !self.may_commit(id) {
            return Err(Stop::Command(CommandError::Busy { waiting: 1 }));
        }
        let tip = self.tip_of(id)?;
        let leaf = self.with_mls(tx, Place::now(id, tip), false, |group, _| {
            Ok(mls::group::leaf_key(group, &request.installation))
        })?;
        if !leaf.is_some_and(|leaf| request.allows(&leaf)) {
            let reason = "the request does not name the leaf that is in the group".to_owned();
            return Err(Stop::Command(CommandError::NotAllowed(reason)));
        }
        let mut plan: Plan = self.empty_plan(id)?;
        plan.swap = Some(Swap { request, name: open.name });
        self.commit(tx, id, plan)
    }

    /// What a member whose leaf is swapped gets, made while the commit's Welcome is at hand.
    pub(in crate::core) fn rejoin_welcome(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        swap: Swap,
        welcome: &[u8],
        tree: Vec<u8>,
        log: &LogSet,
    ) -> Result<(StateName, Vec<u8>), Stop> {
        let split = mls::welcome::split(welcome)
            .map_err(|_| Fault::Bug("an own Welcome does not parse"))?;
        let request = swap.request;
        let mut entries = split.entries.into_iter();
        let (_, group_secrets) = entries
            .find(|(reference, _)| *reference == request.package.reference)
            .ok_or(Fault::Bug("a Welcome without an added key package"))?;
        let shared = self.shared_part_of(tx.now, id, split.shared, tree, log)?;
        let path = self.path_names(id);
        let common = request.states.iter().find(|name| path.contains(name));
        let content = pb::RejoinContent {
            from: common.map(|name| name.to_vec()).unwrap_or_default(),
            commits: Vec::new(),
            welcome: Some(pb::RejoinWelcome { shared: Some(shared), group_secrets }),
        };
        let answer = self.sealed_answer(tx, &request, &content.encode_to_vec())?;
        Ok((swap.name, answer))
    }

    fn sealed_answer(
        &self,
        tx: &Tx<'_>,
        request: &Request,
        content: &[u8],
    ) -> Result<Vec<u8>, Stop> {
        let provider = self.global_provider(tx);
        let sealed = mls::slot::seal(&provider, &request.package_bytes, Use::Rejoin, content)
            .ok_or(Fault::Bug("a checked key package cannot be sealed to"))?;
        let answer = sign_answer(&self.own()?.key(), &request.package.reference, sealed);
        let content = super::frame(pb::rejoin::Body::Answer(answer));
        crate::core::invite::fits(content.len())?;
        Ok(content)
    }

    fn send_answer(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        open: &Open,
        content: &[u8],
    ) -> Result<(), Stop> {
        let content = self.sealed_answer(tx, &open.request, content)?;
        self.mark_seen(tx, id, &content);
        let kind = OutgoingKind::Rejoin { group: id, name: open.name };
        self.enqueue(tx, kind, content, tx.now)?;
        Ok(())
    }

    /// An own commit is published: the member whose leaf it swaps hears of it once the commit has
    /// stood for a moment, since somebody else's may stand instead.
    pub(in crate::core) fn send_welcome(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
    ) -> Result<(), Fault> {
        if tx.overlay.get(&welcome_key(&id, state))?.is_some() {
            let due = tx.now + self.config.rejoin_backoff / 8;
            self.requests.welcomes.insert((id, state), due);
        }
        Ok(())
    }

    fn welcome_due(&mut self, tx: &Tx<'_>, id: GroupId, state: StateId) -> Result<(), Fault> {
        let at = welcome_key(&id, state);
        let record: Option<WelcomeRecord> = read(tx.overlay, &at)?;
        tx.overlay.delete(at);
        let line = self.groups.get(&id).and_then(|g| g.line.as_ref());
        let stands = line.is_some_and(|line| line.graph.leads_to(state, line.tip));
        if let Some(WelcomeRecord { name, content }) = record.filter(|_| stands) {
            self.mark_seen(tx, id, &content);
            self.enqueue(tx, OutgoingKind::Rejoin { group: id, name }, content, tx.now)?;
        }
        Ok(())
    }

    /// Right after opening: what is still to be sent.
    pub(in crate::core) fn resume_welcomes(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        for (id, group) in &self.groups {
            let line = group.line.iter();
            for state in line.flat_map(|line| line.states.keys()) {
                if tx.overlay.get(&welcome_key(id, *state))?.is_some() {
                    self.requests.welcomes.insert((*id, *state), tx.now);
                }
            }
        }
        Ok(())
    }
}

/// Keeps what a member gets whose leaf an own commit swaps, until that is published.
pub(in crate::core) fn keep_welcome(
    tx: &Tx<'_>,
    id: &GroupId,
    state: StateId,
    name: StateName,
    answer: &[u8],
) -> Result<(), Fault> {
    let record = WelcomeRecord { name, content: answer.to_vec() };
    Ok(write(tx.overlay, welcome_key(id, state), &record)?)
}

pub(in crate::core) fn welcome_key(id: &GroupId, state: StateId) -> Vec<u8> {
    key("welcome/", &[id.as_bytes(), state.as_bytes()])
}
