//! Groups that all change at once, over many seeds: `make soak`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use clap::Parser;
use waku_groupchat_simulations::convergence::many::{many, one};
use waku_groupchat_simulations::convergence::plan::Plan;
use waku_groupchat_simulations::convergence::run;

/// After how many seeds it is said how far the run is.
const TOLD_EVERY: u64 = 100;

/// Let members of groups change them all at once on bad networks, one story a seed, and check that
/// everybody ends in one state.
#[derive(Debug, Parser)]
#[command(name = "soak", version)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first one
    #[arg(long, default_value_t = 0)]
    seed_from: u64,
    /// Tell the story of one seed instead
    #[arg(long)]
    seed: Option<u64>,
    /// Tell it with everything that happened on the network
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Tell it with as few of its first steps as fail
    #[arg(long, requires = "seed")]
    fewest: bool,
    /// Carry out only so many steps of each
    #[arg(long, default_value_t = usize::MAX)]
    steps: usize,
    /// Where the report goes
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let all_hold = match args.seed {
        Some(seed) if args.fewest => Ok(tell(seed, fewest(seed), args.trace)),
        Some(seed) => Ok(tell(seed, args.steps, args.trace)),
        None => soak(&args),
    };
    match all_hold {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The fewest steps with which a seed fails.
fn fewest(seed: u64) -> usize {
    let steps = Plan::of(seed).steps.len();
    (0..steps).find(|steps| one(seed, *steps).1.is_some()).unwrap_or(steps)
}

/// Tells one seed's story whole.
fn tell(seed: u64, steps: usize, traced: bool) -> bool {
    let outcome = run(seed, steps, traced);
    print!("{}", outcome.trace);
    for line in &outcome.log {
        println!("{line}");
    }
    println!("{:#?}", outcome.counts);
    for failure in &outcome.failures {
        println!("seed {seed}: {failure}");
    }
    outcome.failures.is_empty()
}

fn soak(args: &Args) -> anyhow::Result<bool> {
    let done = AtomicU64::new(0);
    let report = many(args.seed_from, args.seeds, args.steps, |seed, trouble| {
        for line in trouble.into_iter().flatten() {
            println!("seed {seed}: {line}");
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(TOLD_EVERY) {
            eprintln!("{done} of {} seeds", args.seeds);
        }
    });
    if let Some(path) = &args.report {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n").with_context(|| format!("{}", path.display()))?;
    }
    for seed in &report.failed {
        println!("failed: seed {seed} (soak --seed {seed} --fewest tells it)");
    }
    println!("{} passed, {} failed", report.passed, report.failed.len());
    Ok(report.failed.is_empty())
}
