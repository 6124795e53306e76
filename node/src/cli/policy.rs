//! `group policy`: which role each right needs.

use clap::Args;
use serde_json::Value;
use waku_groupchat_core::api::views::GroupView;
use waku_groupchat_core::api::{self, Right, Role};

use super::client::Client;
use super::members::{RoleName, role_name};
use super::text::table;
use super::{CliError, Page, names};
use crate::chat::api::types::Policy;

/// What to set; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct PolicyChanges {
    /// Who may add accounts
    #[arg(long, value_name = "ROLE")]
    add: Option<RoleName>,
    /// Who may remove accounts of at most the own role
    #[arg(long, value_name = "ROLE")]
    remove: Option<RoleName>,
    /// Who may set name and description
    #[arg(long, value_name = "ROLE")]
    profile: Option<RoleName>,
    /// Who may give and take roles up to the own one
    #[arg(long, value_name = "ROLE")]
    roles: Option<RoleName>,
    /// Who may change this policy
    #[arg(long, value_name = "ROLE")]
    policy: Option<RoleName>,
}

impl PolicyChanges {
    /// The policy with these changes; nothing if there are none.
    fn on(&self, now: api::Policy) -> Option<api::Policy> {
        let Self { add, remove, profile, roles, policy } = *self;
        if [add, remove, profile, roles, policy].iter().all(Option::is_none) {
            return None;
        }
        let set = |change: Option<RoleName>, now| change.map_or(now, Role::from);
        Some(api::Policy {
            add: set(add, now.add),
            remove: set(remove, now.remove),
            profile: set(profile, now.profile),
            roles: set(roles, now.roles),
            policy: set(policy, now.policy),
        })
    }
}

pub(super) fn run(client: &Client, group: &str, changes: &PolicyChanges) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let view: GroupView = client.get(&format!("/groups/{id}"))?;
    let Some(policy) = changes.on(view.policy) else {
        return Page::new(&Policy::from(view.policy), shown(&view.policy));
    };
    let nothing: Value = client.put(&format!("/groups/{id}/policy"), &Policy::from(policy))?;
    Page::new(&nothing, format!("Set the policy of group {id}.\n"))
}

/// A policy as a table.
fn shown(policy: &api::Policy) -> String {
    let row = |right: &Right| {
        let what = match right {
            Right::Add => "add accounts",
            Right::Remove => "remove accounts of at most the own role",
            Right::Profile => "set name and description",
            Right::Roles => "give and take roles up to the own one",
            Right::Policy => "change this policy",
        };
        [name(*right).to_owned(), role_name(policy.needs(*right)).to_owned(), what.to_owned()]
    };
    table(["RIGHT", "TAKES", "ALLOWS TO"], &Right::ALL.iter().map(row).collect::<Vec<_>>())
}

/// A policy on one line: `add member, remove admin, …`.
pub(super) fn line(policy: &api::Policy) -> String {
    let each =
        Right::ALL.map(|right| format!("{} {}", name(right), role_name(policy.needs(right))));
    each.join(", ")
}

/// A right, as its option is called.
fn name(right: Right) -> &'static str {
    match right {
        Right::Add => "add",
        Right::Remove => "remove",
        Right::Profile => "profile",
        Right::Roles => "roles",
        Right::Policy => "policy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays() {
        let now = api::Policy::default();
        assert_eq!(PolicyChanges::default().on(now), None);
        let changes = PolicyChanges { add: Some(RoleName::Admin), ..PolicyChanges::default() };
        assert_eq!(changes.on(now), Some(api::Policy { add: Role::Admin, ..now }));
    }

    #[test]
    fn a_policy_is_readable() {
        let policy = api::Policy::default();
        assert_eq!(
            line(&policy),
            "add member, remove admin, profile member, roles admin, policy owner"
        );
        let table = shown(&policy);
        assert_eq!(table.lines().nth(1), Some("add      member  add accounts"));
        assert_eq!(table.lines().count(), 6);
    }
}
