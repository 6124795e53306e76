//! Groups that all change at once, over many seeds: `make soak`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use clap::Parser;
use waku_groupchat_simulations::convergence::many::{many, one};
use waku_groupchat_simulations::convergence::plan::{Deeds, Plan};
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
    /// Let members invite those who were in the group before, too
    #[arg(long)]
    invite_again: bool,
    /// Let members leave
    #[arg(long)]
    leave: bool,
    /// Where the report goes
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Put faults into the core instead, one after the other, and say after how many seeds each is
    /// noticed
    #[cfg(feature = "mutations")]
    #[arg(long)]
    mutations: bool,
    /// The commit of the source, for the report
    #[arg(long, default_value = "")]
    commit: String,
}

impl Args {
    fn deeds(&self) -> Deeds {
        Deeds { invite_again: self.invite_again, leave: self.leave }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    #[cfg(feature = "mutations")]
    if args.mutations {
        return if mutations(&args) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let all_hold = match args.seed {
        Some(seed) if args.fewest => Ok(tell(&args, seed, fewest(seed, args.deeds()))),
        Some(seed) => Ok(tell(&args, seed, args.steps)),
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
fn fewest(seed: u64, deeds: Deeds) -> usize {
    let steps = Plan::of(seed).steps.len();
    (0..steps).find(|steps| one(seed, *steps, deeds).1.is_some()).unwrap_or(steps)
}

/// Tells one seed's story whole.
fn tell(args: &Args, seed: u64, steps: usize) -> bool {
    let outcome = run(seed, steps, args.deeds(), args.trace);
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
    let mut report = many(args.seed_from, args.seeds, args.steps, args.deeds(), |seed, trouble| {
        for line in trouble.into_iter().flatten() {
            println!("seed {seed}: {line}");
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(TOLD_EVERY) {
            eprintln!("{done} of {} seeds", args.seeds);
        }
    });
    report.commit.clone_from(&args.commit);
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

/// Whether each fault is noticed.
#[cfg(feature = "mutations")]
fn mutations(args: &Args) -> bool {
    use waku_groupchat_core::{Mutation, mutate};
    let mut all = true;
    // a fault may well end in a panic
    std::panic::set_hook(Box::new(|_| {}));
    for mutation in Mutation::ALL {
        let mut seeds = args.seed_from..args.seed_from + args.seeds;
        let caught = seeds.find_map(|seed| {
            let trouble = mutate(mutation, || one(seed, args.steps, args.deeds())).1?;
            Some((seed, trouble.first().cloned().unwrap_or_default()))
        });
        all &= caught.is_some();
        match caught {
            Some((seed, why)) => {
                println!("{mutation:?} is caught after {} seeds: {why}", seed - args.seed_from + 1);
            }
            None => println!("{mutation:?} is not caught within {} seeds", args.seeds),
        }
    }
    all
}
