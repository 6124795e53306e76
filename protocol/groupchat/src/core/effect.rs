//! The state that a commit leaves, as far as commits are judged by it, and what a commit does, as
//! the graph takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agreed::{Agreed, Parameters};
use super::group::Group;
use super::judge::Proposed;
use super::log_set::LogSet;
use super::records::StateRecord;
use crate::kdf::{self, label};
use crate::mls::StateId;
use crate::order::Commit;
use crate::order::roles::Rights;
use crate::{AccountId, InstallationId, Timestamp};

/// A state that a commit leaves.
pub(super) struct Parent {
    pub(super) id: StateId,
    /// When it became known here.
    pub(super) since: Timestamp,
    tie: [u8; 32],
    pub(super) agreed: Agreed,
    pub(super) parameters: Parameters,
    pub(super) members: Arc<BTreeMap<InstallationId, AccountId>>,
    /// The entries attached up to it.
    pub(super) log: LogSet,
}

/// Whose leaves come and go.
pub(super) struct Moves {
    pub(super) adds: Vec<(InstallationId, AccountId)>,
    /// Who goes, but for those in `leaving` and `swaps`.
    pub(super) removes: Vec<InstallationId>,
    /// Who goes by its own word.
    pub(super) leaving: Vec<InstallationId>,
    /// Whose leaf is exchanged at its own word.
    pub(super) swaps: Vec<InstallationId>,
}

impl Group {
    /// A state that is in the graph, to judge commits by that leave it.
    pub(super) fn parent(&self, state: StateId) -> Option<Parent> {
        let line = self.line.as_ref()?;
        let record = line.states.get(&state)?;
        Some(Parent {
            id: state,
            since: record.since,
            tie: tie_secret(record),
            agreed: record.agreed.clone(),
            parameters: self.parameters(),
            members: line.members_at(state),
            log: line.log_at(state),
        })
    }
}

impl Parent {
    /// A commit that leaves this state. `log`: the entries attached up to it and by it.
    pub(super) fn proposed<'a>(
        &'a self,
        author: (InstallationId, AccountId),
        moves: &'a Moves,
        after: (&'a Agreed, &'a Parameters),
        log: &'a LogSet,
    ) -> Proposed<'a> {
        Proposed { parent: self, author, moves, after, log }
    }
}

impl Proposed<'_> {
    /// What it does, being `commit` and attaching these entries. `uses`: what judging it gave.
    pub(super) fn effect(&self, uses: Rights, commit: &[u8], attached: &[Vec<u8>]) -> Commit {
        let Moves { adds, removes, leaving, swaps } = self.moves;
        let authority = &self.after.0.authority;
        let changed = *authority != self.parent.agreed.authority;
        Commit {
            parent: self.parent.id,
            author: self.author.0,
            account: self.author.1,
            tie: tie(&self.parent.tie, commit),
            adds: adds.clone(),
            removes: removes.iter().chain(leaving).copied().collect(),
            swaps: swaps.clone(),
            uses,
            authority: changed.then(|| authority.clone()),
            revokes: revoked_by(self.log, attached, &self.parent.members),
        }
    }
}

/// What decides between a commit that leaves a state and others that do, if they weigh the same.
/// Made with a secret of the state, so that nobody else can tell, nor choose who wins without a
/// commit for each try.
pub(super) fn tie_of(from: &StateRecord, commit: &[u8]) -> [u8; 32] {
    tie(&tie_secret(from), commit)
}

fn tie_secret(from: &StateRecord) -> [u8; 32] {
    from.keys.as_ref().map_or([0; 32], |keys| keys.tie.0)
}

fn tie(secret: &[u8; 32], commit: &[u8]) -> [u8; 32] {
    kdf::hash(label::COMMIT_TIE, &[secret, commit])
}

/// The members that entries which come with a commit prove to be live no more.
fn revoked_by(
    log: &LogSet,
    attached: &[Vec<u8>],
    members: &BTreeMap<InstallationId, AccountId>,
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
