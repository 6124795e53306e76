//! A Waku relay node that carries extensions, the group chat among them.
//!
//! - [`engine`]: what a Waku engine gives (relay, peers, Store); [`native`] is the one on rust-libp2p,
//!   [`bindings`] the one on go-waku.
//! - [`extension`]: what runs inside the node; [`chat`] is the group chat.
//! - [`options`]: TOML, environment and command line in nwaku's names.
//! - [`node`]: puts archive, engine, extensions and HTTP together.
//! - [`rest`]: nwaku's REST endpoints; each extension adds its own.
//! - [`publisher`]: the one way out, for REST and extensions.
//! - [`cli`]: the commands that speak to a running node.
//! - [`clock`], [`crash`], [`faults`]: the clock, points of death and failing writes that tests set.

pub mod bindings;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod crash;
pub mod engine;
pub mod extension;
pub mod faults;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod native;
pub mod node;
mod openapi;
pub mod options;
pub mod publisher;
mod qr;
pub mod rest;
#[cfg(test)]
mod testing;
