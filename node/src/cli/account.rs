//! `account`: the own account and its installations.

use std::fmt::Write;

use clap::{Args, Subcommand};
use waku_groupchat_core::api::views::AccountView;

use super::client::Client;
use super::text::{date_time, fields, table};
use super::wait::WaitArgs;
use super::{CliError, NodeArgs, Page, link};
use crate::chat::api::types::{CreatedAccount, Installations, NewAccount};
use crate::qr;

/// `account` and what stands before its command.
#[derive(Clone, Debug, Args)]
pub struct AccountArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(subcommand)]
    pub(super) command: AccountCommand,
}

/// What to do with the account.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Make an account with this node as its first installation
    Create,
    /// Show the account and this installation
    Show,
    /// Print the contact card: who has it can invite the account
    Card {
        /// As a QR code too
        #[arg(long)]
        qr: bool,
    },
    /// Make a request to become an installation of an existing account
    LinkRequest,
    /// Take in the installation that made a request
    LinkAccept {
        /// What `account link-request` printed at the other node
        request: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show the linking that is under way, with the digits to compare
    Link,
    /// Say which digits the other side of the linking shows
    LinkConfirm {
        /// Eight digits; spaces and dashes do not count
        digits: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Give up the linking that is under way
    LinkCancel,
    /// List the account's installations
    Installations,
}

/// Words of the recovery phrase a line.
const WORDS_A_LINE: usize = 6;

pub(super) fn run(command: &AccountCommand, client: &Client) -> Result<Page, CliError> {
    match command {
        AccountCommand::Create => {
            let made: CreatedAccount = client.post("/accounts", &NewAccount {})?;
            Page::new(&made, created(&made))
        }
        AccountCommand::Show => {
            let account: AccountView = client.get("/accounts")?;
            Page::new(&account, shown(&account))
        }
        AccountCommand::Card { qr } => {
            let account: AccountView = client.get("/accounts")?;
            // No card is too long for a code.
            let code =
                if *qr { qr::terminal(&account.card).unwrap_or_default() } else { String::new() };
            let text = format!("{}\n{code}", account.card);
            Page::new(&account, text)
        }
        AccountCommand::LinkRequest => link::request(client),
        AccountCommand::LinkAccept { request, wait } => link::accept(client, request, *wait),
        AccountCommand::Link => link::show(client),
        AccountCommand::LinkConfirm { digits, wait } => link::confirm(client, digits, *wait),
        AccountCommand::LinkCancel => link::cancel(client),
        AccountCommand::Installations => {
            let answer: Installations = client.get("/installations")?;
            Page::new(&answer, installations(&answer))
        }
    }
}

fn created(made: &CreatedAccount) -> String {
    let mut text = fields(&[
        ("Account", made.account.to_string()),
        ("Installation", made.installation.to_string()),
        ("Contact card", made.card.clone()),
    ]);
    text.push_str(
        "\nRecovery phrase. Write it down now: it is shown once and kept nowhere. It alone brings\n\
         the account back, and whoever has it owns the account.\n\n",
    );
    let words: Vec<_> = made.phrase.split_whitespace().enumerate().collect();
    for line in words.chunks(WORDS_A_LINE) {
        let cells: String = line.iter().map(|(n, w)| format!("{:>4} {w:<9}", n + 1)).collect();
        let _ = writeln!(text, "{}", cells.trim_end());
    }
    text
}

fn shown(account: &AccountView) -> String {
    let registered = match account.registered_day {
        Some(day) => format!("for {}", day_text(day)),
        None => "not yet: others cannot invite this account before that".to_owned(),
    };
    fields(&[
        ("Account", account.account.to_string()),
        ("Installation", account.installation.to_string()),
        ("Registered", registered),
        ("Contact card", account.card.clone()),
    ])
}

fn day_text(day: u64) -> String {
    super::text::date(waku_groupchat_core::Timestamp::from_secs(day.saturating_mul(86_400)))
}

fn installations(answer: &Installations) -> String {
    let rows: Vec<_> = answer
        .installations
        .iter()
        .map(|i| {
            let by = i.added_by.map_or_else(|| "the account's root".to_owned(), |by| by.short());
            let this = if i.this { "this one" } else { "" };
            [i.installation.to_string(), date_time(i.added_at), by, this.to_owned()]
        })
        .collect();
    table(["INSTALLATION", "ADDED", "BY", ""], &rows)
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::{AccountId, InstallationId};

    use super::*;

    #[test]
    fn a_new_account_shows_its_phrase_in_numbered_lines() {
        let text = created(&CreatedAccount {
            account: AccountId::from_bytes([1; 32]),
            installation: InstallationId::from_bytes([2; 32]),
            phrase: (1..=24).map(|n| format!("word{n} ")).collect(),
            card: "card".to_owned(),
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "Contact card  card");
        assert_eq!(lines.len(), 11);
        assert!(lines[10].ends_with("  24 word24"), "{}", lines[10]);
    }
}
