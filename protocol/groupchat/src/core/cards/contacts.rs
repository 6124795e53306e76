//! Cards that were given here, and what is heard of their accounts.
//!
//! A card is kept when its account is invited. Its holder listens to the account's recovery records,
//! so it learns who is live, and that the card was replaced, also where no group is shared.

use std::collections::{BTreeMap, HashMap};

use waku_groupchat_waku::{ContentTopic, WakuMessage};

use crate::account::{
    Card, RecoveryAssembler, RecoveryOutcome, RegistrationSecret, recovery_topics,
};
use crate::api::{CommandError, RefusedReason};
use crate::core::invite::intent_key;
use crate::core::records::{CardRecord, Secret32, decode, key, write};
use crate::core::{Fault, Inner, Stop, Tx};
use crate::limits::CONTACTS;
use crate::store::Overlay;
use crate::{AccountId, GroupId};

/// Periods for which their topics are kept at a time.
const PERIODS: usize = 4;
/// Records that are put together at a time.
const ASSEMBLERS: usize = 4096;

/// Cards of others.
#[derive(Debug, Default)]
pub(in crate::core) struct Contacts {
    cards: BTreeMap<AccountId, CardRecord>,
    /// Whose recovery topics of a period are whose.
    topics: BTreeMap<u64, HashMap<ContentTopic, AccountId>>,
    parts: BTreeMap<(u64, AccountId), RecoveryAssembler>,
}

impl Contacts {
    pub(in crate::core) fn load(overlay: &Overlay<'_>) -> Result<Self, Fault> {
        let mut contacts = Self::default();
        for (k, value) in overlay.scan(b"contact/")? {
            let account = k.get(b"contact/".len()..).and_then(AccountId::from_slice);
            let account = account.ok_or(Fault::Bug("a contact's key"))?;
            contacts.cards.insert(account, decode(&value)?);
        }
        Ok(contacts)
    }

    /// The card of an account, as it is known here.
    pub(in crate::core) fn card(&self, account: &AccountId) -> Option<Card> {
        self.cards.get(account).map(CardRecord::card)
    }

    fn keep(&mut self, tx: &Tx<'_>, card: &Card) -> Result<(), Fault> {
        if self.cards.len() >= CONTACTS && !self.cards.contains_key(&card.account) {
            tracing::warn!("as many cards are kept as there can be");
            return Ok(());
        }
        let record = CardRecord::from(card);
        write(tx.overlay, key("contact/", &[card.account.as_bytes()]), &record)?;
        let known = self.cards.insert(card.account, record);
        if known.is_none_or(|known| known.card().recovery != card.recovery) {
            for (period, table) in &mut self.topics {
                let topics = recovery_topics(&card.recovery, *period);
                table.extend(topics.into_iter().map(|topic| (topic, card.account)));
            }
        }
        Ok(())
    }

    /// Whose recovery record of a period this is a part of.
    pub(in crate::core) fn of(&mut self, topic: &ContentTopic, period: u64) -> Option<AccountId> {
        if self.cards.is_empty() {
            return None;
        }
        if !self.topics.contains_key(&period) {
            let cards = self.cards.iter();
            let table = cards.flat_map(|(account, card)| {
                let topics = recovery_topics(&card.card().recovery, period);
                topics.into_iter().map(move |topic| (topic, *account))
            });
            let table = table.collect();
            if self.topics.len() >= PERIODS {
                self.topics.pop_first();
            }
            self.topics.insert(period, table);
        }
        self.topics[&period].get(topic).copied()
    }
}

/// Why somebody cannot be invited by a card that its account has replaced.
pub(in crate::core) fn replaced(account: &AccountId) -> CommandError {
    CommandError::CardReplaced(*account)
}

impl Inner {
    /// The cards to invite by: for one that its account has replaced, the newer one if it is known
    /// here.
    pub(in crate::core) fn newest_cards(&self, cards: Vec<Card>) -> Result<Vec<Card>, Stop> {
        let newest = |card: Card| {
            let said = self.whole_log(card.account).card_commitment();
            let counts = |card: &Card| said.is_none_or(|s| s == card.registration.commitment());
            if counts(&card) {
                return Ok(card);
            }
            let kept = self.contacts.card(&card.account).filter(counts);
            kept.ok_or_else(|| Stop::Command(replaced(&card.account)))
        };
        cards.into_iter().map(newest).collect()
    }

    /// Keeps cards that were used.
    pub(in crate::core) fn keep_contacts(
        &mut self,
        tx: &Tx<'_>,
        cards: &[Card],
    ) -> Result<(), Fault> {
        cards.iter().try_for_each(|card| self.contacts.keep(tx, card))
    }

    /// An account has another card, and whoever is invited by it is so by that from now on.
    pub(super) fn renew_contact(
        &mut self,
        tx: &Tx<'_>,
        account: AccountId,
        new: RegistrationSecret,
    ) -> Result<(), Fault> {
        let Some(mut card) = self.contacts.card(&account) else { return Ok(()) };
        let former = Secret32(*card.registration.as_bytes());
        card.registration = new;
        self.contacts.keep(tx, &card)?;
        let secret = Secret32(*card.registration.as_bytes());
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for group in groups {
            self.assemblers.retain(|(g, a, _), _| (*g, *a) != (group, account));
            let changed = self.intents.change(&(group, account), |intent| {
                intent.card = CardRecord::from(&card);
                intent.due = tx.now;
            });
            if let Some(intent) = changed {
                write(tx.overlay, intent_key(group, account), intent)?;
            }
        }
        self.renew_repeats(tx, account, (&former, &secret))?;
        self.topics.clear();
        Ok(())
    }

    /// A part of a recovery record of somebody whose card is kept.
    pub(in crate::core) fn contact_part(
        &mut self,
        tx: &mut Tx<'_>,
        (account, period): (AccountId, u64),
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let Some(card) = self.contacts.card(&account) else { return Ok(()) };
        let parts = self.contacts.parts.entry((period, account));
        let outcome =
            parts.or_insert_with(|| RecoveryAssembler::new(&card, period)).push(message, tx.now);
        while self.contacts.parts.len() > ASSEMBLERS {
            self.contacts.parts.pop_first();
        }
        match outcome {
            RecoveryOutcome::Record(record) => {
                self.learn(tx, &record.log.encoded_entries())?;
                self.mind_cards(tx, account)
            }
            RecoveryOutcome::RefusedPart(_) | RecoveryOutcome::Refused(_) => {
                self.refuse(tx, None, None, RefusedReason::Invalid)
            }
            RecoveryOutcome::NotOurs | RecoveryOutcome::Taken => Ok(()),
        }
    }
}
