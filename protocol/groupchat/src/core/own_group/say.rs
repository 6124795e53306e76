//! What this installation tells the account's others.

use std::time::Duration;

use prost::Message as _;

use super::{LabelRecord, Mark, MarkRecord, save_label, save_mark};
use crate::account::proto as pb;
use crate::api::{Answer, CommandError};
use crate::core::commands::length;
use crate::core::{Fault, Inner, Stop, Tx};
use crate::group::message::Content;
use crate::limits::LABEL_BYTES;
use crate::{GroupId, InstallationId};

/// Who brought somebody in tells it everything within this time,
const BRINGER_WITHIN: Duration = Duration::from_secs(2);
/// others after this,
const OTHERS_AFTER: Duration = Duration::from_secs(10);
/// and within this.
const OTHERS_WITHIN: Duration = Duration::from_secs(30);

impl Inner {
    /// Tells the account's other installations something, if there are any in the own group.
    pub(in crate::core) fn tell_own(
        &mut self,
        tx: &mut Tx<'_>,
        update: &pb::OwnUpdate,
    ) -> Result<(), Fault> {
        let Some(id) = self.own_group() else { return Ok(()) };
        if self.groups.get(&id).is_none_or(|group| group.size() < 2) {
            return Ok(());
        }
        match self.say(tx, id, Content::Own(update.encode_to_vec())) {
            Ok(_) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
            // a copy is in use, or much waits already: the next one who comes in is told all
            Err(Stop::Command(reason)) => {
                tracing::warn!(%reason, "the account's other installations are not told");
                Ok(())
            }
        }
    }

    /// Everything there is to tell.
    fn everything(&self) -> pb::OwnUpdate {
        let Some(own) = &self.account else { return pb::OwnUpdate::default() };
        let labels = self.shared.labels.iter().map(|(id, label)| to_label(id, label));
        let groups = self.shared.marks.iter().map(|(id, mark)| to_mark(id, mark));
        pb::OwnUpdate {
            log_entries: own.log.clone(),
            key_packages: self.packages_of(|_| true),
            labels: labels.collect(),
            groups: groups.collect(),
            registration_secret: self.secret_to_tell(),
            whole: true,
            reads: self.all_reads(),
        }
    }

    /// The registration secret, as long as nobody who was put out can read it.
    fn secret_to_tell(&self) -> Vec<u8> {
        let own = self.account.as_ref().filter(|_| self.is_among_own());
        own.map(|own| own.registration_secret.0.to_vec()).unwrap_or_default()
    }

    /// Tells the own log, and this installation's key package.
    pub(in crate::core) fn tell_log(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.tell_log_and(tx, None)
    }

    /// Tells the own log, and the key package of who was taken in, so that others can bring it into
    /// groups even if this one is gone a moment later.
    pub(in crate::core) fn tell_linked(
        &mut self,
        tx: &mut Tx<'_>,
        new: InstallationId,
    ) -> Result<(), Fault> {
        self.tell_log_and(tx, Some(new))
    }

    fn tell_log_and(&mut self, tx: &mut Tx<'_>, new: Option<InstallationId>) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let this = own.installation;
        let update = pb::OwnUpdate {
            log_entries: own.log.clone(),
            registration_secret: self.secret_to_tell(),
            key_packages: self.packages_of(|id| id == this || Some(id) == new),
            ..Default::default()
        };
        self.tell_own(tx, &update)
    }

    /// Tells this installation's key package.
    pub(in crate::core) fn tell_package(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let Some(this) = self.account.as_ref().map(|own| own.installation) else { return Ok(()) };
        let key_packages = self.packages_of(|id| id == this);
        self.tell_own(tx, &pb::OwnUpdate { key_packages, ..Default::default() })
    }

    /// The newest key packages of some of the account's installations.
    fn packages_of(&self, which: impl Fn(InstallationId) -> bool) -> Vec<pb::KeyPackage> {
        let known = self.account.iter().flat_map(|own| &own.key_packages);
        known
            .filter(|(installation, _)| which(*installation))
            .map(|(installation, package)| pb::KeyPackage {
                installation: installation.as_bytes().to_vec(),
                key_package: package.clone(),
            })
            .collect()
    }

    /// Notes what was decided for the account in a group, and tells the others.
    pub(in crate::core) fn mark_group(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        mark: Mark,
    ) -> Result<(), Fault> {
        let Some(own) = self.account.as_ref().map(|own| own.installation) else { return Ok(()) };
        let known = self.shared.marks.get(&id);
        if known.is_some_and(|known| known.mark == mark) || self.is_own_group(&id) {
            return Ok(());
        }
        // later than what it replaces, whatever this clock says
        let after = known.map(|known| known.at.0 + Duration::from_nanos(1));
        let record =
            MarkRecord { mark, at: (after.map_or(tx.now, |after| after.max(tx.now)), own) };
        save_mark(tx, &id, &record)?;
        self.shared.marks.insert(id, record);
        let groups = vec![to_mark(&id, &record)];
        self.tell_own(tx, &pb::OwnUpdate { groups, ..Default::default() })
    }

    /// Calls an installation of the own account something; nothing takes the label away.
    pub(in crate::core) fn set_label(
        &mut self,
        tx: &mut Tx<'_>,
        installation: InstallationId,
        text: String,
    ) -> Result<Answer, Stop> {
        let own = self.own()?.installation;
        length("label", &text, 0, LABEL_BYTES)?;
        if !self.own_log()?.history().contains_key(&installation) {
            return Err(Stop::Command(CommandError::UnknownInstallation(installation)));
        }
        let label = LabelRecord { text, at: (tx.now, own) };
        save_label(tx, &installation, &label)?;
        let labels = vec![to_label(&installation, &label)];
        self.shared.labels.insert(installation, label);
        self.tell_own(tx, &pb::OwnUpdate { labels, ..Default::default() })?;
        Ok(Answer::Done)
    }

    /// Somebody came into the own group: it is told everything, by one of those who are in it.
    pub(in crate::core) fn own_group_grew(&mut self, tx: &Tx<'_>, id: GroupId) {
        let own = self.account.as_ref().map(|own| own.installation);
        let line = self.groups.get(&id).and_then(|group| group.line.as_ref());
        let author = line.and_then(|line| Some(line.graph.commit(line.tip)?.author));
        let wait = if author.is_some() && author == own {
            self.rng.duration_below(BRINGER_WITHIN)
        } else {
            OTHERS_AFTER + self.rng.duration_below(OTHERS_WITHIN)
        };
        self.shared.tell_at = Some(tx.now + wait);
    }

    pub(in crate::core) fn next_telling(&self) -> Option<crate::Timestamp> {
        self.shared.tell_at
    }

    /// Tells everything, if it is time for it.
    pub(in crate::core) fn telling_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.shared.tell_at.is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        self.shared.tell_at = None;
        let update = self.everything();
        self.tell_own(tx, &update)
    }
}

fn to_label(installation: &InstallationId, label: &LabelRecord) -> pb::OwnLabel {
    pb::OwnLabel {
        installation: installation.as_bytes().to_vec(),
        text: label.text.clone(),
        time: label.at.0.as_nanos(),
        by: label.at.1.as_bytes().to_vec(),
    }
}

fn to_mark(group: &GroupId, record: &MarkRecord) -> pb::OwnGroup {
    pb::OwnGroup {
        group: group.as_bytes().to_vec(),
        mark: match record.mark {
            Mark::Joined => 1,
            Mark::Left => 2,
            Mark::Declined => 3,
        },
        time: record.at.0.as_nanos(),
        by: record.at.1.as_bytes().to_vec(),
    }
}
