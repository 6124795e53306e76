//! Live(S): which installations an account log makes live. A pure function of a set of entries.
//!
//! 1. R is the create or root entry with the highest counter; on a tie, the one of lower hash. What
//!    does not descend from R is void, revocations included: a thief could date one back.
//! 2. A revocation or removal holds if its signer is in Live of its proper ancestors. [`super::Log`]
//!    takes in no entry whose signer is not, so every one here holds, and nothing but R voids it:
//!    two that revoke each other are both out.
//! 3. An add is good if its signer is in Live of its proper ancestors (held by the log, too), every
//!    revocation and removal of its signer descends from it, and its signer is listed by R or has a
//!    good add. The least set of such adds counts, so no ring of adds carries itself. The root's own
//!    adds are good. A removal counts like a revocation here: a key that left adds nothing later by
//!    dating it back.
//! 4. Live is what R lists or good adds name, less what revocations and removals name. Over the
//!    most, those nearest to R by the fewest steps along parents stand, then those whose add has the
//!    lower hash.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Author, Entry, EntryKind};
use crate::{EntryHash, InstallationId, Timestamp};

/// How an installation came to be live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveInfo {
    /// When, by the clock of who added it, in whole seconds.
    pub added_at: Timestamp,
    /// Who; `None` for the root.
    pub added_by: Option<InstallationId>,
    /// By which entry.
    pub entry: EntryHash,
}

/// A set of entries by their place in the log.
#[derive(Clone, Default)]
pub(super) struct Places(Vec<u64>);

impl Places {
    /// The first `count` places.
    pub(super) fn first(count: usize) -> Self {
        let mut places = Self(vec![u64::MAX; count / 64]);
        if !count.is_multiple_of(64) {
            places.0.push((1 << (count % 64)) - 1);
        }
        places
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, place: usize) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    fn intersect(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(word, kept)| *word &= kept);
    }
}

/// An entry in its place; parents come before it.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) entry: Entry,
    pub(super) parents: Vec<usize>,
    /// All proper ancestors.
    pub(super) ancestors: Places,
}

impl Node {
    fn kind(&self) -> &EntryKind {
        &self.entry.body().kind
    }

    /// Where this is a create or root entry: its rank among them, highest first.
    fn rank(&self) -> Option<(u64, std::cmp::Reverse<EntryHash>)> {
        match self.kind() {
            EntryKind::Create { counter, .. } | EntryKind::Root { counter, .. } => {
                Some((*counter, std::cmp::Reverse(self.entry.hash())))
            }
            _ => None,
        }
    }
}

type Live = BTreeMap<InstallationId, LiveInfo>;

/// Live of the entries at `within`, which holds all ancestors of each; at most `most`.
pub(super) fn live(nodes: &[Node], within: &Places, most: usize) -> Live {
    let members = || (0..nodes.len()).filter(|place| within.contains(*place));
    let Some(top) =
        members().filter(|p| nodes[*p].rank().is_some()).max_by_key(|p| nodes[*p].rank())
    else {
        return Live::new();
    };
    let descendants: Vec<usize> =
        members().filter(|p| *p == top || nodes[*p].ancestors.contains(top)).collect();
    let departed = departed(nodes, &descendants);
    let distances = distances(nodes, &descendants);
    let mut candidates: Vec<_> = authorised(nodes, top, &descendants, &departed)
        .into_iter()
        .filter(|(installation, _)| !departed.contains_key(installation))
        .map(|(installation, places)| {
            let nearest = places.into_iter().min_by_key(|p| (distances[p], nodes[*p].entry.hash()));
            let place = nearest.unwrap_or(top);
            (distances[&place], nodes[place].entry.hash(), installation, place)
        })
        .collect();
    candidates.sort_unstable();
    candidates.truncate(most);
    candidates.into_iter().map(|(_, _, name, place)| (name, info(&nodes[place].entry))).collect()
}

fn info(entry: &Entry) -> LiveInfo {
    let body = entry.body();
    let added_by = match body.author {
        Author::Root => None,
        Author::Installation(id) => Some(id),
    };
    LiveInfo { added_at: body.time, added_by, entry: entry.hash() }
}

/// Who is revoked or has left, with what is an ancestor of every such entry.
fn departed(nodes: &[Node], descendants: &[usize]) -> BTreeMap<InstallationId, Places> {
    let mut departed: BTreeMap<InstallationId, Places> = BTreeMap::new();
    for place in descendants {
        let node = &nodes[*place];
        let own;
        let names: &[InstallationId] = match (node.kind(), node.entry.body().author) {
            (EntryKind::Revoke { installations }, _) => installations,
            (EntryKind::Remove, Author::Installation(id)) => {
                own = [id];
                &own
            }
            _ => &[],
        };
        for name in names {
            departed
                .entry(*name)
                .and_modify(|before| before.intersect(&node.ancestors))
                .or_insert_with(|| node.ancestors.clone());
        }
    }
    departed
}

/// Fewest steps along parents from each descendant down to the first, which is R.
fn distances(nodes: &[Node], descendants: &[usize]) -> BTreeMap<usize, u32> {
    let mut distances = BTreeMap::new();
    for place in descendants {
        let nearest = nodes[*place].parents.iter().filter_map(|p| distances.get(p)).min();
        let distance = nearest.map_or(0, |d: &u32| d + 1);
        distances.insert(*place, distance);
    }
    distances
}

/// Who is listed by R or named by good adds, with the places of the entries that do so.
fn authorised(
    nodes: &[Node],
    top: usize,
    descendants: &[usize],
    departed: &BTreeMap<InstallationId, Places>,
) -> BTreeMap<InstallationId, BTreeSet<usize>> {
    let mut adds: BTreeMap<Author, Vec<(usize, InstallationId)>> = BTreeMap::new();
    for place in descendants {
        if let EntryKind::Add { installation } = nodes[*place].kind() {
            let author = nodes[*place].entry.body().author;
            adds.entry(author).or_default().push((*place, *installation));
        }
    }
    let listed = match nodes[top].kind() {
        EntryKind::Create { installation, .. } => std::slice::from_ref(installation),
        EntryKind::Root { live, .. } => live,
        _ => &[],
    };
    let mut found: BTreeMap<_, _> =
        listed.iter().map(|name| (*name, BTreeSet::from([top]))).collect();
    let mut authors: Vec<_> = listed.iter().map(|name| Author::Installation(*name)).collect();
    authors.push(Author::Root);
    while let Some(author) = authors.pop() {
        for (place, name) in adds.remove(&author).unwrap_or_default() {
            let late = matches!(author, Author::Installation(id)
                if departed.get(&id).is_some_and(|before| !before.contains(place)));
            if !late {
                found.entry(name).or_default().insert(place);
                authors.push(Author::Installation(name));
            }
        }
    }
    found
}
