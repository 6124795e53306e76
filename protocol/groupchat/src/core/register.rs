//! The own registration record: once in each period, at a random time, whatever happened.

use super::records::{OutgoingKind, key};
use super::topics::period;
use super::{Fault, Inner, Tx};
use crate::Timestamp;
use crate::account::{KeyPackages, PARTS, Record, seal_record};
use crate::api::Event;
use crate::limits::{RECORD_PERIODS, TIMESTAMP_STEP};
use crate::mls;

/// The parts of a record leave within this part of a period, each at a random time.
const SPREAD: u32 = 48;

impl Inner {
    /// Makes the key package by which this installation is invited, once.
    pub(super) fn new_key_package(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let (installation, signing) = (own.installation, own.key());
        let identity = super::members::identity(own.account, installation);
        let provider = self.global_provider(tx);
        let package = mls::package::create(&provider, &signing, &identity)?;
        if let Some(own) = &mut self.account {
            own.key_packages.retain(|(i, _)| *i != installation);
            own.key_packages.push((installation, package.bytes));
        }
        Ok(())
    }

    pub(super) fn next_registration(&self) -> Option<Timestamp> {
        self.account.as_ref().filter(|a| a.publishes).map(|a| a.register_at)
    }

    /// Queues the record of the running period, if it is time for it.
    pub(super) fn registration_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.next_registration().is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        let length = self.config.registration_period;
        let now = period(tx.now, length);
        let log = self.own_log()?;
        let spread = (length / SPREAD).min(self.config.registration_delay);
        let due: [Timestamp; PARTS] =
            std::array::from_fn(|_| tx.now + self.rng.duration_below(spread));
        let timestamps = due.map(|at| self.waku_time(at));
        let Some(own) = &mut self.account else { return Ok(()) };
        let packages: KeyPackages = own.key_packages.iter().cloned().collect();
        let expiry = tx.now + length * u32::try_from(RECORD_PERIODS).unwrap_or(u32::MAX);
        let record = Record::sign(&own.key(), &log, now, &packages, expiry)
            .map_err(|_| Fault::Bug("the own registration record does not hold"))?;
        let sealed =
            seal_record(&own.registration(), now, &record, timestamps, &mut self.rng.clone())
                .map_err(|_| Fault::Bug("the own registration record does not fit"))?;
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let next = Timestamp::from_nanos((now + 1).saturating_mul(nanos));
        own.register_at = next + self.rng.duration_below(length - spread);
        self.save_account(tx)?;
        for (message, due) in sealed.into_iter().zip(due) {
            self.enqueue(tx, OutgoingKind::Registration { period: now }, message.encode(), due)?;
        }
        Ok(())
    }

    /// Relay peers took a part of the record.
    pub(super) fn registered(&mut self, tx: &mut Tx<'_>, period: u64) -> Result<(), Fault> {
        let Some(own) = &mut self.account else { return Ok(()) };
        if own.registered == Some(period) {
            return Ok(());
        }
        own.registered = Some(period);
        let account = own.account;
        self.save_account(tx)?;
        self.emit(tx, Event::Registered { account, day: period })
    }

    /// Whether a sealed part is too old for archives by now, so that the record must be made anew.
    pub(super) fn is_stale(timestamp: Timestamp, now: Timestamp) -> bool {
        timestamp.distance(now) > TIMESTAMP_STEP * 3
    }

    /// Takes back what is queued of a period's record, and makes it anew soon.
    pub(super) fn register_again(&mut self, tx: &Tx<'_>, period: u64) -> Result<(), Fault> {
        let queued: Vec<u64> = self
            .outgoing
            .iter()
            .filter(
                |(_, o)| matches!(o.kind, OutgoingKind::Registration { period: p } if p == period),
            )
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in queued {
            self.outgoing.remove(&sequence);
            tx.overlay.delete(key("out/", &[&sequence.to_be_bytes()]));
        }
        let soon = tx.now + self.backoff(self.config.publish_retry, 0);
        if let Some(own) = &mut self.account {
            own.register_at = own.register_at.min(soon);
        }
        self.save_account(tx)
    }
}
