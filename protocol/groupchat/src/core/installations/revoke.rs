//! Putting installations of the own account out.

use std::collections::BTreeSet;

use crate::account::{Entry, EntryBody, EntryKind, SigningKey};
use crate::api::{Answer, CommandError};
use crate::core::records::Change;
use crate::core::{Fault, Inner, Stop, Tx};
use crate::{GroupId, InstallationId};

impl Inner {
    /// Revokes other installations of the own account. They are taken out of every group at once.
    pub(in crate::core) fn revoke(
        &mut self,
        tx: &mut Tx<'_>,
        installations: &[InstallationId],
    ) -> Result<Answer, Stop> {
        let own = self.own()?.installation;
        let names: BTreeSet<InstallationId> = installations.iter().copied().collect();
        let log = self.own_log()?;
        let live = log.live();
        if names.is_empty() || names.contains(&own) {
            return Err(Stop::Command(CommandError::OwnInstallation));
        }
        if let Some(unknown) = names.iter().find(|name| !live.contains_key(name)) {
            return Err(Stop::Command(CommandError::UnknownInstallation(*unknown)));
        }
        // what a lost one had added may be a thief's too
        let added: Vec<InstallationId> = live
            .iter()
            .filter(|(id, info)| {
                info.added_by.is_some_and(|by| names.contains(&by))
                    && !names.contains(id)
                    && **id != own
            })
            .map(|(id, _)| *id)
            .collect();
        self.say_of_account(tx, EntryKind::Revoke { installations: names.into_iter().collect() })?;
        self.hurry_removals(tx)?;
        self.tell_log(tx)?;
        Ok(Answer::Revoked { added })
    }

    /// Signs an entry of the own log, on its heads, and takes it in.
    pub(in crate::core) fn say_of_account(
        &mut self,
        tx: &mut Tx<'_>,
        kind: EntryKind,
    ) -> Result<(), Fault> {
        let own = self.account.as_ref().ok_or(Fault::Bug("an entry without an account"))?;
        let (account, key) = (own.account, own.key());
        let mut log = self.own_log()?;
        let signer = SigningKey::Installation(&key);
        let (parents, author) = (log.parents_for_new(), signer.author());
        let entry = Entry::sign(EntryBody { account, parents, time: tx.now, author, kind }, signer)
            .map_err(|_| Fault::Bug("an own log entry breaks its rules"))?;
        log.insert(entry);
        self.take_own_log(tx, &log)
    }

    /// Takes this installation out of its account, and of all groups.
    pub(in crate::core) fn leave_account(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        self.own()?;
        self.is_the_only_one()?;
        if self.own_live().len() < 2 {
            return Err(Stop::Command(CommandError::LastInstallation));
        }
        self.say_of_account(tx, EntryKind::Remove)?;
        self.tell_log(tx)?;
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in groups {
            match self.leave_here(tx, id) {
                Ok(_) | Err(Stop::Command(_)) => {}
                Err(Stop::Fault(fault)) => return Err(Stop::Fault(fault)),
            }
        }
        Ok(Answer::Done)
    }

    /// What this installation put out goes at once, everywhere.
    fn hurry_removals(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let own = self.account.as_ref().map(|own| own.account);
        let mut due: Vec<(GroupId, u64)> = Vec::new();
        for (id, group) in &self.groups {
            for (sequence, change) in &group.changes {
                let Change::Remove { installation } = &change.change else { continue };
                let ours = own.is_some() && group.account_of(installation) == own;
                if ours && group.departed.contains(installation) && change.done.is_none() {
                    due.push((*id, *sequence));
                }
            }
        }
        for (id, sequence) in due {
            self.put_off(tx, id, sequence, tx.now)?;
        }
        Ok(())
    }
}
