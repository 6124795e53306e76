//! The account log: a set of signed entries, each naming its parents by hash.
//!
//! An entry whose parents are missing waits. One whose signer is not live in its proper ancestors is
//! no part of any log: that depends on those ancestors alone, which its hash fixes, so every reader
//! decides alike. Order and repetition of insertions do not matter (within the bounds), and neither
//! do copies with other signatures. Who is live then: [`Log::live`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prost::Message as _;

use super::entry::{Author, ENTRY_BYTES, ENTRY_PARENTS, Entry, EntryError, EntryKind, MOST_LIVE};
use super::live::{LiveInfo, Node, Places, live};
use super::proto;
use crate::{AccountId, EntryHash, InstallationId, Timestamp};

/// Most entries of a log.
pub const LOG_ENTRIES: usize = 4096;
/// Most entries that wait for parents.
pub const LOG_WAITING: usize = 256;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is part of the log now, and so may be others that waited for it.
    Applied,
    /// It waits for parents, in memory only.
    Waiting,
    /// It was here before.
    Duplicate,
    /// It is no part of this log, now or later.
    Refused(EntryRefused),
}

/// Why an entry is no part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryRefused {
    /// It is not an entry.
    #[error("not an entry: {0}")]
    Entry(#[from] EntryError),
    /// It belongs to another account.
    #[error("it belongs to account {0}")]
    Account(AccountId),
    /// Its signer is not live in its proper ancestors.
    #[error("its signer was not live when it signed")]
    NotLive,
    /// The log, or the list of those that wait, is full.
    #[error("the log is full")]
    Full,
}

/// Why bytes are not a whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not the protobuf message, or too many entries.
    #[error("malformed")]
    Malformed,
    /// An entry that is no part of it.
    #[error("an entry was refused: {0}")]
    Refused(#[from] EntryRefused),
    /// An entry comes before its parents, or without them.
    #[error("an entry comes without its parents")]
    Parents,
    /// An entry twice.
    #[error("an entry comes twice")]
    Duplicate,
}

/// An account's log. See the module's description.
#[derive(Clone)]
pub struct Log {
    account: AccountId,
    nodes: Vec<Node>,
    places: BTreeMap<EntryHash, usize>,
    waiting: BTreeMap<EntryHash, Entry>,
    most_live: usize,
}

impl Log {
    /// The empty log of an account.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            nodes: Vec::new(),
            places: BTreeMap::new(),
            waiting: BTreeMap::new(),
            most_live: MOST_LIVE,
        }
    }

    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Number of entries, without those that wait.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no entry in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Takes in an entry.
    pub fn insert(&mut self, entry: Entry) -> Inserted {
        if entry.body().account != self.account {
            return Inserted::Refused(EntryRefused::Account(entry.body().account));
        }
        let hash = entry.hash();
        if self.places.contains_key(&hash) || self.waiting.contains_key(&hash) {
            return Inserted::Duplicate;
        }
        let Some(parents) = self.parents_of(&entry) else {
            if self.waiting.len() >= LOG_WAITING {
                return Inserted::Refused(EntryRefused::Full);
            }
            self.waiting.insert(hash, entry);
            return Inserted::Waiting;
        };
        match self.apply(entry, parents) {
            Ok(()) => {
                self.apply_waiting(hash);
                Inserted::Applied
            }
            Err(reason) => Inserted::Refused(reason),
        }
    }

    /// [`Entry::decode`], then [`Log::insert`].
    pub fn insert_bytes(&mut self, bytes: &[u8]) -> Inserted {
        match Entry::decode(bytes) {
            Ok(entry) => self.insert(entry),
            Err(error) => Inserted::Refused(error.into()),
        }
    }

    /// Takes in all entries of another log of the same account; how many of them were new.
    pub fn union(&mut self, other: &Self) -> usize {
        let new = |node: &&Node| !self.places.contains_key(&node.entry.hash());
        let entries: Vec<_> = other.nodes.iter().filter(new).map(|n| n.entry.clone()).collect();
        let before = self.len();
        for entry in entries {
            self.insert(entry);
        }
        self.len() - before
    }

    /// Whether every entry of `other` is here. An answer that does not cover what its reader holds
    /// changes nothing.
    pub fn covers(&self, other: &Self) -> bool {
        other.places.keys().all(|hash| self.places.contains_key(hash))
    }

    /// Whether this entry is part of the log.
    pub fn contains(&self, hash: &EntryHash) -> bool {
        self.places.contains_key(hash)
    }

    /// An entry by its name.
    pub fn get(&self, hash: &EntryHash) -> Option<&Entry> {
        self.places.get(hash).map(|place| &self.nodes[*place].entry)
    }

    /// Whether `ancestor` is a proper ancestor of `entry`.
    pub(super) fn is_ancestor(&self, ancestor: &EntryHash, entry: &EntryHash) -> bool {
        let places = self.places.get(ancestor).zip(self.places.get(entry));
        places.is_some_and(|(ancestor, entry)| self.nodes[*entry].ancestors.contains(*ancestor))
    }

    /// The entries that no other names as parent, ascending.
    pub fn heads(&self) -> Vec<EntryHash> {
        let named: BTreeSet<_> = self.nodes.iter().flat_map(|n| &n.parents).copied().collect();
        let is_head = |place: &usize| !named.contains(place);
        self.places.iter().filter(|(_, place)| is_head(place)).map(|(hash, _)| *hash).collect()
    }

    /// The parents that a new entry names: the heads, at most [`ENTRY_PARENTS`] of them.
    pub fn parents_for_new(&self) -> Vec<EntryHash> {
        let mut heads = self.heads();
        heads.truncate(ENTRY_PARENTS);
        heads
    }

    /// Who is live, and by which entry.
    pub fn live(&self) -> BTreeMap<InstallationId, LiveInfo> {
        live(&self.nodes, &Places::first(self.nodes.len()), self.most_live)
    }

    /// Whether `installation` is live.
    pub fn is_live(&self, installation: &InstallationId) -> bool {
        self.live().contains_key(installation)
    }

    /// The counter that a new root entry takes.
    pub fn next_counter(&self, now: Timestamp) -> u64 {
        let counters = self.nodes.iter().filter_map(|node| match node.entry.body().kind {
            EntryKind::Create { counter, .. } | EntryKind::Root { counter, .. } => Some(counter),
            _ => None,
        });
        counters.max().map_or(0, |known| known.saturating_add(1)).max(now.as_secs())
    }

    /// All entries, each after its parents, in an order that depends on the set alone.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut missing: Vec<usize> = self.nodes.iter().map(|n| n.parents.len()).collect();
        let mut children = vec![Vec::new(); self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            node.parents.iter().for_each(|parent| children[*parent].push(place));
        }
        let name = |place: usize| (self.nodes[place].entry.hash(), place);
        let mut ready: BTreeSet<_> =
            (0..self.nodes.len()).filter(|place| missing[*place] == 0).map(name).collect();
        let mut entries = Vec::with_capacity(self.nodes.len());
        while let Some((_, place)) = ready.pop_first() {
            entries.push(&self.nodes[place].entry);
            for child in &children[place] {
                missing[*child] -= 1;
                if missing[*child] == 0 {
                    ready.insert(name(*child));
                }
            }
        }
        entries
    }

    /// Each of [`Log::entries`] encoded.
    pub fn encoded_entries(&self) -> Vec<Vec<u8>> {
        self.entries().into_iter().map(Entry::encode).collect()
    }

    /// All entries as one protobuf `Log`; the same bytes for the same set. Those that wait are left
    /// out.
    pub fn encode(&self) -> Vec<u8> {
        proto::Log { entries: self.encoded_entries() }.encode_to_vec()
    }

    /// The log that [`Log::encode`] gave, each entry checked again.
    pub fn decode(account: AccountId, bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > LOG_ENTRIES * (ENTRY_BYTES + 3) {
            return Err(LogError::Malformed);
        }
        let log = proto::Log::decode(bytes).map_err(|_| LogError::Malformed)?;
        Self::from_entries(account, &log.entries)
    }

    /// A whole log from encoded entries, each after its parents and none twice.
    pub fn from_entries(
        account: AccountId,
        entries: &[impl AsRef<[u8]>],
    ) -> Result<Self, LogError> {
        if entries.len() > LOG_ENTRIES {
            return Err(LogError::Malformed);
        }
        let mut log = Self::new(account);
        for entry in entries {
            match log.insert_bytes(entry.as_ref()) {
                Inserted::Applied => {}
                Inserted::Waiting => return Err(LogError::Parents),
                Inserted::Duplicate => return Err(LogError::Duplicate),
                Inserted::Refused(reason) => return Err(reason.into()),
            }
        }
        Ok(log)
    }

    /// The places of its parents, if all are here.
    fn parents_of(&self, entry: &Entry) -> Option<Vec<usize>> {
        entry.body().parents.iter().map(|hash| self.places.get(hash).copied()).collect()
    }

    fn apply(&mut self, entry: Entry, parents: Vec<usize>) -> Result<(), EntryRefused> {
        if self.nodes.len() >= LOG_ENTRIES {
            return Err(EntryRefused::Full);
        }
        let mut ancestors = Places::default();
        for parent in &parents {
            ancestors.extend(&self.nodes[*parent].ancestors);
            ancestors.insert(*parent);
        }
        if let Author::Installation(signer) = entry.body().author
            && !live(&self.nodes, &ancestors, self.most_live).contains_key(&signer)
        {
            return Err(EntryRefused::NotLive);
        }
        self.places.insert(entry.hash(), self.nodes.len());
        self.nodes.push(Node { entry, parents, ancestors });
        Ok(())
    }

    /// Applies what waited for `hash`, and what waited for that. What is refused is dropped.
    fn apply_waiting(&mut self, hash: EntryHash) {
        let mut applied = vec![hash];
        while let Some(hash) = applied.pop() {
            let children: Vec<_> = self
                .waiting
                .iter()
                .filter(|(_, entry)| entry.body().parents.contains(&hash))
                .filter_map(|(child, entry)| Some((*child, self.parents_of(entry)?)))
                .collect();
            for (child, parents) in children {
                let Some(entry) = self.waiting.remove(&child) else { continue };
                if self.apply(entry, parents).is_ok() {
                    applied.push(child);
                }
            }
        }
    }
}

impl PartialEq for Log {
    /// The same entries; what waits does not count.
    fn eq(&self, other: &Self) -> bool {
        self.account == other.account && self.places.keys().eq(other.places.keys())
    }
}

impl Eq for Log {}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.len();
        write!(f, "Log({}, {} entries, {waiting} waiting)", self.account.short(), self.len())
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
