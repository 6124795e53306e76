//! The extension in one process, on an engine that is made for it.

mod bad_input;
mod document;
mod executors;
mod fakes;
mod fault;
mod guard;
mod http;
mod junk;
mod members;
mod queue;
mod rig;
mod sse;
mod stream;
mod tokens;
mod wipe;
