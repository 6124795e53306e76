//! What who records the whole shard learns of accounts from how they register: measured.
//!
//! Accounts of 1 to 20 installations live for weeks on the virtual network ([`accounts`]): installations
//! are linked meanwhile, and records leave each day. An observer gets every publish with its bytes,
//! its topic, its timestamp and the time at which it came ([`sight`]). Two questions are put to a
//! trained classifier ([`classifier`], on [`features`]): are two records of one account ([`linking`]),
//! and which of two records is of more installations ([`counting`])? It is tested on accounts that
//! it was not trained on. What it gains over guessing is its advantage, 2 × accuracy − 1, with an
//! interval ([`advantage`]). That it finds what there is to find, it shows where a tag is planted.
//! Beside it, [`recurring`] looks for every string of 8 bytes that recurs.
//!
//! [`measure::measure`] does all of it; [`report`] writes it down.

pub mod accounts;
pub mod advantage;
pub mod classifier;
pub mod counting;
pub mod features;
pub mod linking;
pub mod maker;
pub mod measure;
pub mod page;
pub mod plot;
pub mod recurring;
pub mod report;
pub mod sight;
