//! `group members`, `remove`, `leave` and `role`: who is in a group, and as what.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::{Value, json};
use waku_groupchat_core::api::{ChangeKind, Event, Role};
use waku_groupchat_core::{AccountId, GroupId};

use super::client::Client;
use super::follow::Follower;
use super::text::table;
use super::wait::{self, Progress, WaitArgs};
use super::{CliError, Page, names};
use crate::chat::api::types::{AcceptedMessage, Members, NewRole, Removals};

/// A role, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleName {
    /// Anybody in the group
    Member,
    /// Named so by an owner or another admin
    Admin,
    /// Who made the group, and whom owners name so
    Owner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Member => Self::Member,
            RoleName::Admin => Self::Admin,
            RoleName::Owner => Self::Owner,
        }
    }
}

/// A role in words, as it is written on the command line.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

pub(super) fn list(client: &Client, group: &str) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let answer: Members = client.get(&format!("/groups/{id}/members"))?;
    let text = listed(&answer);
    Page::new(&answer, text)
}

/// An account a paragraph: its role, and its installations one a line.
fn listed(answer: &Members) -> String {
    let mut rows = Vec::new();
    for member in &answer.members {
        let (mut account, mut role) = (member.account.to_string(), role_name(member.role));
        for installation in &member.installations {
            rows.push([std::mem::take(&mut account), role.to_owned(), installation.to_string()]);
            role = "";
        }
    }
    table(["ACCOUNT", "ROLE", "INSTALLATION"], &rows)
}

pub(super) fn remove(
    client: &Client,
    group: &str,
    accounts: &[String],
    wait: WaitArgs,
) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let accounts = names::members(client, id, accounts)?;
    // Before it begins, so that nothing of it is missed.
    let follower = wait.wait.then(|| Follower::open(client, None)).transpose()?;
    let body = Removals { accounts };
    let nothing: Value = client.post(&format!("/groups/{id}/removals"), &body)?;
    let head = match follower {
        Some(mut follower) => {
            until_gone(id, &body.accounts, wait, &mut follower)?;
            "Not in the group any more:"
        }
        None => "Taking out of the group:",
    };
    let gone: String = body.accounts.iter().map(|account| format!("  {account}\n")).collect();
    Page::new(&nothing, format!("{head}\n{gone}"))
}

/// Waits until none of the accounts is in the group, or the node gives that up.
fn until_gone(
    id: GroupId,
    accounts: &[AccountId],
    wait: WaitArgs,
    follower: &mut Follower<'_>,
) -> Result<(), CliError> {
    let (mut gone, mut failed) = (BTreeSet::<AccountId>::new(), None);
    let goes_on = "The node goes on by itself; `waku-groupchat watch` shows how far it is";
    wait::until(wait, follower, goes_on, |event| {
        match event {
            Some(Event::MembersRemoved { group, accounts }) if *group == id => {
                gone.extend(accounts);
            }
            Some(Event::ChangeFailed { group, change: ChangeKind::Remove, reason })
                if *group == id =>
            {
                failed = Some(reason.clone());
            }
            _ => {}
        }
        let open = accounts.iter().filter(|account| !gone.contains(account)).count();
        if open == 0 || failed.is_some() {
            return Progress::Done;
        }
        Progress::Going(format!("{open} of {} still in the group", accounts.len()))
    })?;
    match failed {
        Some(reason) => Err(CliError::GivenUp { reason }),
        None => Ok(()),
    }
}

pub(super) fn leave(client: &Client, group: &str, wait: WaitArgs) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let follower = wait.wait.then(|| Follower::open(client, None)).transpose()?;
    let accepted: AcceptedMessage = client.post(&format!("/groups/{id}/leave"), &json!({}))?;
    let text = match follower {
        Some(mut follower) => {
            let goes_on = "A member takes this installation out once it hears of it; \
                           `waku-groupchat group list` shows when";
            wait::until(wait, &mut follower, goes_on, |event| match event {
                Some(Event::Removed { group }) if *group == id => Progress::Done,
                _ => Progress::Going("not yet taken out by a member".to_owned()),
            })?;
            format!("This installation has left group {id}.\n")
        }
        None => format!(
            "This installation leaves group {id}: a member takes it out once it hears of it.\n"
        ),
    };
    Page::new(&accepted, text)
}

pub(super) fn role(
    client: &Client,
    group: &str,
    account: &str,
    role: RoleName,
) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let account = names::member(client, id, account)?;
    let role = Role::from(role);
    let path = format!("/groups/{id}/members/{account}/role");
    let nothing: Value = client.put(&path, &NewRole { role })?;
    Page::new(&nothing, format!("Named {account} {} of group {id}.\n", role_name(role)))
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::InstallationId;
    use waku_groupchat_core::api::views::MemberView;

    use super::*;

    #[test]
    fn each_account_is_named_once_with_its_role() {
        let member = |n: u8, role, installations: &[u8]| MemberView {
            account: AccountId::from_bytes([n; 32]),
            role,
            installations: installations
                .iter()
                .map(|n| InstallationId::from_bytes([*n; 32]))
                .collect(),
        };
        let members = vec![member(1, Role::Owner, &[0x11, 0x12]), member(2, Role::Member, &[0x21])];
        let text = listed(&Members { members });
        let cells: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        let id = |digits: &str| digits.repeat(32);
        assert_eq!(cells[0], ["ACCOUNT", "ROLE", "INSTALLATION"]);
        assert_eq!(cells[1], [&*id("01"), "owner", &*id("11")]);
        assert_eq!(cells[2], [&*id("12")]);
        assert_eq!(cells[3], [&*id("02"), "member", &*id("21")]);
        let columns: Vec<_> = text.lines().skip(1).map(|line| line.rfind(' ')).collect();
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn roles_are_written_as_they_are_read() {
        for name in RoleName::value_variants() {
            let value = name.to_possible_value().expect("a name");
            assert_eq!(value.get_name(), role_name(Role::from(*name)));
        }
    }
}
