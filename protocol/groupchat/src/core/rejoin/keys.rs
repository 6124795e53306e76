//! The states from which a member can come back.

use std::collections::BTreeSet;

use crate::core::group::commit_key;
use crate::core::loaded::Place;
use crate::core::records::{RejoinRecord, Secret32, StateName, key, write};
use crate::core::{Fault, Inner, Tx};
use crate::limits::{KEPT_REJOIN, KEPT_REJOIN_AGE};
use crate::mls::{self, StateId};
use crate::{GroupId, Timestamp};

/// MLS exporter label of the secret for who cannot follow.
const REJOIN_EXPORT: &str = "waku-groupchat/1 rejoin";

impl Inner {
    /// The secret of a state's rejoin topics, if it is kept.
    pub(in crate::core) fn rejoin_secret(
        &self,
        id: &GroupId,
        name: &StateName,
    ) -> Option<[u8; 32]> {
        Some(self.groups.get(id)?.rejoin.get(name)?.secret.0)
    }

    /// A state is in the graph: keeps what a member needs to come back from it, and to be shown the
    /// way.
    pub(in crate::core) fn keep_rejoin(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
    ) -> Result<(), Fault> {
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return Ok(()) };
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let Some(line) = &group.line else { return Ok(()) };
        let Some(record) = line.states.get(&state) else { return Ok(()) };
        let Some(name) = record.keys.as_ref().map(|keys| keys.name) else { return Ok(()) };
        if group.rejoin.contains_key(&name) {
            return Ok(());
        }
        let mut kept = RejoinRecord {
            secret: Secret32([0; 32]),
            epoch: record.epoch,
            since: record.since,
            leaf: Vec::new(),
            parent: None,
            author: None,
            adds: Vec::new(),
            removes: Vec::new(),
        };
        if let Some(commit) = line.graph.commit(state) {
            let before = line.graph.members(commit.parent);
            let gone = commit.removes.iter().chain(&commit.swaps);
            kept.parent = line.states.get(&commit.parent).and_then(|p| Some(p.keys.as_ref()?.name));
            kept.author = Some((commit.author, commit.account));
            kept.adds.clone_from(&commit.adds);
            kept.removes = gone.filter_map(|i| Some((*i, before.get(i)?.1))).collect();
        }
        let (secret, leaf) =
            self.with_mls(tx, Place::now(id, state), false, |group, provider| {
                let secret = mls::group::export(group, provider, REJOIN_EXPORT, &[])?;
                Ok((*secret, mls::group::leaf_key(group, &own)))
            })?;
        kept.secret = Secret32(secret);
        kept.leaf = leaf.ok_or(Fault::Bug("an own state without the own leaf"))?;
        if let Some(content) = tx.overlay.get(&commit_key(&id, state))? {
            tx.overlay.put(chain_key(&id, &name), content);
        }
        write(tx.overlay, rejoin_key(&id, &name), &kept)?;
        self.topics.rejoins(id, name, &kept.secret.0);
        if let Some(group) = self.groups.get_mut(&id) {
            group.rejoin.insert(name, kept);
        }
        Ok(())
    }

    /// For states that were there before this was kept.
    pub(in crate::core) fn keep_all_rejoins(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let states: Vec<(GroupId, u64, StateId)> = self
            .groups
            .iter()
            .filter_map(|(id, group)| Some((*id, group.line.as_ref()?)))
            .flat_map(|(id, line)| line.states.values().map(move |s| (id, s.epoch, s.id)))
            .collect();
        for (id, _, state) in states {
            self.keep_rejoin(tx, id, state)?;
        }
        Ok(())
    }

    /// States that do not count any more: nobody comes back from them.
    pub(in crate::core) fn forget_rejoin(&mut self, tx: &Tx<'_>, id: GroupId, names: &[StateName]) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        for name in names {
            group.rejoin.remove(name);
            tx.overlay.delete(rejoin_key(&id, name));
            tx.overlay.delete(chain_key(&id, name));
        }
        if !names.is_empty() {
            self.topics.clear_rejoins();
        }
    }

    /// Lets go of what was left longer ago than [`KEPT_REJOIN_AGE`], and of the oldest beyond
    /// [`KEPT_REJOIN`].
    pub(in crate::core) fn prune_rejoins(&mut self, tx: &Tx<'_>) {
        let ids: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in ids {
            let gone = self.old_rejoins(id, tx.now);
            self.forget_rejoin(tx, id, &gone);
        }
    }

    fn old_rejoins(&self, id: GroupId, now: Timestamp) -> Vec<StateName> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let states = group.states().filter_map(|state| state.keys.as_ref());
        let known: BTreeSet<StateName> = states.map(|keys| keys.name).collect();
        // a state is in use until the last one that follows it begins
        let left = |name: &StateName, record: &RejoinRecord| {
            let after = group.rejoin.values().filter(|r| r.parent == Some(*name));
            after.map(|r| r.since).max().unwrap_or(record.since)
        };
        let mut open: Vec<(Timestamp, StateName)> = group
            .rejoin
            .iter()
            .filter(|(name, _)| !known.contains(*name))
            .map(|(name, record)| (left(name, record), *name))
            .collect();
        open.sort_unstable();
        let over = group.rejoin.len().saturating_sub(KEPT_REJOIN);
        let old = |(place, (left, _)): &(usize, (Timestamp, StateName))| {
            *place < over || now.since(*left) > KEPT_REJOIN_AGE
        };
        open.into_iter().enumerate().filter(old).map(|(_, (_, name))| name).collect()
    }

    /// The names of the states on the way to the tip, the newest first, as far back as they are
    /// kept.
    pub(in crate::core) fn path_names(&self, id: GroupId) -> Vec<StateName> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let tip = group.tip().and_then(|tip| Some(tip.keys.as_ref()?.name));
        let mut path: Vec<StateName> = Vec::new();
        let mut at = tip;
        while let Some(name) = at.filter(|_| path.len() <= group.rejoin.len()) {
            path.push(name);
            at = group.rejoin.get(&name).and_then(|record| record.parent);
        }
        path
    }
}

fn rejoin_key(id: &GroupId, name: &StateName) -> Vec<u8> {
    key("rejoin/", &[id.as_bytes(), name])
}

/// Where the content of the handshake lies that led to a state.
pub(super) fn chain_key(id: &GroupId, name: &StateName) -> Vec<u8> {
    key("chain/", &[id.as_bytes(), name])
}
