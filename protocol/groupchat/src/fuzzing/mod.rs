//! Fuzz targets for every decoder of this crate that takes what others send. Not an interface: for
//! `fuzz/`, behind the feature `fuzzing`, and for this crate's own tests.
//!
//! A target decodes its input, checks what has to hold of the value (most of all that it encodes
//! to what decodes to the same value), and says whether the input was good. The first byte of many
//! inputs chooses between bytes as they come and bytes that the target signs, seals or encrypts, as
//! a hostile holder of the keys can.

mod group;
mod mls;
mod seal;
mod segment;
#[cfg(test)]
mod tests;

use crate::account::fuzzing as account;
use crate::core::fuzzing as core;

/// A target: whether the input was good. It panics where something does not hold.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("account_card", account::card),
    ("account_link_request", account::link_request),
    ("account_link_step", account::link_step),
    ("account_log", account::log),
    ("account_log_entry", account::log_entry),
    ("account_own_update", core::own_update),
    ("account_parcel", account::parcel),
    ("account_record", account::record),
    ("group_application", group::application),
    ("group_core", group::core),
    ("group_extensions", core::extensions),
    ("group_frame", group::frame),
    ("group_history", core::history),
    ("group_inbound", core::inbound),
    ("group_invitation", core::invitation),
    ("group_segments", segment::segments),
    ("group_tracker", group::tracker),
    ("mls_key_package", mls::key_package),
    ("mls_message", mls::message),
    ("mls_welcome", mls::welcome),
    ("seal", seal::seal),
];

/// The first byte as a number below `count`, and the rest.
pub(crate) fn choose(data: &[u8], count: usize) -> (usize, &[u8]) {
    match data.split_first() {
        Some((first, rest)) => (usize::from(*first) % count, rest),
        None => (0, data),
    }
}

/// Pieces of the input, each after its length in two bytes; the last one may be cut off.
pub(crate) fn chunks(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        data = rest;
        Some(piece)
    })
}
