//! What goes into the core and what comes out of it.
//!
//! [`Input`]s are bytes received, commands, publish results and answers to fetches; [`Output`]s are
//! things for the driver to do. Everything else a driver may ask is a query that reads
//! ([`views`]), and everything a person may want to hear of is an [`Event`].

mod command;
mod debug;
mod event;
pub mod views;
mod waiting;

use std::time::Duration;

use waku_groupchat_waku::{ContentTopic, MessageHash, WakuMessage};

pub use crate::order::roles::{Policy, Right, Role};
pub use command::{Answer, Command, CommandError};
pub use event::{
    ChangeKind, Event, EventRecord, LinkFailure, RecoveryFailure, RefusedReason, TurnedAway,
};

use crate::{GroupId, MessageId, Timestamp};

/// Names a command; the answer repeats it. Chosen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Names a publish; its result repeats it. Not reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishId(pub u64);

/// Names a fetch; its result repeats it. Not reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// What the driver tells the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// A Waku message of the extension's shard, from the relay or from an archive. Messages that
    /// are not for this installation cost one table look-up.
    Message(WakuMessage),
    /// Several of them, read in this order and written as one batch. Each is read or refused for
    /// itself: what one of them is takes nothing from the others.
    Messages(Vec<WakuMessage>),
    /// As [`Input::Messages`], but just now and over the relay: their timestamps show how far the
    /// own clock is off.
    Heard(Vec<WakuMessage>),
    /// The system's clock was set, so what peers' messages showed of it holds no more.
    ClockSet,
    /// A person or a program wants something. Answered by one [`Output::Answer`].
    Command(CommandId, Command),
    /// What became of an [`Output::Publish`].
    Published(PublishId, PublishResult),
    /// What became of an [`Output::Fetch`]. Its messages came before as [`Input::Messages`].
    Fetched(FetchId, FetchResult),
    /// How many relay peers of the shard's mesh and how many store peers there are now.
    Connectivity {
        /// Relay peers subscribed to the shard.
        relay_peers: usize,
        /// Store peers that can be asked.
        store_peers: usize,
    },
}

/// What became of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishResult {
    /// Handed to this many relay peers, at least one.
    Published {
        /// Number of peers.
        peers: usize,
    },
    /// Nobody took it; the core tries again.
    Failed {
        /// For people.
        reason: String,
    },
}

/// What became of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResult {
    /// Who was asked, and how that went, in order.
    pub tried: Vec<FetchTry>,
    /// With [`FetchWhat::Hashes`]: the hashes that the store peers hold in the range.
    pub hashes: Vec<MessageHash>,
}

impl FetchResult {
    /// Whether somebody answered for the whole range.
    pub fn complete(&self) -> bool {
        self.tried.iter().any(|t| t.outcome.is_ok())
    }
}

/// One archive that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTry {
    /// Who: `own archive`, or `store <peer id>`.
    pub source: String,
    /// The number of messages it returned for the whole range, or why it did not answer.
    pub outcome: Result<u64, String>,
}

/// What the core wants done. Taken by [`crate::Core::poll_output`].
#[derive(Clone, Debug)]
pub enum Output {
    /// Publish on the relay, then say so with [`Input::Published`]. It is already on disk.
    Publish(Publish),
    /// Ask archives, feed what they hold as [`Input::Messages`], then say [`Input::Fetched`].
    Fetch(FetchId, FetchRequest),
    /// The answer to a command.
    Answer(CommandId, Result<Answer, CommandError>),
    /// Something happened. Also kept: [`crate::Core::events_after`].
    Event(EventRecord),
    /// Something that reached one of our topics was refused; to be counted.
    Refused(RefusedReason),
}

/// A Waku message to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Names it.
    pub id: PublishId,
    /// What it is, for counting; never on the wire.
    pub kind: PublishKind,
    /// Its hash on the extension's shard.
    pub hash: MessageHash,
    /// The message itself.
    pub message: WakuMessage,
}

/// What a publish carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishKind {
    /// A message of a group, for the first time.
    Message(MessageId),
    /// The same MLS bytes again, because no Store and no member was seen to have them.
    Retry(MessageId),
    /// A commit of a group.
    Commit(GroupId),
    /// What a member knows of everybody's numbers, after activity in a group.
    Sync(GroupId),
    /// Something for a member that missed it: another's message, a commit, or asking for one.
    Repair(GroupId),
    /// The part of an invitation that all invited accounts share.
    InvitationShared(GroupId),
    /// The part of an invitation for one account.
    InvitationEnvelope(GroupId),
    /// A part of the account's registration record.
    Registration,
    /// A step of linking an installation.
    Link,
    /// To or from a member that cannot follow a group.
    Rejoin(GroupId),
    /// Messages of before, between the account's installations, in their own group.
    History(GroupId),
}

impl PublishKind {
    /// A fixed lower-case name for logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Retry(_) => "retry",
            Self::Commit(_) => "commit",
            Self::Sync(_) => "sync",
            Self::Repair(_) => "repair",
            Self::InvitationShared(_) => "invitation-shared",
            Self::InvitationEnvelope(_) => "invitation-envelope",
            Self::Registration => "registration",
            Self::Link => "link",
            Self::Rejoin(_) => "rejoin",
            Self::History(_) => "history",
        }
    }
}

/// Why nothing is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hold {
    /// A copy of this installation's database is in use: for good.
    #[error(
        "a copy of this installation's database is in use elsewhere, so it sends no more: link a new \
         installation to the account with an empty data directory, and use neither copy"
    )]
    Copied,
    /// This installation is not in its account any more: for good.
    #[error(
        "this installation was revoked, or has left its account, so it does nothing more: link a \
         new one to the account with an empty data directory"
    )]
    Ended,
    /// The own clock is off by more than is corrected: until it is right.
    #[error(
        "the clock is {} s {}: publishes are held until it is right; set it, by NTP say",
        .ahead.unsigned_abs(), if *.ahead < 0 { "behind" } else { "ahead" }
    )]
    Clock {
        /// How many seconds it is ahead; negative: behind.
        ahead: i64,
    },
}

/// A question to archives. A time range of the whole shard, so it names no group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Whom to ask.
    pub source: FetchSource,
    /// What to bring.
    pub what: FetchWhat,
    /// From this Waku timestamp on.
    pub from: Timestamp,
    /// Up to this one, exclusive.
    pub to: Timestamp,
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchSource {
    /// The node's own archive, by content topics: nobody else sees the question.
    OwnArchive(Vec<ContentTopic>),
    /// Each store peer, by time range alone.
    StorePeers,
}

/// What to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchWhat {
    /// The messages.
    Messages,
    /// Only their hashes, in [`FetchResult::hashes`].
    Hashes,
}

/// Settings of a core. Times that spread work at random are upper bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The shard that all traffic of the extension uses; enters message hashes.
    pub pubsub_topic: waku_groupchat_waku::PubsubTopic,
    /// Topic period of the groups created here. Default one hour.
    pub topic_period: Duration,
    /// How long a message may be late before it is reported missing. Default 10 s.
    pub gap_grace: Duration,
    /// First delay before archives are asked again for a gap; doubles up to 64 times that.
    /// Default 10 s.
    pub gap_retry: Duration,
    /// How often archives that answered are asked before a gap is unavailable. Default 3.
    pub gap_attempts: u32,
    /// First delay before an unconfirmed message is looked for in a Store and else published
    /// again; doubles up to 64 times that. Default 15 s.
    pub publish_retry: Duration,
    /// Length of a registration period. All accounts of a network share it. Default a day: the
    /// periods are UTC days.
    pub registration_period: Duration,
    /// The first registration record leaves at a random time within this after the account was
    /// made; the next ones once in each period, at a random time. Default 30 minutes.
    pub registration_delay: Duration,
    /// Invitation envelopes leave at a random time within this. Default 30 s.
    pub invitation_delay: Duration,
    /// A new installation of the own account is brought into each group at a random time within this,
    /// by who took it in; within as long again, by others. Default 10 minutes.
    pub installation_delay: Duration,
    /// Up to where groups were read is told to the account's other installations, all at once, after
    /// half of this and a random part of it. Default a minute.
    pub read_delay: Duration,
    /// A new installation asks the account's others for the messages of before, without being told
    /// to. Default true.
    pub history: bool,
    /// Between two questions for such messages there is half of this and a random part of it; an
    /// answer is waited for four times as long. Default 15 s.
    pub history_pause: Duration,
    /// A sync leaves at a random time after activity in a group, not before this; later in large
    /// groups. Default one minute.
    pub sync_after: Duration,
    /// Who read nothing in a group for this long says so with a sync. Default a day.
    pub quiet: Duration,
    /// What somebody missed is answered at a random time within this; later in large groups.
    /// Default 10 s.
    pub answer_within: Duration,
    /// How often store peers are asked for everything since the last time, so that a commit lost
    /// on the way is found. Default 5 minutes.
    pub catch_up: Duration,
    /// Who read nothing in a group for this long, though it reaches others, asks there for a way
    /// back. Default a day.
    pub rejoin_after: Duration,
    /// A request that nobody answered is repeated after this, 24 times, then daily. Default an hour.
    pub rejoin_retry: Duration,
    /// Members answer such a request after a random part of this, one of them. Default 2 minutes.
    pub rejoin_backoff: Duration,
    /// How long the sides of a long split are counted before one gives way. Default a day.
    pub split_wait: Duration,
}

impl Config {
    /// The defaults, on this shard.
    pub fn new(pubsub_topic: waku_groupchat_waku::PubsubTopic) -> Self {
        Self {
            pubsub_topic,
            topic_period: Duration::from_secs(3600),
            gap_grace: Duration::from_secs(10),
            gap_retry: Duration::from_secs(10),
            gap_attempts: 3,
            publish_retry: Duration::from_secs(15),
            registration_period: Duration::from_secs(86_400),
            registration_delay: Duration::from_secs(1800),
            invitation_delay: Duration::from_secs(30),
            installation_delay: Duration::from_secs(600),
            read_delay: Duration::from_secs(60),
            history: true,
            history_pause: Duration::from_secs(15),
            sync_after: Duration::from_secs(60),
            quiet: Duration::from_secs(86_400),
            answer_within: Duration::from_secs(10),
            catch_up: Duration::from_secs(300),
            rejoin_after: Duration::from_secs(86_400),
            rejoin_retry: Duration::from_secs(3600),
            rejoin_backoff: Duration::from_secs(120),
            split_wait: Duration::from_secs(86_400),
        }
    }
}
