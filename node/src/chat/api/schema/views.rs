//! What queries answer.

use utoipa::ToSchema;

use super::{AccountId, GroupId, InstallationId, MessageId, Timestamp};
use crate::chat::api::types::Policy;

/// The own account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct AccountView {
    /// The account.
    account: AccountId,
    /// This installation.
    installation: InstallationId,
    /// The contact card: who has it can invite the account.
    card: String,
    /// The UTC day, counted from 1970-01-01, of the newest own registration record that was taken
    /// by the network. Without one, others cannot invite the account.
    #[schema(required)]
    registered_day: Option<u64>,
    /// Groups that this installation still waits to be brought into, since the account was recovered.
    returning: usize,
}

/// An installation that the own account has, or had.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct InstallationView {
    /// The installation.
    installation: InstallationId,
    /// What people call it; left out if nothing.
    #[schema(nullable = false)]
    label: Option<String>,
    /// When it was added, by the adder's clock.
    added_at: Timestamp,
    /// Who added it; null, the account's root, for the first.
    #[schema(required)]
    added_by: Option<InstallationId>,
    /// Whether it is the one that answers.
    this: bool,
    /// Whether it is live.
    state: InstallationState,
    /// When it ended, by the clock of who put it out; left out while it is live, and where that is not
    /// known.
    #[schema(nullable = false)]
    ended_at: Option<Timestamp>,
    /// Who revoked it; left out for the account's root, too.
    #[schema(nullable = false)]
    ended_by: Option<InstallationId>,
    /// Live installations that it had added.
    added: Vec<InstallationId>,
    /// The time of the last thing it said that was read here.
    #[schema(nullable = false)]
    last_seen: Option<Timestamp>,
}

/// Whether an installation is live in its account.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum InstallationState {
    /// It is.
    Live,
    /// It has left.
    Removed,
    /// It was put out.
    Revoked,
}

/// A linking that is under way.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct LinkView {
    /// Which side this installation is on.
    role: LinkRole,
    /// The other side; left out while it is not known.
    #[schema(nullable = false)]
    other: Option<InstallationId>,
    /// What both sides show; left out until the other one has answered.
    #[schema(nullable = false)]
    digits: Option<String>,
    /// Whether a person here has compared them.
    confirmed: bool,
    /// When it is given up.
    expires: Timestamp,
    /// On the new side: the text that an existing installation accepts. It holds a secret.
    #[schema(nullable = false)]
    request: Option<String>,
}

/// A side of a linking.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum LinkRole {
    /// It asks to be taken in.
    New,
    /// It takes in another one.
    Existing,
}

/// Where this installation stands in a group.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum GroupState {
    /// Invited, not yet accepted.
    Invited,
    /// In it.
    Joined,
    /// In it, but unable to follow: it waits for a member to show it the way.
    Waiting,
    /// In it until somebody takes this installation out, as it said it wants.
    Leaving,
    /// Not in it any more. What was said before can still be read.
    Removed,
}

/// What an account is in a group. Each role has all that the ones before it have.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum Role {
    /// Anybody in the group.
    Member,
    /// Named so by an owner or another admin.
    Admin,
    /// Who made the group, and whom owners name so.
    Owner,
}

/// A group.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct GroupView {
    /// The group.
    group: GroupId,
    /// Its name.
    name: String,
    /// Its description.
    description: String,
    /// Where this installation stands.
    state: GroupState,
    /// MLS epoch.
    epoch: u64,
    /// Number of accounts.
    accounts: usize,
    /// Number of installations.
    installations: usize,
    /// The installation that created it.
    creator: InstallationId,
    /// Which role each right needs.
    policy: Policy,
    /// How many texts of other accounts, which are not blocked, follow what was read; counted among
    /// the first 10,000 messages that do.
    unread: u64,
    /// The place up to which the account has read it, as in `next` of a page of messages; left out
    /// before that was said.
    #[schema(nullable = false)]
    read_upto: Option<String>,
}

/// An account in a group.
#[derive(ToSchema)]
pub(in crate::chat) struct MemberView {
    /// The account.
    account: AccountId,
    /// Its role. A role that nobody holds falls to the next one below.
    role: Role,
    /// Its installations in the group.
    installations: Vec<InstallationId>,
}

/// Something that was asked for here in a group and does not stand for good yet.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct ChangeView {
    /// What was asked for.
    change: AskedChange,
    /// How far it is.
    state: ChangeState,
    /// When it is tried next; left out where that is not what is waited for.
    #[schema(nullable = false)]
    next: Option<Timestamp>,
}

/// What was asked for.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(in crate::chat) enum AskedChange {
    /// Another name and description.
    Profile {
        /// The name.
        name: String,
        /// The description.
        description: String,
    },
    /// Another policy.
    Policy,
    /// An account's role.
    Role {
        /// Whose.
        account: AccountId,
        /// The role to be.
        role: Role,
    },
    /// Taking an installation out.
    Remove {
        /// Which.
        installation: InstallationId,
    },
    /// New keys of this installation.
    Keys,
    /// Adding an account.
    Add {
        /// Which.
        account: AccountId,
    },
}

/// How far something is that was asked for.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum ChangeState {
    /// The account's registration record is looked for.
    Searching,
    /// It waits for its turn: a change is on its way, another one took its place, or this installation
    /// is not in the group.
    Waiting,
    /// It is on its way to relay peers.
    Publishing,
    /// It is carried out, and can lose its place to what others did at the same time.
    Made,
}

/// How far an own message got. "Sent" is never said of what nobody took.
#[derive(ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(in crate::chat) enum SendState {
    /// On disk, not yet taken by any relay peer.
    Queued,
    /// Taken by relay peers.
    Published {
        /// How many.
        peers: usize,
    },
    /// Seen in a Store.
    Stored,
    /// A member of another account said that it holds it.
    Acknowledged,
}

/// What a message is.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum MessageKind {
    /// A text.
    Text,
    /// The sender's last word: it leaves the group.
    Left,
    /// The sender's account has another contact card.
    Card,
}

/// A message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct MessageView {
    /// Its name.
    id: MessageId,
    /// The sender's account.
    account: AccountId,
    /// What it is.
    kind: MessageKind,
    /// The text; empty where it is none.
    text: String,
    /// The sender's time for it: after that of everything it had read in the group.
    time: Timestamp,
    /// The Waku hash of the publish that brought it, of the first one for an own message.
    #[schema(pattern = "^0x[0-9a-f]{64}$")]
    waku_hash: String,
    /// Whether its sender is blocked here; left out if not.
    #[schema(required = false)]
    blocked: bool,
    /// How far it got, for an own one.
    #[schema(required = false, nullable = false)]
    sending: Option<SendState>,
    /// The installation of the account that handed it over, if it came so and not from the group.
    #[schema(required = false, nullable = false)]
    handed_by: Option<InstallationId>,
}

/// How far this installation is with asking the account's others for messages of before.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct HistoryView {
    /// How it stands.
    state: HistoryState,
    /// Who answered last; left out before anybody did.
    #[schema(nullable = false)]
    from: Option<InstallationId>,
    /// Groups that are done with.
    groups: u64,
    /// Groups in all, of those that this installation is in.
    all_groups: u64,
    /// Messages of the account's groups that are here.
    messages: u64,
    /// Messages that who answered last holds, of the groups that both are in. Not fewer than
    /// `messages`.
    all_messages: u64,
    /// Messages that were handed over so far.
    handed_over: u64,
}

/// How asking for messages of before stands.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum HistoryState {
    /// Nobody was asked.
    None,
    /// Asked for; nobody has answered yet, or not for long.
    Waiting,
    /// Messages come.
    Receiving,
    /// All that others hold is here.
    Done,
    /// Not wanted.
    Declined,
}

/// Who may invite the account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct GuardView {
    /// Only accounts that share a group with this one, or that it has asked into one.
    contacts_only: bool,
    /// Who is blocked.
    blocked: Vec<BlockedView>,
    /// Invitations of blocked accounts that were turned away.
    turned_away_blocked: u64,
    /// Invitations of accounts that are not known.
    turned_away_strangers: u64,
    /// Invitations for which there was no room.
    turned_away_too_many: u64,
}

/// An account that is blocked.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct BlockedView {
    /// Who.
    account: AccountId,
    /// Since when.
    since: Timestamp,
    /// How many invitations of it were turned away.
    invitations: u64,
}

/// How a gap is known.
#[derive(ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(in crate::chat) enum Evidence {
    /// The sender's own later message shows it.
    Proven {
        /// The number of that message.
        #[schema(rename = "byNumber")]
        by_number: u64,
    },
    /// Another member says that it holds it.
    Claimed {
        /// That member's installation.
        by: InstallationId,
    },
}

/// Where a gap stands.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum GapState {
    /// Reported; nobody was asked yet.
    Missing,
    /// Archives are being asked, or will be asked again.
    Fetching,
    /// It came.
    Recovered,
    /// Archives answered and do not have it. It may still come.
    Unavailable,
    /// The sender's own words contradict the claim.
    Withdrawn,
}

/// A message known to exist, and not here when its grace ended.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::chat) struct GapView {
    /// The group.
    group: GroupId,
    /// The sender's account.
    account: AccountId,
    /// The sender.
    installation: InstallationId,
    /// The sender's number for it.
    #[schema(minimum = 1)]
    number: u64,
    /// How it is known.
    evidence: Evidence,
    /// When it was first noticed.
    first_noticed: Timestamp,
    /// Where it stands.
    state: GapState,
    /// What was tried, in order; repeats of one outcome are counted.
    tried: Vec<TryView>,
}

/// One thing that was tried for a gap.
#[derive(ToSchema)]
pub(in crate::chat) struct TryView {
    /// Who was asked.
    source: String,
    /// How that went, for people.
    outcome: String,
    /// How many times in a row.
    times: u32,
    /// The last time.
    at: Timestamp,
}

/// An invitation that waits for an answer.
#[derive(ToSchema)]
pub(in crate::chat) struct InvitationView {
    /// The group.
    group: GroupId,
    /// Its name.
    name: String,
    /// Its description.
    description: String,
    /// Who invited.
    from: AccountId,
}
