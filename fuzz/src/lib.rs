//! Fuzz targets for every decoder that takes what others send.
//!
//! | where | what |
//! |---|---|
//! | [`waku`] | targets for Waku's types |
//! | `waku_groupchat_core::fuzzing` | targets for the chat, beside the decoders, most of which are private |
//! | `waku_groupchat_node::fuzzing` | targets for bodies and queries that come over HTTP; their programs are in `http/` |
//! | [`replay`] | the same targets without a fuzzer, as a test on the stable toolchain |
//! | `fuzz_targets/` | a program for each target |
//! | `seeds/` | good values for each target, in the repository; `corpus/` and `artifacts/` are not |
//!
//! `make fuzz` runs all of them. One alone, from the top of the repository:
//!
//! ```text
//! cargo +nightly fuzz run -O waku_message fuzz/corpus/waku_message fuzz/seeds/waku_message
//! cargo +nightly fuzz run -O waku_message fuzz/artifacts/waku_message/crash-…
//! cargo +nightly fuzz run --fuzz-dir fuzz/http -O -s none http_relay_body fuzz/seeds/http_relay_body
//! FUZZ_TARGET=waku_message SEED=7 FUZZ_RUNS=100000 cargo test -p waku-groupchat-waku --test fuzz
//! ```
//!
//! Both lock files have the versions of the workspace's. `make lint` says when one does not fit any
//! more; `scripts/fuzz.sh lock` brings them up to date.
//!
//! A finding is an input in `artifacts/<target>/`, which the second command above runs again. Once it
//! is fixed, it goes into `seeds/<target>/`, as `refused-…` if it is to be refused. That findings are
//! found was tried: a panic, and a `Vec::with_capacity` of 8 GiB, on Store responses that begin with
//! `0xff`; the stable test came upon either within its 5,000 mutations.

pub mod replay;
pub mod waku;

pub use libfuzzer_sys;

use replay::Target;

/// The target of this name.
pub fn target(name: &str) -> Target {
    let mut all = waku::TARGETS.iter().chain(waku_groupchat_core::fuzzing::TARGETS);
    let found = all.find(|(known, _)| *known == name);
    found.map_or_else(|| panic!("there is no target {name}"), |(_, target)| *target)
}

/// A program that runs the target of this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        static TARGET: std::sync::LazyLock<$crate::replay::Target> =
            std::sync::LazyLock::new(|| $crate::target($name));
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            TARGET(data);
        });
    };
}
