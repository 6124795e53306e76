//! Big records in chunks that the states of a group share.
//!
//! A ratchet tree of 2,000 leaves is most of a megabyte, and a commit changes a few nodes of it. A
//! record is cut where its content says so (a gear hash over the last 64 bytes), so a change moves
//! the cuts around it alone and all other chunks stay the same, also behind an insertion. A chunk
//! is named by its hash; a manifest is the list of the names of a record's chunks.
//!
//! No counts are kept: when states go, their chunks go but for those that manifests of other
//! states of the group name. So what is in the store follows from its manifests alone.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::error::StorageError;
use super::keys::{self, Part, StateId};
use crate::GroupId;
use crate::store::{Overlay, StoreError};

/// Records of this size and more are cut, bytes.
pub(super) const CUT_FROM: usize = 4096;
/// Least bytes of a chunk, but for a record's last one.
const LEAST: usize = 512;
/// Most bytes of a chunk.
const MOST: usize = 8192;
/// A cut is where these bits of the gear hash are 0: once in 1,024 bytes.
const CUT: u64 = ((1 << 10) - 1) << 54;

const HASH: usize = 16;

/// The name of a chunk: its SHA-256, the first 16 bytes.
type Hash = [u8; HASH];

/// A different random number for each byte (splitmix64).
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut state: u64 = 0;
    let mut n = 0;
    while n < gear.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[n] = z ^ (z >> 31);
        n += 1;
    }
    gear
};

/// The first chunk of some bytes, and the rest.
fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut hash: u64 = 0;
    for (at, byte) in bytes.iter().enumerate().take(MOST).skip(LEAST.saturating_sub(64)) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if at >= LEAST && hash & CUT == 0 {
            return bytes.split_at(at);
        }
    }
    bytes.split_at(bytes.len().min(MOST))
}

/// Puts a record there in chunks; gives its manifest. `known`: a manifest whose chunks are there.
pub(super) fn put(
    overlay: &Overlay<'_>,
    group: &GroupId,
    mut record: &[u8],
    known: &[u8],
) -> Result<Vec<u8>, StorageError> {
    let known: BTreeSet<&Hash> = hashes(known)?.collect();
    let mut manifest = Vec::new();
    while !record.is_empty() {
        let (chunk, rest) = cut(record);
        record = rest;
        let digest: [u8; 32] = Sha256::digest(chunk).into();
        let mut hash = [0; HASH];
        hash.copy_from_slice(&digest[..HASH]);
        manifest.extend_from_slice(&hash);
        if known.contains(&hash) {
            continue;
        }
        let key = keys::chunk(group, &hash);
        match overlay.get(&key)? {
            Some(there) if there == chunk => {}
            Some(_) => return Err(StorageError::Chunk("two with one name")),
            None => overlay.put(key, chunk.to_vec()),
        }
    }
    Ok(manifest)
}

/// The record of a manifest.
pub(super) fn get(
    overlay: &Overlay<'_>,
    group: &GroupId,
    manifest: &[u8],
) -> Result<Vec<u8>, StorageError> {
    let mut record = Vec::new();
    for hash in hashes(manifest)? {
        let chunk = overlay.get(&keys::chunk(group, hash))?;
        record.extend(chunk.ok_or(StorageError::Chunk("one that is named is not there"))?);
    }
    Ok(record)
}

/// Deletes all of these states, and the chunks that no other state of the group needs.
pub(crate) fn delete_states(
    overlay: &Overlay<'_>,
    group: GroupId,
    states: &[StateId],
) -> Result<(), StorageError> {
    let mut gone = BTreeSet::new();
    for state in states {
        for (_, manifest) in overlay.scan(&keys::under(Part::Manifests, &group, state, &[]))? {
            gone.extend(hashes(&manifest)?.copied());
        }
    }
    if !gone.is_empty() {
        // those of all other states are looked at only if there is something to delete
        for (key, manifest) in overlay.scan(&keys::group_prefix(Part::Manifests, &group))? {
            let (state, _) = keys::split(Part::Manifests, &key).ok_or_else(bad_key)?;
            if !states.contains(&state) {
                for hash in hashes(&manifest)? {
                    gone.remove(hash);
                }
            }
        }
    }
    for hash in &gone {
        overlay.delete(keys::chunk(&group, hash));
    }
    for (part, state) in Part::ALL.iter().flat_map(|part| states.iter().map(move |s| (part, s))) {
        for (key, _) in overlay.scan(&keys::under(*part, &group, state, &[]))? {
            overlay.delete(key);
        }
    }
    Ok(())
}

fn bad_key() -> StorageError {
    StoreError::new("reading a manifest", "a key without its state").into()
}

fn hashes(manifest: &[u8]) -> Result<impl Iterator<Item = &Hash>, StorageError> {
    let (hashes, rest) = manifest.as_chunks::<HASH>();
    if rest.is_empty() {
        Ok(hashes.iter())
    } else {
        Err(StorageError::Chunk("a manifest of another length"))
    }
}
