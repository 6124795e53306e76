//! A store whose records are sealed, over any other.

use std::fmt;

use waku_groupchat_core::{Batch, Pair, Store, StoreError};

use super::keys::{DamagedRecord, DataKey, Reach, Sealer, nonces};

/// Records that are read from below in one go, at most.
const PAGE: usize = 256;

/// A [`Store`] that seals what it gives to the one below: values whole, and of keys what
/// [`waku_groupchat_core::layout`] says. Below, records of one kind and their numbers and times can
/// be told; what they say, and of whom, cannot.
///
/// A scan whose order below is another one (over a kind of records, or over names) reads all that
/// has the prefix, and sorts it; one along numbers and times reads what it gives.
pub struct SealedStore<S> {
    inner: S,
    sealer: Sealer,
}

impl<S> SealedStore<S> {
    pub(super) fn with_key(inner: S, key: &DataKey) -> Self {
        Self { inner, sealer: Sealer::new(key) }
    }

    /// Over an empty store, under a random key that nobody keeps: for tests and measurements.
    ///
    /// # Errors
    ///
    /// The system has no random bytes to give.
    #[cfg(feature = "testing")]
    pub fn ephemeral(inner: S) -> Result<Self, getrandom::Error> {
        Ok(Self::with_key(inner, &DataKey::random()?))
    }

    /// The store below, where all is sealed.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// What a record of the store below holds.
    pub(super) fn open(&self, on_disk: &[u8], sealed: &[u8]) -> Result<Pair, StoreError> {
        self.sealer.open(on_disk, sealed).map_err(damaged)
    }
}

impl<S: Store> SealedStore<S> {
    /// All pairs from `start` on (as it is on disk) that a scan asks for, sorted, up to `limit`.
    fn read(
        &self,
        scan: &Scan<'_>,
        reach: &Reach,
        start: Vec<u8>,
    ) -> Result<Vec<Pair>, StoreError> {
        // behind `run` bytes the order below is another one
        let run = reach.prefix.len() + reach.clear;
        let (mut found, mut same): (Vec<Pair>, Vec<Pair>) = (Vec::new(), Vec::new());
        let mut of: Option<Vec<u8>> = None;
        let mut next = start;
        // one more shows that the last one asked for has no neighbours
        let most = scan.limit.saturating_add(1).min(PAGE);
        loop {
            let page = self.inner.scan_from(&reach.prefix, &next, most)?;
            let Some((last, _)) = page.last() else { break };
            next = [last.as_slice(), &[0]].concat();
            let is_last = page.len() < most;
            for (on_disk, sealed) in &page {
                let here = &on_disk[..run.min(on_disk.len())];
                if of.as_deref() != Some(here) {
                    flush(&mut found, &mut same);
                    if found.len() >= scan.limit {
                        found.truncate(scan.limit);
                        return Ok(found);
                    }
                    of = Some(here.to_vec());
                }
                let pair = self.open(on_disk, sealed)?;
                if pair.0.starts_with(scan.prefix) && pair.0.as_slice() >= scan.from {
                    same.push(pair);
                }
            }
            if is_last {
                break;
            }
        }
        flush(&mut found, &mut same);
        found.truncate(scan.limit);
        Ok(found)
    }
}

/// What is asked for.
struct Scan<'a> {
    prefix: &'a [u8],
    from: &'a [u8],
    limit: usize,
}

/// Puts pairs that are in no order behind those that are.
fn flush(found: &mut Vec<Pair>, same: &mut Vec<Pair>) {
    same.sort_unstable();
    found.append(same);
}

fn damaged(error: DamagedRecord) -> StoreError {
    StoreError::new("opening a sealed record", error)
}

impl<S: Store> Store for SealedStore<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let on_disk = self.sealer.blind(key);
        let Some(sealed) = self.inner.get(&on_disk)? else { return Ok(None) };
        let (found, value) = self.open(&on_disk, &sealed)?;
        if found != key { Err(damaged(DamagedRecord)) } else { Ok(Some(value)) }
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.scan_from(prefix, prefix, usize::MAX)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let from = from.max(prefix);
        if limit == 0 || !from.starts_with(prefix) {
            // behind all keys with the prefix
            return Ok(Vec::new());
        }
        let reach = self.sealer.reach(prefix);
        // nothing of the prefix is left over if something clear follows it
        let clear = reach.clear.min(from.len() - prefix.len());
        let start = [&reach.prefix, &from[prefix.len()..prefix.len() + clear]].concat();
        self.read(&Scan { prefix, from, limit }, &reach, start)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let written = batch.changes().iter().filter(|(_, value)| value.is_some()).count();
        let random = |e| StoreError::new("random bytes for a batch", NoRandom(e));
        let mut nonces = nonces(written).map_err(random)?.into_iter();
        let sealed = batch.changes().iter().map(|(key, value)| match value {
            Some(value) => {
                let nonce = nonces.next().expect("one for each value");
                let (on_disk, sealed) = self.sealer.seal(key, value, &nonce);
                (on_disk, Some(sealed))
            }
            None => (self.sealer.blind(key), None),
        });
        let sealed = sealed.collect();
        self.inner.commit(sealed)
    }
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave none: {0}")]
struct NoRandom(getrandom::Error);

impl<S: fmt::Debug> fmt::Debug for SealedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}
