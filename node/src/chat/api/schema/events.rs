//! Events, as `/events` answers them and as `/events/stream` sends them.

use utoipa::ToSchema;

use super::views::{GapView, HistoryView, SendState};
use super::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

/// An event with its place in the order.
#[derive(ToSchema)]
pub(in crate::chat) struct EventRecord {
    /// Its place: ascending by one, kept over restarts.
    #[schema(minimum = 1)]
    cursor: u64,
    /// When this node noticed it.
    at: Timestamp,
    #[serde(flatten)]
    event: Event,
}

/// Something that happened; `type` says what. Others may be added: skip those you do not know.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(in crate::chat) enum Event {
    /// An installation is now live in the own account.
    InstallationLinked {
        /// The account.
        account: AccountId,
        /// The new one.
        installation: InstallationId,
    },
    /// An installation is not live in its account any more: it was revoked, or has left. What it
    /// says is refused from now on, and it is taken out of the groups. Of others' accounts too.
    InstallationEnded {
        /// The account.
        account: AccountId,
        /// The installation; this one, if it is this one's turn: then it stops.
        installation: InstallationId,
    },
    /// An account's contact card is another one: the own account's, or a contact's, whose new one is
    /// kept here and used from now on.
    CardChanged {
        /// The account.
        account: AccountId,
    },
    /// The account of a phrase is back: this is its only installation now.
    Recovered {
        /// The account.
        account: AccountId,
        /// This installation.
        installation: InstallationId,
        /// In how many groups it asks to be brought in; `joined` follows for each.
        groups: usize,
    },
    /// The account of a phrase could not be brought back; nothing more is tried.
    RecoveryFailed {
        /// Why.
        reason: RecoveryFailure,
    },
    /// Both sides of a linking show these digits now; a person compares them.
    LinkDigits {
        /// The other side.
        installation: InstallationId,
        /// Eight digits, with a space in the middle.
        digits: String,
    },
    /// The linking that was under way has ended.
    LinkFailed {
        /// The other side, where it is known.
        #[schema(required)]
        installation: Option<InstallationId>,
        /// Why.
        reason: LinkFailure,
    },
    /// A part of the own registration record left.
    Registered {
        /// The account.
        account: AccountId,
        /// The UTC day it is for, counted from 1970-01-01.
        day: u64,
    },
    /// A commit that adds the account left, and its envelope will.
    Invited {
        /// The group.
        group: GroupId,
        /// Who.
        account: AccountId,
        /// How many of its installations.
        installations: usize,
    },
    /// An account could not be added; nothing more is tried for it.
    InvitationFailed {
        /// The group.
        group: GroupId,
        /// Who.
        account: AccountId,
        /// Why, for people.
        reason: String,
    },
    /// An invitation came; it can be accepted or declined.
    Invitation {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// Who invited.
        from: AccountId,
    },
    /// An invitation was turned away. Told at most once a minute for each reason.
    InvitationTurnedAway {
        /// Who invited.
        from: AccountId,
        /// Why.
        reason: TurnedAway,
        /// How many were turned away for this reason so far.
        count: u64,
    },
    /// This installation is in the group now.
    Joined {
        /// The group.
        group: GroupId,
    },
    /// Accounts are in the group now.
    MembersAdded {
        /// The group.
        group: GroupId,
        /// Who.
        accounts: Vec<AccountId>,
    },
    /// Accounts are not in the group any more.
    MembersRemoved {
        /// The group.
        group: GroupId,
        /// Who.
        accounts: Vec<AccountId>,
    },
    /// Roles or the policy changed.
    RolesChanged {
        /// The group.
        group: GroupId,
    },
    /// This installation is not in the group any more. What was said before can still be read.
    Removed {
        /// The group.
        group: GroupId,
    },
    /// This installation cannot follow the group, and nobody has answered yet: it waits for a member.
    Waiting {
        /// The group.
        group: GroupId,
    },
    /// This installation follows the group again.
    Rejoined {
        /// The group.
        group: GroupId,
    },
    /// The group had gone on in two parts for so long that neither could read the other any more.
    Split {
        /// The group.
        group: GroupId,
        /// Whether the own part stands. If not, this installation comes back to the other one, and
        /// what was said goes out again there.
        stands: bool,
    },
    /// Changes that were made at the same time were put in another order: the newest ones of this
    /// group do not stand, and what was asked for here among them is made again.
    Reordered {
        /// The group.
        group: GroupId,
        /// How many changes do not stand any more.
        #[schema(minimum = 1)]
        depth: u64,
    },
    /// A change that was asked for here was given up: it is not allowed where the group stands now.
    ChangeFailed {
        /// The group.
        group: GroupId,
        /// What was asked for.
        change: ChangeKind,
        /// Why, for people.
        reason: String,
    },
    /// Name or description changed.
    ProfileChanged {
        /// The group.
        group: GroupId,
        /// The name now.
        name: String,
        /// The description now.
        description: String,
    },
    /// A message can be read, for the first time here.
    Message {
        /// Its name.
        id: MessageId,
        /// The sender's account.
        account: AccountId,
    },
    /// The account has read a group up to a message, at this or another installation.
    Read {
        /// The group.
        group: GroupId,
        /// The message's place, as in `next` of a page of messages; it may not be here.
        upto: String,
        /// How many messages of others are unread.
        unread: u64,
    },
    /// Asking the account's other installations for messages of before got further.
    History {
        /// How far.
        history: HistoryView,
    },
    /// An own message got further.
    MessageState {
        /// Its name.
        id: MessageId,
        /// How far.
        state: SendState,
    },
    /// A gap was reported, or changed its state.
    Gap {
        /// All about it.
        gap: GapView,
    },
    /// Peers' messages show that the node's clock is off by more than is corrected: publishes are
    /// held until it is right. Told again when that changes by ten seconds or more.
    ClockOff {
        /// How many seconds it is ahead; negative: behind.
        ahead: i64,
    },
    /// The node's clock is right again, or nobody says that it is off: publishes go on.
    ClockRight,
    /// A copy of this installation's database is in use: nothing is published any more.
    Copied {
        /// Where it was noticed.
        group: GroupId,
    },
    /// Something that reached one of our topics was refused. Told at most once a minute for each
    /// group and reason.
    Refused {
        /// The group, where it is known.
        #[schema(required)]
        group: Option<GroupId>,
        /// Who sent it, where that is proven.
        #[schema(required)]
        installation: Option<InstallationId>,
        /// Why.
        reason: RefusedReason,
    },
}

/// Why an account did not come back by its phrase.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum RecoveryFailure {
    /// Archives answered, and none holds a record of the account.
    NotFound,
    /// No archive answered.
    Unreachable,
}

/// Why a linking ended without a new installation.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum LinkFailure {
    /// It was given up here, or another one was begun.
    Cancelled,
    /// It took too long.
    Expired,
    /// The digits of the other side are not the own ones.
    Digits,
    /// A step came that the other side cannot have made: somebody else knows the request.
    SomebodyElse,
    /// The account does not allow it: who accepts is not live any more, say, or it is full.
    Account,
}

/// What somebody asked to change in a group.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum ChangeKind {
    /// Name and description.
    Profile,
    /// Taking an installation out.
    Remove,
    /// An account's role.
    Role,
    /// Which role each right needs.
    Policy,
    /// New keys of the own leaf.
    Update,
    /// Bringing another installation of the own account in.
    Installation,
}

/// Why an invitation was turned away.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum TurnedAway {
    /// Its account is blocked.
    Blocked,
    /// Only known accounts may invite, and its account is not known.
    Stranger,
    /// As many wait as there can be, of one account or in all; those that came first stay.
    TooMany,
}

/// Why an inbound message was refused.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(in crate::chat) enum RefusedReason {
    /// On one of our topics, but its seal does not open.
    Seal,
    /// Opened, but what is inside does not parse.
    Malformed,
    /// MLS refused it.
    Mls,
    /// The core's signature or its fields do not fit the MLS sender.
    Core,
    /// Another core with this number is held already: evidence against the sender.
    NumberReused,
    /// A commit by somebody who may not commit.
    NotAllowed,
    /// A member whose account log does not prove its installation.
    Unproven,
    /// The Waku timestamp and the precise time inside are too far apart.
    Time,
    /// A record, a link step or an invitation that fails its checks.
    Invalid,
    /// From an installation that is not live in its account any more.
    Revoked,
}
