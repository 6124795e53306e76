//! The `waku-groupchat` binary: `run` is the node, the other commands speak to one that runs.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};
use waku_groupchat_node::chat::unlock::{PASSPHRASE, unlock};
use waku_groupchat_node::options::{LogFormat, Logging, Options};
use waku_groupchat_node::{cli, node, options};
use waku_groupchat_storage::sealed::ChatKey;

/// Exit code of a node whose options stop the start.
const BAD_OPTIONS: u8 = 2;

/// Where options come from, after the help.
const ENVIRONMENT: &str = "\
Options also stand in the environment, which the command line goes before:
  WAKU_GROUPCHAT_NODE        address of the node that commands speak to (--node)
  WAKU_GROUPCHAT_DATA_DIR    the node's data directory (--data-dir)
  WAKU_GROUPCHAT_TOKEN_FILE  file with the token that commands use (--token-file)
  WAKU_GROUPCHAT_GROUP_CHAT_PASSPHRASE  passphrase of the chat's database, on no command line
  WAKU_GROUPCHAT_<OPTION>    each option of `run`, such as WAKU_GROUPCHAT_REST_PORT for --rest-port";

/// A Waku relay node with end-to-end encrypted group chat inside.
#[derive(Debug, Parser)]
#[command(name = "waku-groupchat", version, after_help = ENVIRONMENT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node (`run --help` lists its options)
    Run(RunArgs),
    /// Ask a running node whether it is ready; the exit code says so as well
    Health(cli::health::HealthArgs),
    /// Encrypt the chat's database, or change what opens it; the node must not run
    ChatKey(cli::chat_key::ChatKeyArgs),
    #[command(flatten)]
    Client(cli::Command),
}

/// Left to [`Options`], which has one table for arguments, environment and files.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct RunArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run(args.arguments),
        Command::Health(args) => cli::health::main(&args),
        Command::ChatKey(args) => cli::chat_key::main(&args, std::env::vars_os().collect()),
        Command::Client(command) => cli::main(&command),
    }
}

fn run(arguments: Vec<OsString>) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{}", options::help());
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--sample") {
        print!("{}", options::sample());
        return ExitCode::SUCCESS;
    }
    let options = match Options::load(arguments, std::env::vars_os()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(BAD_OPTIONS);
        }
    };
    log(&options.logging);
    // before there are threads and signals to mind: somebody may be asked for it
    let key = match unlock(&options, std::env::var_os(PASSPHRASE)) {
        Ok(key) => key,
        Err(error) => {
            eprintln!("error: {}", anyhow::Error::from(error));
            return ExitCode::FAILURE;
        }
    };
    match serve(options, key) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options, key: Option<ChatKey>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(node::run(options, key))?)
}

/// What this project logs at the level of the options; libraries no finer than warnings, or than
/// `INFO` where this project's own details are wanted.
fn log(logging: &Logging) {
    let level = logging.level.0;
    let coarsest = if level > LevelFilter::INFO { LevelFilter::INFO } else { LevelFilter::WARN };
    let others = level.min(coarsest);
    let targets = Targets::new()
        .with_default(others)
        // Its warnings hold whole messages; what they warn of is counted and logged here.
        .with_target("libp2p_gossipsub", others.min(LevelFilter::ERROR))
        .with_target("waku_groupchat", level);
    let registry = tracing_subscriber::registry();
    match logging.format {
        LogFormat::Text => {
            let colours = std::io::stdout().is_terminal();
            registry.with(fmt::layer().with_ansi(colours).with_filter(targets)).init();
        }
        LogFormat::Json => registry.with(fmt::layer().json().with_filter(targets)).init(),
    }
}
