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
    bounded_scans_begin_anywhere(new());
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

fn bounded_scans_begin_anywhere(mut store: impl Store) {
    let sorted: [&[u8]; 8] =
        [b"a", b"b", b"b\0", b"b\x01", b"b\xff", b"b\xff\xff", b"c", b"\xff\xff"];
    for key in sorted {
        store.commit(batch([(key, Some(key))])).expect("commit");
    }
    let scan = |prefix: &[u8], from: &[u8], limit| {
        let pairs = store.scan_from(prefix, from, limit).expect("scan");
        assert!(pairs.iter().all(|(key, value)| key == value));
        pairs.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(scan(b"b", b"b", usize::MAX), sorted[1..6]);
    assert_eq!(scan(b"b", b"b", 2), sorted[1..3]);
    assert_eq!(scan(b"b", b"b\0", 2), sorted[2..4]);
    assert_eq!(scan(b"b", b"b\0\0", 2), sorted[3..5]);
    assert_eq!(scan(b"b", b"b\xff\xff", 9), sorted[5..6]);
    // from before the prefix, and behind it
    assert_eq!(scan(b"b", b"", 1), sorted[1..2]);
    assert_eq!(scan(b"b", b"a", 9), sorted[1..6]);
    for from in [b"b\xff\xff\0".as_slice(), b"c", b"\xff\xff\xff"] {
        assert!(scan(b"b", from, 9).is_empty());
    }
    assert_eq!(scan(b"\xff", b"\xff", 9), sorted[7..]);
    assert_eq!(scan(b"", b"c", 1), sorted[6..7]);
    assert!(scan(b"", b"", 0).is_empty());
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
