//! Accounts that somebody here wants in groups, with those that are to be added still at hand.
//!
//! What was carried out is kept until its commit stands for good, and that may be thousands of
//! accounts: what is done at each step looks at the open ones alone.

use std::collections::{BTreeMap, BTreeSet};

use super::gaps::AWAITED;
use super::records::IntentRecord;
use crate::{AccountId, GroupId, Timestamp};

type Key = (GroupId, AccountId);

const FIRST: AccountId = AccountId::from_bytes([0; 32]);
const LAST: AccountId = AccountId::from_bytes([0xff; 32]);

/// Intents by group and account.
#[derive(Debug, Default)]
pub(super) struct Intents {
    all: BTreeMap<Key, IntentRecord>,
    /// Those that no commit carries out.
    open: BTreeSet<Key>,
}

impl Intents {
    pub(super) fn insert(&mut self, key: Key, intent: IntentRecord) {
        sort(&mut self.open, key, &intent);
        self.all.insert(key, intent);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.all.remove(key);
        self.open.remove(key);
    }

    pub(super) fn get(&self, key: &Key) -> Option<&IntentRecord> {
        self.all.get(key)
    }

    /// Changes one, if it is there; gives it back as it is then.
    pub(super) fn change(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut IntentRecord),
    ) -> Option<&IntentRecord> {
        let intent = self.all.get_mut(key)?;
        change(intent);
        sort(&mut self.open, *key, intent);
        Some(intent)
    }

    /// Nothing is tried again later than at this time.
    pub(super) fn hurry(&mut self, most: Timestamp) {
        for intent in self.all.values_mut() {
            intent.due = if intent.due == AWAITED { AWAITED } else { intent.due.min(most) };
            intent.retry = intent.retry.min(most);
        }
    }

    /// Those for an account in any of these groups.
    pub(super) fn for_account(
        &self,
        account: AccountId,
        groups: impl Iterator<Item = GroupId>,
    ) -> impl Iterator<Item = (GroupId, &IntentRecord)> {
        groups.filter_map(move |group| Some((group, self.all.get(&(group, account))?)))
    }

    /// All of a group, also those that are carried out.
    pub(super) fn of(&self, group: GroupId) -> impl Iterator<Item = (AccountId, &IntentRecord)> {
        self.all.range((group, FIRST)..=(group, LAST)).map(|((_, account), i)| (*account, i))
    }

    /// Those that no commit carries out, by group.
    pub(super) fn open(&self) -> impl Iterator<Item = (&Key, &IntentRecord)> {
        self.open.iter().filter_map(|key| self.all.get_key_value(key))
    }

    /// Those of a group that no commit carries out.
    pub(super) fn open_of(
        &self,
        group: GroupId,
    ) -> impl Iterator<Item = (AccountId, &IntentRecord)> {
        let open = self.open.range((group, FIRST)..=(group, LAST));
        open.filter_map(|key| Some((key.1, self.all.get(key)?)))
    }
}

fn sort(open: &mut BTreeSet<Key>, key: Key, intent: &IntentRecord) {
    match intent.done {
        None => open.insert(key),
        Some(_) => open.remove(&key),
    };
}
