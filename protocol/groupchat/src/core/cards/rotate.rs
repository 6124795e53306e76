//! The own card changes.

use std::time::Duration;

use super::FormerSecret;
use crate::Timestamp;
use crate::account::{EntryKind, Log, RegistrationSecret};
use crate::api::{Answer, Event};
use crate::core::records::{OutgoingKind, Secret32};
use crate::core::topics::period;
use crate::core::{Fault, Inner, Stop, Tx};
use crate::limits::{FORMER_CARD_AGE, FORMER_CARDS};

/// Who put somebody out changes the card within this time of that;
const OWN_WITHIN: Duration = Duration::from_secs(5);
/// others after this, if it did not,
const OTHERS_AFTER: Duration = Duration::from_secs(120);
/// and within this.
const OTHERS_WITHIN: Duration = Duration::from_secs(120);
/// As long as who was put out may still read what is said, it is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Inner {
    /// Changes the own card, at somebody's wish.
    pub(in crate::core) fn rotate_card(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        self.own()?;
        self.is_the_only_one()?;
        self.rotate(tx)?;
        let card = self.own()?.card();
        Ok(Answer::CardRotated { card })
    }

    fn rotate(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let secret = RegistrationSecret::generate(&mut self.rng.clone());
        let commitment = secret.commitment();
        self.say_of_account(tx, EntryKind::RotateCard { commitment })?;
        self.new_secret(tx, &secret, self.config.installation_delay, Duration::ZERO)?;
        self.cards.rotate_at = None;
        self.cards.tell_own = Some(tx.now);
        self.cards.save(tx)
    }

    /// Another secret counts. Contacts are told after `after`, within `within`, each group at a random
    /// time of its own.
    pub(in crate::core) fn new_secret(
        &mut self,
        tx: &mut Tx<'_>,
        new: &RegistrationSecret,
        within: Duration,
        after: Duration,
    ) -> Result<(), Fault> {
        let Some(own) = &mut self.account else { return Ok(()) };
        let account = own.account;
        let secret = std::mem::replace(&mut own.registration_secret, Secret32(*new.as_bytes()));
        self.save_account(tx)?;
        self.topics.clear();
        self.own_records.clear();
        self.keep_former(tx, secret)?;
        let groups = self.groups.iter().filter(|(id, g)| g.stays() && !self.is_own_group(id));
        for id in groups.map(|(id, _)| *id).collect::<Vec<_>>() {
            let due = tx.now + after + self.rng.duration_below(within);
            self.cards.tell.insert(id, due);
        }
        self.cards.save(tx)?;
        self.emit(tx, Event::CardChanged { account })
    }

    /// Keeps a registration secret that was replaced.
    pub(in crate::core) fn keep_former(
        &mut self,
        tx: &Tx<'_>,
        secret: Secret32,
    ) -> Result<(), Fault> {
        let running = period(tx.now, self.config.registration_period);
        let registered = self.account.as_ref().is_some_and(|own| own.registered >= Some(running));
        let is_its = |kind: &OutgoingKind| matches!(kind, OutgoingKind::Registration { period, .. } if *period == running);
        let begun = registered || self.outgoing.any_unsent(is_its);
        let former = &mut self.cards.former;
        former.retain(|old| tx.now.since(old.replaced) <= FORMER_CARD_AGE);
        let until = running + u64::from(begun);
        former.push(FormerSecret { secret, replaced: tx.now, until });
        let over = former.len().saturating_sub(FORMER_CARDS);
        former.drain(..over);
        self.cards.save(tx)
    }

    /// The secret that seals the record of a period: all of its parts by the same one.
    pub(in crate::core) fn secret_of_period(&self, number: u64) -> Option<RegistrationSecret> {
        let former = self.cards.former.iter().find(|former| number < former.until);
        match former {
            Some(former) => Some(RegistrationSecret::from_bytes(former.secret.0)),
            None => self.account.as_ref().map(|own| own.registration()),
        }
    }

    /// The own log has changed: whether somebody was put out since the card did.
    pub(in crate::core) fn plan_rotation(&mut self, log: &Log, now: Timestamp) {
        let due = log.revoked_since_card().filter(|_| self.is_live());
        self.cards.rotate_at = due.map(|by| {
            let own = self.account.as_ref().is_some_and(|own| by == Some(own.installation));
            let wait = match own {
                true => self.rng.duration_below(OWN_WITHIN),
                false => OTHERS_AFTER + self.rng.duration_below(OTHERS_WITHIN),
            };
            self.cards.rotate_at.map_or(now + wait, |at| at.min(now + wait))
        });
    }

    pub(in crate::core) fn next_card(&self) -> Option<Timestamp> {
        self.cards.next().filter(|_| self.account.is_some() && self.is_live())
    }

    /// Changes the card and tells of it, where it is time to.
    pub(in crate::core) fn cards_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.next_card().is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        if self.cards.rotate_at.is_some_and(|at| at <= tx.now) {
            match self.is_among_own() && self.copied.is_none() {
                true => self.rotate(tx)?,
                false => self.cards.rotate_at = Some(tx.now + LOOK_AGAIN),
            }
        }
        if self.cards.tell_own.is_some_and(|at| at <= tx.now) {
            let clean = self.is_among_own();
            self.cards.tell_own = (!clean).then_some(tx.now + LOOK_AGAIN);
            self.cards.save(tx)?;
            if clean {
                self.tell_log(tx)?;
            }
        }
        self.tell_contacts(tx)
    }

    /// Whether all in the own group are live in the account: only then it is told secrets.
    pub(in crate::core) fn is_among_own(&self) -> bool {
        let live = self.own_live();
        let group = self.own_group().and_then(|id| self.groups.get(&id));
        group.is_none_or(|group| group.members().iter().all(|(i, _)| live.contains(i)))
    }
}
