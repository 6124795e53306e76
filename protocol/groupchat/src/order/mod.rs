//! Order without a server: which of several concurrent lines of commits a group stands on.
//!
//! Every commit that is valid by the state it leaves enters the [`Graph`]: a tree of states, each
//! named by a [`StateId`]. The standing path is a function of that graph alone ([`Graph::standing`]);
//! neither the order of arrival nor any clock enters, so members that know the same commits stand in
//! the same state.
//!
//! | module | what |
//! |---|---|
//! | [`graph`] | the tree of states: inserting, ancestors, who is in a state, pruning |
//! | [`counting`] | which commits count, and which are void |
//! | [`standing`] | the choice at each fork |
//! | [`roles`] | roles, rights and the policy that gives the one by the other |
//! | [`mutation`] | faults for the tests of the tests |
//! | `model` | the rules written down a second time, for tests and simulations |

mod counting;
mod graph;
#[cfg(any(test, feature = "simulation"))]
mod model;
pub(crate) mod mutation;
pub(crate) mod roles;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use graph::{Commit, Graph, Leaf};
#[cfg(test)]
pub(crate) use {graph::GraphError, standing::Scale};
