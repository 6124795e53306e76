//! The own registration record: once in each period, at a random time, whatever happened.

use waku_groupchat_waku::WakuMessage;

use super::records::OutgoingKind;
use super::topics::period;
use super::{Fault, Inner, Tx};
use crate::Timestamp;
use crate::account::{KeyPackages, PARTS, Record, seal_record};
use crate::api::Event;
use crate::limits::RECORD_PERIODS;
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
        let Some(own) = &mut self.account else { return Ok(()) };
        let packages: KeyPackages = own.key_packages.iter().cloned().collect();
        let expiry = tx.now + length * u32::try_from(RECORD_PERIODS).unwrap_or(u32::MAX);
        let record = Record::sign(&own.key(), &log, now, &packages, expiry)
            .map_err(|_| Fault::Bug("the own registration record does not hold"))?;
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let next = Timestamp::from_nanos((now + 1).saturating_mul(nanos));
        own.register_at = next + self.rng.duration_below(length - spread);
        self.save_account(tx)?;
        for (part, due) in (0u8..).zip(due) {
            let kind = OutgoingKind::Registration { period: now, part };
            self.enqueue(tx, kind, record.clone(), due)?;
        }
        Ok(())
    }

    /// Seals one part of a record. The parts of one record fit together whenever each is sealed.
    pub(super) fn seal_part(
        &self,
        record: &[u8],
        period: u64,
        part: u8,
        timestamp: Timestamp,
    ) -> Result<WakuMessage, Fault> {
        let own = self.account.as_ref().ok_or(Fault::Bug("a record without an account"))?;
        let secret = own.registration();
        let mut rng = self.rng.clone();
        let parts = seal_record(&secret, period, record, [timestamp; PARTS], &mut rng)
            .map_err(|_| Fault::Bug("the own registration record does not fit"))?;
        parts.into_iter().nth(usize::from(part)).ok_or(Fault::Bug("a record has four parts"))
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
}
