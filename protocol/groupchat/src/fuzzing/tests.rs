//! All targets without a fuzzer: committed seeds, and mutations of them. `WRITE_SEEDS=1` makes the
//! seeds anew.

#[path = "../../../../fuzz/src/replay.rs"]
#[allow(unreachable_pub, reason = "another package's file")]
mod replay;

use std::{env, fs};

use super::{TARGETS, account, core, group, segment};

/// Mutations of each target: some seconds of an unoptimised build.
const RUNS: u64 = 200;

/// Target, file, content.
type Seeds = Vec<(&'static str, &'static str, Vec<u8>)>;

/// Good values of each module.
const SEEDS: [fn() -> Seeds; 4] = [account::seeds, core::seeds, group::seeds, segment::seeds];

#[test]
fn seeds_and_mutations_of_them() {
    if env::var_os("WRITE_SEEDS").is_some() {
        for (target, name, bytes) in SEEDS.iter().flat_map(|seeds| seeds()) {
            let folder = replay::seeds_of(target);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), bytes).expect("written");
        }
    }
    replay::replay(TARGETS, RUNS);
}
