//! Carries a conversation from a text file across real nodes: `make run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use waku_groupchat_core::GroupId;
use waku_groupchat_simulations::conversation::network::Network;
use waku_groupchat_simulations::conversation::program::Program;
use waku_groupchat_simulations::conversation::ui::Ui;
use waku_groupchat_simulations::conversation::{Options, carry, show};

/// Carry a conversation across five real nodes while links are cut, and check what came of it.
#[derive(Debug, Parser)]
#[command(name = "conversation", version)]
struct Args {
    /// The conversation: `name: line`, one a line
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// The waku-groupchat binary
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
    /// Start the nodes as containers of this image instead, in the docker engine of this machine
    #[arg(long)]
    image: Option<String>,
    /// Folder for the nodes; what an earlier run left there is removed
    #[arg(long, value_name = "FOLDER", default_value = "run")]
    folder: PathBuf,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "run-report.json")]
    report: PathBuf,
    /// Chooses ports, and where the phases begin; at random if it is left out
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the network up afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", console::style("✗").red());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    let binary = args.node.canonicalize();
    let binary = binary.with_context(|| format!("the node's binary {}", args.node.display()))?;
    let (program, what) = match args.image {
        Some(image) => (Program::Image(image.clone()), format!("containers of {image}")),
        None => (Program::Binary(binary.clone()), "processes".to_owned()),
    };
    let mut network = Network::new(program)?;
    let ui = Ui::new();
    let options = Options {
        script: args.script,
        binary,
        folder: args.folder,
        report: args.report,
        seed: args.seed.unwrap_or_else(rand::random),
    };
    ui.print(&format!("{} (seed {}, {what})", options.script.display(), options.seed));
    let mut result = tokio::select! {
        group = carry(&options, &mut network, &ui) => group,
        signal = stop.signal() => Err(anyhow!("stopped by {signal}")),
    };
    ui.finish();
    if let (Ok(group), true) = (&result, args.keep) {
        result = keep(&mut network, &options, *group, &mut stop).await;
    }
    network.stop().await;
    result.map(drop)
}

/// Leaves the network up until a signal comes.
async fn keep(
    network: &mut Network,
    options: &Options,
    group: GroupId,
    stop: &mut Stop,
) -> anyhow::Result<GroupId> {
    network.heal_all().await?;
    print!("{}", show::left_up(network, &options.binary, &group.to_string()));
    stop.signal().await;
    println!("\nending the nodes");
    Ok(group)
}

/// The signals that end the run in order.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one; the answer is its name.
    async fn signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "an interrupt",
            _ = self.terminate.recv() => "a termination signal",
            _ = self.hangup.recv() => "a hang-up",
        }
    }
}
