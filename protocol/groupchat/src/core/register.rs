//! The own registration record: once in each period, at a random time, whatever happened.
//!
//! Each installation can publish it. When the record leaves, and in which order the installations
//! would publish it, all of them derive from the registration secret and the period; so the time is
//! random for everybody else, and the same however many installations there are. The first in the
//! order publishes; each of the others waits for its own turn, and stays silent once it hears the
//! record of the period, whoever made it.
//!
//! The order is of those who are live when the period begins. What changes later in the period
//! changes no turn: whoever heard of it would have another turn than those who did not yet, and it
//! could be the same as theirs.

use std::time::Duration;

use waku_groupchat_waku::WakuMessage;

use super::records::OutgoingKind;
use super::topics::period;
use super::{Fault, Inner, Tx};
use crate::account::{
    KeyPackages, PARTS, Record, RecordAssembler, RecordError, RecordOutcome, RecoveryAssembler,
    RecoveryOutcome, RegistrationSecret, seal_record,
};
use crate::api::Event;
use crate::kdf::{derive, label};
use crate::limits::{RECORD_PERIODS, RECORD_SPREAD, RECORD_TURN, RECORD_WITHIN};
use crate::{InstallationId, Timestamp};

/// Periods whose records are put together at a time.
const PERIODS: usize = 3;

impl Inner {
    pub(super) fn next_registration(&self) -> Option<Timestamp> {
        self.account.as_ref().filter(|_| self.is_live()).map(|a| a.register_at)
    }

    /// When a period begins.
    pub(super) fn period_begin(&self, number: u64) -> Timestamp {
        let length = self.config.registration_period;
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos(number.saturating_mul(nanos))
    }

    /// When it is this installation's turn to publish the record of a period.
    fn registration_turn(&self, number: u64) -> Timestamp {
        let length = self.config.registration_period;
        let begin = self.period_begin(number);
        let Some(own) = &self.account else { return begin };
        let secret = own.registration();
        let drawn = drawn(&secret, label::REGISTRATION_TIME, &number.to_be_bytes());
        let first = u64::try_from((length / RECORD_WITHIN).as_nanos()).unwrap_or(u64::MAX).max(1);
        let order = |id: &InstallationId| {
            let context = [&number.to_be_bytes(), id.as_bytes().as_slice()].concat();
            u64::from_be_bytes(drawn_bytes(&secret, label::REGISTRATION_ORDER, &context))
        };
        let mine = order(&own.installation);
        let before = self.own_live().iter().filter(|id| order(id) < mine).count();
        let turns = u32::try_from(before).unwrap_or(u32::MAX);
        begin + Duration::from_nanos(drawn % first) + (length / RECORD_TURN).saturating_mul(turns)
    }

    /// The period after this one is the next that this installation has to do with.
    pub(super) fn register_next(&mut self, now: Timestamp) {
        let next = self.period_begin(period(now, self.config.registration_period) + 1);
        self.register_at(next, false);
    }

    fn register_at(&mut self, at: Timestamp, turn_known: bool) {
        if let Some(own) = &mut self.account {
            own.register_at = at;
            own.turn_known = turn_known;
        }
    }

    /// Queues the record of the running period, if it is time for it and nobody else did.
    pub(super) fn registration_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let Some(at) = self.next_registration().filter(|at| *at <= tx.now) else { return Ok(()) };
        let Some(own) = &self.account else { return Ok(()) };
        let length = self.config.registration_period;
        let number = period(tx.now, length);
        if own.registered >= Some(number) {
            self.register_next(tx.now);
            return self.save_account(tx);
        }
        let late = |at: Timestamp| tx.now.since(at) > length / RECORD_TURN;
        let over = late(at) && period(at, length) != number;
        let turn = if own.turn_known && !over { at } else { self.registration_turn(number) };
        let alone = self.own_live().len() < 2;
        if turn > tx.now {
            self.register_at(turn, true);
            return self.save_account(tx);
        }
        if late(turn) && !alone {
            // it was asleep: another one's record may be on its way here
            let wait = self.rng.duration_below(length / RECORD_TURN);
            self.register_at(tx.now + wait, true);
            return self.save_account(tx);
        }
        self.register_next(tx.now);
        self.save_account(tx)?;
        self.ensure_own_group(tx)?;
        self.publish_record(tx, number)
    }

    fn publish_record(&mut self, tx: &mut Tx<'_>, number: u64) -> Result<(), Fault> {
        let length = self.config.registration_period;
        let log = self.own_log()?;
        let spread = (length / RECORD_SPREAD).min(self.config.registration_delay);
        let due: [Timestamp; PARTS] =
            std::array::from_fn(|_| tx.now + self.rng.duration_below(spread));
        let Some(own) = &self.account else { return Ok(()) };
        let packages: KeyPackages = own.key_packages.iter().cloned().collect();
        let expiry = tx.now + length * u32::try_from(RECORD_PERIODS).unwrap_or(u32::MAX);
        let signed = Record::sign(&own.key(), &log, number, &packages, expiry);
        let Some(record) = if_it_fits(signed)? else { return Ok(()) };
        for (part, due) in (0u8..).zip(due) {
            let kind = OutgoingKind::Registration { period: number, part };
            self.enqueue(tx, kind, record.clone(), due)?;
        }
        let due = std::array::from_fn(|_| tx.now + self.rng.duration_below(spread));
        self.publish_recovery(tx, number, expiry, due)
    }

    /// A part of the own account's record, from another of its installations.
    pub(super) fn own_record_part(
        &mut self,
        tx: &mut Tx<'_>,
        number: u64,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let (card, this) = (own.card(), own.installation);
        let parts =
            self.own_records.entry(number).or_insert_with(|| RecordAssembler::new(&card, number));
        let outcome = parts.push(message, None, tx.now);
        while self.own_records.len() > PERIODS {
            self.own_records.pop_first();
        }
        match outcome {
            RecordOutcome::Record(record) if record.installation != this => {
                self.record_heard(tx, &record)
            }
            // who holds the card can send anything here
            _ => Ok(()),
        }
    }

    /// A part of the own account's recovery record, from another of its installations. Its topics stay
    /// the same when the registration secret changes: so who was put out by the phrase, and shares no
    /// group, learns of it.
    pub(super) fn own_recovery_part(
        &mut self,
        tx: &mut Tx<'_>,
        number: u64,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let (card, this) = (own.card(), own.installation);
        let parts = self.own_recoveries.entry(number);
        let parts = parts.or_insert_with(|| RecoveryAssembler::new(&card, number));
        let outcome = parts.push(message, tx.now);
        while self.own_recoveries.len() > PERIODS {
            self.own_recoveries.pop_first();
        }
        match outcome {
            RecoveryOutcome::Record(record) if record.installation != this => {
                self.learn(tx, &record.log.encoded_entries())
            }
            // who holds the card can send anything here
            _ => Ok(()),
        }
    }

    /// Another installation has published.
    fn record_heard(&mut self, tx: &mut Tx<'_>, record: &Record) -> Result<(), Fault> {
        self.learn(tx, &record.log.encoded_entries())?;
        let live = self.own_live();
        if !live.contains(&record.installation) {
            return Ok(());
        }
        let Some(own) = &mut self.account else { return Ok(()) };
        let known: Vec<InstallationId> = own.key_packages.iter().map(|(i, _)| *i).collect();
        let new =
            record.key_packages.iter().filter(|(i, _)| live.contains(i) && !known.contains(i));
        own.key_packages.extend(new.map(|(i, package)| (*i, package.clone())));
        self.save_account(tx)?;
        self.registered(tx, record.day)?;
        self.spread(tx)
    }

    /// Seals one part of a record. The parts of one record fit together whenever each is sealed.
    pub(super) fn seal_part(
        &self,
        record: &[u8],
        period: u64,
        part: u8,
        timestamp: Timestamp,
    ) -> Result<WakuMessage, Fault> {
        let secret = self.secret_of_period(period);
        let secret = secret.ok_or(Fault::Bug("a record without an account"))?;
        let mut rng = self.rng.clone();
        let parts = seal_record(&secret, period, record, [timestamp; PARTS], &mut rng)
            .map_err(|_| Fault::Bug("the own registration record does not fit"))?;
        parts.into_iter().nth(usize::from(part)).ok_or(Fault::Bug("a record has four parts"))
    }

    /// The record of a period is out.
    pub(super) fn registered(&mut self, tx: &mut Tx<'_>, number: u64) -> Result<(), Fault> {
        let Some(own) = &mut self.account else { return Ok(()) };
        if own.registered >= Some(number) {
            return Ok(());
        }
        own.registered = Some(number);
        let account = own.account;
        self.save_account(tx)?;
        self.emit(tx, Event::Registered { account, day: number })?;
        // the next one has another key package
        self.plan_new_package(tx, number)
    }
}

/// An own record that was signed. None where the account's log fits no record, which is said: a
/// thief can fill the log, and that must not stop the installation.
pub(super) fn if_it_fits<T>(signed: Result<T, RecordError>) -> Result<Option<T>, Fault> {
    match signed {
        Ok(signed) => Ok(Some(signed)),
        Err(RecordError::TooLarge(bytes)) => {
            tracing::error!(bytes, "the account's log fits no record: none is published");
            Ok(None)
        }
        Err(_) => Err(Fault::Bug("an own record does not hold")),
    }
}

fn drawn(secret: &RegistrationSecret, label: crate::kdf::Label, context: &[u8]) -> u64 {
    u64::from_be_bytes(drawn_bytes(secret, label, context))
}

fn drawn_bytes(secret: &RegistrationSecret, label: crate::kdf::Label, context: &[u8]) -> [u8; 8] {
    *derive::<8>(secret.as_bytes(), label, context)
}
