//! What was handed over: checked against who signed it and the logs of its group, and kept.

use std::collections::BTreeMap;

use waku_groupchat_waku::MessageHash;

use super::PastRecord;
use crate::api::RefusedReason;
use crate::api::views::GapState;
use crate::core::outbox::UNSENT;
use crate::core::reading::Origin;
use crate::core::records::{GapEvidence, GapRecord, MessageRecord, Sending};
use crate::core::{Fault, Inner, Tx};
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::group::tracker::Ranges;
use crate::limits::CLOCK_FOLLOW;
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

/// A number of which it is known that it exists, and that who listed it did not hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    pub(super) account: AccountId,
    /// The sender's own message that shows it.
    pub(super) by_number: u64,
    pub(super) noticed: Timestamp,
}

/// Whether a sender is of an account, as far as a group's logs say.
type Proven = BTreeMap<(GroupId, InstallationId, AccountId), bool>;

impl Inner {
    /// Takes in what `by` hands over; how many messages were new.
    pub(in crate::core) fn take_messages(
        &mut self,
        tx: &mut Tx<'_>,
        by: InstallationId,
        senders: Vec<pb::HandedFrom>,
    ) -> Result<u64, Fault> {
        let (mut taken, mut proven) = (0, Proven::new());
        for pb::HandedFrom { account, messages } in senders {
            let Some(account) = AccountId::from_slice(&account) else {
                self.refuse_handed(tx, by, RefusedReason::Malformed)?;
                continue;
            };
            for message in messages {
                match self.take_message(tx, by, account, message, &mut proven)? {
                    Ok(new) => taken += u64::from(new),
                    Err(reason) => self.refuse_handed(tx, by, reason)?,
                }
            }
        }
        let touched: Vec<_> = proven.into_keys().collect();
        for (group, installation, _) in touched {
            self.save_past(tx, &group, &installation)?;
        }
        Ok(taken)
    }

    fn refuse_handed(
        &mut self,
        tx: &mut Tx<'_>,
        by: InstallationId,
        reason: RefusedReason,
    ) -> Result<(), Fault> {
        let group = self.own_group();
        self.refuse(tx, group, Some(by), reason)
    }

    /// Whether it was new, or why it is refused.
    fn take_message(
        &mut self,
        tx: &mut Tx<'_>,
        by: InstallationId,
        account: AccountId,
        message: pb::HandedMessage,
        proven: &mut Proven,
    ) -> Result<Result<bool, RefusedReason>, Fault> {
        let Some(signed) = SignedCore::from_parts(message.core, &message.signature) else {
            return Ok(Err(RefusedReason::Malformed));
        };
        let Some(named) = signed.decode() else { return Ok(Err(RefusedReason::Core)) };
        let (group, installation) = (named.group, named.installation);
        let joined = self.groups.get(&group).filter(|group| group.line.is_some());
        let Some(joined) = joined.map(|group| group.record.joined) else { return Ok(Ok(false)) };
        let own = self.account.as_ref().is_some_and(|own| own.installation == installation);
        if own || self.is_own_group(&group) {
            return Ok(Err(RefusedReason::Core));
        }
        let id = MessageId { group, installation, number: named.number };
        if let Some(held) = self.core_at(tx, id)? {
            let same = held.bytes() == signed.bytes();
            return Ok(if same { Ok(false) } else { Err(RefusedReason::NumberReused) });
        }
        let is_proven = *proven
            .entry((group, installation, account))
            .or_insert_with(|| self.is_installation_of(group, installation, account));
        if !is_proven {
            return Ok(Err(RefusedReason::Unproven));
        }
        let hash = MessageHash::from_slice(&message.waku_hash).unwrap_or(UNSENT);
        let (epoch, at, handed_by) = (named.epoch, tx.now, Some(by));
        let origin = Origin { group, installation, account, epoch, hash, at, handed_by };
        let core = match self.checked(&signed, &origin) {
            Ok(core) => core,
            Err(reason) => return Ok(Err(reason)),
        };
        if !self.chain_holds(tx, id, &core, &signed)? {
            return Ok(Err(RefusedReason::NumberReused));
        }
        let departed = self.is_departed(group, (installation, account));
        if core.epoch >= joined && !departed {
            // it was missed while this installation was there
            self.read_core(tx, &origin, &core, signed)?;
        } else {
            self.keep_past(tx, &origin, &core, &signed)?;
        }
        Ok(Ok(true))
    }

    /// Keeps a message of before the own join, or of somebody who departed since.
    fn keep_past(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        core: &MessageCore,
        signed: &SignedCore,
    ) -> Result<(), Fault> {
        let Origin { group: id, installation, account, hash, handed_by, .. } = *origin;
        let message = MessageId { group: id, installation, number: core.number };
        let record = MessageRecord {
            account,
            core: signed.bytes().to_vec(),
            signature: signed.signature().to_vec(),
            waku_hash: hash,
            sending: handed_by.map(Sending::HandedOver),
        };
        self.save_message(tx, message, core.time, &record)?;
        let now = tx.now;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let empty = || PastRecord { account, held: Ranges::default() };
        group.past.entry(installation).or_insert_with(empty).held.insert(core.number);
        if core.time <= now + CLOCK_FOLLOW && core.time > group.send.time {
            group.send.time = core.time;
            group.save_send(tx, &id)?;
        }
        if matches!(core.content, Content::Text(_)) {
            self.count_unread(tx, message, core.time, account)?;
        }
        self.close_gap(tx, id, installation, core.number)
    }

    /// Whether an installation is, or was, of an account: by who is in the group, who wrote there, and
    /// the log entries that are known.
    fn is_installation_of(
        &self,
        id: GroupId,
        installation: InstallationId,
        account: AccountId,
    ) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        let known = group
            .account_of(&installation)
            .or_else(|| Some(group.senders.get(&installation)?.account))
            .or_else(|| Some(group.past.get(&installation)?.account));
        match known {
            Some(known) => known == account,
            None => self.whole_log(account).history().contains_key(&installation),
        }
    }

    /// What nobody holds stays known: it is reported as a gap that cannot be filled.
    pub(super) fn note_missing(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let missing = std::mem::take(&mut self.handover.missing);
        for ((id, installation, number), Missing { account, by_number, noticed }) in missing {
            let message = MessageId { group: id, installation, number };
            let here = self.core_at(tx, message)?.is_some();
            let departed = self.is_departed(id, (installation, account));
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if here || departed || group.gaps.contains_key(&(installation, number)) {
                continue;
            }
            let gap = GapRecord {
                account,
                evidence: GapEvidence::Proven { by_number },
                noticed,
                from: Timestamp::ZERO,
                state: Some(GapState::Unavailable),
                due: None,
                answered: 0,
                answered_at: Timestamp::ZERO,
                asked: 0,
                tried: Vec::new(),
            };
            group.gaps.insert((installation, number), gap);
            self.save_gap(tx, id, installation, number)?;
            self.tell_gap(tx, id, installation, number)?;
        }
        Ok(())
    }
}
