//! The erasure code: Reed-Solomon over GF(2^16), by interpolation.
//!
//! The field is GF(2)[x] / (x^16 + x^5 + x^3 + x^2 + 1); an element is written in the Cantor basis
//! of Leopard-RS. With `n` data shares and `m` the least power of two that is not below `n`: column
//! by column, data share `i` is the value at `i` of the polynomial of degree below `m` that is 0 at
//! `n` to `m - 1`, and repair share `j` is its value at `m + j`. A block of 64 bytes of a share is 32
//! elements: their low bytes, then their high ones.

use std::collections::BTreeMap;

use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{LowRateDecoder, LowRateEncoder, RateDecoder, RateEncoder};

/// `count` shares that repair the data; none if the shares are not of `bytes` bytes each, or too
/// many.
pub(crate) fn repair(data: &[Vec<u8>], count: usize, bytes: usize) -> Option<Vec<Vec<u8>>> {
    let mut encoder =
        LowRateEncoder::new(data.len(), count, bytes, DefaultEngine::new(), None).ok()?;
    for share in data {
        encoder.add_original_shard(share).ok()?;
    }
    let encoded = encoder.encode().ok()?;
    Some(encoded.recovery_iter().map(<[u8]>::to_vec).collect())
}

/// The data shares that are missing in `shares`, which are `data` ones with data and then those that
/// repair, by their places; none if too few are there.
pub(super) fn restore(
    shares: &[Option<Vec<u8>>],
    data: usize,
    bytes: usize,
) -> Option<BTreeMap<usize, Vec<u8>>> {
    let repair = shares.len().checked_sub(data)?;
    let mut decoder = LowRateDecoder::new(data, repair, bytes, DefaultEngine::new(), None).ok()?;
    for (place, share) in shares.iter().enumerate() {
        let Some(share) = share else { continue };
        match place.checked_sub(data) {
            None => decoder.add_original_shard(place, share).ok()?,
            Some(place) => decoder.add_recovery_shard(place, share).ok()?,
        }
    }
    let decoded = decoder.decode().ok()?;
    Some(decoded.restored_original_iter().map(|(place, share)| (place, share.to_vec())).collect())
}
