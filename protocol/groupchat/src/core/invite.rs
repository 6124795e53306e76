//! The inviting side: looking for an account's record, and what goes out to it.
//!
//! The tree and whatever all joiners need leave once, sealed under a fresh key, on a topic of
//! their own. Each account gets an envelope of one fixed class in its inbox: 20 slots, one for
//! each of its installations in random places, the rest random bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use rand::seq::SliceRandom as _;
use waku_groupchat_waku::WakuMessage;

use super::gaps::AWAITED;
use super::log_set::LogSet;
use super::records::{
    CardRecord, FoundAccount, IntentRecord, OutgoingKind, PendingEnvelope, PendingInvitations,
    Secret32, Wish, key, write,
};
use super::search::Search;
use super::wishes::is_open;
use super::{Fault, Inner, Stop, Tx};
use crate::account::{Card, RecordAssembler, RecordOutcome};
use crate::api::{Answer, CommandError, Event, RefusedReason};
use crate::limits::INVITED_ACCOUNTS;
use crate::mls;
use crate::mls::StateId;
use crate::mls::package::Reference;
use crate::order::roles::Right;
use crate::proto::group as pb;
use crate::seal::SizeClass;
use crate::segment::{self, WHOLE_BYTES};
use crate::{AccountId, GroupId, Timestamp};

/// The class of every envelope.
pub(super) const ENVELOPE_CLASS: SizeClass = SizeClass::K16;
/// Slots of an envelope: the most installations an account can have.
pub(super) const SLOTS: usize = 20;
/// Bytes of a slot: HPKE's encapsulated key (32), the padded plaintext, a tag (16).
pub(super) const SLOT_BYTES: usize = 800;
/// Bytes of a slot's padded plaintext: a big-endian u16 length, the content, zeros.
pub(super) const SLOT_PLAIN_BYTES: usize = SLOT_BYTES - 32 - 16;

/// Envelopes of one invitation leave at most this often, each being 16 KiB.
const ENVELOPE_SPACING: Duration = Duration::from_millis(250);

/// Most bytes that a frame takes around what is in it.
const FRAME_BYTES: usize = 8;

/// The accounts that a commit adds, with their registration secrets and key packages.
pub(super) type Invitees = Vec<(AccountId, Secret32, Vec<(Reference, Vec<u8>)>)>;

/// Checks that something can go, in one message or in segments.
pub(super) fn fits(bytes: usize) -> Result<(), Stop> {
    let max = WHOLE_BYTES;
    if bytes <= max { Ok(()) } else { Err(Stop::Command(CommandError::TooLarge { bytes, max })) }
}

impl Inner {
    pub(super) fn invite(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        cards: &[String],
    ) -> Result<Answer, Stop> {
        let own = self.own()?;
        if cards.len() > INVITED_ACCOUNTS {
            let (got, max) = (cards.len(), INVITED_ACCOUNTS);
            return Err(Stop::Command(CommandError::TooManyCards { got, max }));
        }
        let cards = self.newest_cards(super::commands::cards(own.account, cards)?)?;
        let group = self.inside(id)?;
        self.is_the_only_one()?;
        let authority = group.agreed().map(|agreed| &agreed.authority);
        if authority.is_none_or(|a| !a.rights(own.account).has(Right::Add)) {
            let reason = "this needs a higher role in the group".to_owned();
            return Err(Stop::Command(CommandError::NotAllowed(reason)));
        }
        let whole = |card: &&Card| group.is_member(card.account) && !group.lacks(card.account);
        if let Some(known) = cards.iter().find(whole) {
            return Err(Stop::Command(CommandError::AlreadyMember(known.account)));
        }
        let mut accounts = Vec::new();
        for card in &cards {
            // a record that was found for another invitation of the same card serves again
            let known = self
                .intents
                .for_account(card.account, self.groups.keys().copied())
                .find(|(_, i)| i.card.card() == *card)
                .and_then(|(_, i)| i.found.clone());
            let intent = IntentRecord {
                card: CardRecord::from(card),
                due: tx.now,
                asked: 0,
                found: known,
                done: None,
                retry: tx.now,
            };
            self.assemblers.retain(|(g, a, _), _| (*g, *a) != (id, card.account));
            write(tx.overlay, intent_key(id, card.account), &intent)?;
            self.intents.insert((id, card.account), intent);
            accounts.push(card.account);
        }
        self.keep_contacts(tx, &cards)?;
        self.topics.clear();
        Ok(Answer::Inviting { accounts })
    }

    pub(super) fn next_intent(&self) -> Option<Timestamp> {
        // those of a group follow each other, so each is looked at once
        let mut last: Option<(GroupId, bool)> = None;
        let mut next: Option<Timestamp> = None;
        for ((group, _), intent) in self.intents.open() {
            let at = match intent.found {
                None => Some(intent.due).filter(|due| *due != AWAITED),
                Some(_) => {
                    let known = last.filter(|(id, _)| id == group).map(|(_, ready)| ready);
                    let ready =
                        known.unwrap_or_else(|| !self.searching(*group) && self.may_commit(*group));
                    last = Some((*group, ready));
                    ready.then_some(intent.retry)
                }
            };
            next = next.into_iter().chain(at).min();
        }
        next
    }

    /// Whether archives are being asked for somebody who is to come into a group.
    fn searching(&self, group: GroupId) -> bool {
        self.intents.open_of(group).any(|(_, i)| i.due == AWAITED)
    }

    /// Looks for the records that are due, and commits what was found.
    pub(super) fn intents_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let mut due: BTreeMap<GroupId, Vec<AccountId>> = BTreeMap::new();
        for ((group, account), intent) in self.intents.open() {
            if intent.found.is_none() && intent.due <= tx.now {
                due.entry(*group).or_default().push(*account);
            }
        }
        for (group, accounts) in due {
            for account in &accounts {
                self.intents.change(&(group, *account), |intent| intent.due = AWAITED);
            }
            self.search(tx, group, accounts, 0, Search::Recent);
        }
        let mut groups: Vec<GroupId> = self.intents.open().map(|((group, _), _)| *group).collect();
        groups.dedup();
        for group in groups {
            self.commit_intents(tx, group)?;
        }
        Ok(())
    }

    /// Adds every account of a group's intents that was found, once nothing is being looked for.
    /// What is too much for one commit goes in halves; an account that cannot be added even alone
    /// is given up, and said.
    fn commit_intents(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        if self.searching(id) || !self.may_commit(id) {
            return Ok(());
        }
        self.close_members(tx, id)?;
        let mut found: Vec<(AccountId, IntentRecord)> = self
            .intents
            .open_of(id)
            .filter(|(_, i)| is_open(i) && i.retry <= tx.now)
            .map(|(account, i)| (account, i.clone()))
            .collect();
        let mut take = found.len();
        while take > 0 {
            let stop = match self.add_accounts(tx, id, &found[..take]) {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            let reason = match stop {
                Stop::Fault(fault) => return Err(fault),
                Stop::Command(error) => error.to_string(),
            };
            if take > 1 {
                take /= 2;
                continue;
            }
            let (account, _) = found.remove(0);
            self.forget_intent(tx, id, account);
            self.emit(tx, Event::InvitationFailed { group: id, account, reason })?;
            take = found.len();
        }
        Ok(())
    }

    /// Accounts that somebody else has added are in the group, with all their installations.
    fn close_members(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let Some(tip) = group.tip().map(|tip| tip.id) else { return Ok(()) };
        let inside = |account: AccountId, intent: &IntentRecord| match &intent.found {
            Some(found) => found.key_packages.iter().all(|(i, _)| group.account_of(i).is_some()),
            None => group.is_member(account) && !group.lacks(account),
        };
        let added: Vec<Wish> = self
            .intents
            .open_of(id)
            .filter(|(account, i)| inside(*account, i))
            .map(|(account, _)| Wish::Add(account))
            .collect();
        if added.is_empty() {
            return Ok(());
        }
        self.mark_wishes(tx, id, &added, Some(tip), tx.now)?;
        self.close_fulfilled(tx, id)
    }

    pub(super) fn forget_intent(&mut self, tx: &Tx<'_>, id: GroupId, account: AccountId) {
        tx.overlay.delete(intent_key(id, account));
        self.intents.remove(&(id, account));
        self.assemblers.retain(|(g, a, _), _| (*g, *a) != (id, account));
        self.topics.clear();
    }

    fn add_accounts(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        found: &[(AccountId, IntentRecord)],
    ) -> Result<(), Stop> {
        let mut plan = self.empty_plan(id)?;
        plan.attached.clone_from(&self.own()?.log);
        let mut invitees: Invitees = Vec::new();
        let provider = self.global_provider(tx);
        for (account, intent) in found {
            let Some(FoundAccount { log, key_packages, .. }) = &intent.found else { continue };
            let mut installations = Vec::new();
            let group = self.joined(id)?;
            let absent = key_packages.iter().filter(|(i, _)| group.account_of(i).is_none());
            for (_, bytes) in absent {
                let Ok(package) = mls::package::check(&provider, bytes) else { continue };
                installations.push((package.reference, bytes.clone()));
                plan.adds.push((*account, package));
            }
            plan.attached.extend_from_slice(log);
            plan.fulfils.push(Wish::Add(*account));
            invitees.push((*account, intent.card.registration_secret.clone(), installations));
        }
        plan.invitees = Some(invitees);
        self.commit(tx, id, plan)
    }

    /// What goes out once the commit is applied, made while its Welcome is at hand.
    pub(super) fn prepare_invitations(
        &self,
        now: Timestamp,
        id: GroupId,
        invitees: Invitees,
        welcome: &[u8],
        tree: Vec<u8>,
        log: &LogSet,
    ) -> Result<PendingInvitations, Stop> {
        fits(welcome.len())?;
        let split = mls::welcome::split(welcome)
            .map_err(|_| Fault::Bug("an own Welcome does not parse"))?;
        let shared = self.shared_part_of(now, id, split.shared, tree, log)?.encode_to_vec();
        let mut content_key = [0; 32];
        self.rng.fill(&mut content_key);
        let mut entries: BTreeMap<Reference, Vec<u8>> = split.entries.into_iter().collect();
        let mut envelopes = Vec::new();
        for (account, registration_secret, packages) in invitees {
            let mut slots = Vec::new();
            for (reference, bytes) in packages {
                let entry = entries
                    .remove(&reference)
                    .ok_or(Fault::Bug("a Welcome without an added key package"))?;
                slots.push((bytes, entry));
            }
            envelopes.push(PendingEnvelope { account, registration_secret, slots });
        }
        Ok(PendingInvitations { content_key: Secret32(content_key), shared, envelopes })
    }

    /// What a joiner needs beside its secrets.
    pub(super) fn shared_part_of(
        &self,
        now: Timestamp,
        id: GroupId,
        welcome: Vec<u8>,
        ratchet_tree: Vec<u8>,
        log: &LogSet,
    ) -> Result<pb::InvitationShared, Stop> {
        let group = self.groups.get(&id).ok_or(Fault::Bug("a group that was here"))?;
        let mut baselines: Vec<pb::Baseline> = group
            .senders
            .iter()
            .map(|(i, sender)| (i, sender.tracker.max_held()))
            .chain(self.account.as_ref().map(|a| (&a.installation, group.send.number)))
            .filter(|(_, number)| *number > 0)
            .map(|(i, number)| pb::Baseline { installation: i.as_bytes().to_vec(), number })
            .collect();
        baselines.sort_by(|a, b| a.installation.cmp(&b.installation));
        let log_entries = log.iter().cloned().collect();
        let made = now.as_waku();
        let shared = pb::InvitationShared { welcome, ratchet_tree, log_entries, baselines, made };
        fits(shared.encoded_len() + FRAME_BYTES)?;
        Ok(shared)
    }

    /// The commit is applied: the shared part leaves at once, each envelope after a random delay.
    pub(super) fn send_invitations(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateId,
        invitations: PendingInvitations,
    ) -> Result<(), Fault> {
        let PendingInvitations { content_key, shared, envelopes } = invitations;
        let stands = self.groups.get(&id).and_then(|g| g.line.as_ref());
        if stands.is_none_or(|line| !line.graph.leads_to(state, line.tip)) {
            // the commit has lost its place already: the accounts are added again
            return Ok(());
        }
        for envelope in &envelopes {
            let (account, installations) = (envelope.account, envelope.slots.len());
            self.emit(tx, Event::Invited { group: id, account, installations })?;
        }
        self.enqueue_invitations(tx, id, &content_key, &shared, &envelopes)?;
        self.keep_repeat(tx, (id, state), &shared, &envelopes)
    }

    /// Queues a shared part and envelopes for it, under a fresh key of the content.
    pub(super) fn enqueue_invitations(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        content_key: &Secret32,
        shared: &[u8],
        envelopes: &[PendingEnvelope],
    ) -> Result<(), Fault> {
        let kind = OutgoingKind::InvitationShared { group: id, content_key: content_key.clone() };
        let mut slot = pb::InvitationSlot {
            content_key: content_key.0.to_vec(),
            group_secrets: Vec::new(),
            shared_timestamp: tx.now.as_waku(),
            whole: Vec::new(),
        };
        let shared = shared_frame(shared).ok_or(Fault::Bug("a shared part of one's own"))?;
        if SizeClass::fitting(shared.len()).is_some() {
            self.enqueue(tx, kind, shared, tx.now)?;
        } else {
            let split =
                segment::split(&shared).map_err(|_| Fault::Bug("a shared part too long"))?;
            slot.whole = split.name.as_bytes().to_vec();
            self.enqueue_split(tx, &kind, split, tx.now)?;
        }
        let delays = self.envelope_delays(envelopes.len());
        for (envelope, delay) in envelopes.iter().zip(delays) {
            let content = self.fill_envelope(tx, &slot, envelope)?;
            let kind = OutgoingKind::InvitationEnvelope {
                group: id,
                account: envelope.account,
                registration_secret: envelope.registration_secret.clone(),
            };
            self.enqueue(tx, kind, content, tx.now + delay)?;
        }
        Ok(())
    }

    /// When each of so many envelopes leaves: in a random order, each at a random point of its part
    /// of the time, so that no more than one in [`ENVELOPE_SPACING`] leave.
    fn envelope_delays(&self, count: usize) -> Vec<Duration> {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let all = self.config.invitation_delay.max(ENVELOPE_SPACING.saturating_mul(count));
        let part = all / count;
        let mut delays: Vec<Duration> =
            (0..count).map(|n| part * n + self.rng.duration_below(part)).collect();
        delays.shuffle(&mut self.rng.clone());
        delays
    }

    fn fill_envelope(
        &self,
        tx: &Tx<'_>,
        slot: &pb::InvitationSlot,
        envelope: &PendingEnvelope,
    ) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; SLOTS * SLOT_BYTES];
        self.rng.fill(&mut bytes);
        let mut free: Vec<usize> = (0..SLOTS).collect();
        for (package, group_secrets) in envelope.slots.iter().take(SLOTS) {
            let slot = pb::InvitationSlot { group_secrets: group_secrets.clone(), ..slot.clone() };
            let slot = slot.encode_to_vec();
            let length = u16::try_from(slot.len()).map_err(|_| Fault::Bug("a long slot"))?;
            let mut plain = length.to_be_bytes().to_vec();
            plain.extend_from_slice(&slot);
            if plain.len() > SLOT_PLAIN_BYTES {
                return Err(Fault::Bug("a slot's content over its size"));
            }
            plain.resize(SLOT_PLAIN_BYTES, 0);
            let sealed =
                mls::slot::seal(&self.global_provider(tx), package, mls::slot::Use::Slot, &plain)
                    .filter(|sealed| sealed.len() == SLOT_BYTES)
                    .ok_or(Fault::Bug("a key package that was added cannot be sealed to"))?;
            let place = usize::try_from(self.rng.below(free.len() as u64)).unwrap_or(0);
            let at = free.swap_remove(place) * SLOT_BYTES;
            bytes[at..at + SLOT_BYTES].copy_from_slice(&sealed);
        }
        Ok(bytes)
    }

    /// A part of a record that an intent waits for.
    pub(super) fn record_part(
        &mut self,
        tx: &mut Tx<'_>,
        (group, account): (GroupId, AccountId),
        period: u64,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let Some(card) = self.intents.get(&(group, account)).map(|i| i.card.card()) else {
            return Ok(());
        };
        let assembler = self
            .assemblers
            .entry((group, account, period))
            .or_insert_with(|| RecordAssembler::new(&card, period));
        let record = match assembler.push(message, None, tx.now) {
            RecordOutcome::NotOurs | RecordOutcome::Taken | RecordOutcome::Duplicate => {
                return Ok(());
            }
            RecordOutcome::Record(record) => {
                self.learn(tx, &record.log.encoded_entries())?;
                record
            }
            RecordOutcome::RefusedPart(_) | RecordOutcome::Refused(_) => {
                return self.refuse(tx, Some(group), None, RefusedReason::Invalid);
            }
        };
        let key_packages: Vec<_> = record
            .key_packages
            .into_iter()
            .filter(|(installation, package)| {
                mls::package::check(&self.global_provider(tx), package).is_ok_and(|p| {
                    p.installation == *installation
                        && super::members::parse_identity(&p.identity)
                            == Some((*installation, account))
                })
            })
            .collect();
        if key_packages.is_empty() {
            return self.refuse(tx, Some(group), None, RefusedReason::Invalid);
        }
        let found = FoundAccount { period, log: record.log.encoded_entries(), key_packages };
        let known = self.intents.for_account(account, self.groups.keys().copied());
        let older = |i: &IntentRecord| i.found.as_ref().is_none_or(|found| found.period < period);
        let same = known.filter(|(_, i)| older(i) && i.card.card() == card);
        let groups: Vec<GroupId> = same.map(|(group, _)| group).collect();
        for group in groups {
            let changed = self.intents.change(&(group, account), |intent| {
                intent.found = Some(found.clone());
                if intent.due != AWAITED {
                    intent.due = tx.now;
                }
            });
            if let Some(intent) = changed {
                write(tx.overlay, intent_key(group, account), intent)?;
            }
        }
        Ok(())
    }
}

/// The frame around an encoded shared part; none if it does not decode.
pub(super) fn shared_frame(shared: &[u8]) -> Option<Vec<u8>> {
    let shared = pb::InvitationShared::decode(shared).ok()?;
    Some(
        pb::Frame { body: Some(pb::frame::Body::Shared(shared)), mark: Vec::new() }.encode_to_vec(),
    )
}

pub(super) fn intent_key(group: GroupId, account: AccountId) -> Vec<u8> {
    key("intent/", &[group.as_bytes(), account.as_bytes()])
}
