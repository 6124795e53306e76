//! The chat core: accounts, groups, messages and gaps, without clock, threads or sockets.
//!
//! A driver (the node, a simulator) feeds [`Core`] with [`api::Input`]s and does what its
//! [`api::Output`]s say. Everything it keeps goes through a [`Store`], one atomic batch an input.
//!
//! | module | what |
//! |---|---|
//! | [`api`] | inputs, outputs, commands, events, views |
//! | [`account`] | keys, contact card, account log, registration record, linking |
//! | `group` | message core, numbers and gaps, frontier |
//! | `mls` | OpenMLS over the store |
//! | `core` | the state machine that ties them together |
//! | [`kdf`], [`seal`] | labels and derivations; padded, sealed payloads |
//! | [`layout`] | which parts of keys in the store are to be hidden on disk |
//! | `segment` | what is over the largest size class, in segments with redundancy |
//!
//! ```
//! use waku_groupchat_core::api::{Answer, Command, CommandId, Config, Input, Output};
//! use waku_groupchat_core::{Core, MemoryStore, Timestamp};
//! use waku_groupchat_waku::PubsubTopic;
//!
//! let now = Timestamp::from_secs(1_800_000_000);
//! let config = Config::new(PubsubTopic::new(1, 0));
//! let mut core = Core::open(MemoryStore::new(), config, [7; 32], now)?;
//! core.handle(now, Input::Command(CommandId(1), Command::CreateAccount))?;
//! let Some(Output::Answer(CommandId(1), Ok(Answer::AccountCreated { card, .. }))) =
//!     core.poll_output()
//! else {
//!     panic!("the first output answers the command");
//! };
//! assert!(card.to_string().starts_with("wgc1"));
//! # Ok::<(), waku_groupchat_core::Fault>(())
//! ```

pub mod account;
pub mod api;
mod core;
mod ed25519;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod ids;
pub mod kdf;
pub mod layout;
pub mod limits;
mod mls;
mod order;
mod proto;
pub mod seal;
mod segment;
mod store;
mod time;
mod verified;

pub use crate::core::{Core, Fault};
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use crate::core::{FORGED, Forgery};
#[doc(hidden)]
pub use crate::core::{Kept, Standing};
#[cfg(feature = "bench")]
#[doc(hidden)]
pub use crate::verified::forget as forget_verified;
pub use ids::{AccountId, CoreHash, EntryHash, GroupId, InstallationId, MessageId, ParseIdError};
#[cfg(feature = "mutations")]
#[doc(hidden)]
pub use order::mutation::{Mutation, mutate};
pub use store::{Batch, Change, MemoryStore, Pair, Store, StoreError};
pub use time::Timestamp;
