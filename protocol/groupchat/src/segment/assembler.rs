//! Puts wholes together from segments in any order, within bounds.
//!
//! Incomplete wholes are in memory alone: the node's own archive has their segments, and the core
//! reads it again after a start. Those of each owner are bounded apart from the others', so that a
//! member of one group pushes out nothing of another; what was untouched for longest goes first.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Segment, Shape, WholeName, code, share_hash};
use crate::mls::StateId;
use crate::{GroupId, Timestamp};

/// Most incomplete wholes of one owner.
const WHOLES_AN_OWNER: usize = 8;
/// Most bytes of incomplete wholes of one owner.
const BYTES_AN_OWNER: usize = 16 * 1024 * 1024;
/// Most bytes of all incomplete wholes.
const BYTES: usize = 48 * 1024 * 1024;
/// A whole that nothing came of for this long is let go.
const AGE: Duration = Duration::from_secs(86_400);

/// Where segments came from: those from different places are never put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Shared parts of invitations.
    Invitations,
    /// Sealed under one state of a group.
    Group(GroupId, StateId),
    /// On the rejoin topics of one state of a group.
    Rejoin(GroupId, [u8; 32]),
}

impl Place {
    /// Whose bounds count: all states of a group together.
    fn owner(&self) -> Option<GroupId> {
        match self {
            Self::Invitations => None,
            Self::Group(group, _) | Self::Rejoin(group, _) => Some(*group),
        }
    }
}

/// What became of a segment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Taken; its whole is not complete yet.
    Taken,
    /// It was here before.
    Duplicate,
    /// With it the whole is complete, and forgotten here.
    Whole(Vec<u8>),
    /// Who made the whole did not make it by the rules.
    Refused,
}

/// Incomplete wholes.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    wholes: BTreeMap<(Place, WholeName), Incomplete>,
    /// Counts segments: what was touched last has the highest.
    count: u64,
}

impl Assembler {
    /// Takes a segment in.
    pub(crate) fn push(&mut self, place: Place, segment: Segment, now: Timestamp) -> Outcome {
        self.count += 1;
        let key = (place, segment.name);
        let whole = self.wholes.entry(key).or_insert_with(|| Incomplete::new(&segment));
        (whole.touched, whole.at) = (self.count, now);
        let outcome = whole.take(segment);
        match outcome {
            Outcome::Taken => self.bound(key),
            Outcome::Whole(_) | Outcome::Refused => drop(self.wholes.remove(&key)),
            Outcome::Duplicate => {}
        }
        outcome
    }

    /// Lets go of what nothing came of for long.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.wholes.retain(|_, whole| now.since(whole.at) <= AGE);
    }

    /// Holds the bounds, without letting go of `keep`.
    fn bound(&mut self, keep: (Place, WholeName)) {
        let owner = keep.0.owner();
        let over = |(wholes, bytes)| wholes > WHOLES_AN_OWNER || bytes > BYTES_AN_OWNER;
        while over(self.held_by(owner)) && self.let_go(owner, keep) {}
        while self.wholes.values().map(Incomplete::bytes).sum::<usize>() > BYTES {
            let owners = self.wholes.keys().map(|(place, _)| place.owner());
            let Some(most) = owners.max_by_key(|owner| self.held_by(*owner).1) else { return };
            if !self.let_go(most, keep) {
                return;
            }
        }
    }

    /// How many wholes, and how many bytes.
    fn held_by(&self, owner: Option<GroupId>) -> (usize, usize) {
        let held = self.wholes.iter().filter(|((place, _), _)| place.owner() == owner);
        held.fold((0, 0), |(wholes, bytes), (_, whole)| (wholes + 1, bytes + whole.bytes()))
    }

    fn let_go(&mut self, owner: Option<GroupId>, keep: (Place, WholeName)) -> bool {
        let oldest = self
            .wholes
            .iter()
            .filter(|(key, _)| key.0.owner() == owner && **key != keep)
            .min_by_key(|(_, whole)| whole.touched)
            .map(|(key, _)| *key);
        oldest.is_some_and(|key| self.wholes.remove(&key).is_some())
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.wholes.len(), self.wholes.values().map(Incomplete::bytes).sum())
    }
}

#[derive(Debug)]
struct Incomplete {
    shape: Shape,
    hashes: Vec<super::Hash>,
    /// By place; those with data first.
    shares: Vec<Option<Vec<u8>>>,
    /// The shares that repair do not fit those with data: all of these are needed.
    false_repair: bool,
    touched: u64,
    at: Timestamp,
}

impl Incomplete {
    fn new(segment: &Segment) -> Self {
        Self {
            shape: segment.shape,
            hashes: segment.hashes.clone(),
            shares: vec![None; segment.shape.segments()],
            false_repair: false,
            touched: 0,
            at: Timestamp::ZERO,
        }
    }

    fn bytes(&self) -> usize {
        self.shares.iter().flatten().map(Vec::len).sum()
    }

    fn take(&mut self, segment: Segment) -> Outcome {
        let repairs = segment.index >= self.shape.data;
        match self.shares.get_mut(segment.index) {
            Some(empty @ None) if !(repairs && self.false_repair) => *empty = Some(segment.share),
            _ => return Outcome::Duplicate,
        }
        let data = self.shape.data;
        if self.shares.iter().flatten().count() < data {
            return Outcome::Taken;
        }
        if self.shares[..data].iter().any(Option::is_none) && !self.restore() {
            // whoever made it sent false ones: only those with data count
            self.false_repair = true;
            self.shares[data..].fill(None);
            return Outcome::Taken;
        }
        self.join().map_or(Outcome::Refused, Outcome::Whole)
    }

    /// Fills in what is missing of the data, if it is what the whole's name stands for.
    fn restore(&mut self) -> bool {
        let (data, share) = (self.shape.data, self.shape.share);
        let Some(restored) = code::restore(&self.shares, data, share) else { return false };
        if restored.iter().any(|(place, share)| self.hashes[*place] != share_hash(share)) {
            return false;
        }
        for (place, share) in restored {
            self.shares[place] = Some(share);
        }
        true
    }

    /// The whole, if what fills it up is zeros.
    fn join(&mut self) -> Option<Vec<u8>> {
        let shares = self.shares.drain(..self.shape.data).flatten();
        let mut whole = Vec::with_capacity(self.shape.data * self.shape.share);
        shares.for_each(|share| whole.extend_from_slice(&share));
        let length = self.shape.length as usize;
        if whole.get(length..)?.iter().any(|byte| *byte != 0) {
            return None;
        }
        whole.truncate(length);
        Some(whole)
    }
}
