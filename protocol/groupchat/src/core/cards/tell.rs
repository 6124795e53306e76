//! Contacts are told of a new card in the groups they share, and tell.
//!
//! The message is numbered like any other. It carries the log's entries, and the new secret once for
//! each one before: `new XOR KDF(before, "card update", commitment of the new one)`. So of a group's
//! members those learn it who have had the card, and nobody else; the rotate entry commits to it, and
//! tells what was changed on the way.

use prost::Message as _;

use super::replaced;
use crate::account::proto as pb;
use crate::account::{Entry, RegistrationSecret};
use crate::api::Event;
use crate::core::{Fault, Inner, Stop, Tx};
use crate::group::message::Content;
use crate::limits::FORMER_CARDS;
use crate::{AccountId, GroupId};

/// As long as one who was put out is in the group, it is looked at again after this.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

impl Inner {
    /// Tells the new card in groups where it is time to.
    pub(super) fn tell_contacts(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due = self.cards.tell.iter().filter(|(_, at)| **at <= tx.now);
        let due: Vec<GroupId> = due.map(|(id, _)| *id).collect();
        if due.is_empty() {
            return Ok(());
        }
        for id in due {
            self.cards.tell.remove(&id);
            let Some(own) = self.account.as_ref().map(|own| own.account) else { continue };
            let Some(group) = self.groups.get(&id).filter(|group| group.stays()) else { continue };
            let members = group.members();
            let live = self.own_live();
            let lost = members.iter().any(|(i, account)| *account == own && !live.contains(i));
            let held = lost || group.unsettled() || !self.is_among_own();
            if held {
                self.cards.tell.insert(id, tx.now + LOOK_AGAIN);
            } else if members.iter().any(|(_, account)| *account != own) {
                self.tell_contacts_in(tx, id)?;
            }
        }
        self.cards.save(tx)
    }

    fn tell_contacts_in(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let secret = own.registration();
        let masked = self.cards.former.iter().rev().map(|former| {
            let before = RegistrationSecret::from_bytes(former.secret.0);
            secret.masked(&before).to_vec()
        });
        let update = pb::CardUpdate { log_entries: own.log.clone(), masked: masked.collect() };
        match self.say(tx, id, Content::Card(update.encode_to_vec())) {
            Ok(_) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Command(reason)) => {
                tracing::warn!(%reason, "contacts are not told of the new card yet");
                self.cards.tell.insert(id, tx.now + LOOK_AGAIN * 10);
                Ok(())
            }
        }
    }

    /// This installation has come into a group: contacts in it may have an older card.
    pub(in crate::core) fn tell_card_in(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        if self.cards.former.is_empty() || self.is_own_group(&id) {
            return Ok(());
        }
        let wait = self.rng.duration_below(self.config.installation_delay);
        self.cards.tell.insert(id, tx.now + wait);
        self.cards.save(tx)
    }

    /// An account tells of its new card. `false` for what is none.
    pub(in crate::core) fn card_told(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        account: AccountId,
        update: &[u8],
    ) -> Result<bool, Fault> {
        let Ok(update) = pb::CardUpdate::decode(update) else { return Ok(false) };
        if update.masked.len() > FORMER_CARDS {
            return Ok(false);
        }
        let of_it = |entry: &&Vec<u8>| {
            Entry::decode(entry).is_ok_and(|entry| entry.body().account == account)
        };
        self.learn(tx, update.log_entries.iter().filter(of_it))?;
        let Some(commitment) = self.whole_log(account).card_commitment() else { return Ok(true) };
        if let Some(own) = self.account.as_ref().filter(|own| own.account == account) {
            // another installation of the own account has told this group
            if own.registration().commitment() == commitment
                && self.cards.tell.remove(&id).is_some()
            {
                self.cards.save(tx)?;
            }
            return Ok(true);
        }
        let Some(card) = self.contacts.card(&account) else { return Ok(true) };
        let mut unmasked = update.masked.iter().filter_map(|masked| {
            let masked: &[u8; 32] = masked.as_slice().try_into().ok()?;
            RegistrationSecret::unmasked(masked, &card.registration, &commitment)
        });
        if let Some(new) = unmasked.next() {
            self.renew_contact(tx, account, new)?;
            self.emit(tx, Event::CardChanged { account })?;
        }
        self.mind_cards(tx, account)?;
        Ok(true)
    }

    /// Looks at what is under way for an account whose card may have changed: with a newer card it
    /// goes on, without one it is given up.
    pub(in crate::core) fn mind_cards(
        &mut self,
        tx: &mut Tx<'_>,
        account: AccountId,
    ) -> Result<(), Fault> {
        let said = self.whole_log(account).card_commitment();
        let Some(said) = said else { return Ok(()) };
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        let stale: Vec<GroupId> = self
            .intents
            .for_account(account, groups.into_iter())
            .filter(|(_, i)| i.done.is_none() && i.card.card().registration.commitment() != said)
            .map(|(group, _)| group)
            .collect();
        for group in stale {
            self.forget_intent(tx, group, account);
            let reason = replaced(&account).to_string();
            self.emit(tx, Event::InvitationFailed { group, account, reason })?;
        }
        Ok(())
    }
}
