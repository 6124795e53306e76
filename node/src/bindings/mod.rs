//! The engine on go-waku: a client of the program `node/bindings-engine`.
//!
//! go-waku comes through `waku-bindings`, which brings Go's runtime and a yanked dependency, so it
//! runs in a process of its own (`docs/decisions/0003-bindings-engine.md`) and is spoken to over a
//! socket (`docs/spec/bindings-engine.md`). It is on cluster 0, without metadata and Store v3.
//!
//! - [`wire`]: the lines of the socket as types.
//! - [`Client`]: spawns the program; typed requests and [`Events`].
//! - [`BindingsEngine`]: [`crate::engine::Engine`] on the client.
//!
//! # How things flow
//!
//! ```text
//! callers → Client::call → writer task → socket → program
//! callers ← pending table ←┐
//!                      reader task ← socket ← program
//! node ← events task ← Events ←┘        (credit goes back as Events is read)
//! ```
//!
//! The program sends as many events as [`Events`] has free places and no more, so a node that
//! reads slowly never keeps answers from coming.

mod client;
mod config;
mod engine;
mod seen;
mod upkeep;
pub mod wire;

pub use client::{CallError, Client, EVENT_CREDIT, Events, SpawnError};
pub use config::{BindingsConfig, CHECK_INTERVAL, EVENT_QUEUE, StartError};
pub use engine::BindingsEngine;
