//! Bodies of `/chat/v1`: what it takes and what it answers, in JSON with camelCase keys.
//!
//! Ids are lower-case hex: 64 digits for accounts and installations, 32 for groups. Times are
//! nanoseconds since 1970-01-01T00:00:00Z. The command line reads the same types.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waku_groupchat_core::api::EventRecord;
use waku_groupchat_core::api::views::{GapView, InstallationView, MessageCursor, MessageView};
use waku_groupchat_core::{AccountId, InstallationId, MessageId, Timestamp};

pub use self::group::{
    Changes, CreatedGroup, Groups, Invitations, Inviting, Members, NewInvitations, NewRole, Policy,
    Profile, Removals,
};
pub use self::link::{Compared, Label, LinkDigits, Revocations, Revoked};
use super::schema::{self, events, views};
use crate::chat::access::Scope;

mod group;
mod link;

/// To `POST /accounts`: no fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccount {}

/// From `POST /accounts`. It holds secrets.
// No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedAccount {
    /// The account.
    #[schema(value_type = schema::AccountId)]
    pub account: AccountId,
    /// This installation.
    #[schema(value_type = schema::InstallationId)]
    pub installation: InstallationId,
    /// The 24 words from which the account can be recovered. Shown once, kept nowhere.
    pub phrase: String,
    /// The contact card: who has it can invite the account.
    pub card: String,
}

/// From `POST /accounts/card`.
// No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewCard {
    /// The contact card that counts from now on.
    pub card: String,
}

/// To `POST /accounts/recovery`. It holds secrets.
// No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// The 24 words of the account.
    pub phrase: String,
    /// That somebody else has an installation of it, and so its contact card: it gets a new one.
    #[serde(default)]
    #[schema(required = false)]
    pub stolen: bool,
}

/// From `POST /accounts/recovery`: archives are asked; the event `recovered` or `recovery-failed`
/// follows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovering {
    /// The account that the phrase is of.
    #[schema(value_type = schema::AccountId)]
    pub account: AccountId,
}

/// To `POST /installations`. It holds a secret.
// No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkRequest {
    /// The text that an existing installation accepts.
    pub request: String,
}

/// From `POST /installations/requests`. It holds a secret.
// No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkRequested {
    /// This installation, which asks to be taken in.
    #[schema(value_type = schema::InstallationId)]
    pub installation: InstallationId,
    /// The text that an existing installation accepts.
    pub request: String,
}

/// From `POST /installations`: the exchange has begun; the event `link-digits` follows.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkAccepted {
    /// The new installation.
    #[schema(value_type = schema::InstallationId)]
    pub installation: InstallationId,
}

/// From `GET /installations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Installations {
    /// All that the own account has or had, those that are live first.
    #[schema(value_type = Vec<views::InstallationView>)]
    pub installations: Vec<InstallationView>,
}

/// To `POST /groups/{group}/messages`.
// No `Debug`: what people say stays out of logs.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    /// What to say, 1 to 122880 bytes.
    #[schema(min_length = 1)]
    pub text: String,
}

/// From `POST /groups/{group}/messages`: the message is on disk and will go out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedMessage {
    /// Its name; the number is never given again.
    #[schema(value_type = schema::MessageId)]
    pub id: MessageId,
}

/// From `GET /groups/{group}/messages`: a page in causal order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// The messages.
    #[schema(value_type = Vec<views::MessageView>)]
    pub messages: Vec<MessageView>,
    /// What to give as `after` for the next page; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub next: Option<MessageCursor>,
}

/// From `GET /missing` and `GET /groups/{group}/missing`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gaps {
    /// Every gap that was reported, whatever became of it.
    #[schema(value_type = Vec<views::GapView>)]
    pub gaps: Vec<GapView>,
}

/// From `GET /events`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// The events after the cursor, in their order.
    #[schema(value_type = Vec<events::EventRecord>)]
    pub events: Vec<EventRecord>,
    /// What to give as `after` next: the last cursor of the page, or the one that was given.
    pub next: u64,
}

/// Every error of `/chat/v1`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status.
    pub status: u16,
    /// A fixed kebab-case name for programs.
    #[schema(value_type = schema::ErrorCode)]
    pub code: String,
    /// The reason, for people.
    pub detail: String,
    /// With `gone`: the cursor of the oldest event that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub oldest: Option<u64>,
}

/// First on a stream of events: the cursor that it begins after.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamReady {
    /// The stream has the events after this cursor; the same as its `id`.
    pub after: u64,
}

/// Last on a stream of events that the node ends.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamClosed {
    /// Why.
    pub reason: CloseReason,
    /// The same, for people.
    pub detail: String,
    /// The last cursor that was sent: what to go on after.
    pub after: u64,
}

/// Why the node ends a stream of events. Nothing is lost by it: who asks again after the last
/// cursor gets what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// More events wait than a reader may be behind.
    TooSlow,
    /// The reader fell so far behind that the next events are not kept any more.
    Gone,
    /// The token was revoked.
    Revoked,
    /// The token has expired.
    Expired,
    /// The chat's database fails.
    Database,
    /// All chat data was removed from this node.
    Wiped,
    /// The node stops.
    Stopped,
}

/// To `PUT /groups/{group}/read`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRead {
    /// The last message that was read; the last one that is here, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upto: Option<MessageRef>,
}

/// A message of a group that the path names.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessageRef {
    /// Its sender.
    #[schema(value_type = schema::InstallationId)]
    pub installation: InstallationId,
    /// The sender's number for it.
    #[schema(minimum = 1)]
    pub number: u64,
}

/// To `PUT /guard`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewGuard {
    /// Take invitations only from accounts that share a group with this one, or that it has asked
    /// into one.
    pub contacts_only: bool,
}

/// To `POST /wipe`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wipe {
    /// This node's installation: nothing happens where another one is named.
    #[schema(value_type = schema::InstallationId)]
    pub installation: InstallationId,
}

/// To `POST /tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, 1 to 64 bytes.
    #[schema(min_length = 1)]
    pub name: String,
    /// What it allows; at least one.
    #[schema(value_type = Vec<schema::Scope>, min_items = 1)]
    pub scopes: Vec<Scope>,
    /// When it ends; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires: Option<Timestamp>,
}

/// From `POST /tokens`. It holds a secret.
// No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedToken {
    /// The secret: 64 hex digits. Shown once, kept nowhere.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub token: String,
    /// What is known of it.
    #[serde(flatten)]
    pub about: TokenView,
}

/// A token without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Names it: 16 hex digits, or `first` for the one in the node's token file.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it allows.
    #[schema(value_type = Vec<schema::Scope>)]
    pub scopes: Vec<Scope>,
    /// When it was made; left out for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Timestamp, required = false)]
    pub created: Option<Timestamp>,
    /// When it ends or has ended; left out if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Timestamp, required = false)]
    pub expires: Option<Timestamp>,
}

/// From `GET /tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenList {
    /// Every token, the first one first. Never their secrets.
    pub tokens: Vec<TokenView>,
}
