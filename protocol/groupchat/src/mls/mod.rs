//! OpenMLS on the core's store: storage, randomness, and the few operations the core needs.
//!
//! | module | what |
//! |---|---|
//! | [`keys`] | namespaces, and where everything lies in the store |
//! | [`storage`], [`storage_trait`] | OpenMLS's storage provider over an [`Overlay`](crate::store::Overlay) |
//! | [`crypto`] | the core's random numbers; OpenMLS's cryptography, drawing from them |
//! | [`provider`] | the three together, for one state of one group |
//! | [`leaf`] | what a leaf is here: suite, credential, capabilities, extension types |
//! | [`group`] | create, load, commit, merge, send, export |
//! | [`message`] | all messages that come in |
//! | [`package`] | key packages, own ones and others' |
//! | [`slot`] | slots of an invitation's envelope |
//! | [`welcome`] | splitting a Welcome, joining by one |
//!
//! A group has several states side by side, one after each commit. Each has a namespace of its own
//! ([`StateId`]); a commit is made or merged in a copy ([`copy_state`]), so the state before it
//! stays as it was:
//!
//! ```text
//! copy_state(A → B)
//! Provider::for_state(B) ─ load ─┬─ commit, merge_pending      (own commit)
//!                                └─ message::receive, Staged::merge  (another's)
//! ```
//!
//! OpenMLS writes through `&self` into the overlay; nothing lasts before the overlay's batch is
//! committed. An [`MlsGroup`](openmls::group::MlsGroup) in memory runs ahead of a dropped overlay:
//! it has to be loaded again.
//!
//! Times: OpenMLS stamps the secrets of an epoch with the wall clock and never reads that stamp
//! here (no past epochs are kept). Lifetimes of leaves are unbounded, so no check depends on the
//! clock.

mod crypto;
mod error;
pub(crate) mod group;
mod keys;
pub(crate) mod leaf;
pub(crate) mod message;
pub(crate) mod package;
mod provider;
pub(crate) mod slot;
mod storage;
mod storage_trait;
#[cfg(test)]
mod tests;
pub(crate) mod welcome;

pub(crate) use crypto::CoreRng;
pub(crate) use error::MlsError;
pub(crate) use keys::StateId;
pub(crate) use provider::Provider;
pub(crate) use storage::{copy_state, delete_state};
