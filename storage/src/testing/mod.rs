//! For tests: suites that every backend has to pass, and a store that fails on purpose.
//!
//! A suite takes a function that makes an empty backend, and panics where the backend does not do
//! what its trait says.

mod archive;
mod fault;
mod retention;
mod store;

pub use archive::archive_conformance;
pub use fault::{Fault, FaultStore};
pub use store::store_conformance;
