//! What queries answer: plain data for people and programs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use super::waiting::{AskedChange, ChangeState, ChangeView};
use crate::order::roles::{Policy, Role};
use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

/// The own account. `Debug` hides the card.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// The account.
    pub account: AccountId,
    /// This installation.
    pub installation: InstallationId,
    /// The contact card as text.
    pub card: String,
    /// The UTC day of the newest own registration record that was taken by the network.
    pub registered_day: Option<u64>,
    /// Groups that this installation still waits to be brought into, since the account was recovered.
    #[serde(default)]
    pub returning: usize,
}

/// An installation that the own account has, or had.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationView {
    /// The installation.
    pub installation: InstallationId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was added, by the adder's clock.
    pub added_at: Timestamp,
    /// Who added it; the account's root for the first.
    pub added_by: Option<InstallationId>,
    /// Whether it is the one that answers.
    pub this: bool,
    /// Whether it is live.
    pub state: InstallationState,
    /// When it ended, by the clock of who put it out, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Who revoked it; left out for the account's root, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<InstallationId>,
    /// Live installations that it had added.
    pub added: Vec<InstallationId>,
    /// The time of the last thing it said that was read here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// Whether an installation is live in its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallationState {
    /// It is.
    Live,
    /// It has left.
    Removed,
    /// It was put out.
    Revoked,
}

/// A linking that is under way.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkView {
    /// Which side this installation is on.
    pub role: LinkRole,
    /// The other side, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<InstallationId>,
    /// What both sides show, once the other one has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<String>,
    /// Whether a person here has compared them.
    pub confirmed: bool,
    /// When it is given up.
    pub expires: Timestamp,
    /// On the new side: the text that an existing installation accepts. It holds a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// A side of a linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkRole {
    /// It asks to be taken in.
    New,
    /// It takes in another one.
    Existing,
}

/// Where this installation stands in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupState {
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

/// A group. `Debug` hides name and description.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Where this installation stands.
    pub state: GroupState,
    /// MLS epoch.
    pub epoch: u64,
    /// Number of accounts.
    pub accounts: usize,
    /// Number of installations.
    pub installations: usize,
    /// The installation that created it.
    pub creator: InstallationId,
    /// Which role each right needs.
    pub policy: Policy,
    /// How many texts of other accounts, which are not blocked, follow what was read; counted among
    /// the first [`crate::limits::UNREAD_COUNTED`] messages that do.
    pub unread: u64,
    /// The place up to which the account has read it; `None` before that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_upto: Option<MessageCursor>,
}

/// An account in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// The account.
    pub account: AccountId,
    /// Its role. A role that nobody holds falls to the next one below.
    pub role: Role,
    /// Its installations in the group.
    pub installations: Vec<InstallationId>,
}

/// How far an own message got. "Sent" is never said of what nobody took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SendState {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// A text.
    Text,
    /// The sender's last word: it leaves the group.
    Left,
    /// The sender's account has another contact card.
    Card,
}

/// A message. `Debug` hides the text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    /// Its name.
    pub id: MessageId,
    /// The sender's account.
    pub account: AccountId,
    /// What it is.
    pub kind: MessageKind,
    /// The text; empty where it is none.
    pub text: String,
    /// The sender's time for it: after that of everything it had read in the group.
    pub time: Timestamp,
    /// The Waku hash of the publish that brought it, as `0x` and hex; of the first publish for an
    /// own one.
    pub waku_hash: String,
    /// Whether its sender is blocked here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// How far it got, for an own one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending: Option<SendState>,
    /// The installation of the account that handed it over, if it came so and not from the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_by: Option<InstallationId>,
}

/// How far this installation is with asking the account's others for messages of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    /// How it stands.
    pub state: HistoryState,
    /// Who answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<InstallationId>,
    /// Groups that are done with.
    pub groups: u64,
    /// Groups in all, of those that this installation is in.
    pub all_groups: u64,
    /// Messages of the account's groups that are here.
    pub messages: u64,
    /// Messages that who answered last holds, of the groups that both are in. Not fewer than
    /// `messages`.
    pub all_messages: u64,
    /// Messages that were handed over so far.
    pub handed_over: u64,
}

/// How asking for messages of before stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryState {
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardView {
    /// Only accounts that share a group with this one, or that it has asked into one.
    pub contacts_only: bool,
    /// Who is blocked.
    pub blocked: Vec<BlockedView>,
    /// Invitations of blocked accounts that were turned away.
    pub turned_away_blocked: u64,
    /// Invitations of accounts that are not known.
    pub turned_away_strangers: u64,
    /// Invitations for which there was no room.
    pub turned_away_too_many: u64,
}

/// An account that is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedView {
    /// Who.
    pub account: AccountId,
    /// Since when.
    pub since: Timestamp,
    /// How many invitations of it were turned away.
    pub invitations: u64,
}

/// The place of a message in the order of its group: `<nanoseconds>-<installation>-<number>` as
/// text. A page of messages goes on from one. It stays good when messages come late: they take
/// their places before or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageCursor {
    /// The sender's time.
    pub time: Timestamp,
    /// The sender.
    pub installation: InstallationId,
    /// Its number for the message.
    pub number: u64,
}

/// A text that is no [`MessageCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what `next` of a page before says")]
pub struct ParseCursorError;

impl MessageView {
    /// Its place.
    pub fn cursor(&self) -> MessageCursor {
        let MessageId { installation, number, .. } = self.id;
        MessageCursor { time: self.time, installation, number }
    }
}

impl fmt::Display for MessageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.time.as_nanos(), self.installation, self.number)
    }
}

impl FromStr for MessageCursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(ParseCursorError);
        let (time, installation, number) = (part()?, part()?, part()?);
        Ok(Self {
            time: Timestamp::from_nanos(time.parse().map_err(|_| ParseCursorError)?),
            installation: installation.parse().map_err(|_| ParseCursorError)?,
            number: number.parse().map_err(|_| ParseCursorError)?,
        })
    }
}

impl Serialize for MessageCursor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageCursor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How a gap is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "kind")]
pub enum Evidence {
    /// The sender's own later message shows it.
    Proven {
        /// The number of that message.
        by_number: u64,
    },
    /// Another member says that it holds it.
    Claimed {
        /// That member's installation.
        by: InstallationId,
    },
}

/// Where a gap stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapState {
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GapView {
    /// The group.
    pub group: GroupId,
    /// The sender's account.
    pub account: AccountId,
    /// The sender.
    pub installation: InstallationId,
    /// The sender's number for it.
    pub number: u64,
    /// How it is known.
    pub evidence: Evidence,
    /// When it was first noticed.
    pub first_noticed: Timestamp,
    /// Where it stands.
    pub state: GapState,
    /// What was tried, in order; repeats of one outcome are counted.
    pub tried: Vec<TryView>,
}

/// One thing that was tried for a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TryView {
    /// Who was asked.
    pub source: String,
    /// How that went, for people.
    pub outcome: String,
    /// How many times in a row.
    pub times: u32,
    /// The last time.
    pub at: Timestamp,
}

/// An invitation that waits for an answer. `Debug` hides name and description.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Who invited.
    pub from: AccountId,
}
