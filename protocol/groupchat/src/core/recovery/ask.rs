//! Coming back into the account's groups with another installation, and no other that could bring it
//! in.
//!
//! It asks on the topics that members keep for who cannot follow, of the state that the recovery
//! record names. Whoever brings it in sends an ordinary envelope, to an inbox that is for this group
//! alone. If the account that does so is one that the record names, nobody is asked; from any other it
//! is an invitation that people answer, since who had the lost installation knows enough of the group
//! to make up another one under its id.

use super::ReturnRecord;
use super::publish::known;
use crate::account::RegistrationSecret;
use crate::core::own_group::Mark;
use crate::core::records::{OutgoingKind, StateName, key, write};
use crate::core::rejoin::frame;
use crate::core::{Fault, Inner, Tx};
use crate::kdf::label;
use crate::limits::{INVITATION_AGE, REJOIN_HOURLY};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, Timestamp};

use prost::Message as _;
use zeroize::Zeroizing;

impl ReturnRecord {
    /// The secret of the inbox for this group.
    pub(in crate::core) fn inbox(&self) -> RegistrationSecret {
        RegistrationSecret::from_bytes(self.inbox.0)
    }

    /// Whether the account was in the group, as far as the record said.
    pub(in crate::core) fn knows(&self, account: &AccountId) -> bool {
        self.known.contains(&known(account))
    }

    /// As it goes into the next recovery record.
    pub(super) fn again(&self, group: GroupId) -> crate::account::RecoveryGroup {
        let secret = Zeroizing::new(self.secret.0);
        crate::account::RecoveryGroup {
            group,
            state: self.state,
            secret,
            known: self.known.clone(),
        }
    }
}

impl Inner {
    pub(super) fn keep_return(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        record: Option<ReturnRecord>,
    ) -> Result<(), Fault> {
        let at = key("return/", &[id.as_bytes()]);
        match record {
            Some(record) => {
                write(tx.overlay, at, &record)?;
                self.returns.insert(id, record);
            }
            None => {
                tx.overlay.delete(at);
                self.returns.remove(&id);
            }
        }
        self.topics.clear();
        Ok(())
    }

    /// The secret of the topics on which this installation asks to be brought in.
    pub(in crate::core) fn return_secret(
        &self,
        id: &GroupId,
        name: &StateName,
    ) -> Option<[u8; 32]> {
        self.returns.get(id).filter(|record| record.state == *name).map(|record| record.secret.0)
    }

    /// This installation is in the group, or the account does not want to be.
    pub(in crate::core) fn end_return(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        match self.returns.contains_key(&id) {
            true => self.keep_return(tx, id, None),
            false => Ok(()),
        }
    }

    pub(super) fn next_return(&self) -> Option<Timestamp> {
        let open = self.returns.values().map(|record| record.due);
        open.min().filter(|_| self.relay_peers > 0 && self.is_live())
    }

    /// Asks where it is time to.
    pub(super) fn returns_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.next_return().is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        let due = self.returns.iter().filter(|(_, record)| record.due <= tx.now);
        let due: Vec<GroupId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(mut record) = self.returns.get(&id).cloned() else { continue };
            if !self.wants_in(id) || tx.now.since(record.since) > INVITATION_AGE {
                self.keep_return(tx, id, None)?;
                continue;
            }
            self.ask_to_return(tx, id, &record)?;
            let hourly = record.attempts < REJOIN_HOURLY;
            let wait = if hourly { self.config.rejoin_retry } else { self.config.rejoin_after };
            record.due = tx.now + wait + self.rng.duration_below(wait / 8);
            record.attempts = record.attempts.saturating_add(1);
            write(tx.overlay, key("return/", &[id.as_bytes()]), &record)?;
            self.returns.insert(id, record);
        }
        Ok(())
    }

    fn wants_in(&self, id: GroupId) -> bool {
        let inside = self.groups.get(&id).is_some_and(|group| group.record.invitation.is_none());
        !inside && self.mark_of(&id) == Some(Mark::Joined)
    }

    fn ask_to_return(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        record: &ReturnRecord,
    ) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let mine = own.key_packages.iter().find(|(i, _)| *i == own.installation);
        let Some((_, package)) = mine else { return Ok(()) };
        let request = pb::AccountReturn {
            group: id.as_bytes().to_vec(),
            account: own.account.as_bytes().to_vec(),
            installation: own.installation.as_bytes().to_vec(),
            time: tx.now.as_nanos(),
            key_package: package.clone(),
            inbox: record.inbox.0.to_vec(),
            log_entries: own.log.clone(),
        }
        .encode_to_vec();
        let signature = own.key().sign(label::ACCOUNT_RETURN, &request).to_vec();
        let signed = pb::SignedRequest { request, signature };
        let content = frame(pb::rejoin::Body::AccountReturn(signed));
        let kind = OutgoingKind::Rejoin { group: id, name: record.state };
        self.enqueue(tx, kind, content, tx.now)?;
        Ok(())
    }
}
