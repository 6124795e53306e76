//! Tests of entries and the log, with the definition of Live written a second time, naively.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use super::*;
use crate::account::entry::{AddProposal, EntryBody, SigningKey};
use crate::account::{InstallationKey, Phrase, RootKey};

fn root() -> RootKey {
    Phrase::from_entropy([1; 32]).root()
}

fn device(number: u8) -> InstallationKey {
    InstallationKey::from_bytes(&[100 + number; 32])
}

fn add(log: &Log, by: SigningKey<'_>, new: &InstallationKey, at: u64) -> Entry {
    let now = Timestamp::from_secs(at);
    let proposal = AddProposal::sign(log.account(), log.parents_for_new(), new.id(), by, now)
        .expect("a good add");
    let join = proposal.join(new);
    proposal.complete(join).expect("a good add")
}

fn entry(log: &Log, by: SigningKey<'_>, kind: EntryKind) -> Entry {
    let body = EntryBody {
        account: log.account(),
        parents: log.parents_for_new(),
        time: Timestamp::from_secs(9),
        author: by.author(),
        kind,
    };
    Entry::sign(body, by).expect("well formed")
}

fn live_names(log: &Log) -> BTreeSet<InstallationId> {
    log.live().into_keys().collect()
}

/// A log with devices 0 and 1, the second added by the first.
fn two_devices() -> Log {
    let mut log = Log::new(root().account());
    let create = Entry::create(&root(), &device(0), Timestamp::from_secs(5));
    assert_eq!(log.insert(create), Inserted::Applied);
    let added = add(&log, SigningKey::Installation(&device(0)), &device(1), 7);
    assert_eq!(log.insert(added), Inserted::Applied);
    log
}

#[test]
fn says_who_was_added_by_whom_and_when() {
    let log = two_devices();
    let live = log.live();
    assert_eq!(live.len(), 2);
    assert_eq!(live[&device(0).id()].added_by, None);
    assert_eq!(live[&device(0).id()].added_at, Timestamp::from_secs(5));
    assert_eq!(live[&device(1).id()].added_by, Some(device(0).id()));
    assert_eq!(live[&device(1).id()].added_at, Timestamp::from_secs(7));
    assert_eq!(log.heads(), [live[&device(1).id()].entry]);
}

#[test]
fn a_stranger_signs_nothing() {
    let mut log = two_devices();
    let foreign = add(&log, SigningKey::Installation(&device(5)), &device(6), 8);
    assert_eq!(log.insert(foreign), Inserted::Refused(EntryRefused::NotLive));
    let mut other = Log::new(AccountId::from_bytes([3; 32]));
    let create = Entry::create(&root(), &device(0), Timestamp::from_secs(5));
    let refused = EntryRefused::Account(root().account());
    assert_eq!(other.insert(create), Inserted::Refused(refused));
}

#[test]
fn two_that_revoke_each_other_are_both_out() {
    let mut log = two_devices();
    let revoke = |by: u8, whom: u8| {
        let key = device(by);
        let kind = EntryKind::Revoke { installations: vec![device(whom).id()] };
        entry(&log, SigningKey::Installation(&key), kind)
    };
    let (one, other) = (revoke(0, 1), revoke(1, 0));
    assert_eq!(log.insert(one), Inserted::Applied);
    assert_eq!(log.insert(other), Inserted::Applied);
    assert!(log.live().is_empty());
    assert_eq!(log.heads().len(), 2);
}

#[test]
fn a_key_that_left_adds_nothing_by_dating_back() {
    let mut log = two_devices();
    let backdated = add(&log, SigningKey::Installation(&device(1)), &device(2), 8);
    let key = device(1);
    let removal = entry(&log, SigningKey::Installation(&key), EntryKind::Remove);
    assert_eq!(log.insert(removal), Inserted::Applied);
    assert_eq!(log.insert(backdated), Inserted::Applied);
    assert_eq!(live_names(&log), BTreeSet::from([device(0).id()]));
}

#[test]
fn after_the_root_spoke_a_thief_does_nothing() {
    let mut log = two_devices();
    let before = log.clone();
    let counter = log.next_counter(Timestamp::from_secs(3));
    assert_eq!(counter, 6);
    let root = root();
    let kind = EntryKind::Root { counter, live: vec![device(0).id()] };
    let spoken = entry(&log, SigningKey::Root(&root), kind);
    assert_eq!(log.insert(spoken), Inserted::Applied);
    let thief = device(1);
    let kind = EntryKind::Revoke { installations: vec![device(0).id()] };
    let backdated = entry(&before, SigningKey::Installation(&thief), kind.clone());
    let late = entry(&log, SigningKey::Installation(&thief), kind);
    assert_eq!(log.insert(backdated), Inserted::Applied);
    assert_eq!(log.insert(late), Inserted::Refused(EntryRefused::NotLive));
    assert_eq!(live_names(&log), BTreeSet::from([device(0).id()]));
}

#[test]
fn entries_that_break_their_rules_are_refused() {
    let log = two_devices();
    let (root, key) = (root(), device(0));
    let sign = |change: &dyn Fn(&mut EntryBody), by: SigningKey<'_>| {
        let mut body = EntryBody {
            account: log.account(),
            parents: log.parents_for_new(),
            time: Timestamp::ZERO,
            author: by.author(),
            kind: EntryKind::Remove,
        };
        change(&mut body);
        Entry::sign(body, by).expect_err("breaks a rule")
    };
    let by_key = SigningKey::Installation(&key);
    let revoke = |names: Vec<InstallationId>| EntryKind::Revoke { installations: names };
    assert_eq!(sign(&|b| b.parents.clear(), by_key), EntryError::Parents);
    assert_eq!(sign(&|b| b.parents.push(b.parents[0]), by_key), EntryError::Parents);
    let many = |b: &mut EntryBody| {
        b.parents = (0..33).map(|n| EntryHash::from_bytes([n; 32])).collect();
    };
    assert_eq!(sign(&many, by_key), EntryError::Parents);
    assert_eq!(sign(&|_| (), SigningKey::Root(&root)), EntryError::Author);
    let as_root = |b: &mut EntryBody| {
        b.kind = EntryKind::Root { counter: 1, live: Vec::new() };
    };
    assert_eq!(sign(&as_root, by_key), EntryError::Author);
    assert_eq!(sign(&|b| b.author = Author::Root, by_key), EntryError::Author);
    assert_eq!(sign(&|b| b.kind = revoke(Vec::new()), by_key), EntryError::Names);
    assert_eq!(sign(&|b| b.kind = revoke(vec![key.id()]), by_key), EntryError::Names);
    let twice = revoke(vec![device(1).id(); 2]);
    assert_eq!(sign(&|b| b.kind = twice.clone(), by_key), EntryError::Names);
    let unsigned_add = EntryKind::Add { installation: device(3).id() };
    assert_eq!(sign(&|b| b.kind = unsigned_add.clone(), by_key), EntryError::Signature);
}

#[test]
fn unknown_kinds_and_other_encodings_are_refused() {
    let key = device(0);
    let resign = |body: Vec<u8>| {
        let signature = key.sign(crate::kdf::label::LOG_ENTRY, &body).to_vec();
        proto::LogEntry { body, signature, join_signature: Vec::new() }.encode_to_vec()
    };
    let log = two_devices();
    let removal = entry(&log, SigningKey::Installation(&key), EntryKind::Remove);
    let bytes = proto::LogEntry::decode(&*removal.encode()).expect("ours").body;
    assert_eq!(Entry::decode(&resign(bytes.clone())), Ok(removal));
    // Kind 18, `Remove`, is the last field; 22 is none.
    let (rest, kind) = bytes.split_at(bytes.len() - 3);
    assert_eq!(kind, [0x92, 0x01, 0x00]);
    let unknown = [rest, &[0xb2, 0x01, 0x00]].concat();
    assert_eq!(Entry::decode(&resign(unknown)), Err(EntryError::UnknownKind));
    let extra = [&bytes[..], &[0xb2, 0x01, 0x00]].concat();
    assert_eq!(Entry::decode(&resign(extra)), Err(EntryError::NotCanonical));
    let two_kinds = [rest, &[0x92, 0x01, 0x00, 0x92, 0x01, 0x00]].concat();
    assert_eq!(Entry::decode(&resign(two_kinds)), Err(EntryError::NotCanonical));
    let outer = [&resign(bytes)[..], &[0x20, 0x01]].concat();
    assert_eq!(Entry::decode(&outer), Err(EntryError::NotCanonical));
    assert_eq!(Entry::decode(&[0; ENTRY_BYTES + 1]), Err(EntryError::TooLarge(ENTRY_BYTES + 1)));
}

#[test]
fn the_largest_entry_fits() {
    let root = root();
    let body = EntryBody {
        account: root.account(),
        parents: (0..32).map(|n| EntryHash::from_bytes([n; 32])).collect(),
        time: Timestamp::from_nanos(u64::MAX),
        author: Author::Root,
        kind: EntryKind::Root {
            counter: u64::MAX,
            live: (0..20).map(|n| InstallationId::from_bytes([n; 32])).collect(),
        },
    };
    let entry = Entry::sign(body, SigningKey::Root(&root)).expect("at the bounds");
    assert!(entry.encode().len() <= ENTRY_BYTES);
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
}

#[test]
fn waiting_is_bounded() {
    let mut log = Log::new(root().account());
    let key = device(0);
    for number in 0..=LOG_WAITING {
        let body = EntryBody {
            account: log.account(),
            parents: vec![EntryHash::from_bytes([7; 32])],
            time: Timestamp::from_secs(number as u64),
            author: Author::Installation(key.id()),
            kind: EntryKind::Remove,
        };
        let entry = Entry::sign(body, SigningKey::Installation(&key)).expect("well formed");
        let expected = if number < LOG_WAITING {
            Inserted::Waiting
        } else {
            Inserted::Refused(EntryRefused::Full)
        };
        assert_eq!(log.insert(entry), expected);
    }
}

/// A step of a random history: who signs what about whom, on which earlier entries.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    author: usize,
    names: [usize; 2],
    parents: Vec<Index>,
    counter: u64,
}

const DEVICES: usize = 5;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..12_u8,
        0..DEVICES + 1,
        [0..DEVICES, 0..DEVICES],
        proptest::collection::vec(any::<Index>(), 1..4),
        0..4_u64,
    )
        .prop_map(|(kind, author, names, parents, counter)| Step {
            kind,
            author,
            names,
            parents,
            counter,
        });
    proptest::collection::vec(step, 1..14)
}

/// The entries of a history, the create entry first. Steps that break a static rule are left out.
fn history(steps: &[Step]) -> Vec<Entry> {
    let root = root();
    let devices: Vec<_> = (0..DEVICES as u8).map(device).collect();
    let mut entries = vec![Entry::create(&root, &devices[0], Timestamp::from_secs(1))];
    for (number, step) in steps.iter().enumerate() {
        let by = devices.get(step.author).map_or(SigningKey::Root(&root), SigningKey::Installation);
        let parents: BTreeSet<_> =
            step.parents.iter().map(|i| entries[i.index(entries.len())].hash()).collect();
        let names: BTreeSet<_> = step.names.iter().map(|n| devices[*n].id()).collect();
        let kind = match step.kind {
            0..=5 => EntryKind::Add { installation: devices[step.names[0]].id() },
            6 => EntryKind::Remove,
            7..=9 => EntryKind::Revoke { installations: names.into_iter().collect() },
            10 => EntryKind::RotateCard { commitment: [0; 32] },
            _ => EntryKind::Root { counter: step.counter, live: names.into_iter().collect() },
        };
        let body = EntryBody {
            account: root.account(),
            parents: parents.into_iter().collect(),
            time: Timestamp::from_secs(number as u64),
            author: by.author(),
            kind,
        };
        let entry = match &body.kind {
            EntryKind::Add { .. } => AddProposal::sign(
                body.account,
                body.parents,
                devices[step.names[0]].id(),
                by,
                body.time,
            )
            .and_then(|p| {
                let join = p.join(&devices[step.names[0]]);
                p.complete(join)
            }),
            _ => Entry::sign(body, by),
        };
        entries.extend(entry.ok());
    }
    entries
}

type Set = BTreeSet<EntryHash>;

/// Live(S) as the specification words it, by recursion over sets.
struct Model<'e> {
    entries: BTreeMap<EntryHash, &'e Entry>,
    most: usize,
    known: BTreeMap<Set, BTreeSet<InstallationId>>,
}

impl<'e> Model<'e> {
    fn new(entries: &'e [Entry], most: usize) -> Self {
        let entries = entries.iter().map(|e| (e.hash(), e)).collect();
        Self { entries, most, known: BTreeMap::new() }
    }

    fn ancestors(&self, hash: &EntryHash) -> Set {
        let mut all = Set::new();
        for parent in &self.entries[hash].body().parents {
            all.insert(*parent);
            all.extend(self.ancestors(parent));
        }
        all
    }

    /// The entries that are part of the log at all.
    fn admitted(&mut self) -> Set {
        let all: Vec<_> = self.entries.keys().copied().collect();
        all.into_iter().filter(|hash| self.is_admitted(hash)).collect()
    }

    fn is_admitted(&mut self, hash: &EntryHash) -> bool {
        let ancestors = self.ancestors(hash);
        ancestors.iter().all(|a| self.is_admitted(a))
            && match self.entries[hash].body().author {
                Author::Root => true,
                Author::Installation(signer) => self.live(&ancestors).contains(&signer),
            }
    }

    fn live(&mut self, set: &Set) -> BTreeSet<InstallationId> {
        if let Some(live) = self.known.get(set) {
            return live.clone();
        }
        let live = self.compute(set);
        self.known.insert(set.clone(), live.clone());
        live
    }

    fn compute(&mut self, set: &Set) -> BTreeSet<InstallationId> {
        let counter = |hash: &EntryHash| match self.entries[hash].body().kind {
            EntryKind::Create { counter, .. } | EntryKind::Root { counter, .. } => Some(counter),
            _ => None,
        };
        let Some(highest) = set.iter().filter_map(counter).max() else { return BTreeSet::new() };
        let top = *set.iter().find(|h| counter(h) == Some(highest)).expect("one has it");
        let valid: Set = set
            .iter()
            .filter(|h| **h == top || self.ancestors(h).contains(&top))
            .copied()
            .collect();
        let listed: BTreeSet<InstallationId> = match &self.entries[&top].body().kind {
            EntryKind::Create { installation, .. } => [*installation].into(),
            EntryKind::Root { live, .. } => live.iter().copied().collect(),
            _ => unreachable!("only these have counters"),
        };
        let mut departures: Vec<(EntryHash, InstallationId)> = Vec::new();
        for hash in &valid {
            let body = self.entries[hash].body();
            let Author::Installation(signer) = body.author else { continue };
            let names = match &body.kind {
                EntryKind::Remove => vec![signer],
                EntryKind::Revoke { installations } => installations.clone(),
                _ => continue,
            };
            let ancestors = self.ancestors(hash);
            if self.live(&ancestors).contains(&signer) {
                departures.extend(names.into_iter().map(|name| (*hash, name)));
            }
        }
        let good = self.good_adds(&valid, &listed, &departures);
        let mut ranked: BTreeMap<InstallationId, (usize, EntryHash)> =
            listed.iter().map(|name| (*name, (0, top))).collect();
        for hash in &good {
            let name = self.entries[hash].body().joining().expect("an add");
            let rank = (self.steps(hash, &top), *hash);
            ranked.entry(name).and_modify(|r| *r = rank.min(*r)).or_insert(rank);
        }
        ranked.retain(|name, _| departures.iter().all(|(_, gone)| gone != name));
        let mut order: Vec<_> = ranked.into_iter().map(|(name, rank)| (rank, name)).collect();
        order.sort();
        order.into_iter().take(self.most).map(|(_, name)| name).collect()
    }

    fn good_adds(
        &mut self,
        valid: &Set,
        listed: &BTreeSet<InstallationId>,
        departures: &[(EntryHash, InstallationId)],
    ) -> Set {
        let mut good = Set::new();
        loop {
            let before = good.len();
            for hash in valid {
                let body = self.entries[hash].body();
                if !matches!(body.kind, EntryKind::Add { .. }) {
                    continue;
                }
                let holds = match body.author {
                    Author::Root => true,
                    Author::Installation(signer) => {
                        let ancestors = self.ancestors(hash);
                        let has_good =
                            good.iter().any(|g| self.entries[g].body().joining() == Some(signer));
                        self.live(&ancestors).contains(&signer)
                            && departures
                                .iter()
                                .filter(|(_, gone)| *gone == signer)
                                .all(|(by, _)| self.ancestors(by).contains(hash))
                            && (listed.contains(&signer) || has_good)
                    }
                };
                if holds {
                    good.insert(*hash);
                }
            }
            if good.len() == before {
                return good;
            }
        }
    }

    fn steps(&self, from: &EntryHash, to: &EntryHash) -> usize {
        if from == to {
            return 0;
        }
        let parents = self.entries[from].body().parents.iter();
        let reach = |p: &&EntryHash| *p == to || self.ancestors(p).contains(to);
        1 + parents.filter(reach).map(|p| self.steps(p, to)).min().expect("descends from it")
    }
}

fn log_of(entries: impl IntoIterator<Item = Entry>, most: usize) -> Log {
    let mut log = Log { most_live: most, ..Log::new(root().account()) };
    for entry in entries {
        log.insert(entry);
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn live_is_what_the_definition_says(steps in steps(), most in 1..6_usize) {
        let entries = history(&steps);
        let log = log_of(entries.clone(), most);
        let mut model = Model::new(&entries, most);
        let admitted = model.admitted();
        prop_assert_eq!(&log.places.keys().copied().collect::<Set>(), &admitted);
        prop_assert_eq!(live_names(&log), model.live(&admitted));
    }
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(
        steps in steps(),
        order in proptest::collection::vec(any::<Index>(), 0..40),
    ) {
        let entries = history(&steps);
        let log = log_of(entries.clone(), MOST_LIVE);
        let shuffled = order.iter().map(|i| entries[i.index(entries.len())].clone());
        let backwards = entries.iter().rev().cloned();
        let other = log_of(shuffled.chain(backwards), MOST_LIVE);
        prop_assert_eq!(&other, &log);
        prop_assert_eq!(other.live(), log.live());
        prop_assert_eq!(other.heads(), log.heads());
        prop_assert_eq!(other.encode(), log.encode());
        prop_assert_eq!(Log::decode(log.account(), &log.encode()), Ok(log));
    }

    #[test]
    fn a_union_is_the_log_of_both(steps in steps(), left: u32, right: u32) {
        let entries = history(&steps);
        let part = |mask: u32| {
            let chosen = entries.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
            log_of(chosen.map(|(_, e)| e.clone()), MOST_LIVE)
        };
        let (left, right) = (part(left), part(right));
        let mut union = left.clone();
        let before = union.len();
        let new = union.union(&right);
        prop_assert!(union.covers(&left) && union.covers(&right));
        prop_assert!(union.len() >= before + new);
        let mut again = union.clone();
        prop_assert_eq!(again.union(&left), 0);
        prop_assert_eq!(right.covers(&union), right.len() == union.len());
    }

    #[test]
    fn changed_bytes_are_refused(at: Index, bit in 0..8_u32, which: Index) {
        let log = two_devices();
        let entries = log.encoded_entries();
        let mut bytes = entries[which.index(entries.len())].clone();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(Entry::decode(&bytes).is_err());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Entry::decode(&bytes);
        let _ = AddProposal::from_parts(bytes.clone(), [0; 64]);
        let _ = Log::decode(root().account(), &bytes);
    }
}
