//! Runs targets without a fuzzer, as a test on the stable toolchain: all committed seeds, and
//! mutations of them.
//!
//! Mutations come from `SEED` (a number; 1 unless given), `FUZZ_RUNS` of them for each target. An
//! input on which a target panics, or that takes more memory than any good one, is left in
//! `fuzz/artifacts/<target>/`, where cargo-fuzz leaves its own, and the fuzzer takes it from there.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

/// Decodes, checks what has to hold, and says whether the input was good. A panic is a finding.
pub type Target = fn(&[u8]) -> bool;

/// Longest input that mutations grow to.
const MAX_LEN: usize = 64 * 1024;

/// Most address space that one input may take, in KiB. So much is taken by a length that was
/// believed before its bytes came; other tests of the process, which run beside, take less.
const MAX_GROWTH: u64 = 1024 * 1024;

/// Where a target's seeds lie. A file that begins with `refused-` must be refused; all others are
/// good values and must be accepted.
pub fn seeds_of(target: &str) -> PathBuf {
    // Of the package that runs this, which lies one or two folders below the top.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folder = above.map(|folder| folder.join("fuzz")).find(|folder| folder.is_dir());
    folder.expect("a folder with seeds").join("seeds").join(target)
}

/// Runs every target on its seeds and on `runs` mutations of them, unless `FUZZ_RUNS` gives another
/// number; with `FUZZ_TARGET`, that one alone.
pub fn replay(targets: &[(&str, Target)], runs: u64) {
    let number = |name, otherwise| {
        env::var(name).map_or(otherwise, |text: String| text.parse().expect("a number"))
    };
    let (seed, runs) = (number("SEED", 1), number("FUZZ_RUNS", runs));
    let only = env::var("FUZZ_TARGET").ok();
    println!("SEED={seed} FUZZ_RUNS={runs}");
    for (name, target) in targets {
        if only.as_deref().is_none_or(|only| only == *name) {
            replay_one(name, *target, seed, runs);
        }
    }
}

fn replay_one(name: &str, target: Target, seed: u64, runs: u64) {
    let start = Instant::now();
    let program = |folder| seeds_of(name).join("../..").join(folder).join(format!("{name}.rs"));
    let there = ["fuzz_targets", "http/fuzz_targets"].map(|folder| program(folder).exists());
    assert!(there.contains(&true), "no program for {name} in fuzz_targets");
    let seeds = read(name);
    assert!(!seeds.is_empty(), "no seeds for {name}");
    for (file, input) in &seeds {
        let accepted = checked(name, target, input);
        assert_eq!(
            accepted,
            !file.starts_with("refused-"),
            "seed {name}/{file}; after a change that is meant, WRITE_SEEDS=1 makes the seeds anew"
        );
    }
    let mut random = Random(seed ^ fingerprint(name.as_bytes()));
    let mutations = (0..runs).filter(|_| checked(name, target, &mutated(&seeds, &mut random)));
    let (seeds, accepted) = (seeds.len(), mutations.count());
    let time = start.elapsed();
    println!("{name}: {seeds} seeds, {accepted} of {runs} mutations accepted, {time:.1?}");
}

fn read(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = seeds_of(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds: Vec<_> = files
        .map(|file| {
            let file = file.expect("a readable folder");
            let name = file.file_name().into_string().expect("a name in UTF-8");
            (name, fs::read(file.path()).expect("a readable file"))
        })
        .collect();
    seeds.sort();
    seeds
}

/// Keeps the input if the target panics on it or takes too much memory.
fn checked(name: &str, target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let before = peak();
        let accepted = target(input);
        let taken = peak().saturating_sub(before);
        assert!(taken <= MAX_GROWTH, "{taken} KiB for an input of {} bytes", input.len());
        accepted
    }))
    .unwrap_or_else(|panic| {
        let folder = seeds_of(name).join("../../artifacts").join(name);
        let file = folder.join(format!("replay-{:016x}", fingerprint(input)));
        fs::create_dir_all(&folder).expect("a folder for the input");
        fs::write(&file, input).expect("the input is kept");
        println!("{name} panics on {}", file.display());
        resume_unwind(panic)
    })
}

/// The most address space that this process ever had, in KiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |a, b| (a ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A place in `bytes`, or its end.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.below(bytes.len() + 1)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// One of the seeds, changed in one to three ways.
fn mutated(seeds: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].1.clone();
    for _ in 0..=random.below(3) {
        mutate(&mut bytes, seeds, random);
    }
    bytes.truncate(MAX_LEN);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[(String, Vec<u8>)], random: &mut Random) {
    let at = random.place(bytes);
    let len = random.below(9).min(bytes.len() - at);
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = EDGES[random.below(EDGES.len())],
        2 => drop(bytes.drain(at..at + len)),
        3 => bytes.truncate(at),
        4 => {
            let len = 1 + random.below(8);
            let inserted = random.bytes(len);
            bytes.splice(at..at, inserted);
        }
        5 => {
            let again = bytes[at..at + len].to_vec();
            bytes.splice(at..at, again);
        }
        6 => {
            let value = VARINTS[random.below(VARINTS.len())];
            bytes.splice(at..at + len, value.iter().copied());
        }
        _ => {
            let other = &seeds[random.below(seeds.len())].1;
            let from = random.place(other);
            let to = from + random.below(other.len() - from + 1);
            bytes.splice(at..at + len, other[from..to].iter().copied());
        }
    }
}

const EDGES: [u8; 8] = [0, 1, 0x0a, 0x3f, 0x40, 0x7f, 0x80, 0xff];

/// Large lengths and numbers, as protobuf and MLS write them.
const VARINTS: [&[u8]; 6] = [
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff, 0x7f],
    &[0xbf, 0xff, 0xff, 0xff],
    &[0x80, 0x01, 0x00, 0x00],
];
