//! Opening a chat database, encrypted or not.

use std::fmt;
use std::path::Path;

use waku_groupchat_core::{Batch, Pair, Store, StoreError};

use super::files::{self, Files, seal_file};
use super::header::{Header, SealId};
use super::keys::DataKey;
use super::{ChatKey, Cost, Protection, SealError, SealedStore};
use crate::KvStore;

/// The chat's database, as it lies on disk.
pub enum ChatStore {
    /// Protected by the permissions of its files alone.
    Plain(KvStore),
    /// Encrypted.
    Sealed(Box<SealedStore<KvStore>>, Protection),
}

impl ChatStore {
    /// Opens the database at `path`, or makes it, encrypted if there is a `key`. What a change of
    /// the key or a wipe left half done is finished first.
    ///
    /// # Errors
    ///
    /// [`SealError`]: it does not open, or not with this key; it is encrypted and there is no key;
    /// it is not, and there is one.
    pub fn open(path: &Path, key: Option<&ChatKey>, cost: Cost) -> Result<Self, SealError> {
        Files::of(path).recover()?;
        match (read_header(path)?, key) {
            (None, None) => plain(path).map(Self::Plain),
            (None, Some(key)) if is_new(path)? => {
                let store = create_sealed(path, key, cost)?;
                Ok(Self::Sealed(Box::new(store), key.protection()))
            }
            (None, Some(_)) => {
                // lost seal files are another error
                plain(path)?;
                Err(SealError::NotEncrypted { path: path.to_owned() })
            }
            (Some(header), None) => {
                Err(SealError::Needed { path: path.to_owned(), protection: header.protection() })
            }
            (Some(_), Some(key)) => {
                Ok(Self::Sealed(Box::new(sealed(path, key)?), key.protection()))
            }
        }
    }

    /// What keeps others from reading it.
    pub fn protection(&self) -> Protection {
        match self {
            Self::Plain(_) => Protection::Permissions,
            Self::Sealed(_, protection) => *protection,
        }
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Plain(store) => store,
            Self::Sealed(store, _) => &**store,
        }
    }
}

/// What keeps others from reading the database at `path`, or what a change that was cut off is to
/// put there; `None` if there is none. Opens and changes nothing.
///
/// # Errors
///
/// [`SealError`]: its seal file cannot be read.
pub fn protection(path: &Path) -> Result<Option<Protection>, SealError> {
    let Some(standing) = Files::of(path).standing()? else { return Ok(None) };
    match read_header(&standing)? {
        Some(header) => Ok(Some(header.protection())),
        None => Ok((!is_new(&standing)?).then_some(Protection::Permissions)),
    }
}

/// Removes the database at `path` with all that belongs to it, also what a change of its key left.
/// It has to be closed. The wrapped key of an encrypted one is overwritten first; other files are
/// removed, not overwritten. What is cut off is finished by the next opening, before anything else.
///
/// # Errors
///
/// [`SealError::Io`].
pub fn wipe(path: &Path) -> Result<(), SealError> {
    Files::of(path).wipe(&mut |_| Ok(()))
}

fn is_new(path: &Path) -> Result<bool, SealError> {
    let there = path.join("CURRENT").try_exists();
    there.map(|there| !there).map_err(|source| SealError::Io { path: path.to_owned(), source })
}

pub(super) fn read_header(path: &Path) -> Result<Option<Header>, SealError> {
    let file = seal_file(path);
    let Some(bytes) = files::read(&file)? else { return Ok(None) };
    let header = Header::read(&bytes);
    header.map(Some).map_err(|error| SealError::of(error, &file, Protection::Permissions))
}

/// Opens one that is not encrypted.
pub(super) fn plain(path: &Path) -> Result<KvStore, SealError> {
    let store = KvStore::open(path)?;
    mark_of(&store, None)?;
    Ok(store)
}

/// Opens one that is.
pub(super) fn sealed(path: &Path, key: &ChatKey) -> Result<SealedStore<KvStore>, SealError> {
    let header = read_header(path)?.ok_or_else(|| SealError::NotEncrypted { path: path.into() })?;
    let data = header
        .unwrap(key)
        .map_err(|error| SealError::of(error, &seal_file(path), header.protection()))?;
    let store = KvStore::open(path)?;
    mark_of(&store, Some(&header))?;
    Ok(SealedStore::with_key(store, &data))
}

/// Makes a new one. The seal file comes first: without it nothing can be written that opens again.
pub(super) fn create_sealed(
    path: &Path,
    key: &ChatKey,
    cost: Cost,
) -> Result<SealedStore<KvStore>, SealError> {
    let mut id: SealId = [0; 16];
    getrandom::fill(&mut id).map_err(SealError::Random)?;
    let data = DataKey::random().map_err(SealError::Random)?;
    let file = seal_file(path);
    let header = Header::wrap(&data, &id, key, cost)
        .map_err(|error| SealError::of(error, &file, key.protection()))?;
    files::make_folder(path)?;
    files::replace(&file, header.bytes(), &mut |_| Ok(()))?;
    let store = KvStore::open(path)?;
    mark_of(&store, Some(&header))?;
    Ok(SealedStore::with_key(store, &data))
}

/// Checks that a database and its seal file belong together; a new database is given its mark.
pub(super) fn mark_of(store: &KvStore, header: Option<&Header>) -> Result<(), SealError> {
    let path = || store.path().to_owned();
    let found = store.seal_mark()?;
    match (found, header) {
        (None, None) => Ok(()),
        (Some(mark), Some(header)) if mark == header.id() => Ok(()),
        (Some(_), Some(_)) => Err(SealError::Another { path: path() }),
        (Some(_), None) => Err(SealError::Lost { path: path() }),
        (None, Some(header)) => {
            if !store.scan_from(b"", b"", 1)?.is_empty() {
                return Err(SealError::Another { path: path() });
            }
            Ok(store.set_seal_mark(&header.id())?)
        }
    }
}

impl Store for ChatStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store().get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.store().scan(prefix)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.store().scan_from(prefix, from, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        match self {
            Self::Plain(store) => store.commit(batch),
            Self::Sealed(store, _) => store.commit(batch),
        }
    }
}

impl fmt::Debug for ChatStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChatStore({:?})", self.protection())
    }
}
