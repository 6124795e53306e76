//! The account log entries that were attached on a path: what proves a group's members.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::account::{Entry, Log};
use crate::kdf::{self, label};
use crate::{AccountId, InstallationId};

type Name = [u8; 32];

/// Digest of the entries of these names, in any order.
pub(super) fn digest_of(mut names: Vec<Name>) -> [u8; 32] {
    names.sort_unstable();
    let parts: Vec<&[u8]> = names.iter().map(<[u8; 32]>::as_slice).collect();
    kdf::hash(label::ATTACHED_LOG, &parts)
}

/// A set of entries; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct LogSet {
    entries: BTreeMap<(AccountId, Name), Arc<Vec<u8>>>,
}

impl LogSet {
    /// Takes an entry in; `false` for one that was here, `None` for what is no entry.
    pub(super) fn insert(&mut self, bytes: &[u8]) -> Option<bool> {
        let account = Entry::decode(bytes).ok()?.body().account;
        let name = (account, kdf::hash(label::ATTACHED_ENTRY, &[bytes]));
        if self.entries.contains_key(&name) {
            return Some(false);
        }
        self.entries.insert(name, Arc::new(bytes.to_vec()));
        Some(true)
    }

    /// Takes in all of these; `false` if one is no entry.
    pub(super) fn extend<'b>(&mut self, entries: impl IntoIterator<Item = &'b Vec<u8>>) -> bool {
        entries.into_iter().all(|entry| self.insert(entry).is_some())
    }

    /// Those of `entries` that are not here.
    pub(super) fn missing(&self, entries: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut known = self.clone();
        entries.iter().filter(|entry| known.insert(entry) == Some(true)).cloned().collect()
    }

    /// All entries, by account.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.entries.values().map(Arc::as_ref)
    }

    /// The accounts that they are of.
    pub(super) fn accounts(&self) -> BTreeSet<AccountId> {
        self.entries.keys().map(|(account, _)| *account).collect()
    }

    /// Digest of the set: the order of insertion does not enter.
    pub(super) fn digest(&self) -> [u8; 32] {
        digest_of(self.entries.keys().map(|(_, name)| *name).collect())
    }

    /// An account's log, as far as it is here.
    pub(super) fn log(&self, account: AccountId) -> Log {
        let mut log = Log::new(account);
        let from = Bound::Included((account, [0; 32]));
        let to = Bound::Included((account, [0xff; 32]));
        for (_, bytes) in self.entries.range((from, to)) {
            if let Ok(entry) = Entry::decode(bytes) {
                log.insert(entry);
            }
        }
        log
    }

    /// Whether an installation is live in its account's log. A member that is not is revoked or
    /// has left its account: it was proven when it came in.
    pub(super) fn is_live(&self, account: AccountId, installation: InstallationId) -> bool {
        self.log(account).is_live(&installation)
    }
}
