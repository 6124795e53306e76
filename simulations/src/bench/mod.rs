//! Benchmarks: what the parts cost on this machine, beside a peer or a plain library in the same run.
//!
//! Each benchmark is a subcommand of the program `bench`. It prints its tables for people, and
//! writes a [`Results`] as JSON into a folder; [`document::compose`] puts those into
//! `docs/benchmarks.md`, so that no figure there is written by hand. Nothing here asserts a time:
//! an [`Aim`] says what was hoped for and what was measured.
//!
//! - [`relay`]: two nodes, messages offered over REST, delivered and archived by both; a pair of
//!   go-waku nodes beside them.
//! - [`core`]: sending, receiving, joining and committing in groups of 2 to 2,000; plain OpenMLS
//!   beside it.
//! - [`archive`]: inserting into an archive and reading pages of it; SQLite with nwaku's schema
//!   beside it.
//! - [`convergence`]: how soon members that commit at once stand in one state, what a rewind and the
//!   kept states cost, and what leaves a member; plain OpenMLS beside it.
//! - [`invite`]: up to a thousand accounts invited at once, their joining and talking; OpenMLS alone
//!   beside it.

pub mod archive;
pub mod convergence;
pub mod core;
pub mod document;
pub mod invite;
pub mod machine;
pub mod relay;
pub mod results;
pub mod stats;

pub use results::{Aim, Results, Table};
