//! From version 3 to 4: a group has a graph of states, with roles, instead of one line of them.
//!
//! Until then only a group's creator committed, so its kept states are one path, which stands. Who
//! came in with which of those commits was not kept; all members of the newest state count as
//! members of the oldest. The creator's account owns the group.

use openmls_rust_crypto::RustCrypto;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::Fault;
use super::agreed::Agreed;
use super::create::export_keys;
use super::effect::tie_of;
use super::group::{entry_key, leaf_key, state_key};
use super::log_set::LogSet;
use super::records::{
    CardRecord, FoundAccount, GroupRecord, IntentRecord, InvitationRecord, LeafRecord,
    OutgoingRecord, PendingCommit, StateRecord, decode, key, read, write,
};
use super::schema::Progress;
use super::second::{OldInvitation, OldPending, SecondGroup, SecondState};
use crate::mls::{CoreRng, Provider, View};
use crate::order::Commit;
use crate::order::roles::{Authority, Right, Rights};
use crate::proto::group as pb;
use crate::store::Overlay;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// [`IntentRecord`] before version 4.
#[derive(Serialize, Deserialize)]
struct OldIntent {
    card: CardRecord,
    due: Timestamp,
    asked: u32,
    found: Option<FoundAccount>,
}

/// Everything at once: a node has few groups.
pub(super) fn graphs(overlay: &Overlay<'_>) -> Result<Progress, Fault> {
    for (key, value) in overlay.scan(b"intent/")? {
        let OldIntent { card, due, asked, found } = decode(&value)?;
        let retry = Timestamp::ZERO;
        write(overlay, key, &IntentRecord { card, due, asked, found, done: None, retry })?;
    }
    for (key, value) in overlay.scan(b"group/")? {
        let id = key
            .get(b"group/".len()..)
            .and_then(GroupId::from_slice)
            .ok_or(Fault::Bug("a key without its group"))?;
        let old: SecondGroup = decode(&value)?;
        let record = Migration { overlay, id, old: &old }.record()?;
        write(overlay, key, &record)?;
    }
    Ok(Progress::Done)
}

struct Migration<'m> {
    overlay: &'m Overlay<'m>,
    id: GroupId,
    old: &'m SecondGroup,
}

impl Migration<'_> {
    fn record(&self) -> Result<GroupRecord, Fault> {
        let old = self.old;
        let mut record = GroupRecord {
            creator: old.creator,
            nonce: old.nonce,
            period: old.period,
            root: old.states.first().map(|state| state.id),
            joined: old.joined,
            came_at: old.came_at.clone(),
            baselines: old.baselines.clone(),
            revoked: Vec::new(),
            pending: None,
            invitation: None,
            passed_over: Vec::new(),
            update_at: Timestamp::ZERO,
            leaving: false,
        };
        let agreed = self.agreed(&old.name, &old.description, &old.log);
        if let Some(OldInvitation { from, welcome, tree, at }) = &old.invitation {
            record.invitation = Some(InvitationRecord {
                from: *from,
                agreed,
                members: old.members.clone(),
                log: old.log.clone(),
                welcome: welcome.clone(),
                tree: tree.clone(),
                at: *at,
            });
            return Ok(record);
        }
        let mut parent: Option<&SecondState> = None;
        for state in &old.states {
            let commit = parent.map(|parent| self.commit(parent, Vec::new(), [0xff; 32]));
            let made = self.state(state, agreed.clone(), commit)?;
            write(self.overlay, state_key(&self.id, state.id), &made)?;
            parent = Some(state);
        }
        for (installation, account) in &old.members {
            let leaf = LeafRecord { account: *account, since: None };
            write(self.overlay, leaf_key(&self.id, installation), &leaf)?;
        }
        for entry in &old.log {
            self.overlay.put(entry_key(&self.id, entry), entry.clone());
        }
        if let (Some(pending), Some(tip)) = (&old.pending, parent) {
            record.pending = Some(self.pending(pending, tip)?);
        }
        Ok(record)
    }

    fn agreed(&self, name: &str, description: &str, log: &[Vec<u8>]) -> Agreed {
        let owner = self.old.members.iter().find(|(i, _)| *i == self.old.creator);
        let mut entries = LogSet::default();
        entries.extend(log);
        Agreed {
            name: name.to_owned(),
            description: description.to_owned(),
            authority: owner.map_or_else(Authority::default, |(_, a)| Authority::of_owner(*a)),
            log_digest: entries.digest(),
        }
    }

    fn commit(
        &self,
        parent: &SecondState,
        adds: Vec<(InstallationId, AccountId)>,
        tie: [u8; 32],
    ) -> Commit {
        let account = self.old.members.iter().find(|(i, _)| *i == self.old.creator);
        let account = account.map_or(AccountId::from_bytes([0; 32]), |(_, account)| *account);
        let uses: Rights = [Right::Add, Right::Profile].into_iter().collect();
        Commit {
            parent: parent.id,
            author: self.old.creator,
            account,
            tie,
            adds,
            removes: Vec::new(),
            swaps: Vec::new(),
            uses,
            authority: None,
            revokes: Vec::new(),
        }
    }

    fn state(
        &self,
        old: &SecondState,
        agreed: Agreed,
        commit: Option<Commit>,
    ) -> Result<StateRecord, Fault> {
        // nothing random is drawn: secrets are only derived
        let (crypto, rng) = (RustCrypto::default(), CoreRng::new([0; 32]));
        let provider = Provider::new(self.overlay, &crypto, &rng, View::Base(self.id, old.id));
        let group = super::state::load(&provider)?;
        Ok(StateRecord {
            id: old.id,
            epoch: old.epoch,
            keys: Some(export_keys(&group, &provider)?),
            since: old.since,
            agreed,
            commit,
            attached: Vec::new(),
            fulfils: Vec::new(),
        })
    }

    fn pending(
        &self,
        old: &OldPending<SecondState>,
        tip: &SecondState,
    ) -> Result<PendingCommit, Fault> {
        let out = key("out/", &[&old.outgoing.to_be_bytes()]);
        let queued: OutgoingRecord =
            read(self.overlay, &out)?.ok_or(Fault::Bug("a commit that is not in the queue"))?;
        let frame = pb::Frame::decode(queued.content.as_slice()).ok().and_then(|f| f.body);
        let Some(pb::frame::Body::Handshake(handshake)) = frame else {
            return Err(Fault::Bug("a queued commit that is none"));
        };
        let known = &self.old.members;
        let adds = old.members.iter().filter(|member| !known.contains(member)).copied().collect();
        let before = self.state(tip, self.agreed("", "", &[]), None)?;
        let tie = tie_of(&before, &handshake.commit);
        let agreed = self.agreed(&old.name, &old.description, &old.log);
        let mut next = self.state(&old.next, agreed, Some(self.commit(tip, adds, tie)))?;
        next.attached = handshake.log_entries;
        self.overlay.put(super::group::commit_key(&self.id, next.id), queued.content);
        Ok(PendingCommit { next, outgoing: old.outgoing, invitations: old.invitations.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::agreed::Parameters;

    #[test]
    fn the_creators_account_owns_what_it_made() {
        let (creator, account) =
            (InstallationId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
        let old = SecondGroup {
            name: "Hut".to_owned(),
            description: String::new(),
            creator,
            nonce: [3; 16],
            period: 3600,
            states: Vec::new(),
            joined: 1,
            log: Vec::new(),
            members: vec![(creator, account)],
            came_at: Vec::new(),
            baselines: Vec::new(),
            pending: None,
            invitation: None,
        };
        let store = crate::store::MemoryStore::new();
        let overlay = Overlay::new(&store);
        let migration =
            Migration { overlay: &overlay, id: GroupId::from_bytes([4; 16]), old: &old };
        let agreed = migration.agreed("Hut", "", &[]);
        assert_eq!(agreed.authority, Authority::of_owner(account));
        let record = migration.record().expect("no states to read");
        let parameters = Parameters::of(&record);
        assert_eq!((parameters.period, parameters.creator), (3600, creator));
    }
}
