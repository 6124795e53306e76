//! The numbers of one sender in one group: which are held, and which are missing.
//!
//! A member that joined at epoch `e` calls a number missing exactly if it is known to exist and
//! its core was first sealed in `e` or later. What is known of a core that is not here comes from
//! three places: the sender's next core names the epoch of its predecessor; a frontier names
//! numbers with their epochs; and numbers ascend with time, so everything after a core of epoch
//! `e` or later is of `e` or later too.

use serde::{Deserialize, Serialize};

/// A set of numbers, as ascending ranges with holes between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The ranges, ascending, with holes between them; both ends are in.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, (from, to)| sum.saturating_add(to - from + 1))
    }

    /// The parts of `from..=to` that are not in the set, ascending.
    pub(crate) fn lacking(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let (mut lacking, mut next) = (Vec::new(), from);
        let at = self.0.partition_point(|&(_, end)| end < from);
        for &(start, end) in self.0[at..].iter().take_while(|(start, _)| *start <= to) {
            if start > next {
                lacking.push((next, start - 1));
            }
            match end.checked_add(1) {
                Some(after) => next = after,
                None => return lacking,
            }
        }
        if next <= to {
            lacking.push((next, to));
        }
        lacking
    }

    /// Adds a number; `false` if it was there.
    pub(crate) fn insert(&mut self, n: u64) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < n);
        if self.0.get(at).is_some_and(|&(start, _)| start <= n) {
            return false;
        }
        let joins_left = at > 0 && self.0[at - 1].1 + 1 == n;
        let joins_right = self.0.get(at).is_some_and(|&(start, _)| n + 1 == start);
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = n,
            (false, true) => self.0[at].0 = n,
            (false, false) => self.0.insert(at, (n, n)),
        }
        true
    }

    pub(crate) fn contains(&self, n: u64) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < n);
        self.0.get(at).is_some_and(|&(start, _)| start <= n)
    }

    fn max(&self) -> Option<u64> {
        self.0.last().map(|r| r.1)
    }

    /// The end of the range that holds `n`.
    fn run_end(&self, n: u64) -> Option<u64> {
        let at = self.0.partition_point(|&(_, end)| end < n);
        self.0.get(at).filter(|r| r.0 <= n).map(|r| r.1)
    }

    /// The numbers of `from..=to` that are not in the set, ascending, at most `limit`.
    fn holes(&self, from: u64, to: u64, limit: usize) -> Vec<u64> {
        let mut holes = Vec::new();
        let mut next = from;
        for &(start, end) in &self.0 {
            if start > to || holes.len() == limit {
                break;
            }
            holes.extend((next..start).take(limit - holes.len()));
            match end.checked_add(1) {
                Some(after) => next = next.max(after),
                None => return holes,
            }
        }
        holes.extend((next..=to).take(limit - holes.len()));
        holes
    }

    /// The lowest number above `n`.
    fn after(&self, n: u64) -> Option<u64> {
        let next = n.checked_add(1)?;
        let at = self.0.partition_point(|&(_, end)| end < next);
        self.0.get(at).map(|&(start, _)| start.max(next))
    }

    /// The highest number below `n`.
    fn before(&self, n: u64) -> Option<u64> {
        let last = n.checked_sub(1)?;
        let at = self.0.partition_point(|&(start, _)| start <= last);
        self.0.get(at.checked_sub(1)?).map(|&(_, end)| end.min(last))
    }
}

/// What one of the sender's cores says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) previous_epoch: Option<u64>,
}

/// One sender, as one member knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tracker {
    /// Epoch at which this member joined.
    joined: u64,
    /// Numbers up to this are from before: by the invitation, until the sender's own words say
    /// where it is.
    baseline: u64,
    held: Ranges,
    /// Lowest number known to be of `joined` or later.
    wanted_from: Option<u64>,
    /// The lowest number held of each epoch, ascending in both: tells the epoch of a held number.
    epochs: Vec<(u64, u64)>,
}

impl Tracker {
    pub(crate) fn new(joined: u64, baseline: u64) -> Self {
        // nothing is from before the creator of a group
        let wanted_from = (joined == 0).then_some(1);
        Self { joined, baseline, wanted_from, ..Self::default() }
    }

    /// This member joined anew, at another epoch: what was first sealed before that and is not held
    /// does not concern it any more. `baseline`: as for [`Self::new`].
    pub(crate) fn join_again(&mut self, joined: u64, baseline: u64) {
        // what is held of the new time, by a branch that was read before
        let since = self.epochs.iter().find(|(_, epoch)| *epoch >= joined).map(|(n, _)| *n);
        self.joined = joined;
        self.baseline = since.map_or(baseline.max(self.max_held()), |first| first - 1);
        self.wanted_from = since.or((joined == 0).then_some(1));
    }

    /// Takes note of a core that is held now; `false` if it was held before.
    pub(crate) fn hold(&mut self, place: Place) -> bool {
        let n = place.number;
        if !self.held.insert(n) {
            return false;
        }
        match place.previous_epoch {
            _ if place.epoch < self.joined => self.baseline = self.baseline.max(n),
            Some(epoch) if epoch >= self.joined && n > 1 => {
                self.baseline = self.baseline.min(n - 2);
                self.want(n - 1);
            }
            _ => {
                self.baseline = n - 1;
                self.want(n);
            }
        }
        let first = self.baseline.saturating_add(1);
        self.wanted_from = self.wanted_from.map(|wanted| wanted.max(first));
        match self.epochs.iter_mut().find(|(_, epoch)| *epoch == place.epoch) {
            Some((first, _)) => *first = n.min(*first),
            None => {
                let at = self.epochs.partition_point(|&(_, epoch)| epoch < place.epoch);
                self.epochs.insert(at, (n, place.epoch));
            }
        }
        true
    }

    /// Takes note of a core that somebody says exists. `false` if it is held, or from before.
    pub(crate) fn claim(&mut self, number: u64, epoch: u64) -> bool {
        let concerns = number > self.baseline && epoch >= self.joined;
        if !concerns || self.held.contains(number) {
            return false;
        }
        self.want(number);
        true
    }

    fn want(&mut self, n: u64) {
        let n = n.max(self.baseline.saturating_add(1));
        self.wanted_from = Some(self.wanted_from.map_or(n, |w| w.min(n)));
    }

    /// All numbers that are held.
    pub(crate) fn held(&self) -> &Ranges {
        &self.held
    }

    /// Whether a number is known to be from before the join.
    pub(crate) fn is_before_join(&self, n: u64) -> bool {
        n <= self.baseline
    }

    /// Numbers that the sender's own words show to exist and that are not held, ascending, at most
    /// `limit`.
    pub(crate) fn missing(&self, limit: usize) -> Vec<u64> {
        match self.wanted_from {
            Some(from) => self.held.holes(from, self.max_held(), limit),
            None => Vec::new(),
        }
    }

    /// Numbers above all that are held and up to `top`, which another claims to exist; ascending,
    /// at most `limit`.
    pub(crate) fn claimed(&self, top: u64, limit: usize) -> Vec<u64> {
        match (self.wanted_from, self.max_held().checked_add(1)) {
            (Some(from), Some(next)) => (from.max(next)..=top).take(limit).collect(),
            _ => Vec::new(),
        }
    }

    /// The lowest number held above `n`.
    pub(crate) fn next_held(&self, n: u64) -> Option<u64> {
        self.held.after(n)
    }

    /// The highest number held below `n`.
    pub(crate) fn previous_held(&self, n: u64) -> Option<u64> {
        self.held.before(n)
    }

    /// Numbers up to this are from before the join, as far as that is known.
    pub(crate) fn baseline(&self) -> u64 {
        self.baseline
    }

    /// Highest number held, 0 if none.
    pub(crate) fn max_held(&self) -> u64 {
        self.held.max().unwrap_or(0)
    }

    /// Epoch in which a held number was first sealed.
    pub(crate) fn epoch_of(&self, n: u64) -> u64 {
        self.epochs.iter().rev().find(|&&(first, _)| first <= n).map_or(0, |&(_, epoch)| epoch)
    }

    /// All numbers that concern this member are held up to this one; 0 if that is not known.
    pub(crate) fn upto(&self) -> u64 {
        let Some(from) = self.wanted_from else { return 0 };
        let grounded = from <= self.baseline.saturating_add(1);
        if grounded { self.held.run_end(from).unwrap_or(0) } else { 0 }
    }

    /// Numbers held above [`Self::upto`], the highest ones, ascending.
    pub(crate) fn beyond(&self, limit: usize) -> Vec<u64> {
        let upto = self.upto();
        let mut numbers: Vec<u64> = self
            .held
            .0
            .iter()
            .rev()
            .flat_map(|&(start, end)| (start..=end).rev())
            .take_while(|&n| n > upto)
            .take(limit)
            .collect();
        numbers.reverse();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(number: u64, epoch: u64, previous_epoch: u64) -> Place {
        Place { number, epoch, previous_epoch: (number > 1).then_some(previous_epoch) }
    }

    #[test]
    fn first_number_needs_no_predecessor() {
        let mut t = Tracker::new(1, 0);
        assert!(t.hold(place(1, 1, 0)));
        assert!(!t.hold(place(1, 1, 0)), "held before");
        assert_eq!((t.missing(9), t.upto()), (vec![], 1));
    }

    #[test]
    fn nothing_from_before_the_join_is_missing() {
        let mut t = Tracker::new(5, 0);
        t.hold(place(9, 5, 4));
        assert_eq!((t.missing(9), t.upto()), (vec![], 9));
        t.hold(place(12, 5, 5));
        assert_eq!((t.missing(9), t.upto(), t.beyond(8)), (vec![10, 11], 9, vec![12]));
        assert_eq!((t.previous_held(10), t.next_held(10)), (Some(9), Some(12)));
    }

    #[test]
    fn predecessors_are_called_missing_one_by_one_until_the_ground_is_known() {
        let mut t = Tracker::new(5, 0);
        t.hold(place(9, 6, 5));
        assert_eq!((t.missing(9), t.upto()), (vec![8], 0), "7 may be from before");
        t.hold(place(8, 5, 4));
        assert_eq!((t.missing(9), t.upto()), (vec![], 9));
    }

    #[test]
    fn a_baseline_grounds_the_first_number_after_it() {
        let mut t = Tracker::new(5, 6);
        t.hold(place(8, 5, 5));
        assert_eq!(t.missing(9), [7]);
        t.hold(place(7, 5, 4));
        assert_eq!((t.missing(9), t.upto()), (vec![], 8));
    }

    #[test]
    fn nothing_from_between_two_times_in_the_group_is_missing() {
        let mut t = Tracker::new(1, 0);
        t.hold(place(1, 1, 0));
        t.hold(place(2, 2, 1));
        t.join_again(9, 6);
        assert_eq!((t.missing(9), t.claimed(6, 9)), (vec![], vec![]));
        t.hold(place(7, 9, 8));
        assert_eq!((t.missing(9), t.upto()), (vec![], 7));
        t.hold(place(9, 9, 9));
        assert_eq!(t.missing(9), [8]);
    }

    #[test]
    fn what_the_inviter_does_not_know_is_told_by_the_next_core() {
        let mut t = Tracker::new(1, 0);
        t.hold(place(3, 1, 1));
        t.join_again(9, 3);
        t.hold(place(8, 9, 8));
        assert_eq!((t.missing(9), t.upto()), (vec![], 8), "4 to 7 are from before");
        t.join_again(20, 0);
        t.hold(place(12, 21, 20));
        assert_eq!(t.missing(9), [11]);
    }

    #[test]
    fn who_joins_again_further_back_keeps_what_it_holds_of_that_time() {
        let mut t = Tracker::new(5, 0);
        t.hold(place(4, 5, 4));
        t.hold(place(6, 6, 6));
        t.join_again(4, 9);
        assert_eq!((t.missing(9), t.upto()), (vec![5], 4));
    }

    #[test]
    fn the_epoch_of_each_held_number_is_known() {
        let mut t = Tracker::new(0, 0);
        for n in [5, 2, 4, 1, 3] {
            t.hold(place(n, 10 + n / 2, 0));
        }
        assert_eq!([1, 2, 3, 4, 5].map(|n| t.epoch_of(n)), [10, 11, 11, 12, 12]);
    }

    #[test]
    fn claims_count_from_the_join_on() {
        let mut t = Tracker::new(5, 0);
        assert!(!t.claim(3, 4));
        assert!(t.claim(4, 5));
        assert_eq!((t.missing(9), t.claimed(4, 9)), (vec![], vec![4]));
        t.hold(place(2, 5, 4));
        assert_eq!((t.missing(9), t.claimed(4, 9)), (vec![], vec![3, 4]));
        assert!(!t.claim(2, 5), "held");
        assert!(!t.claim(1, 5), "the sender's own words: 1 is from before");
    }

    #[test]
    fn own_words_outweigh_claims_and_the_invitation() {
        let mut t = Tracker::new(5, 0);
        assert!(t.claim(7, 5));
        t.hold(place(10, 5, 4));
        assert_eq!((t.missing(9), t.upto()), (vec![], 10), "7 to 9 are from before");
        assert!(t.is_before_join(9) && !t.is_before_join(10));
        let mut t = Tracker::new(5, u64::MAX);
        t.hold(place(10, 6, 5));
        assert_eq!(t.missing(9), [9], "the invitation named too high a number");
        t.hold(place(9, 5, 4));
        assert_eq!((t.missing(9), t.upto()), (vec![], 10));
    }

    #[test]
    fn the_last_numbers_overflow_nothing() {
        let mut t = Tracker::new(1, 0);
        assert!(t.claim(u64::MAX, 1));
        assert_eq!(t.claimed(u64::MAX, 9), [u64::MAX]);
        t.hold(place(u64::MAX, 1, 1));
        assert_eq!(t.missing(9), [u64::MAX - 1]);
        assert_eq!((t.next_held(u64::MAX), t.claimed(u64::MAX, 9)), (None, vec![]));
        t.hold(place(u64::MAX - 1, 1, 1));
        t.hold(place(1, 1, 1));
        assert_eq!((t.missing(2), t.upto()), (vec![2, 3], 1));
        assert_eq!(t.previous_held(u64::MAX), Some(u64::MAX - 1));
        let mut t = Tracker::new(1, u64::MAX);
        assert!(!t.claim(u64::MAX, 1));
        assert_eq!(t.upto(), 0);
    }

    #[test]
    fn the_creator_misses_everything_that_is_claimed() {
        let mut t = Tracker::new(0, 0);
        assert!(t.claim(3, 2));
        assert_eq!((t.claimed(3, 9), t.upto()), (vec![1, 2, 3], 0));
        t.hold(place(2, 1, 1));
        assert_eq!((t.missing(9), t.claimed(3, 9)), (vec![1], vec![3]));
    }

    proptest! {
        /// Against a plain set: what is there, and what of a part is not.
        #[test]
        fn ranges_are_a_set(
            numbers in proptest::collection::vec(1u64..40, 0..30),
            from in 1u64..40,
            length in 0u64..40,
        ) {
            let mut ranges = Ranges::default();
            let mut set = std::collections::BTreeSet::new();
            for n in numbers {
                prop_assert_eq!(ranges.insert(n), set.insert(n));
            }
            let all = |(from, to): (u64, u64)| from..=to;
            prop_assert!(ranges.iter().flat_map(all).eq(set.iter().copied()));
            prop_assert_eq!(ranges.count(), set.len() as u64);
            let to = from + length;
            let lacking: Vec<u64> = ranges.lacking(from, to).into_iter().flat_map(all).collect();
            let plain: Vec<u64> = (from..=to).filter(|n| !set.contains(n)).collect();
            prop_assert_eq!(lacking, plain);
        }

        /// Against a plain list: any order of arrival of any part of a sender's cores.
        #[test]
        fn missing_is_exact(
            epochs in proptest::collection::vec(0u64..3, 1..24),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
            joined in 0u64..7,
        ) {
            let mut epoch = 0;
            let cores: Vec<Place> = epochs.iter().enumerate().map(|(i, step)| {
                let previous = epoch;
                epoch += step;
                place(i as u64 + 1, epoch, previous)
            }).collect();
            let mut t = Tracker::new(joined, 0);
            let mut held = std::collections::BTreeSet::new();
            for index in order {
                let core = cores[index.index(cores.len())];
                // what was sealed before the join cannot be read
                if core.epoch < joined { continue }
                prop_assert_eq!(t.hold(core), held.insert(core.number));
            }
            let top = held.last().copied().unwrap_or(0);
            let wanted: Vec<u64> = cores.iter()
                .filter(|c| c.epoch >= joined && c.number < top && !held.contains(&c.number))
                .map(|c| c.number).collect();
            let missing = t.missing(100);
            // never a wrong one; and never none while some are wanted
            prop_assert!(missing.iter().all(|n| wanted.contains(n)), "{missing:?} of {wanted:?}");
            prop_assert_eq!(missing.is_empty(), wanted.is_empty());
            if let Some(first) = held.first() {
                let inner: Vec<u64> = wanted.iter().copied().filter(|n| n > first).collect();
                prop_assert!(inner.iter().all(|n| missing.contains(n)));
            }
        }
    }
}
