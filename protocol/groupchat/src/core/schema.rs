//! The version of what the core keeps, and how an older one becomes today's.
//!
//! The record `schema` holds the version as four bytes, big-endian. A store without the record is
//! of version 1, the first, which had none, or is new. [`open`] refuses a newer version, and brings
//! an older one up to date before anything is read, one version after the other. What a step
//! changed and the version it leads to are in one batch. A step with much to do can do it in parts:
//! each part is a batch of its own, and what was interrupted goes on with the next part.

use super::{Fault, fourth, own_group, second, third};
use crate::store::{Overlay, Store, StoreError};

/// Where the version stands.
pub(super) const KEY: &[u8] = b"schema";

/// The version before there was a record of it.
const FIRST: u32 = 1;

/// Leads from one version to the next. The one at place `n` leads from version `n + 1`.
///
/// A step is given what the parts before it left, so it has to know what is converted already:
/// by keys that differ between the versions, say.
pub(super) type Step = fn(&Overlay<'_>) -> Result<Progress, Fault>;

/// How far a step got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more; what was done so far can be written.
    Part,
    /// Everything is converted.
    Done,
}

/// All steps there are.
const STEPS: &[Step] = &[
    second::states_as_differences,
    third::room_for_segments,
    fourth::graphs,
    counted_messages,
    own_group::all_read,
    handed_messages,
    recovery_records,
];

/// From version 4 to 5: of own messages a state may have only the number, with the keys that they
/// took still in its secrets. There is none yet; who does not know of the number would use those keys
/// again.
fn counted_messages(_: &Overlay<'_>) -> Result<Progress, Fault> {
    Ok(Progress::Done)
}

/// From version 6 to 7: messages may have been handed over by an installation of the account. None was
/// yet; who does not know of that cannot read them.
fn handed_messages(_: &Overlay<'_>) -> Result<Progress, Fault> {
    Ok(Progress::Done)
}

/// From version 7 to 8: recovery records stand in the queue, and messages may tell of a new card. Who
/// does not know of these could not read the store.
fn recovery_records(_: &Overlay<'_>) -> Result<Progress, Fault> {
    Ok(Progress::Done)
}

/// Brings a store up to date, or refuses it. Whether it is new: then the version is to be written
/// with its first batch, by [`put_newest`].
pub(super) fn open(store: &mut dyn Store) -> Result<bool, Fault> {
    migrate(store, STEPS)
}

/// Writes the version that a new store has.
pub(super) fn put_newest(overlay: &Overlay<'_>) {
    put(overlay, newest(STEPS));
}

fn newest(steps: &[Step]) -> u32 {
    FIRST + u32::try_from(steps.len()).unwrap_or(u32::MAX - FIRST)
}

fn put(overlay: &Overlay<'_>, version: u32) {
    overlay.put(KEY.to_vec(), version.to_be_bytes().to_vec());
}

fn migrate(store: &mut dyn Store, steps: &[Step]) -> Result<bool, Fault> {
    let Some(mut version) = version(store)? else { return Ok(true) };
    let supported = newest(steps);
    if version > supported {
        return Err(Fault::NewerSchema { found: version, supported });
    }
    while let Some(step) = steps.get((version - FIRST) as usize) {
        let overlay = Overlay::new(store);
        let progress = step(&overlay)?;
        if progress == Progress::Done {
            version += 1;
            put(&overlay, version);
        }
        let batch = overlay.into_batch();
        if batch.is_empty() {
            return Err(Fault::Bug("a migration that does nothing and does not end"));
        }
        store.commit(batch)?;
    }
    Ok(false)
}

/// The version of a store; `None` if nothing is in it.
fn version(store: &dyn Store) -> Result<Option<u32>, Fault> {
    let Some(bytes) = store.get(KEY)? else {
        // both kinds of installation begin with one of these
        let lived = store.get(b"account")?.is_some() || store.get(b"link")?.is_some();
        let lived = lived || store.get(b"clock")?.is_some();
        return Ok(lived.then_some(FIRST));
    };
    match bytes.try_into().map(u32::from_be_bytes) {
        Ok(version) if version >= FIRST => Ok(Some(version)),
        _ => Err(StoreError::new("reading the version", "it is not a version").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, MemoryStore};

    /// `old/…` becomes `new/…`, one key a part.
    fn rename(overlay: &Overlay<'_>) -> Result<Progress, Fault> {
        let Some((key, value)) = overlay.scan(b"old/")?.into_iter().next() else {
            return Ok(Progress::Done);
        };
        overlay.put([b"new/", &key[4..]].concat(), value);
        overlay.delete(key);
        Ok(Progress::Part)
    }

    /// Values of `new/…` are doubled, all at once.
    fn double(overlay: &Overlay<'_>) -> Result<Progress, Fault> {
        for (key, value) in overlay.scan(b"new/")? {
            overlay.put(key, value.repeat(2));
        }
        Ok(Progress::Done)
    }

    /// Fails at a commit, counted from 1.
    struct Failing {
        inner: MemoryStore,
        left: u32,
    }

    impl Store for Failing {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(key)
        }

        fn scan(&self, prefix: &[u8]) -> Result<Vec<crate::store::Pair>, StoreError> {
            self.inner.scan(prefix)
        }

        fn scan_from(
            &self,
            prefix: &[u8],
            from: &[u8],
            limit: usize,
        ) -> Result<Vec<crate::store::Pair>, StoreError> {
            self.inner.scan_from(prefix, from, limit)
        }

        fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
            self.left -= 1;
            match self.left {
                0 => Err(StoreError::new("writing", "no space")),
                _ => self.inner.commit(batch),
            }
        }
    }

    fn first_version() -> MemoryStore {
        let mut store = MemoryStore::new();
        let pairs = [("account", "a"), ("old/1", "x"), ("old/2", "y")];
        let put = |(k, v): (&str, &str)| (k.as_bytes().to_vec(), Some(v.as_bytes().to_vec()));
        store.commit(pairs.into_iter().map(put).collect()).expect("memory");
        store
    }

    fn write(store: &mut MemoryStore, version: &[u8]) {
        let record = (KEY.to_vec(), Some(version.to_vec()));
        store.commit([record].into_iter().collect()).expect("memory");
    }

    fn pairs(store: &MemoryStore) -> Vec<(String, Vec<u8>)> {
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        store.iter().map(|(key, value)| (text(key), value.to_vec())).collect()
    }

    fn third_version() -> Vec<(String, Vec<u8>)> {
        [("account", &b"a"[..]), ("new/1", b"xx"), ("new/2", b"yy"), ("schema", &[0, 0, 0, 3])]
            .map(|(key, value)| (key.to_owned(), value.to_vec()))
            .to_vec()
    }

    #[test]
    fn an_older_version_is_brought_up_to_date_once() {
        let mut store = first_version();
        for _ in 0..2 {
            assert!(!migrate(&mut store, &[rename, double]).expect("memory"));
            assert_eq!(pairs(&store), third_version());
        }
    }

    #[test]
    fn a_migration_that_fails_goes_on_where_it_was() {
        for nth in 1..=4 {
            let mut store = Failing { inner: first_version(), left: nth };
            let failed = migrate(&mut store, &[rename, double]);
            assert!(matches!(failed, Err(Fault::Store(_))), "{failed:?} at {nth}");
            store.left = u32::MAX;
            migrate(&mut store, &[rename, double]).expect("it works again");
            assert_eq!(pairs(&store.inner), third_version(), "failed at {nth}");
        }
    }

    #[test]
    fn a_new_store_gets_the_newest_version_with_its_first_batch() {
        let mut store = MemoryStore::new();
        assert!(migrate(&mut store, &[rename, double]).expect("memory"));
        assert_eq!(pairs(&store), []);
        let overlay = Overlay::new(&store);
        put(&overlay, newest(&[rename, double]));
        let batch = overlay.into_batch();
        store.commit(batch).expect("memory");
        assert!(!migrate(&mut store, &[rename, double]).expect("memory"));
        assert_eq!(pairs(&store), [("schema".to_owned(), vec![0, 0, 0, 3])]);
    }

    #[test]
    fn a_newer_version_is_refused_and_kept() {
        let mut store = first_version();
        write(&mut store, &[0, 0, 0, 3]);
        let before = pairs(&store);
        let error = migrate(&mut store, &[rename]).expect_err("newer");
        assert!(matches!(error, Fault::NewerSchema { found: 3, supported: 2 }), "{error}");
        let text = error.to_string();
        assert!(text.contains("version 3") && text.contains("version 2"), "{text}");
        assert_eq!(pairs(&store), before);
    }

    #[test]
    fn what_is_no_version_is_a_fault() {
        for bytes in [&b""[..], &[0, 0, 0, 0], &[1], &[0, 0, 0, 1, 0]] {
            let mut store = first_version();
            write(&mut store, bytes);
            assert!(matches!(migrate(&mut store, &[]), Err(Fault::Store(_))), "{bytes:?}");
        }
    }
}
