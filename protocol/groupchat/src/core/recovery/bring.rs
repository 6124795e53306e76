//! Bringing an account's new installation in, where none of its own can: any one member does.
//!
//! The commit adds the installation, proven by the account's log, takes out whom the log ends, and
//! attaches the log. It needs no right: the account is in the group already ([`super::super::judge`]).

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;

use crate::account::{Log, verify};
use crate::api::{CommandError, RefusedReason};
use crate::core::records::Secret32;
use crate::core::{Fault, Inner, Stop, Tx, members};
use crate::kdf::label;
use crate::limits::{REJOIN_REQUESTS, REQUEST_AGE, TIME_AHEAD};
use crate::mls;
use crate::mls::package::Package;
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// Members wait for their turn, in an order that all of them know; so many turns,
const TURNS: usize = 5;
/// each so long,
const TURN: Duration = Duration::from_secs(8);
/// with a random part of this: where there are more members than turns, several have the same.
const WITHIN: Duration = Duration::from_secs(6);
/// A commit that did not come to stand is made again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(90);
/// How often.
const TRIES: u32 = 5;

/// An installation that asks to be brought in.
#[derive(Debug)]
struct Open {
    account: AccountId,
    package: Package,
    bytes: Vec<u8>,
    inbox: Secret32,
    log: Log,
    time: Timestamp,
    due: Timestamp,
    tries: u32,
}

/// Installations that ask to be brought in. Not kept over a restart: they ask again.
#[derive(Debug, Default)]
pub(in crate::core) struct Brings(BTreeMap<(GroupId, InstallationId), Open>);

impl Brings {
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.values().map(|open| open.due).min()
    }
}

/// What asks, if its signature and its fields hold.
fn parse(id: GroupId, signed: &pb::SignedRequest) -> Option<(InstallationId, pb::AccountReturn)> {
    let request = pb::AccountReturn::decode(signed.request.as_slice()).ok()?;
    let installation = InstallationId::from_slice(&request.installation)?;
    let message = (&signed.request, signed.signature.as_slice());
    let good = verify(installation.as_bytes(), label::ACCOUNT_RETURN, message.0, message.1);
    (good && request.group == id.as_bytes()).then_some((installation, request))
}

impl Inner {
    /// An account in a group has another installation.
    pub(in crate::core) fn return_asked(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        signed: &pb::SignedRequest,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let Some((installation, request)) = parse(id, signed) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Invalid);
        };
        let time = Timestamp::from_nanos(request.time);
        if time > at + TIME_AHEAD {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Time);
        }
        let open = self.opened(tx, id, installation, request, time);
        let (Some(open), Some(group)) = (open, self.groups.get(&id)) else {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Invalid);
        };
        if !group.is_member(open.account) {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::NotAllowed);
        }
        let own = self.account.as_ref().is_some_and(|own| own.account == open.account);
        // who is put out by it hears of it, whoever brings the new one in
        self.learn(tx, &open.log.encoded_entries())?;
        if !self.whole_log(open.account).is_live(&installation) {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Revoked);
        }
        let inside = self.groups.get(&id).is_some_and(|g| g.account_of(&installation).is_some());
        if own || inside || tx.now.since(time) > REQUEST_AGE {
            return Ok(());
        }
        let held = self.brings.0.get(&(id, installation));
        if held.is_none() && self.brings.0.len() >= REJOIN_REQUESTS {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::NotAllowed);
        }
        if held.is_none_or(|held| held.time < time) {
            let due = tx.now + self.turn(id, &installation) + self.rng.duration_below(WITHIN);
            self.brings.0.insert((id, installation), Open { due, ..open });
        }
        Ok(())
    }

    fn opened(
        &self,
        tx: &Tx<'_>,
        id: GroupId,
        installation: InstallationId,
        request: pb::AccountReturn,
        time: Timestamp,
    ) -> Option<Open> {
        let account = AccountId::from_slice(&request.account)?;
        let package = mls::package::check(&self.global_provider(tx), &request.key_package).ok()?;
        let named = members::parse_identity(&package.identity)?;
        let mut log = Log::from_entries(account, &request.log_entries).ok()?;
        let sound = named == (installation, account) && package.installation == installation;
        (sound && log.is_live(&installation) && self.groups.contains_key(&id)).then_some(())?;
        log.union(&self.whole_log(account));
        let inbox = Secret32(request.inbox.as_slice().try_into().ok()?);
        let bytes = request.key_package;
        Some(Open { account, package, bytes, inbox, log, time, due: time, tries: 0 })
    }

    /// When it is this member's turn to bring an installation in.
    fn turn(&self, id: GroupId, installation: &InstallationId) -> Duration {
        let own = self.account.as_ref().map(|own| own.installation);
        let Some((group, own)) = self.groups.get(&id).zip(own) else { return TURN };
        // an order of its own for each request
        let place = |i: &InstallationId| {
            crate::kdf::hash(label::ACCOUNT_RETURN, &[installation.as_bytes(), i.as_bytes()])
        };
        let mine = place(&own);
        let members = group.members();
        let before = members.iter().filter(|(i, _)| !group.departed.contains(i) && place(i) < mine);
        TURN * (before.count() % TURNS) as u32
    }

    /// Brings in who is due.
    pub(super) fn brings_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due = self.brings.0.iter().filter(|(_, open)| open.due <= tx.now);
        let due: Vec<(GroupId, InstallationId)> = due.map(|(at, _)| *at).collect();
        for at in due {
            let Some(mut open) = self.brings.0.remove(&at) else { continue };
            let group = self.groups.get(&at.0);
            let inside = group.is_none_or(|group| group.account_of(&at.1).is_some());
            if inside || open.tries >= TRIES || !self.is_live() {
                continue;
            }
            open.due = tx.now + TURN;
            if self.may_commit(at.0) {
                open.tries += 1;
                open.due = tx.now + LOOK_AGAIN + self.rng.duration_below(WITHIN);
                match self.bring(tx, at.0, &open) {
                    Ok(()) | Err(Stop::Command(CommandError::Busy { .. })) => {}
                    Err(Stop::Fault(fault)) => return Err(fault),
                    Err(Stop::Command(reason)) => {
                        tracing::warn!(%reason, "an account that comes back is not brought in");
                    }
                }
            }
            self.brings.0.insert(at, open);
        }
        Ok(())
    }

    fn bring(&mut self, tx: &mut Tx<'_>, id: GroupId, open: &Open) -> Result<(), Stop> {
        let mut plan = self.empty_plan(id)?;
        let group = self.joined(id)?;
        let mut log = open.log.clone();
        log.union(&self.whole_log(open.account));
        let of_it = group.members().into_iter().filter(|(_, account)| *account == open.account);
        plan.removes = of_it.map(|(i, _)| i).filter(|i| !log.is_live(i)).collect();
        plan.attached = log.encoded_entries();
        plan.adds.push((open.account, open.package.clone()));
        let slot = (open.package.reference, open.bytes.clone());
        plan.invitees = Some(vec![(open.account, open.inbox.clone(), vec![slot])]);
        self.commit(tx, id, plan)
    }
}
