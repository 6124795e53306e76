//! The messages of `proto/account.proto`.

#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/wgc.account.v1.rs"));
