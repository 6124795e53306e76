//! Looking for the newest recovery records, with the phrase.
//!
//! The own archive is asked by topic; then store peers, by time alone, period by period back. A record
//! of the own archive is not enough as long as no Store has answered: it may be an old one.

use waku_groupchat_waku::WakuMessage;

use crate::Timestamp;
use crate::account::{RecoveryAssembler, RecoveryOutcome, recovery_topics};
use crate::api::{Event, FetchResult, FetchSource, FetchWhat, RecoveryFailure, RefusedReason};
use crate::core::fetch::Fetching;
use crate::core::topics::period;
use crate::core::{Fault, Inner, Tx};
use crate::limits::RECORD_PERIODS;

/// How far back store peers are asked at a time: from so many periods ago to so many.
const WINDOWS: [(u64, u64); 4] = [(1, 0), (5, 2), (13, 6), (RECORD_PERIODS, 14)];
/// How often in a row no archive may answer.
const TRIES: u32 = 7;
/// Records that are kept while archives are asked; anybody with the card can seal more of them.
const FOUND: usize = 64;
/// Periods whose records are put together at a time.
const PERIODS: usize = 40;

/// Whom a recovery asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The own archive.
    Own,
    /// Store peers, for one of the [`WINDOWS`].
    Stores(usize),
}

impl Inner {
    /// Asks the archives whose turn it is.
    pub(super) fn ask_for_records(&mut self, tx: &mut Tx<'_>) {
        let Some(recovering) = &self.recovering else { return };
        let length = self.config.registration_period;
        let begin = |back: u64| {
            let number = period(tx.now, length).saturating_sub(back);
            Timestamp::from_nanos(number.saturating_mul(length.as_nanos() as u64))
        };
        let (source, from, to) = match recovering.stage {
            Stage::Own => {
                let newest = period(tx.now, length) + 1;
                let periods = newest.saturating_sub(1 + RECORD_PERIODS)..=newest;
                let topics = periods.rev().flat_map(|p| recovery_topics(&recovering.secret, p));
                let source = FetchSource::OwnArchive(topics.collect());
                (source, begin(RECORD_PERIODS), tx.now)
            }
            Stage::Stores(window) => {
                let (oldest, newest) = WINDOWS[window.min(WINDOWS.len() - 1)];
                let to = (begin(newest) + length).min(tx.now);
                (FetchSource::StorePeers, begin(oldest), to)
            }
        };
        self.fetch(tx, Fetching::Recovery, source, FetchWhat::Messages, from, to);
    }

    /// New store peers: what waits for one is tried again.
    pub(in crate::core) fn hurry_recovery(&mut self, now: Timestamp) {
        if let Some(recovering) = &mut self.recovering {
            recovering.retry = recovering.retry.map(|at| at.min(now));
        }
    }

    /// A part of a record of the account that is recovered.
    pub(in crate::core) fn recovery_part(
        &mut self,
        tx: &mut Tx<'_>,
        number: u64,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let Some(recovering) = &mut self.recovering else { return Ok(()) };
        let (account, secret) = (recovering.account, &recovering.secret);
        let parts = recovering.parts.entry(number);
        let parts = parts.or_insert_with(|| RecoveryAssembler::of(account, secret, number));
        let outcome = parts.push(message, tx.now);
        while recovering.parts.len() > PERIODS {
            recovering.parts.pop_first();
        }
        match outcome {
            RecoveryOutcome::Record(record) if recovering.found.len() < FOUND => {
                if !recovering.found.contains(&record) {
                    recovering.found.push(*record);
                }
                Ok(())
            }
            RecoveryOutcome::Record(_)
            | RecoveryOutcome::RefusedPart(_)
            | RecoveryOutcome::Refused(_) => self.refuse(tx, None, None, RefusedReason::Invalid),
            RecoveryOutcome::NotOurs | RecoveryOutcome::Taken => Ok(()),
        }
    }

    /// Archives answered.
    pub(in crate::core) fn recovery_fetched(
        &mut self,
        tx: &mut Tx<'_>,
        result: &FetchResult,
    ) -> Result<(), Fault> {
        let delay = self.config.gap_retry;
        let Some(recovering) = &mut self.recovering else { return Ok(()) };
        let found = !recovering.found.is_empty();
        match recovering.stage {
            Stage::Own => recovering.stage = Stage::Stores(0),
            Stage::Stores(_) if !result.complete() => {
                recovering.failures += 1;
                if recovering.failures >= TRIES {
                    return self.recovery_failed(tx, RecoveryFailure::Unreachable);
                }
                recovering.retry = Some(tx.now + delay * 2u32.pow(recovering.failures - 1));
                return Ok(());
            }
            Stage::Stores(_) if found => return self.speak_as_root(tx),
            Stage::Stores(window) if window + 1 < WINDOWS.len() => {
                recovering.failures = 0;
                recovering.stage = Stage::Stores(window + 1);
            }
            Stage::Stores(_) => return self.recovery_failed(tx, RecoveryFailure::NotFound),
        }
        self.ask_for_records(tx);
        Ok(())
    }

    fn recovery_failed(&mut self, tx: &mut Tx<'_>, reason: RecoveryFailure) -> Result<(), Fault> {
        self.recovering = None;
        self.topics.clear();
        self.emit(tx, Event::RecoveryFailed { reason })
    }
}
