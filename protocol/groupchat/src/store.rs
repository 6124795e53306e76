//! What the core asks of a database: three calls, and one atomic write an input.
//!
//! [`Store`] is implemented by RocksDB in `waku-groupchat-storage` and by [`MemoryStore`] here; one
//! conformance suite runs on both. [`Overlay`] is what one `handle` works on: reads see its own
//! writes, nothing reaches the store before [`Overlay::into_batch`] is committed, and dropping it
//! undoes all of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// A local fault of the database: a failed read, a failed write, no space. Never caused by input.
#[derive(Debug, thiserror::Error)]
#[error("store: {context}")]
pub struct StoreError {
    context: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync + 'static>,
}

impl StoreError {
    /// Says what was being done, and what went wrong.
    pub fn new(
        context: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        Self { context, source: source.into() }
    }
}

/// One change of a key.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Changes that are written together or not at all: `Some` puts, `None` deletes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// The changes; each key occurs once, in ascending order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl FromIterator<Change> for Batch {
    fn from_iter<I: IntoIterator<Item = Change>>(iter: I) -> Self {
        let map: BTreeMap<_, _> = iter.into_iter().collect();
        Self { changes: map.into_iter().collect() }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} changes)", self.changes.len())
    }
}

/// An ordered key-value store with atomic, durable batches.
pub trait Store: Send {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All pairs whose key starts with `prefix`, ascending by key (bytewise).
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError>;

    /// Those of [`Store::scan`] whose key is `from` or above, the first `limit` of them. Costs what
    /// it returns, not what lies before or behind.
    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// Writes all of `batch` or nothing; when it returns `Ok`, the batch survives a crash of the
    /// process and of the machine.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
}

/// A [`Store`] in memory, for tests and simulations. Clones share nothing.
#[derive(Clone, Default)]
pub struct MemoryStore {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything in it, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.map.iter().map(|(k, v)| (k.as_slice(), v.as_slice()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} keys)", self.map.len())
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        Ok(self
            .map
            .range(prefix.to_vec()..)
            .take_while(|(k, _)| k.starts_with(prefix))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        Ok(self
            .map
            .range(prefix.max(from).to_vec()..)
            .take_while(|(k, _)| k.starts_with(prefix))
            .take(limit)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        for (key, value) in batch.changes {
            match value {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
        Ok(())
    }
}

/// Pending changes over a store. Interior mutability, because OpenMLS writes through `&self`.
pub(crate) struct Overlay<'s> {
    below: &'s dyn Store,
    changes: RefCell<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl<'s> Overlay<'s> {
    pub(crate) fn new(below: &'s dyn Store) -> Self {
        Self { below, changes: RefCell::default() }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.borrow().get(key) {
            Some(change) => Ok(change.clone()),
            None => self.below.get(key),
        }
    }

    pub(crate) fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.borrow_mut().insert(key, Some(value));
    }

    pub(crate) fn delete(&self, key: Vec<u8>) {
        self.changes.borrow_mut().insert(key, None);
    }

    pub(crate) fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        let mut merged: BTreeMap<_, _> = self.below.scan(prefix)?.into_iter().collect();
        for (key, change) in self
            .changes
            .borrow()
            .range(prefix.to_vec()..)
            .take_while(|(k, _)| k.starts_with(prefix))
        {
            match change {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().collect())
    }

    /// [`Store::scan_from`], with what was changed.
    pub(crate) fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let changes = self.changes.borrow();
        let changes: Vec<_> = changes
            .range(prefix.max(from).to_vec()..)
            .take_while(|(k, _)| k.starts_with(prefix))
            .collect();
        // each change hides at most one pair, so the first `limit` that are left are the right ones
        let below = self.below.scan_from(prefix, from, limit.saturating_add(changes.len()))?;
        let mut merged: BTreeMap<_, _> = below.into_iter().collect();
        for (key, change) in changes {
            match change {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }

    /// Whether nothing was changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.borrow().is_empty()
    }

    pub(crate) fn into_batch(self) -> Batch {
        Batch { changes: self.changes.into_inner().into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Change {
        (key.as_bytes().to_vec(), Some(key.as_bytes().to_vec()))
    }

    #[test]
    fn a_bounded_scan_of_an_overlay_is_a_part_of_the_whole_one() {
        let mut store = MemoryStore::new();
        store.commit((0..20).map(|n| put(&format!("a{:02}", n * 2))).collect()).expect("memory");
        let overlay = Overlay::new(&store);
        for n in [3, 7, 8, 36, 37, 39] {
            overlay.put(format!("a{n:02}").into_bytes(), Vec::new());
        }
        for n in [0, 10, 12, 14, 38] {
            overlay.delete(format!("a{n:02}").into_bytes());
        }
        overlay.put(b"b".to_vec(), Vec::new());
        let whole = overlay.scan(b"a").expect("memory");
        for from in 0..45 {
            let from = format!("a{from:02}").into_bytes();
            for limit in [0, 1, 2, 5, 100, usize::MAX] {
                let part = overlay.scan_from(b"a", &from, limit).expect("memory");
                let expected = whole.iter().filter(|(key, _)| *key >= from).take(limit);
                assert!(part.iter().eq(expected), "{limit} from {from:?}");
            }
        }
        assert_eq!(overlay.scan_from(b"a", b"", 3).expect("memory"), whole[..3]);
        assert_eq!(overlay.scan_from(b"a", b"b", 3).expect("memory"), []);
    }

    #[test]
    fn overlay_reads_its_own_writes_and_the_store_below() {
        let mut store = MemoryStore::new();
        store
            .commit(
                [(b"a1".to_vec(), Some(b"1".to_vec())), (b"a2".to_vec(), Some(b"2".to_vec()))]
                    .into_iter()
                    .collect(),
            )
            .expect("memory");
        let overlay = Overlay::new(&store);
        overlay.delete(b"a1".to_vec());
        overlay.put(b"a3".to_vec(), b"3".to_vec());
        overlay.put(b"b".to_vec(), b"4".to_vec());
        assert_eq!(overlay.get(b"a1").expect("memory"), None);
        let keys: Vec<_> = overlay.scan(b"a").expect("memory").into_iter().map(|p| p.0).collect();
        assert_eq!(keys, [b"a2".to_vec(), b"a3".to_vec()]);
        let batch = overlay.into_batch();
        store.commit(batch).expect("memory");
        assert_eq!(store.iter().count(), 3);
    }
}
