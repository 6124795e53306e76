//! A store whose commits fail when a test wants them to.

use std::io;

use waku_groupchat_core::{Batch, Pair, Store, StoreError};

/// Which commits fail, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    Never,
    /// This one; those after it work again.
    At(u64),
    /// This one and all after it, as on a full disk.
    From(u64),
}

/// A [`Store`] around another one. A commit that fails writes nothing; reads always work.
#[derive(Clone, Debug)]
pub struct FaultStore<S> {
    inner: S,
    fault: Fault,
    commits: u64,
}

impl<S> FaultStore<S> {
    /// A store that fails like this.
    pub fn new(inner: S, fault: Fault) -> Self {
        Self { inner, fault, commits: 0 }
    }

    /// Sets anew which commits fail; they go on being counted from the beginning.
    pub fn set_fault(&mut self, fault: Fault) {
        self.fault = fault;
    }

    /// How many commits were asked for, with those that failed.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Takes the store inside out, as a restart would find it.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Store> Store for FaultStore<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan(prefix)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan_from(prefix, from, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.commits += 1;
        let fails = match self.fault {
            Fault::Never => false,
            Fault::At(commit) => self.commits == commit,
            Fault::From(commit) => self.commits >= commit,
        };
        if fails {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(StoreError::new("writing a batch", full));
        }
        self.inner.commit(batch)
    }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::MemoryStore;

    use super::*;

    fn put(key: &[u8]) -> Batch {
        [(key.to_vec(), Some(b"value".to_vec()))].into_iter().collect()
    }

    fn committed(fault: Fault) -> Vec<u8> {
        let mut store = FaultStore::new(MemoryStore::new(), fault);
        let keys = [*b"1", *b"2", *b"3"];
        let done: Vec<_> = keys.iter().filter(|k| store.commit(put(*k)).is_ok()).collect();
        assert_eq!(store.commits(), 3);
        let stored = store.scan(b"").expect("memory");
        assert!(stored.iter().map(|(key, _)| key.as_slice()).eq(done.iter().map(|k| k.as_slice())));
        stored.into_iter().flat_map(|(key, _)| key).collect()
    }

    #[test]
    fn the_named_commits_fail_and_write_nothing() {
        assert_eq!(committed(Fault::Never), b"123");
        assert_eq!(committed(Fault::At(2)), b"13");
        assert_eq!(committed(Fault::From(2)), b"1");
    }
}
