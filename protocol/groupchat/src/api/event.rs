//! What happened, for people and programs that watch. Kept in order under ascending cursors.

use serde::{Deserialize, Serialize};

use super::views::{GapView, HistoryView, MessageCursor};
use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

/// An event with its place in the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its place: ascending, no two alike, kept over restarts.
    pub cursor: u64,
    /// When the core noticed it.
    pub at: Timestamp,
    /// What it is.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened. `Debug` hides texts.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
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
        /// In how many groups it asks to be brought in; [`Event::Joined`] follows for each.
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
        /// As [`crate::account::CheckDigits`] shows them.
        digits: String,
    },
    /// The linking that was under way has ended.
    LinkFailed {
        /// The other side, where it is known.
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
    /// This installation is not in the group any more.
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
        /// The message's place; it may not be here.
        upto: MessageCursor,
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
        state: super::views::SendState,
    },
    /// A gap was reported, or changed its state.
    Gap {
        /// All about it.
        gap: GapView,
    },
    /// Peers' messages show that the own clock is off by more than is corrected: publishes are held
    /// until it is right. Told again when that changes by ten seconds or more.
    ClockOff {
        /// How many seconds it is ahead; negative: behind.
        ahead: i64,
    },
    /// The own clock is right again, or nobody says that it is off: publishes go on.
    ClockRight,
    /// A copy of this installation's database is in use: messages came that were made with its
    /// keys, and not here. Nothing is published any more.
    Copied {
        /// Where it was noticed.
        group: GroupId,
    },
    /// Something that reached one of our topics was refused. Told at most once a minute for each
    /// group and reason; [`crate::api::Output::Refused`] counts them all.
    Refused {
        /// The group, where it is known.
        group: Option<GroupId>,
        /// Who sent it, where that is proven.
        installation: Option<InstallationId>,
        /// Why.
        reason: RefusedReason,
    },
}

impl Event {
    /// The group that it is about, if it is about one.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Invited { group, .. }
            | Self::InvitationFailed { group, .. }
            | Self::Invitation { group, .. }
            | Self::Joined { group }
            | Self::MembersAdded { group, .. }
            | Self::MembersRemoved { group, .. }
            | Self::RolesChanged { group }
            | Self::Removed { group }
            | Self::Waiting { group }
            | Self::Rejoined { group }
            | Self::Split { group, .. }
            | Self::Reordered { group, .. }
            | Self::ChangeFailed { group, .. }
            | Self::ProfileChanged { group, .. }
            | Self::Read { group, .. }
            | Self::Copied { group } => Some(*group),
            Self::Message { id, .. } | Self::MessageState { id, .. } => Some(id.group),
            Self::Gap { gap } => Some(gap.group),
            Self::Refused { group, .. } => *group,
            Self::InstallationLinked { .. }
            | Self::InstallationEnded { .. }
            | Self::CardChanged { .. }
            | Self::Recovered { .. }
            | Self::RecoveryFailed { .. }
            | Self::LinkDigits { .. }
            | Self::LinkFailed { .. }
            | Self::InvitationTurnedAway { .. }
            | Self::Registered { .. }
            | Self::History { .. }
            | Self::ClockOff { .. }
            | Self::ClockRight => None,
        }
    }
}

/// Why an invitation was turned away.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
pub enum TurnedAway {
    /// Its account is blocked.
    #[error("its account is blocked")]
    Blocked,
    /// Only known accounts may invite, and its account is not known.
    #[error("its account is not known")]
    Stranger,
    /// As many wait as there can be, of one account or in all; those that came first stay.
    #[error("too many wait")]
    TooMany,
}

/// Why an account did not come back by its phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryFailure {
    /// Archives answered, and none holds a record of the account.
    #[error(
        "no archive holds a recovery record of the account: the phrase is another one's, or all \
         installations have been away for longer than archives reach back"
    )]
    NotFound,
    /// No archive answered.
    #[error("no store node answered: connect this node to one and try again")]
    Unreachable,
}

/// Why a linking ended without a new installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum LinkFailure {
    /// It was given up here, or another one was begun.
    #[error("it was given up here")]
    Cancelled,
    /// It took too long.
    #[error("it took more than five minutes")]
    Expired,
    /// The digits of the other side are not the own ones.
    #[error("the two sides do not show the same digits: somebody may stand between them")]
    Digits,
    /// A step came that the other side cannot have made: somebody else knows the request.
    #[error("somebody else has answered, who has seen the request")]
    SomebodyElse,
    /// The account does not allow it: who accepts is not live any more, say, or it is full.
    #[error("the account does not allow it any more")]
    Account,
}

/// What somebody asked to change in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
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

/// Why an inbound message was refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedReason {
    /// On one of our topics, but its seal does not open.
    #[error("its seal does not open")]
    Seal,
    /// Opened, but what is inside does not parse.
    #[error("what is inside does not parse")]
    Malformed,
    /// MLS refused it.
    #[error("MLS refused it")]
    Mls,
    /// The core's signature or its fields do not fit the MLS sender.
    #[error("its core does not fit its sender")]
    Core,
    /// Another core with this number is held already: evidence against the sender.
    #[error("its sender gave this number to another message before")]
    NumberReused,
    /// A commit by somebody who may not commit.
    #[error("its sender may not commit")]
    NotAllowed,
    /// A member whose account log does not prove its installation.
    #[error("an added installation is not proven by its account's log")]
    Unproven,
    /// The Waku timestamp and the precise time inside are too far apart.
    #[error("its time does not fit its envelope")]
    Time,
    /// A record, a link step or an invitation that fails its checks, or a commit that does not come
    /// with what it is bound to.
    #[error("its signatures or fields fail their checks")]
    Invalid,
    /// From an installation that is not live in its account any more.
    #[error("its sender's installation was revoked")]
    Revoked,
}
