//! Invitations again, each period, until they are answered: archives need not reach back for as long
//! as an invited installation is away.
//!
//! What belongs to one commit is kept as it was made: the shared part, and the secrets of each
//! installation that has not been read in the group since. Once a period, at a random time, it goes
//! out again under a fresh key, to the accounts of these alone.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Group;
use super::records::{
    OutgoingKind, PendingEnvelope, RejoinRecord, RepeatRecord, Secret32, StateName,
    WaitingEnvelope, key, write,
};
use super::topics::period;
use super::{Fault, Inner, Tx};
use crate::api::Event;
use crate::limits::{INVITATION_AGE, REPEATED_INVITATION_BYTES, REPEATED_INVITATIONS};
use crate::mls::{self, StateId};
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// A commit whose invitations are repeated.
pub(super) type RepeatName = (GroupId, StateId);

/// What is to be done with the invitations of one commit.
enum Verdict {
    Repeat,
    /// Not now: the commit does not stand, or what was sent before has not left yet.
    Wait,
    Forget,
    /// Nobody answered for too long.
    Expired,
}

impl Inner {
    /// Invitations leave for the first time: keeps what it takes to repeat them.
    pub(super) fn keep_repeat(
        &mut self,
        tx: &mut Tx<'_>,
        (id, state): RepeatName,
        shared: &[u8],
        envelopes: &[PendingEnvelope],
    ) -> Result<(), Fault> {
        let waiting = self.waiting(tx, envelopes)?;
        let accounts: Vec<AccountId> = waiting.iter().map(|w| w.account).collect();
        let line = self.groups.get(&id).and_then(|group| group.line.as_ref());
        let before = |old: StateId| {
            line.is_none_or(|line| !line.graph.contains(old) || line.graph.leads_to(old, state))
        };
        let names = self.repeats.keys().filter(|(group, old)| *group == id && before(*old));
        let followed: BTreeSet<StateId> = names.map(|(_, old)| *old).collect();
        // an earlier commit on another branch may come to stand after all
        self.drop_waiting(tx, id, |old, w| {
            followed.contains(&old) && accounts.contains(&w.account)
        })?;
        let record = RepeatRecord {
            since: tx.now,
            due: self.next_period(tx.now),
            bytes: shared.len() as u64 + bytes_of(&waiting),
            settled: false,
            waiting,
        };
        self.make_room(tx, record.bytes)?;
        tx.overlay.put(shared_key(&id, state), shared.to_vec());
        write(tx.overlay, repeat_key(&id, state), &record)?;
        self.repeats.insert((id, state), record);
        Ok(())
    }

    fn waiting(
        &self,
        tx: &Tx<'_>,
        envelopes: &[PendingEnvelope],
    ) -> Result<Vec<WaitingEnvelope>, Fault> {
        let provider = self.global_provider(tx);
        let mut waiting = Vec::new();
        for envelope in envelopes {
            let mut slots = Vec::new();
            for (package, secrets) in &envelope.slots {
                let checked = mls::package::check(&provider, package)
                    .map_err(|_| Fault::Bug("a key package that was added does not hold"))?;
                slots.push((checked.installation, package.clone(), secrets.clone()));
            }
            let (account, registration_secret) =
                (envelope.account, envelope.registration_secret.clone());
            waiting.push(WaitingEnvelope { account, registration_secret, answered: false, slots });
        }
        Ok(waiting)
    }

    /// Gives up what was invited longest ago, where more than a bounded part would be kept.
    fn make_room(&mut self, tx: &mut Tx<'_>, bytes: u64) -> Result<(), Fault> {
        loop {
            let kept: u64 = self.repeats.values().map(|repeat| repeat.bytes).sum();
            let fits = self.repeats.len() < REPEATED_INVITATIONS;
            let oldest = self.repeats.iter().min_by_key(|(_, repeat)| repeat.since);
            let Some(name) = oldest.map(|(name, _)| *name) else { return Ok(()) };
            if fits && kept + bytes <= REPEATED_INVITATION_BYTES {
                return Ok(());
            }
            self.give_up_repeat(tx, name, "too many invitations wait for an answer")?;
        }
    }

    /// A random time in the next period.
    fn next_period(&self, now: Timestamp) -> Timestamp {
        let length = self.config.registration_period;
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let next = Timestamp::from_nanos((period(now, length) + 1).saturating_mul(nanos));
        next + self.rng.duration_below(length)
    }

    pub(super) fn next_repeat(&self) -> Option<Timestamp> {
        self.repeats.values().map(|repeat| repeat.due).min()
    }

    pub(super) fn repeats_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due = self.repeats.iter().filter(|(_, repeat)| repeat.due <= tx.now);
        let due: Vec<RepeatName> = due.map(|(name, _)| *name).collect();
        for name in due {
            self.note_answers(name);
            match self.judge_repeat(tx.now, name) {
                Verdict::Repeat => self.repeat(tx, name)?,
                Verdict::Wait => {}
                Verdict::Forget => {
                    self.forget_repeat(tx, name);
                    continue;
                }
                Verdict::Expired => {
                    self.give_up_repeat(tx, name, "nobody answered within 30 days")?;
                    continue;
                }
            }
            let next = self.next_period(tx.now);
            if let Some(repeat) = self.repeats.get_mut(&name) {
                repeat.due = next;
                write(tx.overlay, repeat_key(&name.0, name.1), repeat)?;
            }
        }
        Ok(())
    }

    /// Lets go of installations that have been read since, where the group stands, and of those that
    /// were taken out: who came by a commit that lost its place may be read there, and needs the
    /// invitation all the same.
    fn note_answers(&mut self, name: RepeatName) {
        let path: BTreeSet<StateName> = self.path_names(name.0).into_iter().collect();
        let Some(repeat) = self.repeats.get_mut(&name) else { return };
        let Some(group) = self.groups.get(&name.0) else { return };
        let since = repeat.since;
        for waiting in &mut repeat.waiting {
            let before = waiting.slots.len();
            waiting.slots.retain(|(i, ..)| !group.heard_since(i, since, &path));
            waiting.answered |= waiting.slots.len() < before;
            waiting.slots.retain(|(i, ..)| group.account_of(i) == Some(waiting.account));
        }
        repeat.waiting.retain(|waiting| !waiting.slots.is_empty());
    }

    fn judge_repeat(&self, now: Timestamp, (id, state): RepeatName) -> Verdict {
        let Some(repeat) = self.repeats.get(&(id, state)) else { return Verdict::Forget };
        let Some(group) = self.groups.get(&id) else { return Verdict::Forget };
        let Some(line) = &group.line else { return Verdict::Forget };
        let inside = group.stays();
        let kept = line.graph.contains(state);
        let stands = repeat.settled || (kept && line.graph.leads_to(state, line.tip));
        let is_its = |kind: &OutgoingKind| match kind {
            OutgoingKind::InvitationShared { group, .. } => *group == id,
            OutgoingKind::InvitationEnvelope { group, .. } => *group == id,
            _ => false,
        };
        let unsent = || self.outgoing.any_unsent(is_its);
        match () {
            () if !inside || (!kept && !stands) => Verdict::Forget,
            () if stands && repeat.waiting.is_empty() => Verdict::Forget,
            () if now.since(repeat.since) > INVITATION_AGE => Verdict::Expired,
            () if !stands || unsent() => Verdict::Wait,
            () => Verdict::Repeat,
        }
    }

    fn repeat(&mut self, tx: &mut Tx<'_>, (id, state): RepeatName) -> Result<(), Fault> {
        let shared = tx.overlay.get(&shared_key(&id, state))?;
        let shared = shared.ok_or(Fault::Bug("an invitation without its shared part"))?;
        let Some(repeat) = self.repeats.get(&(id, state)) else { return Ok(()) };
        let envelopes = repeat.waiting.iter().map(|waiting| PendingEnvelope {
            account: waiting.account,
            registration_secret: waiting.registration_secret.clone(),
            slots: waiting.slots.iter().map(|(_, p, s)| (p.clone(), s.clone())).collect(),
        });
        let envelopes: Vec<PendingEnvelope> = envelopes.collect();
        let mut content_key = [0; 32];
        self.rng.fill(&mut content_key);
        self.enqueue_invitations(tx, id, &Secret32(content_key), &shared, &envelopes)
    }

    /// The group stands on another path for good, or lets go of states: what stood among them stays,
    /// the accounts of the others are invited anew.
    pub(super) fn settle_repeats(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        gone: &[StateId],
        stood: impl Fn(StateId) -> bool,
    ) -> Result<(), Fault> {
        let of = self.repeats.keys().filter(|(g, state)| *g == id && gone.contains(state));
        let of: Vec<RepeatName> = of.copied().collect();
        for name in of {
            if !stood(name.1) {
                self.forget_repeat(tx, name);
            } else if let Some(repeat) = self.repeats.get_mut(&name) {
                repeat.settled = true;
                write(tx.overlay, repeat_key(&name.0, name.1), repeat)?;
            }
        }
        Ok(())
    }

    fn drop_waiting(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        drop: impl Fn(StateId, &WaitingEnvelope) -> bool,
    ) -> Result<(), Fault> {
        for ((group, state), repeat) in &mut self.repeats {
            let before = repeat.waiting.len();
            if *group == id {
                repeat.waiting.retain(|waiting| !drop(*state, waiting));
            }
            if repeat.waiting.len() < before {
                write(tx.overlay, repeat_key(group, *state), repeat)?;
            }
        }
        Ok(())
    }

    /// Whom an account's former card invites is invited by its new one from now on.
    pub(super) fn renew_repeats(
        &mut self,
        tx: &Tx<'_>,
        account: AccountId,
        (former, new): (&Secret32, &Secret32),
    ) -> Result<(), Fault> {
        for ((group, state), repeat) in &mut self.repeats {
            let by_it = repeat.waiting.iter_mut().filter(|waiting| {
                waiting.account == account && waiting.registration_secret == *former
            });
            let mut changed = false;
            for waiting in by_it {
                waiting.registration_secret = new.clone();
                changed = true;
            }
            if changed {
                write(tx.overlay, repeat_key(group, *state), repeat)?;
            }
        }
        Ok(())
    }

    fn forget_repeat(&mut self, tx: &Tx<'_>, name: RepeatName) {
        self.repeats.remove(&name);
        tx.overlay.delete(repeat_key(&name.0, name.1));
        tx.overlay.delete(shared_key(&name.0, name.1));
    }

    /// Repeats no more, and says so of the accounts of which nobody answered.
    fn give_up_repeat(
        &mut self,
        tx: &mut Tx<'_>,
        name: RepeatName,
        reason: &str,
    ) -> Result<(), Fault> {
        self.note_answers(name);
        let waiting = self.repeats.get(&name).into_iter().flat_map(|repeat| &repeat.waiting);
        let silent: Vec<AccountId> =
            waiting.filter(|waiting| !waiting.answered).map(|waiting| waiting.account).collect();
        self.forget_repeat(tx, name);
        for account in silent {
            let reason = reason.to_owned();
            self.emit(tx, Event::InvitationFailed { group: name.0, account, reason })?;
        }
        Ok(())
    }

    /// Where the clock stepped back, none waits for longer than two periods.
    pub(super) fn hurry_repeats(&mut self, now: Timestamp) {
        let most = now + self.config.registration_period * 2;
        for repeat in self.repeats.values_mut() {
            repeat.due = repeat.due.min(most);
        }
    }
}

impl Group {
    /// Whether something of an installation was read that was sent after a time, in one of some states.
    fn heard_since(
        &self,
        installation: &InstallationId,
        since: Timestamp,
        states: &BTreeSet<StateName>,
    ) -> bool {
        let heard = self.heard_in.get(installation);
        let read = heard.is_some_and(|heard| heard.at > since && states.contains(&heard.state));
        let committed = |record: &RejoinRecord| {
            record.since > since && record.author.is_some_and(|(author, _)| author == *installation)
        };
        read || states.iter().filter_map(|name| self.rejoin.get(name)).any(committed)
    }
}

fn bytes_of(waiting: &[WaitingEnvelope]) -> u64 {
    let slots = waiting.iter().flat_map(|waiting| &waiting.slots);
    slots.map(|(_, package, secrets)| (package.len() + secrets.len() + 64) as u64).sum()
}

/// Everything that is kept to be repeated.
pub(super) fn load_repeats(
    overlay: &crate::store::Overlay<'_>,
) -> Result<BTreeMap<RepeatName, RepeatRecord>, Fault> {
    let mut repeats = BTreeMap::new();
    for (k, value) in overlay.scan(b"repeat/")? {
        let name = k[b"repeat/".len()..].split_at_checked(GroupId::LEN);
        let name = name.and_then(|(group, state)| {
            Some((GroupId::from_slice(group)?, StateId::from_bytes(state.try_into().ok()?)))
        });
        let name = name.ok_or(Fault::Bug("the key of a repeated invitation"))?;
        repeats.insert(name, super::records::decode(&value)?);
    }
    Ok(repeats)
}

fn repeat_key(id: &GroupId, state: StateId) -> Vec<u8> {
    key("repeat/", &[id.as_bytes(), state.as_bytes()])
}

fn shared_key(id: &GroupId, state: StateId) -> Vec<u8> {
    key("shared/", &[id.as_bytes(), state.as_bytes()])
}
