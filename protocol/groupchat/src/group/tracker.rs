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
    /// Adds a number; `false` if it was there.
    fn insert(&mut self, n: u64) -> bool {
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

    fn contains(&self, n: u64) -> bool {
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
            if start > to || holes.len() >= limit {
                break;
            }
            while next < start && holes.len() < limit {
                holes.push(next);
                next += 1;
            }
            next = next.max(end.saturating_add(1));
        }
        while next <= to && holes.len() < limit {
            holes.push(next);
            next += 1;
        }
        holes
    }

    /// Numbers above `n`, ascending, at most `limit`.
    fn above(&self, n: u64, limit: usize) -> Vec<u64> {
        self.0
            .iter()
            .flat_map(|&(start, end)| start.max(n.saturating_add(1))..=end)
            .take(limit)
            .collect()
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
    /// From the invitation: numbers up to this are from before.
    baseline: u64,
    held: Ranges,
    /// Lowest number known to be of `joined` or later.
    wanted_from: Option<u64>,
    /// The number below which nothing is wanted, once that is known.
    floor: Option<u64>,
    /// Highest number known to exist.
    known: u64,
    /// The lowest number held of each epoch, ascending in both: tells the epoch of a held number.
    epochs: Vec<(u64, u64)>,
}

impl Tracker {
    pub(crate) fn new(joined: u64, baseline: u64) -> Self {
        Self { joined, baseline, ..Self::default() }
    }

    /// Takes note of a core that is held now; `false` if it was held before.
    pub(crate) fn hold(&mut self, place: Place) -> bool {
        let n = place.number;
        if !self.held.insert(n) {
            return false;
        }
        if place.epoch >= self.joined {
            self.want(n);
        }
        match place.previous_epoch {
            Some(epoch) if epoch >= self.joined && n > 1 => self.want(n - 1),
            _ => self.floor = Some(self.floor.map_or(n, |f| f.min(n))),
        }
        self.known = self.known.max(n);
        match self.epochs.iter_mut().find(|(_, epoch)| *epoch == place.epoch) {
            Some((first, _)) => *first = n.min(*first),
            None => {
                let at = self.epochs.partition_point(|&(_, epoch)| epoch < place.epoch);
                self.epochs.insert(at, (n, place.epoch));
            }
        }
        true
    }

    /// Takes note of a core that somebody says exists. `false` if it tells nothing new.
    pub(crate) fn claim(&mut self, number: u64, epoch: u64) -> bool {
        let old = (epoch < self.joined) || number <= self.baseline;
        if number == 0 || old || self.held.contains(number) {
            return false;
        }
        let news = number > self.known || self.wanted_from.is_none_or(|w| number < w);
        self.want(number);
        self.known = self.known.max(number);
        news
    }

    fn want(&mut self, n: u64) {
        let n = n.max(self.baseline + 1);
        self.wanted_from = Some(self.wanted_from.map_or(n, |w| w.min(n)));
    }

    /// The sender's own words contradict claims above `number`: forgets them.
    pub(crate) fn forget_claims_above(&mut self, number: u64) {
        self.known = number.max(self.held.max().unwrap_or(0));
    }

    /// Numbers known to exist that are not held, ascending, at most `limit`.
    pub(crate) fn missing(&self, limit: usize) -> Vec<u64> {
        match self.wanted_from {
            Some(from) => self.held.holes(from, self.known, limit),
            None => Vec::new(),
        }
    }

    /// Whether the sender's own later core shows that `n` exists.
    pub(crate) fn is_proven(&self, n: u64) -> bool {
        self.held.max().is_some_and(|max| n < max)
    }

    /// The lowest number held above `n`.
    pub(crate) fn next_held(&self, n: u64) -> Option<u64> {
        self.held.above(n, 1).first().copied()
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
        let grounded = from <= self.baseline + 1 || self.floor.is_some_and(|f| f <= from);
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
        assert!(t.is_proven(10));
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
        t.hold(place(7, 5, 5));
        assert_eq!((t.missing(9), t.upto()), (vec![], 8));
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
    fn claims_count_from_the_join_on_and_can_be_forgotten() {
        let mut t = Tracker::new(5, 0);
        assert!(!t.claim(3, 4));
        assert!(t.claim(4, 5));
        assert_eq!(t.missing(9), [4]);
        assert!(!t.is_proven(4));
        t.hold(place(2, 5, 4));
        assert_eq!(t.missing(9), [3, 4]);
        t.forget_claims_above(2);
        assert_eq!(t.missing(9), Vec::<u64>::new());
    }

    proptest! {
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
