//! Groups: the parts that know nothing of the driver around them.

pub(crate) mod frontier;
pub(crate) mod message;
pub(crate) mod tracker;
