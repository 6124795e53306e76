//! Generated from `proto/group.proto`.

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub(crate) mod group {
    include!(concat!(env!("OUT_DIR"), "/wgc.group.v1.rs"));
}
