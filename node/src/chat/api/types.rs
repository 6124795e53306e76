//! Bodies of `/chat/v1`: what it takes and what it answers, in JSON with camelCase keys.
//!
//! Ids are lower-case hex: 64 digits for accounts and installations, 32 for groups. Times are
//! nanoseconds since 1970-01-01T00:00:00Z. The command line reads the same types.

use serde::{Deserialize, Serialize};
use waku_groupchat_core::api::EventRecord;
use waku_groupchat_core::api::views::{
    GapView, GroupView, InstallationView, InvitationView, MemberView, MessageView,
};
use waku_groupchat_core::{AccountId, GroupId, InstallationId, MessageId};

/// To `POST /accounts`: no fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccount {}

/// From `POST /accounts`. It holds secrets: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedAccount {
    /// The account.
    pub account: AccountId,
    /// This installation.
    pub installation: InstallationId,
    /// The 24 words from which the account can be recovered. Shown once, kept nowhere.
    pub phrase: String,
    /// The contact card: who has it can invite the account.
    pub card: String,
}

/// From `POST /installations/requests`, and to `POST /installations`. It holds a secret: no
/// `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkRequest {
    /// The text that an existing installation accepts.
    pub request: String,
}

/// From `POST /installations/requests`. It holds a secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkRequested {
    /// This installation, which asks to be taken in.
    pub installation: InstallationId,
    /// The text that an existing installation accepts.
    pub request: String,
}

/// From `POST /installations`: the exchange has begun; the event `installation-linked` follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkAccepted {
    /// The new installation.
    pub installation: InstallationId,
}

/// From `GET /installations`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installations {
    /// The live installations of the own account.
    pub installations: Vec<InstallationView>,
}

/// To `POST /groups` and `PUT /groups/{group}/profile`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// The name, at least one byte.
    pub name: String,
    /// The description; empty where it is left out.
    #[serde(default)]
    pub description: String,
}

/// From `POST /groups`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGroup {
    /// The group.
    pub group: GroupId,
}

/// From `GET /groups`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Groups {
    /// All groups of this installation.
    pub groups: Vec<GroupView>,
}

/// From `GET /groups/{group}/members`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// The accounts in the group.
    pub members: Vec<MemberView>,
}

/// To `POST /groups/{group}/invitations`. Cards let their holders invite: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvitations {
    /// Contact cards of the accounts to invite.
    pub cards: Vec<String>,
}

/// From `POST /groups/{group}/invitations`: on disk; the events `invited` and `members-added`
/// follow once the accounts' registration records are found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inviting {
    /// The accounts behind the cards, in their order.
    pub accounts: Vec<AccountId>,
}

/// From `GET /invitations`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitations {
    /// Invitations that wait for an answer.
    pub invitations: Vec<InvitationView>,
}

/// To `POST /groups/{group}/messages`. No `Debug`: what people say stays out of logs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    /// What to say.
    pub text: String,
}

/// From `POST /groups/{group}/messages`: the message is on disk and will go out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedMessage {
    /// Its name; the number is never given again.
    pub id: MessageId,
}

/// From `GET /groups/{group}/messages`: a page in causal order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// What to give as `after` for the next page; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
}

/// From `GET /missing` and `GET /groups/{group}/missing`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gaps {
    /// Every gap that was reported, whatever became of it.
    pub gaps: Vec<GapView>,
}

/// From `GET /events`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// The events after the cursor, in their order.
    pub events: Vec<EventRecord>,
    /// What to give as `after` next: the last cursor of the page, or the one that was given.
    pub next: u64,
}

/// Every error of `/chat/v1`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status.
    pub status: u16,
    /// A fixed kebab-case name for programs.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}
