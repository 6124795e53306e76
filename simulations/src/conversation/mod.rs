//! One group conversation across real nodes: what `make run` does.
//!
//! [`carry`] reads a [`script`], gives out the parts ([`plan`]), starts a store node and the chat
//! nodes as processes or containers ([`network`], [`process`], [`program`], [`config`]) with a
//! [`link`] between each two, lets the accounts meet ([`meet`]), and says the lines while links are
//! cut and healed ([`scenario`]) and the group is given names (`naming`). It drives the nodes over HTTP alone ([`client`], [`chat`]), and
//! waits on what they report ([`events`]). What came of it is gathered ([`observed`]), checked
//! ([`checks`]), shown ([`show`]) and written as JSON ([`report`]). The nodes' logs tell what they
//! published ([`ledger`]).

pub mod chat;
pub mod checks;
pub mod client;
pub mod config;
pub mod events;
mod failure;
pub mod ledger;
pub mod link;
pub mod meet;
mod naming;
pub mod network;
pub mod observed;
pub mod plan;
pub mod process;
pub mod program;
pub mod report;
pub mod scenario;
pub mod script;
pub mod show;
pub mod topology;
pub mod ui;
pub mod wait;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use waku_groupchat_core::GroupId;

use meet::LinkedTooLate;
use network::Network;
use observed::Observed;
use plan::Plan;
use report::{Report, RunOf};
use script::Script;
use ui::Ui;

/// How often a run begins anew because chance was against it.
const ATTEMPTS: u32 = 6;

/// What to carry, with what, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The script.
    pub script: PathBuf,
    /// The node's binary, for whoever tries the network that is left up.
    pub binary: PathBuf,
    /// Where the nodes' folders go; what was there is removed.
    pub folder: PathBuf,
    /// Where the report goes.
    pub report: PathBuf,
    /// Chooses ports, and where the phases begin.
    pub seed: u64,
}

/// Carries the conversation, prints and writes what came of it. The nodes go on running in
/// `network`, whatever comes of it; the answer is the group.
///
/// # Errors
///
/// Whatever of it does not hold. The report is written all the same, and says so.
pub async fn carry(options: &Options, network: &mut Network, ui: &Ui) -> anyhow::Result<GroupId> {
    let mut alarm = network.alarm();
    remove_old(&options.report)?;
    let script = Script::read(&options.script)?;
    let plan = Plan::new(&script, options.seed);
    let outcome = tokio::select! {
        outcome = observe(options, network, ui, &script, &plan) => outcome,
        ended = alarm.wait_for(Option::is_some) => {
            Err(anyhow!(ended.ok().and_then(|words| words.clone()).unwrap_or_default()))
        }
    };
    ui.finish();
    let run_of = RunOf {
        seed: options.seed,
        script: options.script.display().to_string(),
        durations: ui.steps(),
    };
    let (group, run) = match outcome {
        Ok(observed) => observed,
        Err(error) => {
            Report::broken_off(format!("{error:#}"), run_of).write(&options.report)?;
            return Err(error);
        }
    };
    let failures = checks::failures(&run);
    let report = Report::new(&run, &failures, run_of);
    print!("{}", show::run(&run, &report));
    report.write(&options.report).context("the report cannot be written")?;
    println!("   report: {}\n", options.report.display());
    print!("{}", show::verdict(&failures));
    ensure!(failures.is_empty(), "{} things do not hold", failures.len());
    Ok(group)
}

/// Starts the nodes, lets the accounts meet, carries the script, and looks at what came of it.
async fn observe(
    options: &Options,
    network: &mut Network,
    ui: &Ui,
    script: &Script,
    plan: &Plan,
) -> anyhow::Result<(GroupId, Observed)> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut attempt = 1;
    let mut talk = loop {
        start(options, network, ui, plan, &mut rng).await?;
        ui.doing("making accounts");
        match meet::meet(network, script, plan, ui).await {
            Err(error) if error.is::<LinkedTooLate>() && attempt < ATTEMPTS => {
                ui.print(&format!("  {error}: once more from the start"));
                network.clear().await;
                attempt += 1;
            }
            talk => break talk?,
        }
    };
    talk.carry(network, ui).await?;
    ui.doing("looking at what came of it");
    Ok((talk.group, Observed::new(network, &talk).await?))
}

/// Starts the nodes in an empty folder.
async fn start(
    options: &Options,
    network: &mut Network,
    ui: &Ui,
    plan: &Plan,
    rng: &mut ChaCha8Rng,
) -> anyhow::Result<()> {
    ui.doing("starting the nodes");
    fresh(&options.folder)?;
    let seats: Vec<String> = plan.seats.iter().map(|seat| seat.node.clone()).collect();
    network.start(&options.folder, &seats, rng).await?;
    ui.done("nodes_up", &format!("{} nodes up, linked all to all", seats.len() + 1));
    Ok(())
}

/// No report of an earlier run stays, whatever comes of this one.
fn remove_old(report: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(report) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| report.display().to_string())
        }
        _ => Ok(()),
    }
}

/// An empty folder for the run. Only one that an earlier run made is removed.
fn fresh(folder: &Path) -> anyhow::Result<()> {
    let mark = folder.join(".conversation");
    if folder.exists() {
        if !mark.exists() && folder.read_dir()?.next().is_some() {
            bail!("{} is not empty, and no run made it: remove it first", folder.display());
        }
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(mark, "Made by the conversation runner, and removed by it.\n")?)
}
