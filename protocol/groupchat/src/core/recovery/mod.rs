//! Bringing an account back by its phrase alone, and what of that others do.
//!
//! Beside each registration record a recovery record leaves. From it the phrase makes a root entry
//! that lists a new installation alone: whatever was live before is not any more. The new one then
//! asks, in each group, to be brought in; any one member does that, and takes the former leaves out
//! in the same commit. Who holds the card learns of the root entry from the recovery records.
//!
//! | module | what |
//! |---|---|
//! | [`publish`] | the recovery record that leaves each period |
//! | [`search`] | looking for the newest records, with the phrase |
//! | [`root`] | the root entry, and what follows from it here |
//! | [`ask`] | the side that comes back into its groups |
//! | [`bring`] | the members that bring it in |
//!
//! The phrase is held in memory alone while archives are asked, and is let go of with the root entry.

mod ask;
mod bring;
mod publish;
mod root;
mod search;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use self::bring::Brings;
pub(super) use self::root::load_returns;
use self::search::Stage;
use super::records::{Secret32, StateName};
use super::{Inner, Stop, Tx};
use crate::account::{KNOWN_BYTES, Phrase, RecoveryAssembler, RecoveryRecord, RecoverySecret};
use crate::api::{Answer, CommandError};
use crate::{AccountId, Timestamp};

/// A recovery that is under way. Not kept: it holds the phrase.
pub(super) struct Recovering {
    phrase: Phrase,
    account: AccountId,
    secret: RecoverySecret,
    /// Somebody else has an installation: the card changes, too.
    stolen: bool,
    stage: Stage,
    /// How often in a row no archive answered.
    failures: u32,
    /// When archives are asked again.
    retry: Option<Timestamp>,
    found: Vec<RecoveryRecord>,
    parts: BTreeMap<u64, RecoveryAssembler>,
}

impl std::fmt::Debug for Recovering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recovering({}, {:?})", self.account.short(), self.stage)
    }
}

impl Recovering {
    pub(super) fn secret(&self) -> &RecoverySecret {
        &self.secret
    }
}

/// A group that this installation asks to be brought into.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReturnRecord {
    /// The state on whose topics it asks, and the secret of those.
    state: StateName,
    secret: Secret32,
    /// In the place of a registration secret: for the inbox that the answer comes to.
    pub(super) inbox: Secret32,
    /// Accounts that were in the group, by the first bytes of their ids.
    known: Vec<[u8; KNOWN_BYTES]>,
    since: Timestamp,
    due: Timestamp,
    attempts: u32,
}

impl Inner {
    /// Looks for the account of a phrase.
    pub(super) fn recover(
        &mut self,
        tx: &mut Tx<'_>,
        phrase: Phrase,
        stolen: bool,
    ) -> Result<Answer, Stop> {
        if let Some(own) = &self.account {
            return Err(Stop::Command(CommandError::HasAccount(own.account)));
        }
        let account = phrase.root().account();
        self.recovering = Some(Recovering {
            account,
            secret: phrase.recovery_secret(),
            phrase,
            stolen,
            stage: Stage::Own,
            failures: 0,
            retry: None,
            found: Vec::new(),
            parts: BTreeMap::new(),
        });
        self.topics.clear();
        self.ask_for_records(tx);
        Ok(Answer::Recovering { account })
    }

    /// What was done is on disk: an account needs no phrase any more.
    pub(super) fn let_go_of_phrase(&mut self) {
        if self.account.is_some() {
            self.recovering = None;
        }
    }

    /// After a fault: archives are asked again.
    pub(super) fn recovering_still(&mut self, before: Option<Recovering>, now: Timestamp) {
        self.recovering = before.filter(|_| self.account.is_none());
        if let Some(recovering) = &mut self.recovering {
            recovering.retry = Some(now);
        }
    }

    pub(super) fn next_recovery(&self) -> Option<Timestamp> {
        let retry = self.recovering.as_ref().and_then(|recovering| recovering.retry);
        retry.into_iter().chain(self.next_return()).chain(self.brings.next()).min()
    }

    pub(super) fn recovery_due(&mut self, tx: &mut Tx<'_>) -> Result<(), crate::core::Fault> {
        if let Some(recovering) = &mut self.recovering
            && recovering.retry.is_some_and(|at| at <= tx.now)
        {
            recovering.retry = None;
            self.ask_for_records(tx);
        }
        self.returns_due(tx)?;
        self.brings_due(tx)
    }
}
