//! `block`: who may invite this account.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use waku_groupchat_core::AccountId;
use waku_groupchat_core::api::views::GuardView;

use super::client::Client;
use super::text::{date_time, table};
use super::{CliError, NodeArgs, Page};
use crate::chat::api::types::NewGuard;

/// `block` and what stands before its command.
#[derive(Clone, Debug, Args)]
pub struct GuardArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(subcommand)]
    pub(super) command: GuardCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum GuardCommand {
    /// Show who is blocked, who may invite, and how many invitations were turned away
    Show,
    /// Turn away an account's invitations, and mark its messages in shared groups
    Add {
        /// The account's id
        account: AccountId,
    },
    /// Take that back
    Remove {
        /// The account's id
        account: AccountId,
    },
    /// Say who may invite this account
    Invitations {
        /// From whom they are taken
        from: From,
    },
}

/// Who may invite.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum From {
    /// Anybody who has the contact card
    Anyone,
    /// Accounts that share a group with this one, or that it has asked into one
    Contacts,
}

pub(super) fn run(command: &GuardCommand, client: &Client) -> Result<Page, CliError> {
    match command {
        GuardCommand::Show => {
            let guard: GuardView = client.get("/guard")?;
            Page::new(&guard, shown(&guard))
        }
        GuardCommand::Add { account } => {
            let nothing: Value = client.put(&format!("/blocked/{account}"), &Value::Null)?;
            Page::new(&nothing, format!("Blocked {account}.\n"))
        }
        GuardCommand::Remove { account } => {
            let nothing: Value = client.delete(&format!("/blocked/{account}"))?;
            Page::new(&nothing, format!("{account} is not blocked any more.\n"))
        }
        GuardCommand::Invitations { from } => {
            let contacts_only = matches!(from, From::Contacts);
            let nothing: Value = client.put("/guard", &NewGuard { contacts_only })?;
            Page::new(&nothing, format!("Invitations are taken from {}.\n", words(contacts_only)))
        }
    }
}

fn words(contacts_only: bool) -> &'static str {
    if contacts_only { "contacts only" } else { "anyone who has the contact card" }
}

fn shown(guard: &GuardView) -> String {
    let mut text = format!("Invitations are taken from {}.\n", words(guard.contacts_only));
    let _ = writeln!(
        text,
        "Turned away: {} of blocked accounts, {} of strangers, {} for want of room.",
        guard.turned_away_blocked, guard.turned_away_strangers, guard.turned_away_too_many
    );
    if guard.blocked.is_empty() {
        text.push_str("Nobody is blocked.\n");
        return text;
    }
    let rows: Vec<_> = guard
        .blocked
        .iter()
        .map(|b| [b.account.to_string(), date_time(b.since), b.invitations.to_string()])
        .collect();
    text.push('\n');
    text.push_str(&table(["BLOCKED", "SINCE", "INVITATIONS"], &rows));
    text
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::Timestamp;
    use waku_groupchat_core::api::views::BlockedView;

    use super::*;

    #[test]
    fn it_says_who_is_blocked_and_how_often_somebody_was_turned_away() {
        let mut guard = GuardView {
            contacts_only: true,
            blocked: Vec::new(),
            turned_away_blocked: 3,
            turned_away_strangers: 2,
            turned_away_too_many: 1,
        };
        let text = shown(&guard);
        assert!(text.contains("contacts only") && text.contains("Nobody is blocked"), "{text}");
        assert!(text.contains("3 of blocked accounts, 2 of strangers, 1 for want"), "{text}");
        let account = AccountId::from_bytes([1; 32]);
        guard.blocked =
            vec![BlockedView { account, since: Timestamp::from_secs(86_400), invitations: 3 }];
        let text = shown(&guard);
        assert!(text.contains(&account.to_string()) && text.contains("1970-01-02"), "{text}");
    }
}
