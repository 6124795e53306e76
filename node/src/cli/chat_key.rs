//! `chat-key`: encrypts the chat's database of a node that does not run, decrypts it, or changes
//! what opens it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use waku_groupchat_storage::sealed::{self, ChatKey, Cost, Protection, SealError};

use crate::chat::chain;
use crate::chat::unlock::{self, UnlockError};
use crate::node::{DataDir, DataDirError};
use crate::options::{OptionError, Options};

/// `chat-key` and what stands before its command.
///
/// The key that is there now is taken from where the node takes it: its options in the environment
/// and in the file that is named, WAKU_GROUPCHAT_GROUP_CHAT_PASSPHRASE, or the terminal.
#[derive(Clone, Debug, Args)]
pub struct ChatKeyArgs {
    /// The node's data directory
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The node's TOML file with options
    #[arg(long, global = true, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// File with the key of the database
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
    /// File with the passphrase of the database
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    command: ChatKeyCommand,
}

/// What to do with the key. The node must not run meanwhile.
#[derive(Clone, Debug, Subcommand)]
enum ChatKeyCommand {
    /// Say what protects the chat's database
    Show,
    /// Encrypt the database, which is not encrypted yet
    Set,
    /// Change what opens the database; its records stay as they are
    Change {
        /// File with the new key
        #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_file")]
        new_key_file: Option<PathBuf>,
        /// File with the new passphrase; asked for at the terminal if none is named
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Decrypt the database: from then on, file permissions alone protect it
    Remove {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

/// Why the key was not changed.
#[derive(Debug, thiserror::Error)]
enum ChatKeyError {
    #[error(transparent)]
    Options(#[from] OptionError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    #[error(transparent)]
    Database(#[from] SealError),
    #[error("no key is given: name --key-file or --passphrase-file, or ask at a terminal")]
    NoKey,
    #[error(
        "no new key is given: name --new-key-file or --new-passphrase-file, or ask at a terminal"
    )]
    NoNewKey,
    #[error("database {0} is encrypted already: `chat-key change` gives it another key")]
    Encrypted(String),
    #[error("this leaves the chat's keys and messages readable on disk: add --yes to do it")]
    NotConfirmed,
}

/// Carries it out; an error goes to standard error.
pub fn main(args: &ChatKeyArgs, environment: Vec<(OsString, OsString)>) -> ExitCode {
    match args.run(environment) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

impl ChatKeyArgs {
    fn run(&self, environment: Vec<(OsString, OsString)>) -> Result<String, ChatKeyError> {
        let variable = environment.iter().find(|(name, _)| name == unlock::PASSPHRASE);
        let variable = variable.map(|(_, text)| text.clone());
        let options = self.options(environment)?;
        let database = options.chat_path();
        let stored = sealed::protection(&database)?
            .ok_or_else(|| SealError::NoDatabase { path: database.clone() })?;
        if matches!(self.command, ChatKeyCommand::Show) {
            return Ok(format!("The chat's database is protected by {stored}."));
        }
        // nobody else may open it meanwhile
        let _locked = DataDir::open(&options.general.data_dir)?;
        match &self.command {
            ChatKeyCommand::Show => {}
            ChatKeyCommand::Set => set(&options, variable, &database, stored)?,
            ChatKeyCommand::Change { new_key_file, new_passphrase_file } => {
                let from = unlock::unlock(&options, variable)?.ok_or(ChatKeyError::NoKey)?;
                let to = new_key(new_key_file.as_deref(), new_passphrase_file.as_deref())?;
                sealed::change_key(&database, Some(&from), Some(&to), Cost::RECOMMENDED)?;
            }
            ChatKeyCommand::Remove { yes: false } => return Err(ChatKeyError::NotConfirmed),
            ChatKeyCommand::Remove { yes: true } => {
                let from = unlock::unlock(&options, variable)?.ok_or(ChatKeyError::NoKey)?;
                sealed::change_key(&database, Some(&from), None, Cost::RECOMMENDED)?;
            }
        }
        let now = sealed::protection(&database)?.unwrap_or(Protection::Permissions);
        Ok(format!("The chat's database is protected by {now} now."))
    }

    /// The node's options, with what was given here before them.
    fn options(&self, environment: Vec<(OsString, OsString)>) -> Result<Options, OptionError> {
        let mut arguments: Vec<OsString> = Vec::new();
        let given = [
            ("--data-dir", &self.data_dir),
            ("--config-file", &self.config_file),
            ("--group-chat-key-file", &self.key_file),
            ("--group-chat-passphrase-file", &self.passphrase_file),
        ];
        for (name, path) in given {
            if let Some(path) = path {
                arguments.extend([OsString::from(name), path.clone().into_os_string()]);
            }
        }
        Options::load(arguments, environment)
    }
}

fn set(
    options: &Options,
    variable: Option<OsString>,
    database: &Path,
    stored: Protection,
) -> Result<(), ChatKeyError> {
    if stored != Protection::Permissions {
        return Err(ChatKeyError::Encrypted(database.display().to_string()));
    }
    let to = match unlock::unlock(options, variable)? {
        Some(key) => key,
        None if unlock::is_at_terminal() => unlock::ask_twice()?,
        None => return Err(ChatKeyError::NoKey),
    };
    Ok(sealed::change_key(database, None, Some(&to), Cost::RECOMMENDED)?)
}

fn new_key(key: Option<&Path>, passphrase: Option<&Path>) -> Result<ChatKey, ChatKeyError> {
    Ok(match (key, passphrase) {
        (Some(path), _) => unlock::key_file(path)?,
        (None, Some(path)) => unlock::passphrase_file(path)?,
        (None, None) if unlock::is_at_terminal() => unlock::ask_twice()?,
        (None, None) => return Err(ChatKeyError::NoNewKey),
    })
}
