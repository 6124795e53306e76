//! The places that settings come from.

pub(crate) mod command_line;
pub(crate) mod environment;
pub(crate) mod file;
