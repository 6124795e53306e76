//! All targets without a fuzzer: committed seeds, and mutations of them. `WRITE_SEEDS=1` makes the
//! seeds anew.

#[path = "../../../fuzz/src/replay.rs"]
#[allow(unreachable_pub, reason = "another package's file")]
mod replay;

use std::{env, fs};

use super::TARGETS;
use crate::chat::api::fuzzing as chat;
use crate::rest::fuzzing as rest;

/// Mutations of each target: some seconds of an unoptimised build.
const RUNS: u64 = 2_000;

#[test]
fn seeds_and_mutations_of_them() {
    if env::var_os("WRITE_SEEDS").is_some() {
        for (target, name, bytes) in chat::seeds().into_iter().chain(rest::seeds()) {
            let folder = replay::seeds_of(target);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), bytes).expect("written");
        }
    }
    replay::replay(TARGETS, RUNS);
}
