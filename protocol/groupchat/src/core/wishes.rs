//! What was asked for, from the commit that carries it out until that stands for good.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::records::{ChangeRecord, IntentRecord, PastWish, Wish, decode, encode, key, write};
use super::{Fault, Inner, Stop, Tx};
use crate::api::{CommandError, Event};
use crate::limits::{KEPT_REJOIN_AGE, PAST_WISHES};
use crate::mls::StateId;
use crate::{AccountId, GroupId, Timestamp};

/// A change whose commit lost its place is tried again within this time for each commit that
/// competed with it.
const AGAIN_WITHIN: Duration = Duration::from_secs(4);

impl Inner {
    pub(super) fn put_off(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        sequence: u64,
        due: Timestamp,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        if let Some(change) = group.changes.get_mut(&sequence) {
            change.due = due;
        }
        group.save_change(tx, &id, sequence)?;
        Ok(())
    }

    pub(super) fn forget_change(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        sequence: u64,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        group.changes.remove(&sequence);
        group.save_change(tx, &id, sequence)?;
        Ok(())
    }

    pub(super) fn change_failed(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        sequence: u64,
        stop: Stop,
    ) -> Result<(), Fault> {
        let reason = match stop {
            Stop::Fault(fault) => return Err(fault),
            Stop::Command(error) => error.to_string(),
        };
        let Some(change) = self.groups.get(&id).and_then(|g| g.changes.get(&sequence)) else {
            return Ok(());
        };
        let what = change.change.kind();
        self.forget_change(tx, id, sequence)?;
        self.emit(tx, Event::ChangeFailed { group: id, change: what, reason })
    }

    /// Gives up all that was asked for in a group, and says so of what was not carried out.
    pub(super) fn give_up_wishes(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        reason: &str,
    ) -> Result<(), Fault> {
        let changes = self.groups.get(&id).into_iter().flat_map(|g| &g.changes);
        let changes: Vec<(u64, bool)> =
            changes.map(|(s, c)| (*s, c.done.is_none() && c.change.was_asked())).collect();
        for (sequence, open) in changes {
            if open {
                let reason = Stop::Command(CommandError::NotAllowed(reason.to_owned()));
                self.change_failed(tx, id, sequence, reason)?;
            } else {
                self.forget_change(tx, id, sequence)?;
            }
        }
        let intents: Vec<(AccountId, bool)> =
            self.intents.of(id).map(|(account, i)| (account, i.done.is_none())).collect();
        for (account, open) in intents {
            self.forget_intent(tx, id, account);
            if open {
                let reason = reason.to_owned();
                self.emit(tx, Event::InvitationFailed { group: id, account, reason })?;
            }
        }
        Ok(())
    }

    /// An own commit is in the graph: what it carries out waits for it to stand for good.
    pub(super) fn fulfilled(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        state: StateId,
        wishes: &[Wish],
    ) -> Result<(), Fault> {
        self.mark_wishes(tx, id, wishes, Some(state), tx.now)
    }

    /// Own commits lost their place: what they carry out is made again, after a random time.
    pub(super) fn reopen(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        abandoned: &[StateId],
    ) -> Result<(), Fault> {
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else { return Ok(()) };
        let competing = abandoned
            .iter()
            .filter_map(|state| line.graph.commit(*state))
            .map(|commit| line.graph.children(commit.parent).count())
            .max()
            .unwrap_or(1);
        let lost = |done: &Option<StateId>| done.is_some_and(|state| abandoned.contains(&state));
        let changes = self.groups.get(&id).into_iter().flat_map(|g| &g.changes);
        let mut wishes: Vec<Wish> =
            changes.filter(|(_, c)| lost(&c.done)).map(|(s, _)| Wish::Change(*s)).collect();
        let intents = self.intents.of(id).filter(|(_, i)| lost(&i.done));
        wishes.extend(intents.map(|(account, _)| Wish::Add(account)));
        let within = AGAIN_WITHIN * u32::try_from(competing).unwrap_or(u32::MAX);
        let due = tx.now + self.rng.duration_below(within);
        self.mark_wishes(tx, id, &wishes, None, due)
    }

    pub(super) fn mark_wishes(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        wishes: &[Wish],
        done: Option<StateId>,
        due: Timestamp,
    ) -> Result<(), Fault> {
        for wish in wishes {
            match wish {
                Wish::Change(sequence) => {
                    let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
                    if let Some(change) = group.changes.get_mut(sequence) {
                        (change.done, change.due) = (done, due);
                        group.save_change(tx, &id, *sequence)?;
                    }
                }
                Wish::Add(account) => {
                    let changed = self.intents.change(&(id, *account), |intent| {
                        (intent.done, intent.retry) = (done, due);
                    });
                    if let Some(intent) = changed {
                        write(tx.overlay, super::invite::intent_key(id, *account), intent)?;
                    }
                    self.assemblers.retain(|(g, a, _), _| (*g, a) != (id, account));
                    self.topics.clear();
                }
            }
        }
        Ok(())
    }

    /// What was carried out by a commit that is older than the oldest kept state stands for good.
    pub(super) fn close_fulfilled(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let Some(line) = &group.line else { return Ok(()) };
        let settled = |done: Option<StateId>| {
            done.is_some_and(|state| !line.graph.contains(state) || state == line.graph.root())
        };
        let changes: Vec<u64> =
            group.changes.iter().filter(|(_, c)| settled(c.done)).map(|(s, _)| *s).collect();
        let adds: Vec<AccountId> = self
            .intents
            .of(id)
            .filter(|(_, intent)| settled(intent.done))
            .map(|(account, _)| account)
            .collect();
        for sequence in changes {
            let done = self.groups.get(&id).and_then(|g| g.changes.get(&sequence)).cloned();
            if let Some(ChangeRecord { change, due, .. }) = done.filter(|c| c.change.was_asked()) {
                keep_past(tx, id, due, &PastWish::Change(change))?;
            }
            self.forget_change(tx, id, sequence)?;
        }
        for account in adds {
            if let Some(intent) = self.intents.get(&(id, account)) {
                keep_past(tx, id, intent.retry, &PastWish::Add(intent.card.clone()))?;
            }
            self.forget_intent(tx, id, account);
        }
        Ok(())
    }

    /// The own side of a long split has lost: what it carried out since the sides parted is asked
    /// for again, each thing as it was asked for last.
    pub(super) fn ask_again(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        since: Timestamp,
    ) -> Result<(), Fault> {
        let prefix = key("past/", &[id.as_bytes()]);
        let from = key("past/", &[id.as_bytes(), &since.as_nanos().to_be_bytes()]);
        let past = tx.overlay.scan_from(&prefix, &from, PAST_WISHES)?;
        let due = tx.now + self.rng.duration_below(self.config.rejoin_backoff);
        for (at, value) in past.into_iter().rev() {
            tx.overlay.delete(at);
            match decode(&value)? {
                PastWish::Change(change) => {
                    let Some(group) = self.groups.get(&id) else { return Ok(()) };
                    let later = |c: &ChangeRecord| c.change.is_about() == change.is_about();
                    if !group.changes.values().any(later) {
                        self.keep_change(tx, id, change, due)?;
                    }
                }
                PastWish::Add(card) => {
                    let at = (id, card.account);
                    let intent = IntentRecord {
                        card,
                        due: tx.now,
                        asked: 0,
                        found: None,
                        done: None,
                        retry: due,
                    };
                    if self.intents.get(&at).is_none() {
                        write(tx.overlay, super::invite::intent_key(id, at.1), &intent)?;
                        self.intents.insert(at, intent);
                    }
                }
            }
        }
        self.topics.clear();
        Ok(())
    }
}

/// Notes what stands for good, as far as this side of the group knows.
fn keep_past(tx: &Tx<'_>, id: GroupId, at: Timestamp, wish: &PastWish) -> Result<(), Fault> {
    let bytes = encode(wish)?;
    let name = Sha256::digest(&bytes);
    let parts = [id.as_bytes().as_slice(), &at.as_nanos().to_be_bytes(), &name[..8]];
    tx.overlay.put(key("past/", &parts), bytes);
    Ok(())
}

/// Lets go of what is older than a split can last, and of the oldest beyond a bounded number.
pub(super) fn prune_past(tx: &Tx<'_>, id: GroupId) -> Result<(), Fault> {
    let prefix = key("past/", &[id.as_bytes()]);
    let all = tx.overlay.scan(&prefix)?;
    let over = all.len().saturating_sub(PAST_WISHES);
    for (place, (at, _)) in all.into_iter().enumerate() {
        let when = at[prefix.len()..].first_chunk().map(|when| u64::from_be_bytes(*when));
        let when = Timestamp::from_nanos(when.ok_or(Fault::Bug("a past change's key"))?);
        if place < over || tx.now.since(when) > KEPT_REJOIN_AGE {
            tx.overlay.delete(at);
        }
    }
    Ok(())
}

/// Whether an intent is open: found, and not carried out.
pub(super) fn is_open(intent: &IntentRecord) -> bool {
    intent.found.is_some() && intent.done.is_none()
}
