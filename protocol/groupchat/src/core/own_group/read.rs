//! Up to where the account has read its groups.
//!
//! What was read is a place in a group's order, and of two the last one counts: neither clocks nor the
//! order in which statements come enter, and nothing that was read becomes unread. Statements leave
//! together, after a random time, a few groups in each, so that all are of one size: who sees them
//! leave learns neither when something was read nor of which group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Shared;
use crate::account::proto as pb;
use crate::api::views::MessageCursor;
use crate::api::{Answer, CommandError, Event};
use crate::core::outbox::place_key;
use crate::core::records::{MessageRecord, decode, key, write};
use crate::core::schema::Progress;
use crate::core::{Fault, Inner, Stop, Tx};
use crate::group::message::SignedCore;
use crate::limits::{OWN_MARKS, READS_AT_ONCE, TIME_AHEAD, UNREAD_COUNTED};
use crate::store::{Overlay, StoreError};
use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

/// Messages that are looked at in one go.
const PAGE: usize = 256;

/// The place of a message in its group's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    time: Timestamp,
    installation: InstallationId,
    number: u64,
}

impl Place {
    const LEN: usize = 8 + InstallationId::LEN + 8;

    /// As it ends the key of a message.
    fn from_key(key: &[u8]) -> Option<Self> {
        let place = key.get(key.len().checked_sub(Self::LEN)?..)?;
        let (time, rest) = place.split_first_chunk::<8>()?;
        let (installation, number) = rest.split_at_checked(InstallationId::LEN)?;
        Some(Self {
            time: Timestamp::from_nanos(u64::from_be_bytes(*time)),
            installation: InstallationId::from_slice(installation)?,
            number: u64::from_be_bytes(number.try_into().ok()?),
        })
    }

    /// The first key behind it.
    fn next_key(&self, prefix: &[u8]) -> Vec<u8> {
        let (time, number) = (self.time.as_nanos().to_be_bytes(), self.number.to_be_bytes());
        key("", &[prefix, &time, self.installation.as_bytes(), &number, &[0]])
    }
}

impl From<Place> for MessageCursor {
    fn from(Place { time, installation, number }: Place) -> Self {
        Self { time, installation, number }
    }
}

/// What was read of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadRecord {
    upto: Option<Place>,
    unread: u64,
    /// The other installations know `upto`.
    told: bool,
}

impl Shared {
    /// How many messages of a group are unread.
    pub(in crate::core) fn unread(&self, group: &GroupId) -> u64 {
        self.reads.get(group).map_or(0, |read| read.unread)
    }

    /// Up to where a group was read.
    pub(in crate::core) fn read_upto(&self, group: &GroupId) -> Option<MessageCursor> {
        self.reads.get(group)?.upto.map(Into::into)
    }

    fn untold(&self) -> impl Iterator<Item = (&GroupId, &ReadRecord)> {
        self.reads.iter().filter(|(_, read)| read.upto.is_some() && !read.told)
    }
}

impl Inner {
    /// Says that a group was read up to a message.
    pub(in crate::core) fn mark_read(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        upto: Option<(InstallationId, u64)>,
    ) -> Result<Answer, Stop> {
        self.own()?;
        self.joined(id)?;
        if self.is_own_group(&id) {
            return Err(Stop::Command(CommandError::UnknownGroup(id)));
        }
        let place = match upto {
            Some((installation, number)) => {
                let time = tx.overlay.get(&place_key(id, &installation, number))?;
                let time = time.and_then(|time| time.try_into().ok()).map(u64::from_be_bytes);
                let message = MessageId { group: id, installation, number };
                let unknown = Stop::Command(CommandError::UnknownMessage(message));
                let time = Timestamp::from_nanos(time.ok_or(unknown)?);
                Some(Place { time, installation, number })
            }
            None => last_place(tx.overlay, &id)?,
        };
        if let Some(place) = place
            && self.read_to(tx, id, place, false)?
        {
            self.tell_reads_soon(tx);
        }
        Ok(Answer::Done)
    }

    /// Another installation says up to where a group was read.
    pub(super) fn take_read(&mut self, tx: &mut Tx<'_>, read: &pb::OwnRead) -> Result<(), Fault> {
        let (Some(id), Some(installation)) =
            (GroupId::from_slice(&read.group), InstallationId::from_slice(&read.installation))
        else {
            return Ok(());
        };
        // nothing that is read can be from further ahead: a wrong place must not stand for ever
        let time = Timestamp::from_nanos(read.time).min(tx.now + TIME_AHEAD);
        let full = !self.shared.reads.contains_key(&id) && self.shared.reads.len() >= OWN_MARKS;
        if full || self.is_own_group(&id) {
            return Ok(());
        }
        self.read_to(tx, id, Place { time, installation, number: read.number }, true)?;
        Ok(())
    }

    /// Moves on to a place; `false` if that is no further than before.
    fn read_to(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        place: Place,
        told: bool,
    ) -> Result<bool, Fault> {
        if self.shared.reads.get(&id).and_then(|read| read.upto) >= Some(place) {
            return Ok(false);
        }
        let unread = self.unread_after(tx, &id, Some(place))?;
        let record = ReadRecord { upto: Some(place), unread, told };
        save(tx, &id, &record)?;
        self.shared.reads.insert(id, record);
        if self.groups.contains_key(&id) {
            self.emit(tx, Event::Read { group: id, upto: place.into(), unread })?;
        }
        Ok(true)
    }

    /// A text came, and is on disk.
    pub(in crate::core) fn count_unread(
        &mut self,
        tx: &Tx<'_>,
        message: MessageId,
        time: Timestamp,
        account: AccountId,
    ) -> Result<(), Fault> {
        let MessageId { group, installation, number } = message;
        if !self.counts(&account) || self.is_own_group(&group) {
            return Ok(());
        }
        let place = Place { time, installation, number };
        let read = self.shared.reads.entry(group).or_default();
        if read.upto < Some(place) {
            read.unread += 1;
            save(tx, &group, read)?;
        }
        Ok(())
    }

    /// An account was blocked, or is not any more.
    pub(in crate::core) fn count_unread_of(
        &mut self,
        tx: &Tx<'_>,
        account: AccountId,
    ) -> Result<(), Fault> {
        let wrote = |id: &GroupId| {
            self.groups.get(id).is_some_and(|group| group.everybody().any(|(_, a)| a == account))
        };
        let groups: Vec<GroupId> = self.shared.reads.keys().copied().filter(wrote).collect();
        for id in groups {
            let upto = self.shared.reads.get(&id).and_then(|read| read.upto);
            let unread = self.unread_after(tx, &id, upto)?;
            if let Some(read) = self.shared.reads.get_mut(&id) {
                read.unread = unread;
                save(tx, &id, read)?;
            }
        }
        Ok(())
    }

    /// Whether messages of an account are unread at first.
    fn counts(&self, account: &AccountId) -> bool {
        let own = self.account.as_ref().is_some_and(|own| own.account == *account);
        !own && !self.guard.is_blocked(account)
    }

    fn unread_after(&self, tx: &Tx<'_>, id: &GroupId, upto: Option<Place>) -> Result<u64, Fault> {
        let prefix = key("message/", &[id.as_bytes()]);
        let mut from = upto.map_or_else(|| prefix.clone(), |place| place.next_key(&prefix));
        let (mut unread, mut seen) = (0, 0);
        while seen < UNREAD_COUNTED {
            let page = tx.overlay.scan_from(&prefix, &from, PAGE.min(UNREAD_COUNTED - seen))?;
            let Some((last, _)) = page.last() else { break };
            from = key("", &[last, &[0]]);
            seen += page.len();
            for (_, value) in page {
                let record: MessageRecord = decode(&value)?;
                if !self.counts(&record.account) {
                    continue;
                }
                let core = SignedCore::from_parts(record.core, &record.signature);
                let core = core.and_then(|signed| signed.decode());
                unread += u64::from(core.is_some_and(|core| core.text().is_some()));
            }
        }
        Ok(unread)
    }

    /// The others are told what was read, unless that is under way.
    fn tell_reads_soon(&mut self, tx: &Tx<'_>) {
        let delay = self.config.read_delay;
        let at = tx.now + delay / 2 + self.rng.duration_below(delay);
        self.shared.reads_at.get_or_insert(at);
    }

    /// What was read before the process ended, and not told.
    pub(in crate::core) fn resume_reads(&mut self, tx: &Tx<'_>) {
        if self.shared.untold().next().is_some() {
            self.tell_reads_soon(tx);
        }
    }

    pub(in crate::core) fn next_reads(&self) -> Option<Timestamp> {
        self.shared.reads_at
    }

    /// Tells up to where groups were read, of a few of them; of the rest after another while.
    pub(in crate::core) fn reads_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.shared.reads_at.is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        self.shared.reads_at = None;
        let untold = self.shared.untold().take(READS_AT_ONCE);
        let (groups, reads): (Vec<GroupId>, Vec<pb::OwnRead>) =
            untold.filter_map(|(id, read)| Some((*id, to_read(id, &read.upto?)))).unzip();
        for id in groups {
            if let Some(read) = self.shared.reads.get_mut(&id) {
                read.told = true;
                save(tx, &id, read)?;
            }
        }
        self.resume_reads(tx);
        if reads.is_empty() {
            return Ok(());
        }
        self.tell_own(tx, &pb::OwnUpdate { reads, ..Default::default() })
    }

    /// For who comes in.
    pub(super) fn all_reads(&self) -> Vec<pb::OwnRead> {
        let reads = self.shared.reads.iter();
        reads.filter_map(|(id, read)| Some(to_read(id, &read.upto?))).collect()
    }
}

pub(super) fn load(overlay: &Overlay<'_>) -> Result<BTreeMap<GroupId, ReadRecord>, Fault> {
    let mut reads = BTreeMap::new();
    for (k, value) in overlay.scan(b"own/read/")? {
        let id = k.get(b"own/read/".len()..).and_then(GroupId::from_slice);
        reads.insert(id.ok_or(Fault::Bug("the key of what was read"))?, decode(&value)?);
    }
    Ok(reads)
}

/// From version 5 to 6: what is here of groups was there before anybody could say what was read, so it
/// counts as read.
pub(in crate::core) fn all_read(overlay: &Overlay<'_>) -> Result<Progress, Fault> {
    for (k, _) in overlay.scan(b"group/")? {
        let id = k.get(b"group/".len()..).and_then(GroupId::from_slice);
        let id = id.ok_or(Fault::Bug("a group's key"))?;
        if let Some(place) = last_place(overlay, &id)? {
            let record = ReadRecord { upto: Some(place), unread: 0, told: true };
            write(overlay, read_key(&id), &record)?;
        }
    }
    Ok(Progress::Done)
}

/// The place of the last message of a group. A store has no way back from the end, so the time of it
/// is found by halves.
fn last_place(overlay: &Overlay<'_>, id: &GroupId) -> Result<Option<Place>, StoreError> {
    let prefix = key("message/", &[id.as_bytes()]);
    let first_from = |time: u64| -> Result<Option<Place>, StoreError> {
        let from = key("", &[&prefix, &time.to_be_bytes()]);
        let first = overlay.scan_from(&prefix, &from, 1)?;
        Ok(first.first().and_then(|(k, _)| Place::from_key(k)))
    };
    let Some(mut last) = first_from(0)? else { return Ok(None) };
    let mut above = u64::MAX;
    while last.time.as_nanos() < above {
        let time = last.time.as_nanos();
        let middle = time + (above - time).div_ceil(2);
        match first_from(middle)? {
            Some(place) => last = place,
            None => above = middle - 1,
        }
    }
    // those of one time
    loop {
        let next = overlay.scan_from(&prefix, &last.next_key(&prefix), 1)?;
        match next.first().and_then(|(k, _)| Place::from_key(k)) {
            Some(place) => last = place,
            None => return Ok(Some(last)),
        }
    }
}

fn to_read(group: &GroupId, place: &Place) -> pb::OwnRead {
    pb::OwnRead {
        group: group.as_bytes().to_vec(),
        time: place.time.as_nanos(),
        installation: place.installation.as_bytes().to_vec(),
        number: place.number,
    }
}

fn read_key(group: &GroupId) -> Vec<u8> {
    key("own/read/", &[group.as_bytes()])
}

fn save(tx: &Tx<'_>, group: &GroupId, record: &ReadRecord) -> Result<(), Fault> {
    Ok(write(tx.overlay, read_key(group), record)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MemoryStore;

    proptest! {
        /// Against a plain search: any messages of two groups.
        #[test]
        fn the_last_place_is_found(
            places in proptest::collection::vec((0u8..2, 0u64..9, any::<bool>(), 0u8..3, 1u64..4), 0..40),
        ) {
            let store = MemoryStore::new();
            let overlay = Overlay::new(&store);
            let group = |n: u8| GroupId::from_bytes([n; 16]);
            let mut last: Option<Place> = None;
            for (of, time, late, by, number) in places {
                let time = Timestamp::from_nanos(if late { u64::MAX - time } else { time });
                let installation = InstallationId::from_bytes([by; 32]);
                let place = Place { time, installation, number };
                let mut k = place.next_key(&key("message/", &[group(of).as_bytes()]));
                k.pop();
                prop_assert_eq!(Place::from_key(&k), Some(place));
                overlay.put(k, Vec::new());
                last = if of == 1 { last.max(Some(place)) } else { last };
            }
            prop_assert_eq!(last_place(&overlay, &group(1)).expect("memory"), last);
        }
    }
}
