//! Fuzz targets for what comes over HTTP; `fuzz/src/lib.rs` tells the rest.
//!
//! Apart from the others, since they bring the node with its database and its network: the address
//! sanitizer, which the others run under, would be built into all of RocksDB.

pub use libfuzzer_sys;
use waku_groupchat_node::fuzzing::{TARGETS, Target};

/// The target of this name.
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map_or_else(|| panic!("there is no target {name}"), |(_, target)| *target)
}

/// A program that runs the target of this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        static TARGET: std::sync::LazyLock<fn(&[u8]) -> bool> =
            std::sync::LazyLock::new(|| $crate::target($name));
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            TARGET(data);
        });
    };
}
