//! Bodies about groups, their members, and invitations to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waku_groupchat_core::api::views::{ChangeView, GroupView, InvitationView, MemberView};
use waku_groupchat_core::api::{self, Role};
use waku_groupchat_core::{AccountId, GroupId};

use crate::chat::api::schema::{self, views};

/// To `POST /groups` and `PUT /groups/{group}/profile`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// The name, 1 to 128 bytes.
    #[schema(min_length = 1)]
    pub name: String,
    /// The description, at most 2048 bytes; empty where it is left out.
    #[serde(default)]
    pub description: String,
}

/// From `POST /groups`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGroup {
    /// The group.
    #[schema(value_type = schema::GroupId)]
    pub group: GroupId,
}

/// From `GET /groups`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Groups {
    /// All groups of this installation.
    #[schema(value_type = Vec<views::GroupView>)]
    pub groups: Vec<GroupView>,
}

/// To `PUT /groups/{group}/policy`, and in what a group is shown as: the least role that each right
/// needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// To add accounts.
    #[schema(value_type = views::Role)]
    pub add: Role,
    /// To remove accounts of at most the own role.
    #[schema(value_type = views::Role)]
    pub remove: Role,
    /// To set name and description.
    #[schema(value_type = views::Role)]
    pub profile: Role,
    /// To give and take roles up to the own one.
    #[schema(value_type = views::Role)]
    pub roles: Role,
    /// To change the policy itself.
    #[schema(value_type = views::Role)]
    pub policy: Role,
}

impl From<Policy> for api::Policy {
    fn from(Policy { add, remove, profile, roles, policy }: Policy) -> Self {
        Self { add, remove, profile, roles, policy }
    }
}

impl From<api::Policy> for Policy {
    fn from(api::Policy { add, remove, profile, roles, policy }: api::Policy) -> Self {
        Self { add, remove, profile, roles, policy }
    }
}

/// To `PUT /groups/{group}/members/{account}/role`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRole {
    /// The role to be.
    #[schema(value_type = views::Role)]
    pub role: Role,
}

/// To `POST /groups/{group}/removals`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removals {
    /// Whom to take out, with all their installations.
    #[schema(value_type = Vec<schema::AccountId>)]
    pub accounts: Vec<AccountId>,
}

/// From `GET /groups/{group}/members`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// The accounts in the group.
    #[schema(value_type = Vec<views::MemberView>)]
    pub members: Vec<MemberView>,
}

/// From `GET /groups/{group}/changes`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// What was asked for, in that order, then the accounts that are to be added.
    #[schema(value_type = Vec<views::ChangeView>)]
    pub changes: Vec<ChangeView>,
}

/// To `POST /groups/{group}/invitations`.
// Cards let their holders invite: no `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvitations {
    /// Contact cards of the accounts to invite, at most 1,000.
    pub cards: Vec<String>,
}

/// From `POST /groups/{group}/invitations`: on disk; the events `invited` and `members-added`
/// follow once the accounts' registration records are found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inviting {
    /// The accounts behind the cards, in their order.
    #[schema(value_type = Vec<schema::AccountId>)]
    pub accounts: Vec<AccountId>,
}

/// From `GET /invitations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitations {
    /// Invitations that wait for an answer.
    #[schema(value_type = Vec<views::InvitationView>)]
    pub invitations: Vec<InvitationView>,
}
