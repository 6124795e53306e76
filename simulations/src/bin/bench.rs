//! Measures what the parts cost, beside a peer or a plain library: `make bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use waku_groupchat_simulations::bench::archive::sample::Sizes;
use waku_groupchat_simulations::bench::archive::{Backend, Case};
use waku_groupchat_simulations::bench::relay::load::Load;
use waku_groupchat_simulations::bench::relay::node::{Kind, Program};
use waku_groupchat_simulations::bench::{
    Results, archive, convergence, core, document, invite, relay,
};

/// Measure what the parts of waku-groupchat cost on this machine, beside a peer in the same run.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Args {
    /// Folder of the results, one JSON file a benchmark
    #[arg(long, global = true, value_name = "FOLDER", default_value = "bench-results")]
    out: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Two nodes: messages over REST, relay and archive; beside go-waku
    Relay(RelayArgs),
    /// The message archive: inserting and reading pages; beside SQLite
    Archive(ArchiveArgs),
    /// An invitation of many accounts at once; beside OpenMLS alone
    Invite(InviteArgs),
    /// The chat core in groups of several sizes; beside plain OpenMLS
    Core(CoreArgs),
    /// Members that commit at once, going back, kept states, bytes; beside plain OpenMLS
    Convergence(ConvergenceArgs),
    /// Open a core's database, and tell the resident bytes of this process: a part of `convergence`
    #[command(hide = true)]
    Opened {
        /// The database
        folder: PathBuf,
    },
    /// Put the results of the folder into a document, between its markers
    Compose {
        /// The document
        #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
        document: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct RelayArgs {
    /// The waku-groupchat binary, built for release
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
    /// go-waku's binary
    #[arg(long, value_name = "FILE")]
    go_waku: Option<PathBuf>,
    /// Folder for the nodes' data; what a run puts there it removes
    #[arg(long, value_name = "FOLDER", default_value = "bench-run")]
    folder: PathBuf,
    /// Rounds of each pair
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of load in a round
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Messages a second in a further round of each pair, so that both carry the same; 0 for none
    #[arg(long, default_value_t = 3_000)]
    rate: u32,
    /// Connections of the load
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Bytes of a payload
    #[arg(long, default_value_t = 1024)]
    payload: usize,
}

impl RelayArgs {
    fn options(&self) -> anyhow::Result<relay::Options> {
        let program = |kind, path: &PathBuf| {
            let path = path.canonicalize().with_context(|| path.display().to_string())?;
            anyhow::Ok(Program { kind, path })
        };
        let mut programs = vec![program(Kind::Own, &self.node)?];
        if let Some(path) = &self.go_waku {
            programs.push(program(Kind::GoWaku, path)?);
        }
        std::fs::create_dir_all(&self.folder)?;
        let duration = Duration::from_secs(self.seconds);
        let most = u64::MAX;
        let (clients, payload) = (self.clients.max(1), self.payload.max(24));
        Ok(relay::Options {
            no_peer: programs.get(1).is_none().then(|| "its binary is not there".to_owned()),
            programs,
            rounds: self.rounds.max(1),
            load: Load { clients, payload, duration, most, rate: None },
            rate: Some(self.rate).filter(|rate| *rate > 0),
            folder: self.folder.canonicalize()?,
        })
    }
}

#[derive(Debug, clap::Args)]
struct ArchiveArgs {
    /// Folder for the databases; what a run puts there it removes
    #[arg(long, value_name = "FOLDER", default_value = "bench-run")]
    folder: PathBuf,
    /// Messages of the smaller archive and of SQLite
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Messages of the larger archive; 0 leaves it out
    #[arg(long, default_value_t = 10_000_000)]
    many: u64,
    /// Bytes of a payload in the larger archive
    #[arg(long, default_value_t = 400)]
    payload: usize,
    /// Queries of each kind
    #[arg(long, default_value_t = 2_000)]
    queries: usize,
    /// Leave SQLite out
    #[arg(long)]
    no_peer: bool,
    /// Chooses messages and places
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl ArchiveArgs {
    fn options(&self) -> anyhow::Result<archive::Options> {
        let (messages, sizes) = (self.messages, Sizes::Chat);
        let mut cases = vec![Case { backend: Backend::Rocks, messages, sizes }];
        if !self.no_peer {
            cases.push(Case { backend: Backend::Sqlite, messages, sizes });
        }
        if self.many > 0 {
            let (messages, sizes) = (self.many, Sizes::Fixed(self.payload));
            cases.push(Case { backend: Backend::Rocks, messages, sizes });
        }
        std::fs::create_dir_all(&self.folder)?;
        let folder = self.folder.canonicalize()?;
        Ok(archive::Options { cases, queries: self.queries.max(1), seed: self.seed, folder })
    }
}

#[derive(Debug, clap::Args)]
struct InviteArgs {
    /// Numbers of accounts, one case each
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    accounts: Vec<usize>,
    /// Accounts of a case that join and talk
    #[arg(long, default_value_t = 8)]
    joiners: usize,
    /// Of the cores' randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl InviteArgs {
    fn options(&self) -> invite::Options {
        let accounts = self.accounts.iter().map(|count| (*count).max(1)).collect();
        invite::Options { accounts, joiners: self.joiners.max(1), seed: self.seed }
    }
}

#[derive(Debug, clap::Args)]
struct CoreArgs {
    /// Folder for the databases; what a run puts there it removes
    #[arg(long, value_name = "FOLDER", default_value = "bench-run")]
    folder: PathBuf,
    /// Sizes of the groups, in leaves
    #[arg(long, value_delimiter = ',', default_values_t = [2, 10, 100, 1_000, 2_000])]
    leaves: Vec<usize>,
    /// Messages of each kind
    #[arg(long, default_value_t = 300)]
    messages: usize,
    /// Commits of each kind
    #[arg(long, default_value_t = 10)]
    commits: usize,
    /// Messages that are caught up with
    #[arg(long, default_value_t = 1_000)]
    missed: usize,
}

impl CoreArgs {
    fn options(&self) -> anyhow::Result<core::Options> {
        std::fs::create_dir_all(&self.folder)?;
        Ok(core::Options {
            leaves: self.leaves.iter().map(|leaves| (*leaves).max(2)).collect(),
            messages: self.messages.max(1),
            commits: self.commits.max(1),
            missed: self.missed.max(1),
            folder: self.folder.canonicalize()?,
        })
    }
}

#[derive(Debug, clap::Args)]
struct ConvergenceArgs {
    /// Folder for the databases; what a run puts there it removes
    #[arg(long, value_name = "FOLDER", default_value = "bench-run")]
    folder: PathBuf,
    /// Numbers of members that commit at once
    #[arg(long, value_delimiter = ',', default_values_t = [2, 10, 50])]
    together: Vec<usize>,
    /// Of the virtual network
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sizes of the groups in which commits are gone back over, in leaves
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000])]
    rewound: Vec<usize>,
    /// Commits that are gone back over
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 64])]
    depths: Vec<usize>,
    /// Sizes of the groups whose states are kept, and whose bytes are counted
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 2_000])]
    leaves: Vec<usize>,
    /// States that are kept
    #[arg(long, default_value_t = 64)]
    states: usize,
}

impl ConvergenceArgs {
    fn options(&self) -> anyhow::Result<convergence::Options> {
        std::fs::create_dir_all(&self.folder)?;
        let least = |all: &[usize], least| all.iter().map(|one| (*one).max(least)).collect();
        Ok(convergence::Options {
            together: least(&self.together, 2),
            seed: self.seed,
            rewound: least(&self.rewound, 6),
            depths: least(&self.depths, 1),
            leaves: least(&self.leaves, 3),
            states: self.states.max(2),
            folder: self.folder.canonicalize()?,
            program: Some(std::env::current_exe()?),
        })
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Relay(relay) => done(args, &relay::run(&relay.options()?)?),
        Command::Core(core) => done(args, &core::run(&core.options()?)?),
        Command::Archive(archive) => done(args, &archive::run(&archive.options()?)?),
        Command::Invite(invite) => done(args, &invite::run(&invite.options())?),
        Command::Convergence(all) => done(args, &convergence::run(&all.options()?)?),
        Command::Opened { folder } => {
            println!("{}", convergence::kept::opened(folder)?);
            Ok(())
        }
        Command::Compose { document } => {
            let names = document::compose(document, &args.out)?;
            println!("{}: {}", document.display(), names.join(", "));
            Ok(())
        }
    }
}

/// Prints the tables and writes the results.
fn done(args: &Args, results: &Results) -> anyhow::Result<()> {
    println!("{}", results.markdown());
    println!("{}", results.write(&args.out)?.display());
    Ok(())
}
