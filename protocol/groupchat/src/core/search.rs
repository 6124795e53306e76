//! Looking for the registration records of those who are to be invited.
//!
//! The own archive is asked by topic, for some accounts at a time: for records of the last days
//! first, then, where there are none, for all that may still be used. Store peers are asked once, by
//! time alone and for all accounts together. What they do not have comes with what is filled of the
//! shard anyway, or with the next period.

use super::fetch::Fetching;
use super::invite::intent_key;
use super::records::write;
use super::topics::period;
use super::{Fault, Inner, Tx};
use crate::account::{record_topics, recovery_topics};
use crate::api::{FetchSource, FetchWhat};
use crate::limits::RECORD_PERIODS;
use crate::{AccountId, GroupId};

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The own archive, for records of this period and the one before.
    Recent,
    /// The own archive, for all that may still be used.
    All,
    /// Store peers, for records of this period and the one before.
    Stores,
}

impl Search {
    /// Periods before this one that are asked for.
    fn back(self) -> u64 {
        match self {
            Self::Recent | Self::Stores => 1,
            Self::All => RECORD_PERIODS,
        }
    }

    /// Accounts that are asked for at a time, so that one question names few hundred topics.
    fn at_a_time(self) -> usize {
        match self {
            Self::Recent => 20,
            Self::All => 4,
            Self::Stores => usize::MAX,
        }
    }

    /// What follows for an account that was not found, whose records were asked for so often before.
    fn next(self, asked: u32) -> Option<Self> {
        match self {
            Self::Recent => Some(Self::All),
            Self::All if asked == 0 => Some(Self::Stores),
            Self::All | Self::Stores => None,
        }
    }
}

impl Inner {
    /// Asks for the records of accounts, from place `from` on.
    pub(super) fn search(
        &mut self,
        tx: &mut Tx<'_>,
        group: GroupId,
        accounts: Vec<AccountId>,
        from: usize,
        search: Search,
    ) {
        let length = self.config.registration_period;
        let source = match search {
            Search::Stores => FetchSource::StorePeers,
            Search::Recent | Search::All => {
                let newest = period(tx.now, length) + 1;
                let oldest = newest.saturating_sub(1 + search.back());
                let asked = accounts.iter().skip(from).take(search.at_a_time());
                let intents = asked.filter_map(|account| self.intents.get(&(group, *account)));
                // the recovery records say whether the card still counts
                let topics = intents.map(|intent| intent.card.card()).flat_map(|card| {
                    (oldest..=newest).rev().flat_map(move |p| {
                        let mut topics = record_topics(&card.registration, p).to_vec();
                        if search == Search::Recent {
                            topics.extend(recovery_topics(&card.recovery, p));
                        }
                        topics
                    })
                });
                FetchSource::OwnArchive(topics.collect())
            }
        };
        let since = tx.now - length * (1 + search.back() as u32);
        let what_for = Fetching::Records { group, accounts, from, search };
        self.fetch(tx, what_for, source, FetchWhat::Messages, since, tx.now);
    }

    /// Archives answered.
    pub(super) fn records_fetched(
        &mut self,
        tx: &mut Tx<'_>,
        group: GroupId,
        accounts: Vec<AccountId>,
        from: usize,
        search: Search,
    ) -> Result<(), Fault> {
        let next = from.saturating_add(search.at_a_time());
        if next < accounts.len() {
            self.search(tx, group, accounts, next, search);
            return Ok(());
        }
        let mut missing = Vec::new();
        for account in accounts {
            let Some(intent) = self.intents.get(&(group, account)) else { continue };
            match search.next(intent.asked) {
                Some(next) if intent.found.is_none() => missing.push((account, next)),
                _ => self.search_ended(tx, group, account)?,
            }
        }
        for stage in [Search::All, Search::Stores] {
            let of_stage = missing.iter().filter(|(_, next)| *next == stage);
            let accounts: Vec<AccountId> = of_stage.map(|(account, _)| *account).collect();
            if !accounts.is_empty() {
                self.search(tx, group, accounts, 0, stage);
            }
        }
        Ok(())
    }

    fn search_ended(
        &mut self,
        tx: &Tx<'_>,
        group: GroupId,
        account: AccountId,
    ) -> Result<(), Fault> {
        let key = (group, account);
        let Some(asked) = self.intents.get(&key).map(|intent| intent.asked) else { return Ok(()) };
        let delay = self.backoff(self.config.gap_retry, asked);
        let changed = self.intents.change(&key, |intent| {
            intent.asked = asked.saturating_add(1);
            intent.due = if intent.found.is_some() { tx.now } else { tx.now + delay };
        });
        if let Some(intent) = changed {
            write(tx.overlay, intent_key(group, account), intent)?;
        }
        Ok(())
    }
}
