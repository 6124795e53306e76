//! Encrypts a chat database that is not, decrypts one that is, gives one another key.

use std::path::Path;

use waku_groupchat_core::{Batch, Pair, Store, StoreError};

use super::files::{Files, replace, seal_file};
use super::header::Header;
use super::keys::DataKey;
use super::open::{self, mark_of, read_header};
use super::{ChatKey, Cost, Hook, SealError};
use crate::KvStore;

/// What is copied in one batch: at most so many records, and about so many bytes.
const RECORDS: usize = 512;
const BYTES: usize = 4 << 20;

/// Has the database at `path` open with `to` from now on, or without a key (`None`), where it
/// opened with `from` before.
///
/// From one key to another, the key that all lies under stays and is wrapped anew. Between plain
/// and encrypted, all records are copied into a new database that takes the place of the old one,
/// whose files are removed, not overwritten. A crash at any point leaves the database as it was
/// before or as it is after; the next opening clears away what is left over.
///
/// # Errors
///
/// [`SealError`]; the database is as it was, or, if a step after the exchange failed, as it is to
/// be.
pub fn change_key(
    path: &Path,
    from: Option<&ChatKey>,
    to: Option<&ChatKey>,
    cost: Cost,
) -> Result<(), SealError> {
    change_key_hooked(path, from, to, cost, &mut |_| Ok(()))
}

/// [`change_key`], with a hook that is called between its steps and can end it.
pub(super) fn change_key_hooked(
    path: &Path,
    from: Option<&ChatKey>,
    to: Option<&ChatKey>,
    cost: Cost,
    hook: Hook<'_>,
) -> Result<(), SealError> {
    let files = Files::of(path);
    files.recover()?;
    if !path
        .join("CURRENT")
        .try_exists()
        .map_err(|source| SealError::Io { path: path.to_owned(), source })?
    {
        return Err(SealError::NoDatabase { path: path.to_owned() });
    }
    match (from, to) {
        (None, None) => Ok(()),
        (None, Some(to)) => encrypt(&files, to, cost, hook),
        (Some(from), None) => decrypt(&files, from, hook),
        (Some(from), Some(to)) => rewrap(path, from, to, cost, hook),
    }
}

fn encrypt(files: &Files, to: &ChatKey, cost: Cost, hook: Hook<'_>) -> Result<(), SealError> {
    let from = open::plain(&files.database)?;
    let mut into = open::create_sealed(&files.next, to, cost)?;
    hook("created")?;
    copy(&from, &mut into, |on_disk, value| Ok((on_disk, value)), hook)?;
    drop((from, into));
    files.swap(hook)
}

fn decrypt(files: &Files, key: &ChatKey, hook: Hook<'_>) -> Result<(), SealError> {
    let from = open::sealed(&files.database, key)?;
    let mut into = KvStore::open(&files.next)?;
    hook("created")?;
    copy(from.inner(), &mut into, |on_disk, sealed| from.open(&on_disk, &sealed), hook)?;
    drop((from, into));
    files.swap(hook)
}

fn rewrap(
    path: &Path,
    from: &ChatKey,
    to: &ChatKey,
    cost: Cost,
    hook: Hook<'_>,
) -> Result<(), SealError> {
    let file = seal_file(path);
    let header = read_header(path)?.ok_or_else(|| SealError::NotEncrypted { path: path.into() })?;
    // that it belongs to this database
    mark_of(&KvStore::open(path)?, Some(&header))?;
    let failed = |error| SealError::of(error, &file, header.protection());
    let data: DataKey = header.unwrap(from).map_err(failed)?;
    let wrapped = Header::wrap(&data, &header.id(), to, cost)
        .map_err(|error| SealError::of(error, &file, to.protection()))?;
    replace(&file, wrapped.bytes(), hook)
}

/// Copies all records, in batches.
fn copy(
    from: &KvStore,
    into: &mut dyn Store,
    read: impl Fn(Vec<u8>, Vec<u8>) -> Result<Pair, StoreError>,
    hook: Hook<'_>,
) -> Result<(), SealError> {
    let mut next = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    loop {
        // few at a time: some are large
        let page = from.scan_from(b"", &next, 32)?;
        let Some((last, _)) = page.last() else { break };
        next = [last.as_slice(), &[0]].concat();
        for (on_disk, value) in page {
            let (key, value) = read(on_disk, value)?;
            bytes += key.len() + value.len();
            batch.push((key, Some(value)));
        }
        if batch.len() >= RECORDS || bytes >= BYTES {
            into.commit(std::mem::take(&mut batch).into_iter().collect())?;
            bytes = 0;
            hook("copied")?;
        }
    }
    let rest: Batch = batch.into_iter().collect();
    into.commit(rest)?;
    hook("copied")
}
