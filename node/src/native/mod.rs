//! The Waku engine on rust-libp2p: relay, metadata, Store v3, static peers.
//!
//! | module | what |
//! |---|---|
//! | `handle` | [`NativeEngine`], the [`Engine`](crate::engine::Engine) that the node holds |
//! | `task`, `on_command`, `on_event`, `on_metadata` | the one task that drives the swarm |
//! | `behaviour` | the protocols on one swarm, and the transport |
//! | `relay`, `held` | gossipsub's parameters, scores, validation; a publish that waits for room |
//! | `store_server`, `query` | the own Store for peers, and queries to theirs |
//! | `codec` | frames of the request/response protocols |
//! | `static_peers`, `ip_limit`, `listen`, `closing`, `peers` | connections |
//! | `key`, `config` | the node key, what it is started with |
//! | `pace`, `stalled` | what a peer that floods or takes nothing is held to |
//! | `forward` | what wrappers of connections and streams have in common |
//! | `recorder`, `counting` | who counts, and what is counted below the protocols |
//!
//! A relay message goes: gossipsub (duplicates by SHA-256 of the bytes) → validated (size, form) →
//! forwarded to the mesh → event queue. A publish goes: handle (encoded, size) → command queue →
//! gossipsub → queues of all subscribed peers.
//!
//! Everything that waits is bounded: commands, events, each peer's send queue, Store queries in
//! both directions. [`config`] and `relay` name the bounds.

mod behaviour;
mod closing;
mod codec;
mod command;
pub mod config;
mod counting;
mod forward;
mod handle;
mod held;
mod ip_limit;
mod key;
mod listen;
mod metrics;
mod on_command;
mod on_event;
mod on_metadata;
mod pace;
mod peers;
mod query;
mod recorder;
mod relay;
mod stalled;
mod static_peers;
mod store_server;
mod task;

pub use config::{NativeConfig, StartError};
pub use handle::NativeEngine;
pub use key::{KeyError, NodeKey};
pub use recorder::{Dial, NoRecorder, Observed, Recorder, Spoken};
