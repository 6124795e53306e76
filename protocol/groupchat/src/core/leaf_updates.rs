//! New keys for the own leaf, once in a while: whoever learnt the old ones reads no more.
//!
//! Each member does so some time after it joined, and then about every 30 days; in large groups
//! less often, so that there are at most about four such commits a day in a group.

use std::time::Duration;

use super::records::Change;
use super::{Fault, Inner, Tx};
use crate::limits::{LEAF_UPDATE_EVERY, LEAF_UPDATES_A_DAY};
use crate::{GroupId, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

impl Inner {
    pub(super) fn next_leaf_update(&self) -> Option<Timestamp> {
        if self.was_away(self.last_now) {
            return None;
        }
        let due = |(id, group): (&GroupId, &super::group::Group)| {
            let at = group.record.update_at;
            (self.may_commit(*id) && at != Timestamp::ZERO).then_some(at)
        };
        self.groups.iter().filter_map(due).min()
    }

    /// Whether there is much to be read that others did meanwhile.
    fn was_away(&self, now: Timestamp) -> bool {
        self.clock.store_seen && now.since(self.clock.caught_up) > DAY
    }

    /// Sets the time of the next one; the first comes sooner.
    pub(super) fn plan_leaf_update(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        first: bool,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id) else { return Ok(()) };
        let room = DAY * group.size() / LEAF_UPDATES_A_DAY;
        let at = if first {
            tx.now + self.rng.duration_below(room.max(DAY))
        } else {
            let every = room.max(LEAF_UPDATE_EVERY);
            tx.now + every * 3 / 4 + self.rng.duration_below(every / 2)
        };
        if let Some(group) = self.groups.get_mut(&id) {
            group.record.update_at = at;
            group.save(tx, &id)?;
        }
        Ok(())
    }

    /// Asks for new keys where it is time. Who was away first reads what the others did meanwhile:
    /// nobody could use a commit that leaves a state which they all have left long ago.
    pub(super) fn leaf_updates_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.was_away(tx.now) {
            return Ok(());
        }
        let due: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(id, group)| {
                let at = group.record.update_at;
                at != Timestamp::ZERO && at <= tx.now && self.may_commit(**id)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.plan_leaf_update(tx, id, false)?;
            // alone there is nobody to keep anything from
            if self.groups.get(&id).is_some_and(|group| group.size() > 1) {
                self.keep_change(tx, id, Change::Update, tx.now)?;
            }
        }
        Ok(())
    }
}
