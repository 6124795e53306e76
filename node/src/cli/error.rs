//! Why a command failed, and what to do about it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use waku_groupchat_core::AccountId;

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
    /// Somebody did not say what is to be removed.
    #[error("nothing was removed: {0}")]
    NotConfirmed(String),
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
        "the node at {node} does not know the token in {path}, or it was revoked: \
         name that node's own token file with --token-file"
    )]
    TokenRefused {
        /// The node.
        node: String,
        /// The file.
        path: PathBuf,
    },
    /// The token was good once.
    #[error(
        "the token in {path} has expired: make another with `waku-groupchat token create`, \
         using the node's own token file"
    )]
    TokenExpired {
        /// The file.
        path: PathBuf,
    },
    /// The token does not allow this.
    #[error(
        "{detail} ({path}). Name a file with a token that allows it with --token-file, or make one \
         with the node's own token: `waku-groupchat token create NAME --scope … --out FILE`"
    )]
    TokenScope {
        /// The node's reason.
        detail: String,
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
    #[error("{detail}{}", hint(.code, *.oldest))]
    Refused {
        /// The node's name for it.
        code: String,
        /// The node's reason.
        detail: String,
        /// The cursor of the oldest event that is kept, where those asked for are gone.
        oldest: Option<u64>,
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
    /// No member of that id.
    #[error("no member's id begins with {digits:?}{}", choices(.known))]
    NoMember {
        /// As given.
        digits: String,
        /// Who there is, as short ids.
        known: Vec<String>,
    },
    /// No token of that name.
    #[error("no token is named {name:?}: `waku-groupchat token list` shows what there is")]
    NoToken {
        /// As given.
        name: String,
    },
    /// A file that would be written is there already.
    #[error("{path} is there already: name a file that is not with --out")]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A token could not be written, and was revoked again.
    #[error("cannot write the token to {path}: {source}. It was revoked again; name another file")]
    WriteToken {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some accounts cannot be added.
    #[error("not added: {}", reasons(.failed))]
    NotInvited {
        /// Why, an account.
        failed: BTreeMap<AccountId, String>,
    },
    /// A change was given up while it was waited for.
    #[error("given up: {reason}. `waku-groupchat group members` shows who is in the group as what")]
    GivenUp {
        /// Why.
        reason: String,
    },
    /// No live installation's id begins so.
    #[error(
        "no live installation of the account begins with {name}: `waku-groupchat account \
         installations` lists them"
    )]
    NoInstallation {
        /// As given.
        name: String,
    },
    /// Several do.
    #[error("several installations of the account begin with {name}: give more of the id")]
    Installations {
        /// As given.
        name: String,
    },
    /// A linking ended without a new installation.
    #[error("nothing was linked: {reason}")]
    NotLinked {
        /// Why.
        reason: String,
    },
    /// An account did not come back by its phrase.
    #[error("the account did not come back: {reason}")]
    NotRecovered {
        /// Why.
        reason: String,
    },
    /// The recovery phrase cannot be read.
    #[error("the recovery phrase cannot be read: {0}")]
    Phrase(#[source] io::Error),
    /// A wait ended before what was waited for.
    #[error("not done in time: {state}. {goes_on}")]
    NotDone {
        /// How far it was.
        state: String,
        /// What happens without the wait.
        goes_on: &'static str,
    },
    /// An event that does not parse.
    #[error("the node sent an event that is not understood: {0}. Is it of a newer version?")]
    Event(serde_json::Error),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
    /// Standard output cannot be written to.
    #[error("cannot print: {0}")]
    Print(io::Error),
    /// Several groups, members or tokens of that name.
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
            Self::TokenExpired { .. } => "expired-token",
            Self::TokenScope { .. } => "scope",
            Self::Unreachable { .. } => "unreachable",
            Self::NotTheApi { .. } => "not-the-api",
            Self::Refused { code, .. } => code,
            Self::NoGroup { .. } => "no-such-group",
            Self::NoMember { .. } => "no-such-member",
            Self::NoToken { .. } => "no-such-token",
            Self::NotConfirmed(_) => "not-confirmed",
            Self::FileExists { .. } => "file-exists",
            Self::WriteToken { .. } => "write-token",
            Self::NotInvited { .. } => "not-invited",
            Self::GivenUp { .. } => "given-up",
            Self::NoInstallation { .. } => "no-such-installation",
            Self::Installations { .. } => "ambiguous",
            Self::NotLinked { .. } => "not-linked",
            Self::NotRecovered { .. } => "not-recovered",
            Self::Phrase(_) => "phrase",
            Self::NotDone { .. } => "not-done",
            Self::Event(_) => "event",
            Self::Signals(_) => "signals",
            Self::Print(_) => "print",
            Self::Ambiguous { .. } => "ambiguous",
            Self::NothingToChange => "nothing-to-change",
            Self::Stdin(_) => "stdin",
            Self::Json(_) => "json",
        }
    }
}

impl CliError {
    /// Whether the same question may be answered a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::NotTheApi { status, .. } => *status >= 500,
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "queue-full" | "database" | "stopped" | "too-many-streams")
            }
            _ => false,
        }
    }
}

/// What to do about the node's refusal, where its reason does not say so.
fn hint(code: &str, oldest: Option<u64>) -> String {
    match (code, oldest) {
        ("gone", Some(oldest)) => {
            format!(". Begin with --after {}", oldest.saturating_sub(1))
        }
        ("cursor-ahead", _) => ". Leave --after out to begin with what happens next".to_owned(),
        ("no-account", _) => {
            " (`waku-groupchat account create` or `waku-groupchat account link-request`)".to_owned()
        }
        ("has-account", _) => " (`waku-groupchat account show`)".to_owned(),
        ("unknown-group", _) => ": `waku-groupchat group list` shows what there is".to_owned(),
        ("no-invitation", _) => {
            ": `waku-groupchat group invitations` shows what there is".to_owned()
        }
        ("not-allowed", _) => ". `waku-groupchat group members` shows the roles, `waku-groupchat \
             group policy` what they may do"
            .to_owned(),
        ("not-in-group", _) => {
            ". `waku-groupchat read` still shows what was said before".to_owned()
        }
        ("not-a-member", _) => ": `waku-groupchat group members` shows who is".to_owned(),
        ("own-account", _) => " (`waku-groupchat group leave`)".to_owned(),
        ("too-many-tokens", _) => " (`waku-groupchat token revoke`)".to_owned(),
        ("database", _) => ". The node's log and /health say more".to_owned(),
        _ => String::new(),
    }
}

fn reasons(failed: &BTreeMap<AccountId, String>) -> String {
    let each: Vec<_> = failed.iter().map(|(account, why)| format!("{account} ({why})")).collect();
    each.join(", ")
}

fn choices(known: &[String]) -> String {
    if known.is_empty() {
        ": there is none".to_owned()
    } else {
        format!("; there is {}", known.join(", "))
    }
}
