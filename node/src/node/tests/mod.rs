//! A node with an extension, on a fake engine; and two real nodes over TCP.

mod extension;
mod two_nodes;
