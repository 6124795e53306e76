//! The account log entries that were attached on a path: what proves a group's members.
//!
//! States share their sets: one that attaches nothing has that of the state before it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

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

/// A set of entries; cheap to clone. All of them were verified when they came in.
#[derive(Clone, Debug, Default)]
pub(super) struct LogSet(Arc<Entries>);

#[derive(Clone, Debug, Default)]
struct Entries {
    by_account: BTreeMap<(AccountId, Name), Arc<Vec<u8>>>,
    digest: OnceLock<[u8; 32]>,
}

impl Entries {
    fn put(&mut self, name: (AccountId, Name), bytes: Arc<Vec<u8>>) {
        self.by_account.insert(name, bytes);
        self.digest = OnceLock::new();
    }
}

impl LogSet {
    /// Takes an entry in; `false` for one that was here, `None` for what is no entry.
    pub(super) fn insert(&mut self, bytes: &[u8]) -> Option<bool> {
        let account = Entry::decode(bytes).ok()?.body().account;
        let name = (account, kdf::hash(label::ATTACHED_ENTRY, &[bytes]));
        if self.0.by_account.contains_key(&name) {
            return Some(false);
        }
        Arc::make_mut(&mut self.0).put(name, Arc::new(bytes.to_vec()));
        Some(true)
    }

    /// Takes in all of another set.
    pub(super) fn union(&mut self, other: &Self) {
        if self.0.by_account.is_empty() {
            self.0 = Arc::clone(&other.0);
            return;
        }
        for (name, bytes) in &other.0.by_account {
            if !self.0.by_account.contains_key(name) {
                Arc::make_mut(&mut self.0).put(*name, Arc::clone(bytes));
            }
        }
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
        self.0.by_account.values().map(Arc::as_ref)
    }

    /// The accounts that they are of.
    pub(super) fn accounts(&self) -> BTreeSet<AccountId> {
        self.0.by_account.keys().map(|(account, _)| *account).collect()
    }

    /// Digest of the set: the order of insertion does not enter.
    pub(super) fn digest(&self) -> [u8; 32] {
        let names = || self.0.by_account.keys().map(|(_, name)| *name).collect();
        *self.0.digest.get_or_init(|| digest_of(names()))
    }

    /// An account's log, as far as it is here.
    pub(super) fn log(&self, account: AccountId) -> Log {
        let mut log = Log::new(account);
        let from = Bound::Included((account, [0; 32]));
        let to = Bound::Included((account, [0xff; 32]));
        for (_, bytes) in self.0.by_account.range((from, to)) {
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
