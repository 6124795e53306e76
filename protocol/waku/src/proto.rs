//! Generated from `proto/`. Private: the public types around it carry the rules.

#![allow(unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/wgc.waku.rs"));
