//! Runs of the group chat that are not a user's: many cores under virtual time, and conversations
//! across real nodes.
//!
//! - [`network`]: many cores on a virtual network, from a seed; [`cast`] sets up who talks there.
//! - `convergence`, with the feature `soak`: groups that all change at once, from a seed, hostile
//!   members among them, and what has to hold afterwards.
//! - [`conversation`]: real nodes as processes, driven over HTTP, with links that can be cut.
//! - [`privacy`]: what an observer of the whole shard learns from how accounts register.
//! - [`dump`]: a store as text, for fixtures of older versions.
//! - `bench`, with the feature of that name: what the parts cost, beside a peer.

#[cfg(feature = "bench")]
pub mod bench;
pub mod cast;
#[cfg(feature = "soak")]
pub mod convergence;
pub mod conversation;
pub mod dump;
pub mod network;
pub mod privacy;
