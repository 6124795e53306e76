//! The `waku-groupchat` binary.

fn main() {}
