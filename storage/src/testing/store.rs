//! What every [`Store`] has to do.

use waku_groupchat_core::{Batch, Store};

/// Checks a key-value store; `new` makes an empty one.
///
/// # Panics
///
/// Where the store breaks the trait's promises.
pub fn store_conformance<S: Store>(mut new: impl FnMut() -> S) {
    reads_what_was_written(new());
    a_batch_replaces_and_deletes(new());
    scans_are_by_prefix_and_in_byte_order(new());
    empty_and_large_values_are_kept(new());
    stores_are_separate(new(), new());
}

fn batch<const N: usize>(changes: [(&[u8], Option<&[u8]>); N]) -> Batch {
    changes.into_iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect()
}

fn keys(store: &impl Store, prefix: &[u8]) -> Vec<Vec<u8>> {
    store.scan(prefix).expect("scan").into_iter().map(|(key, _)| key).collect()
}

fn reads_what_was_written(mut store: impl Store) {
    assert_eq!(store.get(b"a").expect("get"), None);
    assert!(keys(&store, b"").is_empty());
    store.commit(batch([(b"a", Some(b"1")), (b"b", Some(b"2"))])).expect("commit");
    assert_eq!(store.get(b"a").expect("get").as_deref(), Some(b"1".as_slice()));
    assert_eq!(store.get(b"b").expect("get").as_deref(), Some(b"2".as_slice()));
    assert_eq!(store.get(b"").expect("get"), None);
    assert_eq!(store.get(b"ab").expect("get"), None);
    store.commit(Batch::default()).expect("an empty batch changes nothing");
    assert_eq!(keys(&store, b"").len(), 2);
}

fn a_batch_replaces_and_deletes(mut store: impl Store) {
    store.commit(batch([(b"a", Some(b"1")), (b"b", Some(b"2"))])).expect("commit");
    store.commit(batch([(b"a", Some(b"3")), (b"b", None), (b"absent", None)])).expect("commit");
    let all = store.scan(b"").expect("scan");
    assert_eq!(all, [(b"a".to_vec(), b"3".to_vec())]);
    store.commit(batch([(b"a", None)])).expect("commit");
    assert_eq!(store.get(b"a").expect("get"), None);
    store.commit(batch([(b"a", Some(b"4"))])).expect("commit");
    assert_eq!(store.get(b"a").expect("get").as_deref(), Some(b"4".as_slice()));
}

fn scans_are_by_prefix_and_in_byte_order(mut store: impl Store) {
    let sorted: [&[u8]; 9] =
        [b"", b"\0", b"a", b"a\0", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"];
    // Written in an order of their own.
    for key in [4, 8, 0, 2, 7, 1, 6, 3, 5].map(|index: usize| sorted[index]) {
        store.commit(batch([(key, Some(key))])).expect("commit");
    }
    assert_eq!(keys(&store, b""), sorted);
    assert_eq!(keys(&store, b"a"), sorted[2..6]);
    assert_eq!(keys(&store, b"a\xff"), sorted[4..6]);
    assert_eq!(keys(&store, b"\xff"), sorted[7..]);
    assert_eq!(keys(&store, b"\xff\xff"), sorted[8..]);
    assert!(keys(&store, b"c").is_empty());
    for (key, value) in store.scan(b"").expect("scan") {
        assert_eq!(key, value);
    }
}

fn empty_and_large_values_are_kept(mut store: impl Store) {
    // As large as the secret store of a group of thousands.
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    store.commit(batch([(b"empty", Some(b"")), (b"large", Some(&large))])).expect("commit");
    assert_eq!(store.get(b"empty").expect("get").as_deref(), Some(b"".as_slice()));
    assert!(store.get(b"large").expect("get") == Some(large));
}

fn stores_are_separate(mut one: impl Store, other: impl Store) {
    one.commit(batch([(b"a", Some(b"1"))])).expect("commit");
    assert_eq!(other.get(b"a").expect("get"), None);
}
