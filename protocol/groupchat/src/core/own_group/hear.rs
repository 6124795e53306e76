//! What the account's other installations tell.

use prost::Message as _;

use super::{LabelRecord, Mark, MarkRecord, save_label, save_mark};
use crate::account::proto as pb;
use crate::account::{Entry, KEY_PACKAGE_BYTES, RegistrationSecret};
use crate::api::views::GroupState;
use crate::core::{Fault, Inner, Stop, Tx};
use crate::limits::{CLOCK_FOLLOW, LABEL_BYTES, OWN_LABELS, OWN_MARKS};
use crate::{GroupId, InstallationId, Timestamp};

impl Inner {
    /// An update from another installation, in the own group. `false` for what is none.
    pub(in crate::core) fn own_update(
        &mut self,
        tx: &mut Tx<'_>,
        from: InstallationId,
        bytes: &[u8],
    ) -> Result<bool, Fault> {
        let Ok(update) = pb::OwnUpdate::decode(bytes) else { return Ok(false) };
        if update.whole {
            // whoever came in has been told
            self.shared.tell_at = None;
        }
        let entries = update.log_entries.iter().filter_map(|bytes| Entry::decode(bytes).ok());
        self.learn_own(tx, entries.collect())?;
        self.take_secret(tx, &update.registration_secret)?;
        self.take_packages(tx, from, update.key_packages)?;
        for label in update.labels {
            self.take_label(tx, label)?;
        }
        for group in update.groups {
            self.take_mark(tx, group)?;
        }
        for read in update.reads {
            self.take_read(tx, &read)?;
        }
        self.spread(tx)?;
        Ok(true)
    }

    /// The registration secret, if it is the one that the log says counts.
    fn take_secret(&mut self, tx: &mut Tx<'_>, secret: &[u8]) -> Result<(), Fault> {
        let Some(new) = RegistrationSecret::from_slice(secret) else { return Ok(()) };
        let said = self.own_log()?.card_commitment();
        let Some(own) = &self.account else { return Ok(()) };
        if said != Some(new.commitment()) || own.registration_secret.0 == *new.as_bytes() {
            return Ok(());
        }
        let within = self.config.installation_delay;
        self.new_secret(tx, &new, within, within)
    }

    /// Key packages: the sender's own for good, others' where none is known.
    fn take_packages(
        &mut self,
        tx: &Tx<'_>,
        from: InstallationId,
        packages: Vec<pb::KeyPackage>,
    ) -> Result<(), Fault> {
        let live = self.own_live();
        let Some(own) = &mut self.account else { return Ok(()) };
        for package in packages {
            let Some(id) = InstallationId::from_slice(&package.installation) else { continue };
            let fits = (1..=KEY_PACKAGE_BYTES).contains(&package.key_package.len());
            let known = own.key_packages.iter().any(|(known, _)| *known == id);
            if !fits || id == own.installation || !live.contains(&id) || (known && id != from) {
                continue;
            }
            own.key_packages.retain(|(known, _)| *known != id);
            own.key_packages.push((id, package.key_package));
        }
        own.key_packages.retain(|(id, _)| live.contains(id));
        self.save_account(tx)
    }

    fn take_label(&mut self, tx: &Tx<'_>, label: pb::OwnLabel) -> Result<(), Fault> {
        let (Some(id), Some(at)) =
            (InstallationId::from_slice(&label.installation), said(label.time, &label.by, tx.now))
        else {
            return Ok(());
        };
        let known = self.shared.labels.get(&id);
        let full = known.is_none() && self.shared.labels.len() >= OWN_LABELS;
        if full || label.text.len() > LABEL_BYTES || known.is_some_and(|known| known.at >= at) {
            return Ok(());
        }
        let record = LabelRecord { text: label.text, at };
        save_label(tx, &id, &record)?;
        self.shared.labels.insert(id, record);
        Ok(())
    }

    /// What was decided for the account in a group is done here too.
    fn take_mark(&mut self, tx: &mut Tx<'_>, told: pb::OwnGroup) -> Result<(), Fault> {
        let (Some(id), Some(at)) =
            (GroupId::from_slice(&told.group), said(told.time, &told.by, tx.now))
        else {
            return Ok(());
        };
        let mark = match told.mark {
            1 => Mark::Joined,
            2 => Mark::Left,
            3 => Mark::Declined,
            _ => return Ok(()),
        };
        let known = self.shared.marks.get(&id);
        let full = known.is_none() && self.shared.marks.len() >= OWN_MARKS;
        if full || known.is_some_and(|known| known.at >= at) {
            return Ok(());
        }
        let record = MarkRecord { mark, at };
        save_mark(tx, &id, &record)?;
        self.shared.marks.insert(id, record);
        let state = self.groups.get(&id).map(crate::core::queries::group_state);
        let done = match (mark, state) {
            (Mark::Joined, Some(GroupState::Invited)) => self.accept_invitation(tx, id),
            (Mark::Declined, Some(GroupState::Invited)) => self.decline_invitation(tx, id),
            (Mark::Left, Some(GroupState::Joined | GroupState::Waiting)) => self.leave(tx, id),
            _ => return Ok(()),
        };
        match done {
            Ok(_) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Command(reason)) => {
                tracing::warn!(%reason, "what the account decided is not done here");
                Ok(())
            }
        }
    }
}

/// When and by whom something was said; a time ahead of the own clock counts as now, so that a
/// wrong clock does not decide for ever.
fn said(time: u64, by: &[u8], now: Timestamp) -> Option<(Timestamp, InstallationId)> {
    let time = Timestamp::from_nanos(time).min(now + CLOCK_FOLLOW);
    Some((time, InstallationId::from_slice(by)?))
}
