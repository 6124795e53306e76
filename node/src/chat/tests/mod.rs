//! The extension in one process, on an engine that is made for it.

mod bad_input;
mod executors;
mod fault;
mod http;
mod queue;
mod rig;
