//! The root entry that lists this installation alone, and what follows from it here.

use std::collections::BTreeMap;

use super::{Recovering, ReturnRecord};
use crate::Timestamp;
use crate::account::{
    Entry, EntryBody, EntryKind, InstallationKey, Log, Phrase, RecoveryContent, RecoveryGroup,
    RecoveryRecord, RegistrationSecret, SigningKey,
};
use crate::api::Event;
use crate::core::own_group::Mark;
use crate::core::records::{AccountRecord, KeptKey, Secret32, key, write};
use crate::core::topics::period;
use crate::core::{Fault, Inner, Tx};

/// What the records that were found give together.
struct Found {
    /// Everything that one of them holds: who was revoked cannot hide that.
    log: Log,
    registration: Option<RegistrationSecret>,
    groups: Vec<RecoveryGroup>,
    /// The newest period that has one.
    newest: u64,
}

impl Recovering {
    /// Of the newest records, what live installations sealed; if there is none, what any did. The
    /// registration secret that the log's newest rotate entry names counts.
    fn together(&self) -> Found {
        let mut log = Log::new(self.account);
        for record in &self.found {
            log.union(&record.log);
        }
        let newest = self.found.iter().map(|record| record.day).max().unwrap_or(0);
        let of_newest = |record: &&RecoveryRecord| record.day + 1 >= newest;
        let live = |record: &&RecoveryRecord| log.is_live(&record.installation);
        let mut records: Vec<_> = self.found.iter().filter(of_newest).filter(live).collect();
        if records.is_empty() {
            records = self.found.iter().filter(of_newest).collect();
        }
        records.sort_by_key(|record| (std::cmp::Reverse(record.day), record.installation));
        let contents: Vec<RecoveryContent> =
            records.iter().filter_map(|record| record.open(&self.phrase)).collect();
        let said = log.card_commitment();
        let named = contents.iter().find(|c| said == Some(c.registration.commitment()));
        let registration = named.or(contents.first()).map(|c| c.registration.clone());
        let mut groups: Vec<RecoveryGroup> = Vec::new();
        for group in contents.into_iter().flat_map(|content| content.groups) {
            if !groups.iter().any(|known| known.group == group.group) {
                groups.push(group);
            }
        }
        Found { log, registration, groups, newest }
    }
}

impl Inner {
    /// Signs a root entry that lists a new installation, this one, and begins as it.
    pub(super) fn speak_as_root(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let Some(recovering) = &self.recovering else { return Ok(()) };
        let (phrase, stolen) = (recovering.phrase.clone(), recovering.stolen);
        let Found { mut log, registration, groups, newest } = recovering.together();
        let mut rng = self.rng.clone();
        let installation_key = InstallationKey::generate(&mut rng);
        let former = registration.clone().filter(|_| stolen);
        let registration = match registration.filter(|_| !stolen) {
            Some(known) => known,
            None => RegistrationSecret::generate(&mut rng),
        };
        say_as_root(&mut log, &phrase, &installation_key, &registration, tx.now)?;
        let record = AccountRecord {
            account: log.account(),
            installation: installation_key.id(),
            installation_key: KeptKey(installation_key),
            registration_secret: Secret32(*registration.as_bytes()),
            recovery_secret: Secret32(*phrase.recovery_secret().as_bytes()),
            recovery_key: *phrase.recovery_key().as_bytes(),
            log: log.encoded_entries(),
            key_packages: Vec::new(),
            turn_known: true,
            register_at: tx.now + self.rng.duration_below(self.config.registration_delay),
            registered: None,
        };
        drop(phrase);
        self.begin_recovered(tx, record, &log, newest)?;
        if let Some(former) = former {
            self.keep_former(tx, Secret32(*former.as_bytes()))?;
        }
        let groups = self.keep_returns(tx, groups, stolen)?;
        let Some(own) = &self.account else { return Ok(()) };
        let (account, installation) = (own.account, own.installation);
        self.emit(tx, Event::Recovered { account, installation, groups })
    }

    fn begin_recovered(
        &mut self,
        tx: &mut Tx<'_>,
        mut record: AccountRecord,
        log: &Log,
        newest: u64,
    ) -> Result<(), Fault> {
        let running = period(tx.now, self.config.registration_period);
        // one that was published in this period already is not followed by another
        let registered = newest >= running;
        record.registered = registered.then_some(running);
        self.account = Some(record);
        self.see_own_log(log, tx.now);
        if registered {
            self.register_next(tx.now);
        }
        self.new_key_package(tx)?;
        self.save_account(tx)?;
        write(tx.overlay, key("clock", &[]), &self.clock)?;
        self.topics.clear();
        Ok(())
    }

    /// Notes the groups to ask in; how many.
    fn keep_returns(
        &mut self,
        tx: &mut Tx<'_>,
        groups: Vec<RecoveryGroup>,
        stolen: bool,
    ) -> Result<usize, Fault> {
        let count = groups.len();
        let within = self.config.installation_delay;
        for RecoveryGroup { group, state, secret, known } in groups {
            let mut inbox = [0; 32];
            self.rng.fill(&mut inbox);
            // who has an installation that is not the account's any more is put out at once
            let wait = if stolen { within / 64 } else { within };
            let record = ReturnRecord {
                state,
                secret: Secret32(*secret),
                inbox: Secret32(inbox),
                known,
                since: tx.now,
                due: tx.now + self.rng.duration_below(wait),
                attempts: 0,
            };
            self.keep_return(tx, group, Some(record))?;
            self.mark_group(tx, group, Mark::Joined)?;
        }
        Ok(count)
    }
}

/// A root entry that lists `new` alone, and one that says which card counts from then on: what said
/// so before is void with it.
fn say_as_root(
    log: &mut Log,
    phrase: &Phrase,
    new: &InstallationKey,
    registration: &RegistrationSecret,
    now: Timestamp,
) -> Result<(), Fault> {
    let root = phrase.root();
    let live = vec![new.id()];
    let kinds = [
        EntryKind::Root { counter: log.next_counter(now), live },
        EntryKind::RotateCard { commitment: registration.commitment() },
    ];
    let mut parents = log.parents_for_new();
    for kind in kinds {
        let signer = SigningKey::Root(&root);
        let (account, author) = (log.account(), signer.author());
        let body = EntryBody { account, parents, time: now, author, kind };
        let entry = Entry::sign(body, signer)
            .map_err(|_| Fault::Bug("a root entry of one's own breaks its rules"))?;
        parents = vec![entry.hash()];
        log.insert(entry);
    }
    Ok(())
}

/// Groups to ask in, as they were kept.
pub(in crate::core) fn load_returns(
    overlay: &crate::store::Overlay<'_>,
) -> Result<BTreeMap<crate::GroupId, ReturnRecord>, Fault> {
    let mut returns = BTreeMap::new();
    for (k, value) in overlay.scan(b"return/")? {
        let id = k.get(b"return/".len()..).and_then(crate::GroupId::from_slice);
        let id = id.ok_or(Fault::Bug("a return's key"))?;
        returns.insert(id, crate::core::records::decode(&value)?);
    }
    Ok(returns)
}
