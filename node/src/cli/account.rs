//! `account`: the own account and its installations.

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::views::{AccountView, InstallationState};

use super::client::Client;
use super::text::{clean_line, date_time, fields, table};
use super::wait::WaitArgs;
use super::{CliError, NodeArgs, Page, link, recover};
use crate::chat::api::types::{
    CreatedAccount, Installations, Label, NewAccount, NewCard, Revocations, Revoked,
};
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
    /// Bring an account back by its recovery phrase, with this node as its only installation
    ///
    /// The phrase is asked for at the terminal, or read from the standard input.
    Recover {
        /// Somebody else has an installation of the account: it gets a new contact card too
        #[arg(long)]
        stolen: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show the account and this installation
    Show,
    /// Print the contact card: who has it can invite the account
    Card {
        /// As a QR code too
        #[arg(long)]
        qr: bool,
    },
    /// Give the account another contact card; contacts are told in the groups they share
    RotateCard,
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
    /// Call an installation something; only the account's own installations see it
    Label {
        /// Which one, by id or by the beginning of one
        installation: String,
        /// What to call it; nothing takes the label away
        #[arg(default_value = "")]
        label: String,
    },
    /// Take this installation out of its account and of all groups, for good
    Leave {
        /// That this is meant
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Revoke other installations of the account, for good: lost ones, say
    Revoke {
        /// Whom, by id or by the beginning of one
        #[arg(required = true, value_name = "INSTALLATION")]
        installations: Vec<String>,
        /// Those that they have added, too
        #[arg(long)]
        added: bool,
    },
}

/// Words of the recovery phrase a line.
const WORDS_A_LINE: usize = 6;

pub(super) fn run(command: &AccountCommand, client: &Client) -> Result<Page, CliError> {
    match command {
        AccountCommand::Create => {
            let made: CreatedAccount = client.post("/accounts", &NewAccount {})?;
            Page::new(&made, created(&made))
        }
        AccountCommand::Recover { stolen, wait } => recover::run(client, *stolen, *wait),
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
        AccountCommand::RotateCard => {
            let made: NewCard = client.post("/accounts/card", &NewAccount {})?;
            let text = format!(
                "{}\n\nWho has the former one cannot invite the account by it any more. Contacts are told in\n\
                 the groups they share with it; others need this one.\n",
                made.card
            );
            Page::new(&made, text)
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
        AccountCommand::Label { installation, label } => {
            let all: Installations = client.get("/installations")?;
            let id = named(&all, installation)?;
            let body = Label { label: label.clone() };
            let _: Value = client.put(&format!("/installations/{id}/label"), &body)?;
            Page::new(&body, format!("Installation {} is called so now.\n", id.short()))
        }
        AccountCommand::Leave { yes: _ } => {
            let _: Value = client.post("/installations/leave", &json!({}))?;
            let text = "This installation leaves its account and all groups.\n".to_owned();
            Page::new(&json!({}), text)
        }
        AccountCommand::Revoke { installations, added } => revoke(client, installations, *added),
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
    let mut rows = vec![
        ("Account", account.account.to_string()),
        ("Installation", account.installation.to_string()),
        ("Registered", registered),
        ("Contact card", account.card.clone()),
    ];
    if account.returning > 0 {
        let waits = format!("{}, until a member brings this installation in", account.returning);
        rows.push(("Groups asked", waits));
    }
    fields(&rows)
}

fn day_text(day: u64) -> String {
    super::text::date(waku_groupchat_core::Timestamp::from_secs(day.saturating_mul(86_400)))
}

fn revoke(client: &Client, names: &[String], added: bool) -> Result<Page, CliError> {
    let all: Installations = client.get("/installations")?;
    let mut whom: Vec<InstallationId> = Vec::new();
    for name in names {
        whom.push(named(&all, name)?);
    }
    if added {
        with_added(&all, &mut whom);
    }
    let body = Revocations { installations: whom.clone() };
    let revoked: Revoked = client.post("/installations/revocations", &body)?;
    let mut text: String = whom.iter().map(|id| format!("Revoked {id}.\n")).collect();
    if !revoked.added.is_empty() {
        text.push_str(
            "\nThey had added these, which are live. If you did not, revoke them too:\n\n",
        );
        let short: Vec<_> = revoked.added.iter().map(|id| id.short()).collect();
        let _ = writeln!(text, "  waku-groupchat account revoke {}", short.join(" "));
    }
    Page::new(&revoked, text)
}

/// The live installation that a text begins the id of.
fn named(all: &Installations, name: &str) -> Result<InstallationId, CliError> {
    let live = all.installations.iter().filter(|i| i.state == InstallationState::Live);
    let mut fits = live.filter(|i| i.installation.to_string().starts_with(&name.to_lowercase()));
    match (fits.next(), fits.next()) {
        (Some(one), None) => Ok(one.installation),
        (None, _) => Err(CliError::NoInstallation { name: name.to_owned() }),
        (Some(_), Some(_)) => Err(CliError::Installations { name: name.to_owned() }),
    }
}

/// Adds whom those had added, and so on.
fn with_added(all: &Installations, whom: &mut Vec<InstallationId>) {
    let mut next = 0;
    while let Some(id) = whom.get(next).copied() {
        next += 1;
        let added = all.installations.iter().filter(|i| i.installation == id);
        for new in added.flat_map(|i| &i.added) {
            let this = all.installations.iter().any(|i| i.this && i.installation == *new);
            if !whom.contains(new) && !this {
                whom.push(*new);
            }
        }
    }
}

fn installations(answer: &Installations) -> String {
    let rows: Vec<_> = answer
        .installations
        .iter()
        .map(|i| {
            let by = i.added_by.map_or_else(|| "the account's root".to_owned(), |by| by.short());
            let state = match (i.state, i.this) {
                (InstallationState::Live, true) => "this one",
                (InstallationState::Live, false) => "live",
                (InstallationState::Removed, _) => "has left",
                (InstallationState::Revoked, _) => "revoked",
            };
            let seen = i.last_seen.map(date_time).unwrap_or_default();
            let label = clean_line(i.label.as_deref().unwrap_or_default());
            [i.installation.to_string(), label, date_time(i.added_at), by, state.to_owned(), seen]
        })
        .collect();
    table(["INSTALLATION", "LABEL", "ADDED", "BY", "STATE", "LAST SEEN"], &rows)
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::api::views::InstallationView;
    use waku_groupchat_core::{AccountId, Timestamp};

    use super::*;

    fn one(number: u8, added: &[u8]) -> InstallationView {
        InstallationView {
            installation: InstallationId::from_bytes([number; 32]),
            label: None,
            added_at: Timestamp::from_secs(1_763_860_953),
            added_by: None,
            this: number == 1,
            state: InstallationState::Live,
            ended_at: None,
            ended_by: None,
            added: added.iter().map(|n| InstallationId::from_bytes([*n; 32])).collect(),
            last_seen: None,
        }
    }

    #[test]
    fn those_that_a_lost_one_added_are_found_to_the_end() {
        let installations = vec![one(1, &[]), one(2, &[3, 1]), one(3, &[4]), one(4, &[])];
        let all = Installations { installations };
        let mut whom = vec![named(&all, "0202").expect("one begins so")];
        with_added(&all, &mut whom);
        let expected = [2, 3, 4].map(|n| InstallationId::from_bytes([n; 32]));
        assert_eq!(whom, expected, "but never this one");
        assert!(matches!(named(&all, "0"), Err(CliError::Installations { .. })));
        assert!(matches!(named(&all, "ff"), Err(CliError::NoInstallation { .. })));
    }

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
