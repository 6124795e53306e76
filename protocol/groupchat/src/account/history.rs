//! What a log tells of every installation that it names, live or not.

use std::collections::BTreeMap;

use super::entry::{Author, EntryKind};
use super::log::Log;
use crate::{EntryHash, InstallationId, Timestamp};

/// Whether an installation is live, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It left by itself.
    Removed,
    /// Another one, or the root, put it out.
    Revoked {
        /// Who; `None` for the root, or where the rules of the log leave it out.
        by: Option<InstallationId>,
    },
}

/// One installation of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// When it first came in, by the clock of who added it.
    pub added_at: Timestamp,
    /// Who added it; `None` for the root.
    pub added_by: Option<InstallationId>,
    /// If it is not live: why, and since when by the clock of who put it out, where that is known.
    pub ended: Option<(Ended, Option<Timestamp>)>,
    /// Installations that it added, whether they are live or not.
    pub added: Vec<InstallationId>,
}

impl Log {
    /// Every installation that entries of this log name as one that comes in.
    pub fn history(&self) -> BTreeMap<InstallationId, History> {
        let live = self.live();
        let mut all: BTreeMap<InstallationId, History> = BTreeMap::new();
        let mut put_out = BTreeMap::new();
        let mut added: BTreeMap<InstallationId, Vec<InstallationId>> = BTreeMap::new();
        for entry in self.entries() {
            let body = entry.body();
            let by = match body.author {
                Author::Root => None,
                Author::Installation(id) => Some(id),
            };
            let names: &[InstallationId] = match &body.kind {
                EntryKind::Create { installation, .. } | EntryKind::Add { installation } => {
                    if let Some(by) = by {
                        added.entry(by).or_default().push(*installation);
                    }
                    std::slice::from_ref(installation)
                }
                EntryKind::Root { live, .. } => live,
                EntryKind::Remove => {
                    put_out.extend(by.map(|by| (by, (Ended::Removed, body.time))));
                    &[]
                }
                EntryKind::Revoke { installations } => {
                    let end = (Ended::Revoked { by }, body.time);
                    put_out.extend(installations.iter().map(|id| (*id, end)));
                    &[]
                }
                EntryKind::RotateCard { .. } => &[],
            };
            for name in names {
                all.entry(*name).or_insert_with(|| History {
                    added_at: body.time,
                    added_by: by,
                    ended: None,
                    added: Vec::new(),
                });
            }
        }
        for (id, history) in &mut all {
            history.added = added.remove(id).unwrap_or_default();
            if !live.contains_key(id) {
                let unsaid = (Ended::Revoked { by: None }, None);
                history.ended =
                    Some(put_out.get(id).map_or(unsaid, |(ended, time)| (*ended, Some(*time))));
            }
        }
        all
    }

    /// The create and root entries, by their rank: the one that counts is the last.
    pub fn roots(&self) -> Vec<EntryHash> {
        let mut ranked: Vec<(u64, std::cmp::Reverse<EntryHash>)> = self
            .entries()
            .into_iter()
            .filter_map(|entry| match entry.body().kind {
                EntryKind::Create { counter, .. } | EntryKind::Root { counter, .. } => {
                    Some((counter, std::cmp::Reverse(entry.hash())))
                }
                _ => None,
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, hash)| hash.0).collect()
    }

    /// The entry that a new card was last said with, by its commitment: of several that do not know
    /// of each other, the one of lower hash. What does not descend from the create or root entry that
    /// counts is void.
    pub fn card_commitment(&self) -> Option<[u8; 32]> {
        self.newest_card().map(|(_, commitment)| commitment)
    }

    /// Whether somebody was put out since the card last changed: who did that, if it was an
    /// installation.
    pub fn revoked_since_card(&self) -> Option<Option<InstallationId>> {
        let root = self.roots().last().copied()?;
        let card = self.newest_card().map(|(name, _)| name);
        let mut since = self.entries().into_iter().filter(|entry| {
            let name = entry.hash();
            let revokes = matches!(entry.body().kind, EntryKind::Revoke { .. });
            let known = card.is_some_and(|card| self.is_ancestor(&name, &card));
            revokes && self.is_ancestor(&root, &name) && !known
        });
        since.next_back().map(|entry| match entry.body().author {
            Author::Root => None,
            Author::Installation(id) => Some(id),
        })
    }

    fn newest_card(&self) -> Option<(EntryHash, [u8; 32])> {
        let root = self.roots().last().copied()?;
        let mut newest: Option<(EntryHash, [u8; 32])> = None;
        for entry in self.entries() {
            if let EntryKind::RotateCard { commitment } = entry.body().kind {
                let name = entry.hash();
                if !self.is_ancestor(&root, &name) {
                    continue;
                }
                let follows = newest.is_none_or(|(before, _)| {
                    self.is_ancestor(&before, &name)
                        || (!self.is_ancestor(&name, &before) && name < before)
                });
                if follows {
                    newest = Some((name, commitment));
                }
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{
        AddProposal, Entry, EntryBody, InstallationKey, Phrase, RootKey, SigningKey,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn key(number: u8) -> InstallationKey {
        InstallationKey::from_bytes(&[number; 32])
    }

    fn say(log: &mut Log, signer: SigningKey<'_>, kind: EntryKind) -> EntryHash {
        let parents = log.parents_for_new();
        let (account, author) = (log.account(), signer.author());
        let body = EntryBody { account, parents, time: NOW, author, kind };
        let entry = Entry::sign(body, signer).expect("well formed");
        let hash = entry.hash();
        log.insert(entry);
        hash
    }

    fn add(log: &mut Log, by: &InstallationKey, new: &InstallationKey) {
        let parents = log.parents_for_new();
        let signer = SigningKey::Installation(by);
        let add = AddProposal::sign(log.account(), parents, new.id(), signer, NOW);
        let add = add.expect("well formed");
        let join = add.join(new);
        log.insert(add.complete(join).expect("well formed"));
    }

    fn log() -> (RootKey, Log) {
        let root = Phrase::from_entropy([1; 32]).root();
        let mut log = Log::new(root.account());
        log.insert(Entry::create(&root, &key(1), NOW));
        (root, log)
    }

    #[test]
    fn who_left_and_who_was_put_out_are_told_apart() {
        let (root, mut log) = log();
        for new in 2..=4 {
            add(&mut log, &key(new - 1), &key(new));
        }
        say(&mut log, SigningKey::Installation(&key(4)), EntryKind::Remove);
        let out = EntryKind::Revoke { installations: vec![key(2).id()] };
        say(&mut log, SigningKey::Installation(&key(3)), out);
        let history = log.history();
        assert_eq!(history.len(), 4);
        let ended = |n: u8| history[&key(n).id()].ended;
        assert_eq!((ended(1), ended(3)), (None, None), "what it added before stays");
        assert_eq!(ended(4), Some((Ended::Removed, Some(NOW))));
        let by = Some(key(3).id());
        assert_eq!(ended(2), Some((Ended::Revoked { by }, Some(NOW))));
        assert_eq!(history[&key(2).id()].added, [key(3).id()]);
        assert_eq!(history[&key(2).id()].added_by, Some(key(1).id()));
        let live = vec![key(3).id()];
        say(
            &mut log,
            SigningKey::Root(&root),
            EntryKind::Root { counter: NOW.as_secs() + 1, live },
        );
        assert_eq!(log.history()[&key(3).id()].ended, None);
        let gone = log.history()[&key(1).id()].ended;
        assert_eq!(gone, Some((Ended::Revoked { by: None }, None)));
    }

    #[test]
    fn whoever_was_put_out_since_the_card_changed_makes_it_change() {
        let (root, mut log) = log();
        add(&mut log, &key(1), &key(2));
        add(&mut log, &key(1), &key(3));
        assert_eq!(log.revoked_since_card(), None);
        let first = key(1);
        let by = SigningKey::Installation(&first);
        say(&mut log, by, EntryKind::Revoke { installations: vec![key(2).id()] });
        assert_eq!(log.revoked_since_card(), Some(Some(first.id())));
        say(&mut log, by, EntryKind::RotateCard { commitment: [1; 32] });
        assert_eq!(log.revoked_since_card(), None);
        say(&mut log, by, EntryKind::Revoke { installations: vec![key(3).id()] });
        assert_eq!(log.revoked_since_card(), Some(Some(first.id())));
        // what was said before a root entry is void, the card as well
        assert_eq!(log.card_commitment(), Some([1; 32]));
        let live = vec![first.id()];
        let kind = EntryKind::Root { counter: NOW.as_secs() + 1, live };
        say(&mut log, SigningKey::Root(&root), kind);
        assert_eq!((log.revoked_since_card(), log.card_commitment()), (None, None));
    }

    #[test]
    fn the_card_said_last_counts() {
        let (root, mut log) = log();
        assert_eq!(log.card_commitment(), None);
        for n in [1, 2] {
            say(&mut log, SigningKey::Root(&root), EntryKind::RotateCard { commitment: [n; 32] });
            assert_eq!(log.card_commitment(), Some([n; 32]));
        }
        // two that do not know of each other: every reader takes the same
        let mut other = log.clone();
        let (first, one) = (key(1), EntryKind::RotateCard { commitment: [3; 32] });
        let one = say(&mut log, SigningKey::Installation(&first), one);
        let two = EntryKind::RotateCard { commitment: [4; 32] };
        let two = say(&mut other, SigningKey::Installation(&first), two);
        let mut both = [log.clone(), other.clone()];
        both[0].union(&other);
        both[1].union(&log);
        let lower = if one < two { [3; 32] } else { [4; 32] };
        assert_eq!(both.map(|log| log.card_commitment()), [Some(lower); 2]);
    }
}
