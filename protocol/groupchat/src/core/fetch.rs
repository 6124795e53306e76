//! Questions to archives, their answers, and the time that this node was not there.
//!
//! The own archive is asked by topic, since nobody else sees that; store peers are asked by
//! aligned ranges of time of the whole shard, which names no group.

use super::records::{key, write};
use waku_groupchat_waku::ContentTopic;

use super::search::Search;
use super::{Fault, Inner, Tx};
use crate::api::{FetchId, FetchRequest, FetchResult, FetchSource, FetchWhat, Output};
use crate::limits::{FETCH_ALIGN, TIMESTAMP_JITTER, TIMESTAMP_STEP};
use crate::mls::StateId;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// What a fetch that is under way is for.
#[derive(Clone, Debug)]
pub(super) enum Fetching {
    /// Which queue entries a Store holds.
    Confirm { entries: Vec<u64> },
    /// Everything up to this time.
    CatchUp { to: Timestamp },
    /// Messages of one group that are missing.
    Gaps { group: GroupId, gaps: Vec<(InstallationId, u64)>, own: bool },
    /// The registration records of accounts that are to be invited, from a place on.
    Records { group: GroupId, accounts: Vec<AccountId>, from: usize, search: Search },
    /// The recovery records of the account that is recovered.
    Recovery,
    /// What of a state of a group came before the state was known here.
    Replay,
    /// The shared part of an invitation.
    Shared { topic: ContentTopic, own: bool, at: Timestamp },
}

impl Inner {
    /// Asks. The range is widened to whole multiples of the alignment, and by what Waku
    /// timestamps may differ from the time of sending.
    pub(super) fn fetch(
        &mut self,
        tx: &mut Tx<'_>,
        what_for: Fetching,
        source: FetchSource,
        what: FetchWhat,
        from: Timestamp,
        to: Timestamp,
    ) {
        let id = FetchId(self.next_id());
        let slack = TIMESTAMP_JITTER + TIMESTAMP_STEP;
        let request =
            FetchRequest { source, what, from: align_down(from - slack), to: align_up(to + slack) };
        self.fetches.insert(id, (tx.now, what_for));
        tx.outputs.push(Output::Fetch(id, request));
    }

    /// What became of a fetch.
    pub(super) fn fetched(
        &mut self,
        tx: &mut Tx<'_>,
        id: FetchId,
        result: FetchResult,
    ) -> Result<(), Fault> {
        let Some((_, what_for)) = self.fetches.remove(&id) else { return Ok(()) };
        match what_for {
            Fetching::Confirm { entries } => self.confirmed(tx, &entries, &result),
            Fetching::CatchUp { to } => self.caught_up(tx, to, &result),
            Fetching::Gaps { group, gaps, own } => self.gaps_fetched(tx, group, gaps, own, &result),
            Fetching::Records { group, accounts, from, search } => {
                self.records_fetched(tx, group, accounts, from, search)
            }
            Fetching::Recovery => self.recovery_fetched(tx, &result),
            Fetching::Replay => Ok(()),
            Fetching::Shared { topic, own, at } => {
                self.shared_fetched(tx, topic, own, at);
                Ok(())
            }
        }
    }

    /// A state of a group is known now: reads what the own archive holds of it since `from`.
    pub(super) fn replay(&mut self, tx: &mut Tx<'_>, id: GroupId, state: StateId, from: Timestamp) {
        let topics = self.state_topics(&id, state, from, tx.now, super::gaps::TOPICS_A_FETCH);
        if !topics.is_empty() {
            let own = FetchSource::OwnArchive(topics);
            self.fetch(tx, Fetching::Replay, own, FetchWhat::Messages, from, tx.now);
        }
    }

    /// Peers came or went.
    pub(super) fn connectivity(
        &mut self,
        tx: &mut Tx<'_>,
        relay_peers: usize,
        store_peers: usize,
    ) -> Result<(), Fault> {
        let more = relay_peers > self.relay_peers || store_peers > self.store_peers;
        let alone_before = self.relay_peers == 0 || self.store_peers == 0;
        let stores_before = self.store_peers;
        self.relay_peers = relay_peers;
        self.store_peers = store_peers;
        if store_peers > 0 && !self.clock.store_seen {
            self.clock.store_seen = true;
            write(tx.overlay, key("clock", &[]), &self.clock)?;
        }
        if more {
            self.hurry_handover(tx.now);
            self.hurry_outgoing(tx);
        }
        if store_peers > stores_before {
            self.hurry_gaps(tx);
            self.hurry_recovery(tx.now);
        }
        if more && alone_before && store_peers > 0 {
            self.catch_up_at = tx.now;
        }
        Ok(())
    }

    pub(super) fn next_catch_up(&self) -> Option<Timestamp> {
        (self.account.is_some() && self.store_peers > 0 && !self.catching_up())
            .then_some(self.catch_up_at)
    }

    fn catching_up(&self) -> bool {
        self.fetches.values().any(|(_, f)| matches!(f, Fetching::CatchUp { .. }))
    }

    /// Asks for everything since the last time, if it is time for that.
    pub(super) fn catch_up_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.next_catch_up().is_some_and(|at| at <= tx.now) {
            self.catch_up_at = tx.now + self.config.catch_up;
            let from = self.clock.caught_up;
            self.fetch(
                tx,
                // what a clock that is ahead takes for the past may be to come
                Fetching::CatchUp { to: tx.now.min(self.peer_clock.by_peers(tx.now)) },
                FetchSource::StorePeers,
                FetchWhat::Messages,
                from,
                tx.now,
            );
        }
        Ok(())
    }

    fn caught_up(
        &mut self,
        tx: &mut Tx<'_>,
        to: Timestamp,
        result: &FetchResult,
    ) -> Result<(), Fault> {
        // one that is empty or lies must not hide what another holds
        let all = result.tried.iter().all(|tried| tried.outcome.is_ok());
        if all && !result.tried.is_empty() {
            self.clock.caught_up = to;
            write(tx.overlay, key("clock", &[]), &self.clock)?;
        } else {
            let soon = tx.now + self.backoff(self.config.gap_retry, 0);
            self.catch_up_at = self.catch_up_at.min(soon);
        }
        Ok(())
    }
}

fn align_down(time: Timestamp) -> Timestamp {
    let step = align();
    Timestamp::from_nanos(time.as_nanos() / step * step)
}

fn align_up(time: Timestamp) -> Timestamp {
    let step = align();
    Timestamp::from_nanos(time.as_nanos().div_ceil(step).saturating_mul(step))
}

fn align() -> u64 {
    u64::try_from(FETCH_ALIGN.as_nanos()).unwrap_or(u64::MAX)
}
