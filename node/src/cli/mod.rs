//! The commands that speak to a running node over `/chat/v1`.
//!
//! [`Command`] is what clap parses; [`main`] asks the node through one blocking client
//! (`client.rs`), lets a file a subject make a page of the answer, and prints it as text for
//! people or, with `--json`, as the node's own JSON. Groups may be named by id, by the beginning of
//! an id or by name (`names.rs`). Whatever others wrote is printed without control characters
//! (`text.rs`). `watch` and `--wait` follow the node's events (`follow.rs`) on a thread of their own,
//! and end at Ctrl-C between two lines (`interrupt.rs`).

mod account;
mod changes;
pub mod chat_key;
mod client;
mod error;
mod follow;
mod group;
mod guard;
pub mod health;
mod history;
mod interrupt;
mod link;
mod members;
mod messages;
mod missing;
mod names;
mod policy;
mod recover;
mod sse;
mod text;
mod token;
mod wait;
mod watch;
mod watch_text;
mod wipe;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

pub use error::CliError;

use crate::options::Options;

/// A command for a running node.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an account, show it, and link installations to it
    Account(account::AccountArgs),
    /// Make groups, invite to them, answer invitations
    Group(group::GroupArgs),
    /// Say something in a group
    Send(messages::SendArgs),
    /// Show the messages of a group
    Read(messages::ReadArgs),
    /// Show messages that are known to exist and did not come
    Missing(missing::MissingArgs),
    /// Show how far messages of before are, which the account's other installations hand over
    History(history::HistoryArgs),
    /// Follow what happens, in a group or everywhere
    Watch(watch::WatchArgs),
    /// Make, list and revoke tokens of the node's API
    Token(token::TokenArgs),
    /// Block accounts, and say who may invite this one
    Block(guard::GuardArgs),
    /// Remove all chat data of this installation; the node goes on without an account
    Wipe(wipe::WipeArgs),
}

/// Over the options that every command has, in its help.
const HEADING: &str = "Node and output";

/// Which node to ask, and how to print.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// Address of the node's HTTP API
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        env = "WAKU_GROUPCHAT_NODE",
        default_value = "http://127.0.0.1:8645",
        value_name = "URL"
    )]
    pub node: String,
    /// File that holds the node's API token; `api-token` in the data directory if not given
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        env = "WAKU_GROUPCHAT_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,
    /// The node's data directory
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        env = "WAKU_GROUPCHAT_DATA_DIR",
        default_value_os_t = Options::default().general.data_dir,
        value_name = "FOLDER"
    )]
    pub data_dir: PathBuf,
    /// Print JSON, errors too
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
}

impl NodeArgs {
    /// The file that holds the token: as given, or where a node with that data directory keeps it.
    fn token_path(&self) -> PathBuf {
        self.token_file.clone().unwrap_or_else(|| {
            let mut options = Options::default();
            options.general.data_dir.clone_from(&self.data_dir);
            options.token_file()
        })
    }
}

/// Carries out a command: the answer goes to standard output, an error to standard error.
pub fn main(command: &Command) -> ExitCode {
    let args = command.node();
    let result = client::Client::new(args).and_then(|client| command.run(&client));
    let written = match &result {
        Ok(None) => Ok(()),
        Ok(Some(page)) if args.json => writeln!(io::stdout().lock(), "{:#}", page.json),
        Ok(Some(page)) => io::stdout().lock().write_all(page.text.as_bytes()),
        Err(error) if args.json => {
            let body = json!({ "code": error.code(), "detail": error.to_string() });
            writeln!(io::stderr().lock(), "{body:#}")
        }
        Err(error) => writeln!(io::stderr().lock(), "error: {error}"),
    };
    if result.is_ok() && was_read(&written) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the output went out. Whoever reads it may stop early (`| head`): that is no failure.
fn was_read(written: &io::Result<()>) -> bool {
    written.as_ref().err().is_none_or(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

impl Command {
    fn node(&self) -> &NodeArgs {
        match self {
            Self::Account(args) => &args.node,
            Self::Group(args) => &args.node,
            Self::Send(args) => &args.node,
            Self::Read(args) => &args.node,
            Self::Missing(args) => &args.node,
            Self::History(args) => &args.node,
            Self::Watch(args) => &args.node,
            Self::Token(args) => &args.node,
            Self::Block(args) => &args.node,
            Self::Wipe(args) => &args.node,
        }
    }

    /// What to print at the end; `watch` prints as it goes.
    fn run(&self, client: &client::Client) -> Result<Option<Page>, CliError> {
        let page = match self {
            Self::Account(args) => account::run(&args.command, client),
            Self::Group(args) => group::run(&args.command, client),
            Self::Send(args) => messages::send(args, client),
            Self::Read(args) => messages::read(args, client),
            Self::Missing(args) => missing::run(args, client),
            Self::History(args) => history::run(args, client),
            Self::Token(args) => token::run(&args.command, client),
            Self::Block(args) => guard::run(&args.command, client),
            Self::Wipe(args) => wipe::run(args, client),
            Self::Watch(args) => return watch::run(args, client).map(|()| None),
        };
        page.map(Some)
    }
}

/// What a command prints: the same answer for programs and for people. It may hold secrets: no
/// `Debug`.
struct Page {
    json: Value,
    text: String,
}

impl Page {
    fn new<T: Serialize>(answer: &T, text: String) -> Result<Self, CliError> {
        Ok(Self { json: serde_json::to_value(answer).map_err(CliError::Json)?, text })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn options_may_stand_at_any_level() {
        for line in [
            "x account --json --node http://h:1 show",
            "x account show --json --node http://h:1",
            "x send --json --node=http://h:1 lunch -",
            "x missing --json --node http://h:1",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert_eq!(
                (cli.command.node().json, cli.command.node().node.as_str()),
                (true, "http://h:1")
            );
        }
    }

    #[test]
    fn the_token_is_looked_for_in_the_data_directory() {
        let path = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            cli.command.node().token_path()
        };
        let default = Options::default().token_file();
        assert_eq!(path("x missing --data-dir /n1"), default_in("/n1", &default));
        assert_eq!(path("x missing --data-dir /n1 --token-file t"), PathBuf::from("t"));
    }

    fn default_in(folder: &str, default: &std::path::Path) -> PathBuf {
        PathBuf::from(folder).join(default.file_name().expect("a file"))
    }

    #[test]
    fn usage_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
