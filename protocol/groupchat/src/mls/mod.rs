//! OpenMLS on the core's store: storage, randomness, and the few operations the core needs.
//!
//! | module | what |
//! |---|---|
//! | [`keys`] | names, and where everything lies in the store |
//! | [`storage`], [`storage_trait`] | OpenMLS's storage provider over an [`Overlay`](crate::store::Overlay), and its views |
//! | [`chunks`] | big records, shared by the states of a group; deleting states |
//! | [`first`] | the first layout, to take over what it kept |
//! | [`crypto`] | the core's random numbers; OpenMLS's cryptography, drawing from them |
//! | [`provider`] | storage, cryptography and randomness together, for one view |
//! | [`leaf`] | what a leaf is here: suite, credential, capabilities, extension types |
//! | [`group`] | create, load, commit, merge, send, export |
//! | [`message`] | all messages that come in |
//! | [`package`] | key packages, own ones and others' |
//! | [`slot`] | slots of an invitation's envelope |
//! | [`welcome`] | splitting a Welcome, joining by one |
//!
//! A group has several states side by side, one after each commit ([`StateId`]). What a state holds
//! *as it began*, its base, is written once, when it is made, and never changes. What changes later
//! is the own sending ratchet alone: own sends write the live part, which goes before the base. A
//! commit is made or merged in a child of the state it leaves, which is kept whole or not at all,
//! and needs its parent no more:
//!
//! ```text
//! View::Child { A → B } ─ load ─┬─ commit, merge_pending            (own commit)
//!                               └─ message::receive, Staged::merge  (another's) ─ keep
//! View::Live(B)    encrypt: the ratchet is written before the message leaves
//! View::Reading(B) receive: the group in memory moves on, the store keeps what it had
//! View::Base(B)    receive what comes too late for the group in memory
//! ```
//!
//! So reading a message writes nothing. A group that is loaded again reads again what it read since
//! its own last send; the caller knows what was there by installation and number. A group that read
//! for long is written once in a while ([`group::MAX_FORWARD`] bounds what it could catch up with).
//! The price is forward secrecy within the kept window, 64 epochs or 7 days: whoever takes the
//! store can read what came under the states that are kept.
//!
//! OpenMLS writes through `&self` into the overlay; nothing lasts before the overlay's batch is
//! committed. An [`MlsGroup`](openmls::group::MlsGroup) in memory runs ahead of a dropped overlay:
//! it has to be loaded again.
//!
//! Times: OpenMLS stamps the secrets of an epoch with the wall clock and never reads that stamp
//! here (no past epochs are kept). Lifetimes of leaves are unbounded, so no check depends on the
//! clock.

mod chunks;
mod crypto;
mod error;
pub(crate) mod first;
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

pub(crate) use chunks::delete_states;
pub(crate) use crypto::CoreRng;
pub(crate) use error::MlsError;
pub(crate) use keys::StateId;
pub(crate) use provider::Provider;
pub(crate) use storage::View;
