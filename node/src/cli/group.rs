//! `group`: groups, and invitations to them.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde_json::Value;
use waku_groupchat_core::api::Event;
use waku_groupchat_core::api::views::{GroupState, GroupView};
use waku_groupchat_core::{AccountId, GroupId};

use super::client::Client;
use super::follow::Follower;
use super::members::RoleName;
use super::policy::PolicyChanges;
use super::text::{clean, clean_line, fields, hang, table};
use super::wait::{self, Progress, WaitArgs};
use super::{CliError, NodeArgs, Page, changes, members, names, policy};
use crate::chat::api::types::{
    CreatedGroup, Groups, Invitations, Inviting, NewInvitations, Profile,
};

/// `group` and what stands before its command.
#[derive(Clone, Debug, Args)]
pub struct GroupArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(subcommand)]
    pub(super) command: GroupCommand,
}

/// What to do with groups. A GROUP is an id, the beginning of one, or a name.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Make a group with this account in it
    Create {
        /// Its name
        name: String,
        /// Its description
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List the groups
    List,
    /// Show a group
    Show {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// List the accounts in a group, their roles and installations
    Members {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Invite accounts by their contact cards
    Invite {
        /// Id, beginning of the id, or name
        group: String,
        /// What `account card` printed at theirs
        #[arg(required = true, value_name = "CARD")]
        cards: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take accounts out of a group, with all their installations
    Remove {
        /// Id, beginning of the id, or name
        group: String,
        /// Ids of accounts, or beginnings of them
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Leave a group, with all installations of the account
    Leave {
        /// Id, beginning of the id, or name
        group: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Name an account's role in a group
    Role {
        /// Id, beginning of the id, or name
        group: String,
        /// Id of the account, or the beginning of it
        account: String,
        /// The role to be
        role: RoleName,
    },
    /// Show or set which role each right needs in a group
    Policy {
        /// Id, beginning of the id, or name
        group: String,
        #[command(flatten)]
        changes: PolicyChanges,
    },
    /// Give this installation new keys in a group
    ///
    /// Who learned the old ones reads nothing that is said from then on.
    Keys {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// List what was asked for in a group and does not stand for good yet
    Changes {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// List the invitations that wait for an answer
    Invitations,
    /// Join a group this account is invited to
    Accept {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Turn an invitation down
    Decline {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Set a group's name or description for all
    Profile {
        /// Id, beginning of the id, or name
        group: String,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        /// The new description
        #[arg(long)]
        description: Option<String>,
    },
}

pub(super) fn run(command: &GroupCommand, client: &Client) -> Result<Page, CliError> {
    match command {
        GroupCommand::Create { name, description } => create(client, name, description),
        GroupCommand::List => list(client),
        GroupCommand::Show { group } => show(client, group),
        GroupCommand::Members { group } => members::list(client, group),
        GroupCommand::Invite { group, cards, wait } => invite(client, group, cards, *wait),
        GroupCommand::Remove { group, accounts, wait } => {
            members::remove(client, group, accounts, *wait)
        }
        GroupCommand::Leave { group, wait } => members::leave(client, group, *wait),
        GroupCommand::Role { group, account, role } => members::role(client, group, account, *role),
        GroupCommand::Policy { group, changes } => policy::run(client, group, changes),
        GroupCommand::Keys { group } => keys(client, group),
        GroupCommand::Changes { group } => changes::run(client, group),
        GroupCommand::Invitations => invitations(client),
        GroupCommand::Accept { group } => {
            let id = names::invitation(client, group)?;
            answer(client, id, "accept", "Joining")
        }
        GroupCommand::Decline { group } => {
            let id = names::invitation(client, group)?;
            answer(client, id, "decline", "Turned down the invitation to")
        }
        GroupCommand::Profile { group, name, description } => {
            profile(client, group, name.as_deref(), description.as_deref())
        }
    }
}

fn create(client: &Client, name: &str, description: &str) -> Result<Page, CliError> {
    let profile = Profile { name: name.to_owned(), description: description.to_owned() };
    let made: CreatedGroup = client.post("/groups", &profile)?;
    let text = format!(
        "Group {} is made. Invite to it with:\n\n  waku-groupchat group invite {} CARD…\n",
        made.group,
        made.group.short()
    );
    Page::new(&made, text)
}

fn list(client: &Client) -> Result<Page, CliError> {
    let answer: Groups = client.get("/groups")?;
    if answer.groups.is_empty() {
        return Page::new(&answer, "No groups yet.\n".to_owned());
    }
    let rows: Vec<_> = answer
        .groups
        .iter()
        .map(|g| {
            [
                g.group.short(),
                clean_line(&g.name),
                state(g.state).to_owned(),
                g.unread.to_string(),
                g.accounts.to_string(),
                g.installations.to_string(),
                clean_line(&g.description),
            ]
        })
        .collect();
    let head = ["GROUP", "NAME", "STATE", "UNREAD", "ACCOUNTS", "INSTALLATIONS", "DESCRIPTION"];
    Page::new(&answer, table(head, &rows))
}

fn show(client: &Client, group: &str) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let g: GroupView = client.get(&format!("/groups/{id}"))?;
    let text = fields(&[
        ("Group", g.group.to_string()),
        ("Name", clean_line(&g.name)),
        ("State", state(g.state).to_owned()),
        ("Unread", g.unread.to_string()),
        ("Accounts", g.accounts.to_string()),
        ("Installations", g.installations.to_string()),
        ("Epoch", g.epoch.to_string()),
        ("Creator", g.creator.to_string()),
        ("Policy", policy::line(&g.policy)),
    ]);
    let text = text + &hang("Description    ", &clean(&g.description));
    Page::new(&g, text)
}

fn invite(
    client: &Client,
    group: &str,
    cards: &[String],
    wait: WaitArgs,
) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let body = NewInvitations { cards: cards.iter().map(|c| c.trim().to_owned()).collect() };
    // Before it begins, so that nothing of it is missed.
    let follower = wait.wait.then(|| Follower::open(client, None)).transpose()?;
    let answer: Inviting = client.post(&format!("/groups/{id}/invitations"), &body)?;
    let head = match follower {
        Some(mut follower) => {
            until_added(id, &answer.accounts, wait, &mut follower)?;
            "In the group now, and invited to it:"
        }
        None => "Inviting, as soon as their registration records are found:",
    };
    let accounts: String = answer.accounts.iter().map(|a| format!("  {a}\n")).collect();
    Page::new(&answer, format!("{head}\n{accounts}"))
}

/// Waits until each of the accounts is in the group, or cannot be added.
fn until_added(
    id: GroupId,
    accounts: &[AccountId],
    wait: WaitArgs,
    follower: &mut Follower<'_>,
) -> Result<(), CliError> {
    let (mut found, mut added) = (BTreeSet::<AccountId>::new(), BTreeSet::<AccountId>::new());
    let mut failed = BTreeMap::new();
    let goes_on = "The node goes on inviting by itself; `waku-groupchat watch` shows how far it is";
    wait::until(wait, follower, goes_on, |event| {
        match event {
            Some(Event::Invited { group, account, .. }) if *group == id => {
                found.insert(*account);
            }
            Some(Event::MembersAdded { group, accounts }) if *group == id => added.extend(accounts),
            Some(Event::InvitationFailed { group, account, reason }) if *group == id => {
                failed.insert(*account, reason.clone());
            }
            _ => {}
        }
        let open = accounts.iter().filter(|a| !added.contains(a) && !failed.contains_key(a));
        let (open, all) = (open.count(), accounts.len());
        let found = accounts.iter().filter(|a| found.contains(a)).count();
        if open == 0 {
            return Progress::Done;
        }
        Progress::Going(format!("registration records found: {found} of {all}; {open} to be added"))
    })?;
    failed.retain(|account, _| accounts.contains(account));
    if failed.is_empty() { Ok(()) } else { Err(CliError::NotInvited { failed }) }
}

fn invitations(client: &Client) -> Result<Page, CliError> {
    let answer: Invitations = client.get("/invitations")?;
    if answer.invitations.is_empty() {
        return Page::new(&answer, "No invitations wait for an answer.\n".to_owned());
    }
    let rows: Vec<_> = answer
        .invitations
        .iter()
        .map(|i| {
            let from = i.from.short();
            [i.group.short(), clean_line(&i.name), from, clean_line(&i.description)]
        })
        .collect();
    Page::new(&answer, table(["GROUP", "NAME", "FROM", "DESCRIPTION"], &rows))
}

fn answer(client: &Client, id: GroupId, verb: &str, done: &str) -> Result<Page, CliError> {
    let nothing: Value =
        client.post(&format!("/invitations/{id}/{verb}"), &serde_json::json!({}))?;
    Page::new(&nothing, format!("{done} group {id}.\n"))
}

fn profile(
    client: &Client,
    group: &str,
    name: Option<&str>,
    description: Option<&str>,
) -> Result<Page, CliError> {
    if name.is_none() && description.is_none() {
        return Err(CliError::NothingToChange);
    }
    let id = names::group(client, group)?;
    let now: GroupView = client.get(&format!("/groups/{id}"))?;
    let body = Profile {
        name: name.unwrap_or(&now.name).to_owned(),
        description: description.unwrap_or(&now.description).to_owned(),
    };
    let nothing: Value = client.put(&format!("/groups/{id}/profile"), &body)?;
    Page::new(&nothing, format!("Set the profile of group {id}.\n"))
}

fn keys(client: &Client, group: &str) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let nothing: Value = client.post(&format!("/groups/{id}/keys"), &serde_json::json!({}))?;
    Page::new(&nothing, format!("This installation gets new keys in group {id}.\n"))
}

fn state(state: GroupState) -> &'static str {
    match state {
        GroupState::Invited => "invited",
        GroupState::Joined => "joined",
        GroupState::Waiting => "waiting for a member",
        GroupState::Leaving => "leaving",
        GroupState::Removed => "removed",
    }
}
