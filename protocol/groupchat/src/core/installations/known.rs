//! What is known of accounts' logs beyond what each group attached.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::account::{Ended, Entry, EntryKind, Log};
use crate::api::Event;
use crate::core::group::Group;
use crate::core::records::{Change, key, write};
use crate::core::{Fault, Inner, Tx};
use crate::limits::DEPARTED_KEPT;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// The account's own installations take a departed one out within this time; who put it out, at once.
const OWN_WITHIN: Duration = Duration::from_secs(30);
/// Others leave it to them for this long,
const OTHERS_AFTER: Duration = Duration::from_secs(60);
/// and then wait for a random part of this,
const OTHERS_WITHIN: Duration = Duration::from_secs(120);
/// and of this much more for each member.
const SPREAD_A_MEMBER: Duration = Duration::from_millis(500);

/// Logs of accounts of which somebody departed, as far as they are known here.
#[derive(Debug, Default)]
pub(in crate::core) struct Known {
    logs: BTreeMap<AccountId, Log>,
    /// Who is live in the own account and in those of `logs`.
    live: BTreeMap<AccountId, BTreeSet<InstallationId>>,
    /// This installation has left its account by itself.
    pub(in crate::core) left: bool,
}

impl Known {
    pub(in crate::core) fn insert(&mut self, log: Log) {
        self.see(&log);
        self.logs.insert(log.account(), log);
    }

    fn see(&mut self, log: &Log) {
        self.live.insert(log.account(), log.live().into_keys().collect());
    }

    /// Encoded entries of an account that prove who departed.
    pub(in crate::core) fn entries(&self, account: &AccountId) -> Vec<Vec<u8>> {
        self.logs.get(account).map(Log::encoded_entries).unwrap_or_default()
    }

    /// Who is live in an account whose log is kept here.
    pub(in crate::core) fn live_of(
        &self,
        account: &AccountId,
    ) -> Option<&BTreeSet<InstallationId>> {
        self.live.get(account)
    }

    /// Whether an installation is known not to be live.
    fn lacks(&self, account: &AccountId, installation: &InstallationId) -> bool {
        self.live.get(account).is_some_and(|live| !live.contains(installation))
    }
}

impl Inner {
    /// Whether this installation is live in its account, as far as is known here.
    pub(in crate::core) fn is_live(&self) -> bool {
        self.account.as_ref().is_none_or(|own| !self.known.lacks(&own.account, &own.installation))
    }

    pub(in crate::core) fn see_own_log(&mut self, log: &Log, now: Timestamp) {
        self.known.see(log);
        self.shared.see(log);
        let own = self.account.as_ref().map(|own| own.installation);
        let ended = own.and_then(|own| log.history().get(&own)?.ended);
        self.known.left = matches!(ended, Some((Ended::Removed, _)));
        self.plan_rotation(log, now);
    }

    /// To be called once after everything was read.
    pub(in crate::core) fn index_departed(&mut self, now: Timestamp) -> Result<(), Fault> {
        if self.account.is_some() {
            let log = self.own_log()?;
            self.see_own_log(&log, now);
        }
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in groups {
            self.find_departed(id);
        }
        Ok(())
    }

    /// Takes in entries that came with something that was found good. Each proves itself.
    pub(in crate::core) fn learn<'e>(
        &mut self,
        tx: &mut Tx<'_>,
        entries: impl IntoIterator<Item = &'e Vec<u8>>,
    ) -> Result<(), Fault> {
        let own = self.account.as_ref().map(|own| own.account);
        let mut by_account: BTreeMap<AccountId, (bool, Vec<Entry>)> = BTreeMap::new();
        for entry in entries.into_iter().filter_map(|bytes| Entry::decode(bytes).ok()) {
            let account = entry.body().account;
            let ends =
                !matches!(entry.body().kind, EntryKind::Create { .. } | EntryKind::Add { .. });
            let (counts, list) = by_account.entry(account).or_default();
            *counts |= ends || own == Some(account) || self.known.logs.contains_key(&account);
            list.push(entry);
        }
        for (account, (counts, entries)) in by_account {
            if counts && own == Some(account) {
                self.learn_own(tx, entries)?;
            } else if counts {
                self.learn_of(tx, account, entries)?;
            }
        }
        Ok(())
    }

    /// Entries of another account, by which somebody of it may have departed: from now on its log
    /// is kept, whichever branch of whichever group the entries came on.
    fn learn_of(
        &mut self,
        tx: &mut Tx<'_>,
        account: AccountId,
        entries: Vec<Entry>,
    ) -> Result<(), Fault> {
        let known = self.known.logs.contains_key(&account);
        let mut log = self.whole_log(account);
        let before = log.len();
        for entry in entries {
            log.insert(entry);
        }
        if known && log.len() == before {
            return Ok(());
        }
        if !known && self.known.logs.len() >= DEPARTED_KEPT {
            tracing::warn!(account = %account.short(), "too many accounts with departed installations");
            return Ok(());
        }
        write(tx.overlay, key("known/", &[account.as_bytes()]), &log.encoded_entries())?;
        self.known.insert(log);
        self.mind_all_departed(tx)
    }

    /// Entries of the own account.
    pub(in crate::core) fn learn_own(
        &mut self,
        tx: &mut Tx<'_>,
        entries: Vec<Entry>,
    ) -> Result<(), Fault> {
        let mut log = self.own_log()?;
        let before = log.len();
        for entry in entries {
            log.insert(entry);
        }
        if log.len() == before {
            return Ok(());
        }
        self.take_own_log(tx, &log)
    }

    /// The own log has grown.
    pub(in crate::core) fn take_own_log(
        &mut self,
        tx: &mut Tx<'_>,
        log: &Log,
    ) -> Result<(), Fault> {
        let was_live = self.is_live();
        let Some(own) = &mut self.account else { return Ok(()) };
        own.log = log.encoded_entries();
        let (account, installation) = (own.account, own.installation);
        self.save_account(tx)?;
        self.see_own_log(log, tx.now);
        self.mind_all_departed(tx)?;
        if was_live && !self.is_live() {
            return self.emit(tx, Event::InstallationEnded { account, installation });
        }
        self.spread(tx)
    }

    /// An account's log as far as it is known here: from the groups, and beyond.
    pub(in crate::core) fn whole_log(&self, account: AccountId) -> Log {
        let own = self.account.as_ref().filter(|own| own.account == account);
        let mut log = match (own, self.known.logs.get(&account)) {
            (Some(_), _) => self.own_log().unwrap_or_else(|_| Log::new(account)),
            (None, Some(known)) => known.clone(),
            (None, None) => Log::new(account),
        };
        for line in self.groups.values().filter_map(|group| group.line.as_ref()) {
            log.union(&line.log.log(account));
        }
        log
    }

    fn mind_all_departed(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        groups.into_iter().try_for_each(|id| self.mind_departed(tx, id))
    }

    /// Notes who of a group's people is not live any more; who that is, newly.
    fn find_departed(&mut self, id: GroupId) -> Vec<(InstallationId, AccountId)> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let this = self.account.as_ref().map(|own| own.installation);
        let lacking = group.everybody().filter(|(i, account)| {
            self.known.lacks(account, i) && !group.departed.contains(i) && Some(*i) != this
        });
        // a group may have entries that are not known beyond it
        let lacking: BTreeSet<_> = lacking.collect();
        let is_gone =
            |(i, account): &(InstallationId, AccountId)| !self.whole_log(*account).is_live(i);
        let new: Vec<_> = lacking.into_iter().filter(is_gone).collect();
        if let Some(group) = self.groups.get_mut(&id) {
            group.departed.extend(new.iter().map(|(i, _)| *i));
        }
        new
    }

    /// Whether somebody who says something in a group departed.
    pub(in crate::core) fn is_departed(
        &mut self,
        id: GroupId,
        (installation, account): (InstallationId, AccountId),
    ) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        if group.departed.contains(&installation) {
            return true;
        }
        // it may have been taken out before it ever wrote here
        let gone = self.known.lacks(&account, &installation)
            && !self.whole_log(account).is_live(&installation);
        if gone && let Some(group) = self.groups.get_mut(&id) {
            group.departed.insert(installation);
        }
        gone
    }

    /// Sees to it that who departed is refused and taken out. To be called when a group's members
    /// change, too.
    pub(in crate::core) fn mind_departed(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<(), Fault> {
        if self.known.live.is_empty() {
            return Ok(());
        }
        for (installation, account) in self.find_departed(id) {
            self.drop_gaps(tx, id, installation);
            let told = |(other, group): (&GroupId, &Group)| {
                *other != id && group.departed.contains(&installation)
            };
            if !self.groups.iter().any(told) {
                self.emit(tx, Event::InstallationEnded { account, installation })?;
            }
        }
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let inside = group.open_tip().is_some();
        if group.departed.is_empty() || !inside || !self.is_live() {
            return Ok(());
        }
        let own = self.account.as_ref().map(|own| (own.installation, own.account));
        let asked = |i: &InstallationId| {
            let is_it =
                |c: &Change| matches!(c, Change::Remove { installation } if installation == i);
            group.changes.values().any(|c| c.done.is_none() && is_it(&c.change))
        };
        let members = group.size();
        let out: Vec<_> = group
            .members()
            .into_iter()
            .filter(|(i, _)| group.departed.contains(i) && !asked(i))
            .collect();
        for (installation, account) in out {
            let wait = match own {
                Some((_, own)) if own == account => self.rng.duration_below(OWN_WITHIN),
                _ => {
                    let within = OTHERS_WITHIN + SPREAD_A_MEMBER * members;
                    OTHERS_AFTER + self.rng.duration_below(within)
                }
            };
            self.keep_change(tx, id, Change::Remove { installation }, tx.now + wait)?;
        }
        Ok(())
    }

    /// What has to be attached where a departed installation is taken out.
    pub(in crate::core) fn proof_of_departed(
        &self,
        id: GroupId,
        removes: &[InstallationId],
    ) -> Vec<Vec<u8>> {
        let Some(group) = self.groups.get(&id) else { return Vec::new() };
        let departed = removes.iter().filter(|i| group.departed.contains(i));
        let accounts: BTreeSet<AccountId> = departed.filter_map(|i| group.account_of(i)).collect();
        let own = self.account.as_ref();
        let entries = |account: &AccountId| match own {
            Some(own) if own.account == *account => own.log.clone(),
            _ => self.known.entries(account),
        };
        accounts.iter().flat_map(entries).collect()
    }

    /// What a departed installation said and did not come is not missed.
    fn drop_gaps(&mut self, tx: &Tx<'_>, id: GroupId, installation: InstallationId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let of = (installation, 0)..=(installation, u64::MAX);
        let gaps: Vec<u64> = group.gaps.range(of).map(|((_, number), _)| *number).collect();
        for number in gaps {
            group.gaps.remove(&(installation, number));
            tx.overlay.delete(crate::core::gaps::gap_key(id, installation, number));
        }
    }
}
