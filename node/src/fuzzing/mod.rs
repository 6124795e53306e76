//! Fuzz targets for what comes over HTTP. Not an interface: for `fuzz/`, behind the feature
//! `fuzzing`, and for this crate's own tests.
//!
//! A target decodes its input as the handlers do, checks what has to hold of the value, and says
//! whether the input was good.

#[cfg(test)]
mod tests;

use crate::chat::api::fuzzing as chat;
use crate::rest::fuzzing as rest;

/// A target: whether the input was good. It panics where something does not hold.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("http_chat_body", chat::body),
    ("http_chat_query", chat::query),
    ("http_relay_body", rest::relay_body),
    ("http_store_query", rest::store_query),
];

/// The first byte as a place in `all`, and the rest.
pub(crate) fn choose<'a, 'b, T>(all: &'a [T], data: &'b [u8]) -> Option<(&'a T, &'b [u8])> {
    let (first, rest) = data.split_first()?;
    Some((&all[usize::from(*first) % all.len()], rest))
}
