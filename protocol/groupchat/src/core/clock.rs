//! How far the own clock is off, by what peers' messages show.
//!
//! Each message that comes over the relay as it is published shows its sender's clock. Two kinds of
//! witnesses are heard, each with what it is worth:
//!
//! - **Accounts** of own groups. What they say is signed, so each account has one vote, its newest,
//!   however much it sends. The own clock has a vote as well, for being right. The median counts,
//!   the one nearer to zero of two: less than half of the voters cannot move it beyond what the
//!   others show, and one alone cannot move it at all. Who is silent has no vote: two accounts that
//!   lie together, in groups where nobody else said anything in the last hour, are the majority.
//! - **The shard**: everything else on it, which anybody can forge in any number. It is asked only
//!   while fewer than two accounts were heard, and believed only if it is of one mind: messages in
//!   [`LEAST_SLOTS`] different slots of time, and none in the whole window that fits the own clock.
//!   So a flood of forged times does nothing as long as one honest message in an hour gets here;
//!   whoever can keep all of them away can keep own publishes from the network, too. The other way
//!   round, a forger can hide from a node without groups that its clock is off, which leaves it
//!   as it would be without this module.
//!
//! What was heard over an hour ago, or before the system's clock was set, counts no more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits::{CLOCK_CORRECTION, TIMESTAMP_JITTER, TIMESTAMP_STEP};
use crate::{AccountId, Timestamp};

/// How long a vote counts.
const WINDOW: Duration = Duration::from_secs(3600);
/// Accounts that are heard at most; beyond that the oldest vote goes.
const VOTERS: usize = 1024;
/// The shard's messages are looked at in slots of this length.
const SLOT: Duration = Duration::from_secs(10);
/// The shard is believed with messages in this many slots.
const LEAST_SLOTS: usize = 6;
/// A time this near to the own one fits it: jitter and rounding make 7.5 s, the way a part of the
/// rest.
const FITS: i64 = seconds(15);
/// Offsets of the shard's messages may differ by this from their median.
const OF_ONE_MIND: i64 = seconds(10);
/// Less than this is not corrected: the ways of messages look like it, and if all corrected by
/// that, all would run off together.
const LEAST_CORRECTION: i64 = seconds(5);

const fn seconds(n: i64) -> i64 {
    n * 1_000_000_000
}

/// A slot of time in which messages of the shard came.
#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    /// The first one's offset.
    offset: i64,
    /// One of them fitted the own clock.
    fits: bool,
}

/// What peers' clocks show. Offsets are in nanoseconds; a positive one says that peers are ahead,
/// so the own clock is behind.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerClock {
    accounts: BTreeMap<AccountId, (Timestamp, i64)>,
    slots: VecDeque<Slot>,
    offset: Option<i64>,
}

impl PeerClock {
    /// An account's message came over the relay: `envelope` is its Waku timestamp, `precise` the
    /// time inside.
    pub(super) fn heard_account(
        &mut self,
        account: AccountId,
        now: Timestamp,
        envelope: Timestamp,
        precise: Timestamp,
    ) {
        // a message that waited to be sent is older than its envelope
        let fresh = envelope.distance(precise) <= TIMESTAMP_JITTER + TIMESTAMP_STEP;
        let shown = if fresh { precise } else { envelope };
        self.accounts.insert(account, (now, offset(shown, now)));
        if self.accounts.len() > VOTERS {
            let oldest = self.accounts.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| *id);
            oldest.and_then(|id| self.accounts.remove(&id));
        }
        self.judge(now);
    }

    /// Some message of the shard came over the relay.
    pub(super) fn heard_shard(&mut self, now: Timestamp, envelope: Timestamp) {
        let number = now.as_secs() / SLOT.as_secs();
        let offset = offset(envelope, now);
        let fits = offset.abs() <= FITS;
        match self.slots.back_mut() {
            // one a slot, so a flood neither costs nor weighs more
            Some(slot) if slot.number == number && (slot.fits || !fits) => return,
            Some(slot) if slot.number == number => slot.fits = true,
            _ => self.slots.push_back(Slot { number, offset, fits }),
        }
        self.judge(now);
    }

    /// The system's clock was set: offsets from before say nothing any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// How far peers are ahead, if that is known.
    pub(super) fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// Whether the own clock is further off than is corrected: nothing may be published.
    pub(super) fn is_off(&self) -> bool {
        self.offset.is_some_and(|offset| offset.abs() > nanos(CLOCK_CORRECTION))
    }

    /// When the vote that holds publishes may be out of date.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let account = self.accounts.values().map(|(at, _)| *at).min();
        let slot = self.slots.front().map(|slot| start(slot.number));
        let oldest = [account, slot].into_iter().flatten().min();
        oldest.filter(|_| self.is_off()).map(|at| at + WINDOW + SLOT)
    }

    /// Lets go of what is out of date.
    pub(super) fn due(&mut self, now: Timestamp) {
        if self.next_due().is_some_and(|at| at <= now) {
            self.judge(now);
        }
    }

    /// The time that is shown to others: by the own clock, corrected as far as it may be.
    pub(super) fn corrected(&self, now: Timestamp) -> Timestamp {
        let most = nanos(CLOCK_CORRECTION);
        shift(now, self.correction().clamp(-most, most))
    }

    /// The time by peers' clocks, however far they are off: for messages that wait until the own
    /// clock is right, which have to fit the time then. Not beyond a day.
    pub(super) fn by_peers(&self, now: Timestamp) -> Timestamp {
        let most = seconds(86_400);
        match self.correction() {
            offset if offset.abs() <= most => shift(now, offset),
            _ => now,
        }
    }

    fn correction(&self) -> i64 {
        self.offset.filter(|offset| offset.abs() >= LEAST_CORRECTION).unwrap_or(0)
    }

    fn judge(&mut self, now: Timestamp) {
        self.accounts.retain(|_, (at, _)| now.since(*at) <= WINDOW && *at <= now);
        while self.slots.front().is_some_and(|slot| now.since(start(slot.number)) > WINDOW) {
            self.slots.pop_front();
        }
        self.offset =
            if self.accounts.len() >= 2 { Some(self.by_accounts()) } else { self.by_shard() };
    }

    fn by_accounts(&self) -> i64 {
        let own = 0;
        median(self.accounts.values().map(|(_, offset)| *offset).chain([own]).collect())
    }

    fn by_shard(&self) -> Option<i64> {
        if self.slots.iter().any(|slot| slot.fits) {
            return Some(0);
        }
        if self.slots.len() < LEAST_SLOTS || self.accounts.values().any(|(_, o)| o.abs() <= FITS) {
            return None;
        }
        let all: Vec<i64> = self.slots.iter().map(|slot| slot.offset).collect();
        let median = median(all.clone());
        let agree = all.iter().all(|offset| offset.abs_diff(median) <= OF_ONE_MIND as u64);
        agree.then_some(median)
    }
}

fn start(slot: u64) -> Timestamp {
    Timestamp::from_secs(slot * SLOT.as_secs())
}

fn offset(shown: Timestamp, now: Timestamp) -> i64 {
    let distance = i64::try_from(shown.distance(now).as_nanos()).unwrap_or(i64::MAX);
    if shown >= now { distance } else { -distance }
}

fn shift(time: Timestamp, offset: i64) -> Timestamp {
    let by = Duration::from_nanos(offset.unsigned_abs());
    if offset >= 0 { time + by } else { time - by }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The middle one; of two, the one nearer to zero. Zero of none.
fn median(mut all: Vec<i64>) -> i64 {
    all.sort_unstable();
    let middle = [all.len().saturating_sub(1) / 2, all.len() / 2];
    let two = middle.map(|at| all.get(at).copied().unwrap_or(0));
    if two[0].unsigned_abs() <= two[1].unsigned_abs() { two[0] } else { two[1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 32])
    }

    fn heard(votes: &[(u8, i64)]) -> PeerClock {
        let mut clock = PeerClock::default();
        for &(n, secs) in votes {
            let at = shift(NOW, seconds(secs));
            clock.heard_account(account(n), NOW, at, at);
        }
        clock
    }

    fn flood(clock: &mut PeerClock, from: Timestamp, for_secs: u64, secs: i64) {
        for n in 0..for_secs * 5 {
            let now = from + Duration::from_millis(200) * n as u32;
            clock.heard_shard(now, shift(now, seconds(secs)));
        }
    }

    #[test]
    fn the_median_of_accounts_counts_and_the_own_clock_votes() {
        for (votes, expected) in [
            (&[(1, 30), (2, 30)][..], Some(30)),
            (&[(1, -30), (2, -31), (3, -29)], Some(-29)),
            (&[(1, 30)], None),
            (&[(1, 30), (2, 0)], Some(0)),
            (&[(1, 3000), (2, 1), (3, 0)], Some(0)),
            (&[(1, 3000), (2, -3000), (3, 7), (4, 8)], Some(7)),
            (&[(1, 100), (2, 100), (3, 1), (4, 2)], Some(2)),
        ] {
            assert_eq!(heard(votes).offset(), expected.map(seconds), "{votes:?}");
        }
    }

    #[test]
    fn an_account_has_one_vote_however_much_it_sends() {
        let mut clock = heard(&[(1, 0), (2, 1)]);
        for _ in 0..1000 {
            let late = shift(NOW, seconds(600));
            clock.heard_account(account(3), NOW, late, late);
        }
        assert_eq!(clock.offset(), Some(0));
        assert!(!clock.is_off());
    }

    #[test]
    fn a_message_that_waited_shows_its_envelope() {
        let mut clock = heard(&[(1, 30)]);
        clock.heard_account(account(2), NOW, shift(NOW, seconds(30)), shift(NOW, seconds(-900)));
        assert_eq!(clock.offset(), Some(seconds(30)));
    }

    #[test]
    fn ten_seconds_are_corrected_and_more_is_held() {
        for (secs, corrected, off) in
            [(4, 0, false), (7, 7, false), (-10, -10, false), (11, 10, true), (-40, -10, true)]
        {
            let clock = heard(&[(1, secs), (2, secs)]);
            assert_eq!(clock.corrected(NOW), shift(NOW, seconds(corrected)), "{secs}");
            assert_eq!(clock.is_off(), off, "{secs}");
        }
        assert_eq!(heard(&[(1, 40), (2, 40)]).by_peers(NOW), shift(NOW, seconds(40)));
        let days = heard(&[(1, 200_000), (2, 200_000)]);
        assert_eq!((days.by_peers(NOW), days.is_off()), (NOW, true));
    }

    #[test]
    fn a_shard_of_one_mind_is_believed() {
        for secs in [-30, 30, 5000] {
            let mut clock = PeerClock::default();
            flood(&mut clock, NOW, 40, secs);
            assert_eq!(clock.offset(), None, "too early");
            flood(&mut clock, NOW + Duration::from_secs(40), 30, secs);
            assert_eq!(clock.offset(), Some(seconds(secs)));
            assert!(clock.is_off());
        }
    }

    #[test]
    fn a_flood_does_nothing_against_one_honest_message() {
        let mut clock = PeerClock::default();
        flood(&mut clock, NOW, 600, 30);
        clock.heard_shard(NOW + Duration::from_secs(600), NOW + Duration::from_secs(604));
        assert_eq!(clock.offset(), Some(0));
        flood(&mut clock, NOW + Duration::from_secs(601), 3000, 30);
        assert_eq!(clock.offset(), Some(0));
        assert!(clock.slots.len() <= 361, "bounded");
    }

    #[test]
    fn a_flood_does_nothing_against_accounts() {
        let mut clock = heard(&[(1, 0), (2, 2)]);
        flood(&mut clock, NOW, 600, 30);
        assert_eq!(clock.offset(), Some(0));
        let mut clock = heard(&[(1, 1)]);
        flood(&mut clock, NOW, 600, 30);
        assert_eq!(clock.offset(), None, "one account that fits, against forgers");
    }

    #[test]
    fn a_shard_of_many_minds_is_not_believed() {
        let mut clock = PeerClock::default();
        for n in 0..60 {
            let now = NOW + SLOT * n;
            clock.heard_shard(now, shift(now, seconds(if n % 2 == 0 { 30 } else { -900 })));
        }
        assert_eq!(clock.offset(), None);
    }

    #[test]
    fn votes_run_out() {
        let mut clock = heard(&[(1, 30), (2, 30)]);
        let due = clock.next_due().expect("publishes are held");
        assert!(due > NOW + WINDOW);
        clock.due(due);
        assert_eq!((clock.offset(), clock.next_due()), (None, None));
        let mut clock = heard(&[(1, 30), (2, 30)]);
        clock.forget();
        assert!(!clock.is_off());
    }

    #[test]
    fn voters_are_bounded() {
        let mut clock = PeerClock::default();
        for n in 0..u64::try_from(VOTERS).expect("small") + 50 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            let now = NOW + Duration::from_secs(n);
            clock.heard_account(AccountId::from_bytes(id), now, now, now);
        }
        assert_eq!(clock.accounts.len(), VOTERS);
        assert!(!clock.accounts.contains_key(&AccountId::from_bytes([0; 32])));
    }
}
