//! Why a command failed, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a command failed. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The token file cannot be read.
    #[error(
        "cannot read the API token in {path}: {source}. The node writes it at its first start; \
         name the node's folder with --data-dir, or the file with --token-file"
    )]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file holds something else.
    #[error(
        "{path} holds no API token (64 hex digits): name the node's own file with --token-file"
    )]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
    /// The node knows another token.
    #[error(
        "the node at {node} does not know the token in {path}: \
         name that node's own token file with --token-file"
    )]
    TokenRefused {
        /// The node.
        node: String,
        /// The file.
        path: PathBuf,
    },
    /// No node answers there.
    #[error(
        "no node answers at {node}: {source}. Start one with `waku-groupchat run`, \
         or name another with --node or WAKU_GROUPCHAT_NODE"
    )]
    Unreachable {
        /// The address.
        node: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// Something answers there, but not this API.
    #[error(
        "{node} answered {status} without a reason: is it a waku-groupchat node that runs the \
         group chat?"
    )]
    NotTheApi {
        /// The address.
        node: String,
        /// HTTP status.
        status: u16,
    },
    /// The node said no.
    #[error("{detail}")]
    Refused {
        /// The node's name for it.
        code: String,
        /// The node's reason.
        detail: String,
    },
    /// No group of that name.
    #[error("no {what} is named {name:?}{}", choices(.known))]
    NoGroup {
        /// `group` or `invitation`.
        what: &'static str,
        /// As given.
        name: String,
        /// What there is, as short id and name.
        known: Vec<String>,
    },
    /// Several groups of that name.
    #[error("{name:?} can mean {}: give more digits of the id", .candidates.join(" or "))]
    Ambiguous {
        /// As given.
        name: String,
        /// The groups, as id and name.
        candidates: Vec<String>,
    },
    /// Nothing to change.
    #[error("nothing to change: give --name, --description or both")]
    NothingToChange,
    /// Standard input cannot be read, or is not UTF-8.
    #[error("cannot read the text from standard input: {0}")]
    Stdin(io::Error),
    /// An answer that cannot be printed.
    #[error("cannot print the answer: {0}")]
    Json(serde_json::Error),
}

impl CliError {
    /// A fixed kebab-case name for programs: the node's own where it answered.
    pub fn code(&self) -> &str {
        match self {
            Self::TokenFile { .. } | Self::NotAToken { .. } => "token-file",
            Self::TokenRefused { .. } => "unauthorized",
            Self::Unreachable { .. } => "unreachable",
            Self::NotTheApi { .. } => "not-the-api",
            Self::Refused { code, .. } => code,
            Self::NoGroup { .. } => "no-such-group",
            Self::Ambiguous { .. } => "ambiguous-group",
            Self::NothingToChange => "nothing-to-change",
            Self::Stdin(_) => "stdin",
            Self::Json(_) => "json",
        }
    }
}

fn choices(known: &[String]) -> String {
    if known.is_empty() {
        ": there is none".to_owned()
    } else {
        format!("; there is {}", known.join(", "))
    }
}
