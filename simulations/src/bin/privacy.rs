//! What registering shows, measured: `make report`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use waku_groupchat_simulations::privacy::measure::{Extent, measure};
use waku_groupchat_simulations::privacy::{page::page, plot::plot};

/// Measure what an observer of the whole shard learns from how accounts register.
#[derive(Debug, Parser)]
#[command(name = "privacy", version)]
struct Args {
    /// Of all that is drawn
    #[arg(long)]
    seed: Option<u64>,
    /// A small measurement, as the tests make it
    #[arg(long)]
    small: bool,
    /// Folder for privacy.json, privacy.md and privacy.svg
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<bool> {
    let mut extent = if args.small { Extent::SMALL } else { Extent::WHOLE };
    extent.seed = args.seed.unwrap_or(extent.seed);
    let began = std::time::Instant::now();
    let mut tell = |what: &str| eprintln!("{:>5} s  {what}", began.elapsed().as_secs());
    let report = measure(&extent, &mut tell);
    for attack in report.attacks.iter().chain(&report.beyond) {
        println!(
            "{}: {:.4} ({:.4} to {:.4}) over {} pairs",
            attack.name, attack.advantage, attack.ci_low, attack.ci_high, attack.samples
        );
    }
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder)?;
        write(folder, "privacy.json", serde_json::to_string_pretty(&report)? + "\n")?;
        write(folder, "privacy.md", page(&report))?;
        let all: Vec<_> = report.attacks.iter().chain(&report.beyond).cloned().collect();
        write(folder, "privacy.svg", plot(&all))?;
    }
    let failures = report.failures();
    for failure in &failures {
        println!("does not hold: {failure}");
    }
    Ok(failures.is_empty())
}

fn write(folder: &Path, name: &str, text: String) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("{}", path.display()))
}
