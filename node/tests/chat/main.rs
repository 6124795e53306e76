//! The chat in real processes of the real binary.

mod cli;
mod client;
mod clock;
mod copied;
mod crash;
mod failing;
mod full;
mod history;
mod keys;
mod locked;
mod members;
mod metrics;
mod process;
mod recovery;
mod secrets;
mod watch;
