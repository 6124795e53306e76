//! Other members' commits: processed in a child of the state that they leave, and judged by that
//! state and by what they bring alone.

use std::time::Duration;

use openmls::group::MlsGroup;

use super::agreed::Agreed;
use super::effect::{Moves, Parent};
use super::group::commit_key;
use super::judge::Breach;
use super::loaded::{Loaded, Place};
use super::members;
use super::records::StateRecord;
use super::state::load;
use super::{Fault, Inner, Tx};
use crate::api::RefusedReason;
use crate::group::message::SignedCore;
use crate::mls::message::{Inbound, Staged};
use crate::mls::package::Package;
use crate::mls::{self, Provider, StateId, View};
use crate::order::Commit;
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// What was sealed under a state may be so much older than the envelope of the commit that led to
/// it, for commits are repeated until a Store has them.
const REPEATED_WITHIN: Duration = Duration::from_secs(3600);

/// What judging a commit gives.
struct Judged {
    commit: Commit,
    agreed: Agreed,
}

impl Inner {
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
        let Some(from) = self.groups.get(&id).and_then(|g| g.parent(state)) else {
            return Ok(false);
        };
        let next = self.new_state();
        let parent = Some(state);
        if !mls::message::is_public(&handshake.commit) {
            self.refuse(tx, Some(id), None, RefusedReason::Mls)?;
            return Ok(false);
        }
        // The first commit that leaves a state mostly ends its use, so the group in memory goes on
        // with it. That it read some messages is not written then: they are known by their numbers.
        let first = self.groups.get(&id).and_then(|g| g.line.as_ref()).is_some_and(|line| {
            line.graph.contains(state) && line.graph.children(state).next().is_none()
        });
        let known = first.then(|| self.loaded.take(&Place::now(id, state))).flatten();
        let provider = self.provider(tx, View::Child { group: id, parent, child: next });
        let (mut loaded, known) = match known {
            Some(loaded) => (loaded, true),
            None => (Loaded::new(load(&provider)?), false),
        };
        let group = &mut loaded.group;
        let applied = self.apply(tx, id, &provider, group, (&from, next), handshake)?;
        let open = applied.as_ref().is_ok_and(|record| record.keys.is_some());
        if open {
            provider.keep()?;
            self.loaded.put(Place::now(id, next), Loaded::new(loaded.group));
        } else if known {
            self.loaded.put(Place::now(id, state), loaded);
        }
        match applied {
            Ok(record) => {
                tx.overlay.put(commit_key(&id, next), content.to_vec());
                let entered = self.enter(tx, id, record)?;
                self.mind_missing(tx, id)?;
                self.learn(tx, &handshake.log_entries)?;
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
    /// leaves alone. The group is in the state after it then, unless that has no keys because it
    /// takes this installation out; after a refusal it is as it was.
    fn apply(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        provider: &Provider<'_>,
        group: &mut MlsGroup,
        (from, next): (&Parent, StateId),
        handshake: &pb::Handshake,
    ) -> Result<Result<StateRecord, (Option<InstallationId>, RefusedReason)>, Fault> {
        let received = mls::message::receive(group, provider, &handshake.commit)?;
        let Inbound::Commit(staged) = received else {
            return Ok(Err((None, RefusedReason::Mls)));
        };
        let Some(author) = members::parse(&staged.sender) else {
            return Ok(Err((None, RefusedReason::Mls)));
        };
        let refused = |reason| Ok(Err((Some(author.0), reason)));
        let judged = match judge(id, from, group, author, &staged, handshake) {
            Ok(judged) => judged,
            Err(reason) => return refused(reason),
        };
        let Judged { commit, agreed } = judged;
        let mut record = if staged.removes_self() {
            StateRecord {
                id: next,
                epoch: staged.epoch,
                keys: None,
                since: tx.now,
                agreed,
                commit: None,
                attached: Vec::new(),
                fulfils: Vec::new(),
            }
        } else {
            staged.merge(group, provider)?;
            self.state_record(tx, id, next, group, agreed)?
        };
        record.commit = Some(commit);
        record.attached = handshake.log_entries.clone();
        Ok(Ok(record))
    }
}

/// The rules of the groups here, beyond those of MLS.
fn judge(
    id: GroupId,
    from: &Parent,
    mls_group: &MlsGroup,
    author: (InstallationId, AccountId),
    staged: &Staged,
    handshake: &pb::Handshake,
) -> Result<Judged, RefusedReason> {
    if staged.bound != super::evidence::bound(&handshake.words, &handshake.requests) {
        return Err(RefusedReason::Invalid);
    }
    let identity = |p: &Package| {
        members::parse_identity(&p.identity).filter(|(named, _)| *named == p.installation)
    };
    let adds: Option<Vec<_>> = staged.adds.iter().map(identity).collect();
    let gone: Option<Vec<_>> = staged.removes.iter().map(members::parse).collect();
    let adds = adds.ok_or(RefusedReason::Malformed)?;
    let gone: Vec<InstallationId> =
        gone.ok_or(RefusedReason::Malformed)?.into_iter().map(|(i, _)| i).collect();
    let (after, parameters) = match &staged.extensions {
        None => (from.agreed.clone(), from.parameters),
        Some(all) => Agreed::parse(all).ok_or(RefusedReason::Malformed)?,
    };
    let mut log = from.log.clone();
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
    let removes = gone.into_iter().filter(|i| !swaps.contains(i) && !leaving.contains(i)).collect();
    let moves = Moves { adds, removes, leaving, swaps };
    let proposed = from.proposed(author, &moves, (&after, &parameters), &log);
    let uses = proposed.judge().map_err(|breach| {
        tracing::debug!(%breach, "a commit is refused");
        match breach {
            Breach::Unproven => RefusedReason::Unproven,
            _ => RefusedReason::NotAllowed,
        }
    })?;
    let commit = proposed.effect(uses, &handshake.commit, &handshake.log_entries);
    Ok(Judged { commit, agreed: after })
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
