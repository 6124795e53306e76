//! The sealed store against one in memory, on keys of the kinds that the core has and of others.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use waku_groupchat_core::{Batch, MemoryStore, Pair, Store, StoreError};
use waku_groupchat_storage::sealed::SealedStore;
use waku_groupchat_storage::testing::{Fault, FaultStore};

use crate::support::seed;

/// What stands before the first name: kinds of every shape, some unknown, some that begin alike.
const WORDS: [&str; 14] = [
    "", "account", "a", "group/", "message/", "gap/", "seen/", "event/", "mls/1/g/", "mls/2/b/",
    "mls/2/c/", "mls/2/x", "handled/", "new/",
];

/// Keys whose parts are of few values, so that many share one, and cut at any place.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![Just(16_usize), Just(32), Just(8)];
    let parts = vec((part, 0..3_u8), 0..5);
    (0..WORDS.len(), parts, 0..100_usize).prop_map(|(word, parts, kept)| {
        let mut key = WORDS[word].as_bytes().to_vec();
        for (length, byte) in parts {
            key.resize(key.len() + length, byte * 127);
        }
        key.truncate(WORDS[word].len() + kept);
        key
    })
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    /// All with the beginning of this key, from that one on.
    Scan {
        of: Vec<u8>,
        length: usize,
        from: Vec<u8>,
        limit: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let value = proptest::option::weighted(0.8, vec(any::<u8>(), 0..20));
    prop_oneof![
        vec((key(), value), 1..12).prop_map(Step::Write),
        (key(), 0..80_usize, key(), prop_oneof![0..6_usize, Just(usize::MAX)])
            .prop_map(|(of, length, from, limit)| Step::Scan { of, length, from, limit }),
    ]
}

fn check(steps: &[Step]) {
    let mut sealed = SealedStore::ephemeral(MemoryStore::new()).expect("random bytes");
    let mut plain = MemoryStore::new();
    for step in steps {
        match step {
            Step::Write(changes) => {
                let batch: Batch = changes.iter().cloned().collect();
                sealed.commit(batch.clone()).expect("memory");
                plain.commit(batch).expect("memory");
            }
            Step::Scan { of, length, from, limit } => {
                let prefix = &of[..of.len().min(*length)];
                let [ours, theirs] = [&sealed as &dyn Store, &plain]
                    .map(|store| store.scan_from(prefix, from, *limit).expect("memory"));
                assert_eq!(ours, theirs, "{limit} of {prefix:?} from {from:?}");
                // the next page, as the core asks for it
                if let Some((last, _)) = theirs.last() {
                    let next = [last.as_slice(), &[0]].concat();
                    let [ours, theirs] = [&sealed as &dyn Store, &plain]
                        .map(|store| store.scan_from(prefix, &next, 3).expect("memory"));
                    assert_eq!(ours, theirs, "from {next:?}");
                }
            }
        }
    }
    assert_eq!(sealed.scan(b"").expect("memory"), plain.scan(b"").expect("memory"));
    assert_eq!(sealed.inner().iter().count(), plain.iter().count(), "one record for each");
    for (key, value) in plain.iter() {
        assert_eq!(sealed.get(key).expect("memory").as_deref(), Some(value));
    }
}

#[test]
fn a_sealed_store_does_what_a_plain_one_does() {
    let seed = RngSeed::Fixed(seed());
    let config =
        Config { cases: 300, rng_seed: seed, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&vec(step(), 1..30), |steps| {
        check(&steps);
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

#[test]
fn a_commit_that_fails_below_writes_nothing() {
    let below = FaultStore::new(MemoryStore::new(), Fault::At(2));
    let mut store = SealedStore::ephemeral(below).expect("random bytes");
    let put = |value: &[u8]| [(b"event/1".to_vec(), Some(value.to_vec()))].into_iter().collect();
    store.commit(put(b"one")).expect("works");
    store.commit(put(b"two")).expect_err("fails");
    assert_eq!(store.get(b"event/1").expect("memory").as_deref(), Some(b"one".as_slice()));
    store.commit(put(b"three")).expect("works again");
    assert_eq!(store.get(b"event/1").expect("memory").as_deref(), Some(b"three".as_slice()));
}

/// Counts what is read.
struct Counting {
    inner: MemoryStore,
    read: AtomicUsize,
}

impl Store for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.scan_from(prefix, prefix, usize::MAX)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.inner.scan_from(prefix, from, limit)?;
        self.read.fetch_add(pairs.len(), Ordering::Relaxed);
        Ok(pairs)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.inner.commit(batch)
    }
}

/// A scan along times costs what it gives, not what is there.
#[test]
fn a_page_of_messages_reads_one_more_than_the_page() {
    let below = Counting { inner: MemoryStore::new(), read: AtomicUsize::new(0) };
    let mut store = SealedStore::ephemeral(below).expect("random bytes");
    let group = [b"message/".as_slice(), &[7; 16]].concat();
    let key = |time: u64| [group.as_slice(), &time.to_be_bytes(), &[1; 32], &[0; 8]].concat();
    store.commit((0..2000).map(|time| (key(time), Some(vec![1]))).collect()).expect("memory");
    let found = store.scan_from(&group, &key(500), 10).expect("memory");
    let times: Vec<_> = (500..510).map(key).collect();
    assert!(found.iter().map(|(key, _)| key).eq(&times));
    assert_eq!(store.inner().read.load(Ordering::Relaxed), 11);
}
