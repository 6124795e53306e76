//! What members tell beside their messages: which numbers they hold, and which commits they do not
//! stand on.

use prost::Message as _;

use super::gaps::Claim;
use super::reading::Origin;
use super::{Fault, Inner, Tx};
use crate::group::frontier::ENTRY_OVERHEAD;
use crate::limits::{CLOCK_FOLLOW, FRONTIER_BEYOND, FRONTIER_BYTES};
use crate::proto::group as pb;
use crate::{AccountId, InstallationId, Timestamp};

impl Inner {
    /// Another account says which commits it does not stand on.
    pub(super) fn told_passed_over(
        &mut self,
        tx: &Tx<'_>,
        origin: &Origin,
        ties: &[u64],
    ) -> Result<(), Fault> {
        let own = self.account.as_ref().map(|a| a.account);
        let Some(group) = self.groups.get_mut(&origin.group) else { return Ok(()) };
        if own == Some(origin.account) || ties.is_empty() || !group.unsettled() {
            return Ok(());
        }
        let new = ties.iter().take(8).filter(|tie| !group.record.passed_over.contains(tie));
        let new: Vec<u64> = new.copied().collect();
        group.record.passed_over.extend(new);
        let over = group.record.passed_over.len().saturating_sub(64);
        group.record.passed_over.drain(..over);
        group.save(tx, &origin.group)?;
        Ok(())
    }

    /// What a member says that it holds: acknowledges own messages, and claims others' that are
    /// not here, also of those who are not in the group any more.
    pub(super) fn frontier(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        time: Timestamp,
        entries: &[pb::FrontierEntry],
        mut room: usize,
    ) -> Result<(), Fault> {
        let Some(own) = self.account.as_ref().map(|a| (a.installation, a.account)) else {
            return Ok(());
        };
        let in_note = room > FRONTIER_BYTES;
        for entry in entries {
            let size = entry.encoded_len() + ENTRY_OVERHEAD;
            let Some(left) = room.checked_sub(size) else { return Ok(()) };
            room = left;
            let Some(group) = self.groups.get(&origin.group) else { return Ok(()) };
            let Some(about) = group.sender_by_short(entry.installation) else { continue };
            if about.0 == own.0 {
                if origin.account != own.1 {
                    self.acknowledged(tx, origin.group, &origin.installation, entry.upto)?;
                }
                continue;
            }
            // a sender's own numbers are proven by its cores; a note of its own says the last one
            if about.0 != origin.installation || in_note {
                self.claims(tx, origin, about, time, entry)?;
            }
        }
        Ok(())
    }

    fn claims(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        (about, account): (InstallationId, AccountId),
        time: Timestamp,
        entry: &pb::FrontierEntry,
    ) -> Result<(), Fault> {
        if self.is_departed(origin.group, (about, account)) {
            return Ok(());
        }
        let Some(group) = self.groups.get_mut(&origin.group) else { return Ok(()) };
        if entry.epoch < group.record.joined && entry.upto > 0 {
            let known = group.exchange.before_join.entry(about).or_default();
            *known = entry.upto.max(*known);
        }
        let sender = group.sender(about, account);
        let tracker = &mut sender.tracker;
        let at = time.min(tx.now + CLOCK_FOLLOW);
        // the sender has said something since that does not bear it out
        let held = tracker.max_held();
        let contradicted = held > 0 && at <= sender.last_time;
        let beyond = entry.beyond.iter().take(FRONTIER_BEYOND).map(|h| (h.number, h.epoch));
        let top = [(entry.upto, entry.epoch)]
            .into_iter()
            .chain(beyond)
            .filter(|&(number, _)| number <= held || !contradicted)
            .filter(|&(number, epoch)| tracker.claim(number, epoch))
            .map(|(number, _)| number)
            .max();
        if let Some(top) = top {
            let claim = Claim { by: origin.installation, at, top };
            self.refresh_gaps(tx, origin.group, about, Some(claim))?;
            if let Some(group) = self.groups.get(&origin.group) {
                group.save_sender(tx, &origin.group, &about)?;
            }
        }
        Ok(())
    }
}
