//! Bounds on what people write, on what peers send, and on what is kept.

use std::time::Duration;

/// Most bytes of a group's name.
pub const NAME_BYTES: usize = 128;
/// Most bytes of a group's description.
pub const DESCRIPTION_BYTES: usize = 2048;
/// Most bytes of a message's text: with MLS, signature and frontier it fits the largest size class.
pub const TEXT_BYTES: usize = 120 * 1024;
/// Most own messages of one group that are on their way, until a Store has them; beyond that,
/// sending is refused.
pub const OUTBOX_MESSAGES: usize = 4096;
/// Most gaps of one sender that its own words show and that are worked on at a time, the oldest
/// ones; the rest follow. Also most gaps of one sender that others claim, as long as it says nothing
/// itself: bounds what a member can cause by naming numbers that do not exist.
pub const OPEN_GAPS_PER_SENDER: usize = 256;
/// The same of gaps that rest on another member's word alone.
pub const CLAIMED_GAPS_PER_SENDER: usize = 32;
/// Most bytes of a frontier, so that a message does not grow with the members.
pub const FRONTIER_BYTES: usize = 256;
/// Most numbers above the contiguous ones that one frontier entry names.
pub const FRONTIER_BEYOND: usize = 8;
/// Earlier states of a group that still open messages.
pub const KEPT_STATES: usize = 64;
/// States that were left less long ago than this are kept beyond [`KEPT_STATES`], up to
/// [`KEPT_STATES_MOST`]: a member that commits in a hurry cannot push others' work out.
pub const KEPT_STATES_LEAST_AGE: Duration = Duration::from_secs(86_400);
/// Most states on the standing path that are kept for their age.
pub const KEPT_STATES_MOST: usize = 256;
/// Commits of one member that nobody stands on and nothing follows, which are kept.
pub const KEPT_ASIDE: usize = 32;
/// A leaf gets new keys about this often.
pub const LEAF_UPDATE_EVERY: Duration = Duration::from_secs(30 * 86_400);
/// Most commits a day in a group, about, that only give a leaf new keys.
pub const LEAF_UPDATES_A_DAY: u32 = 4;
/// Most changes of one group that were asked for here and are not made yet.
pub const WAITING_CHANGES: usize = 4096;
/// How long earlier states are kept at most.
pub const KEPT_STATE_AGE: Duration = Duration::from_secs(7 * 86_400);
/// Events kept for replay.
pub const KEPT_EVENTS: u64 = 10_000;
/// Most accounts in one [`crate::api::Command::Invite`].
pub const INVITED_ACCOUNTS: usize = 1000;
/// How far ahead of the envelope a message's precise time may lie; more is refused.
pub const TIME_AHEAD: Duration = Duration::from_secs(60);
/// How far ahead of the own clock others' times are followed when the next own one is chosen.
pub const CLOCK_FOLLOW: Duration = Duration::from_secs(10);
/// The own clock is corrected by what peers show by this at most; beyond it, publishes are held.
pub const CLOCK_CORRECTION: Duration = Duration::from_secs(10);
/// A Waku timestamp is the node's time plus or minus up to this, rounded to [`TIMESTAMP_STEP`].
pub const TIMESTAMP_JITTER: Duration = Duration::from_secs(5);
/// Waku timestamps are multiples of this.
pub const TIMESTAMP_STEP: Duration = Duration::from_secs(5);
/// Archives are asked for whole multiples of this, so that a range does not tell what is looked for.
pub const FETCH_ALIGN: Duration = Duration::from_secs(60);
/// How many times delays double before they stay.
pub const BACKOFF_DOUBLINGS: u32 = 6;
/// Registration periods that a reader looks back for a record, and for which one stays good.
pub const RECORD_PERIODS: u64 = 30;
/// An account's record leaves in the first of this many parts of a period, so that the turns of all
/// its installations are in the period.
pub const RECORD_WITHIN: u32 = 2;
/// Whoever is next in the order publishes a record after this part of a period.
pub const RECORD_TURN: u32 = 48;
/// The parts of a record leave within this part of a period, each at a random time.
pub const RECORD_SPREAD: u32 = 96;
/// Publishes of one entry that are remembered, to know them again in a Store.
pub const SENT_KEPT: usize = 8;
/// A fetch or publish that the driver does not answer for this long counts as failed.
pub const DRIVER_PATIENCE: Duration = Duration::from_secs(300);
/// Envelopes dated further ahead than this are passed over.
pub const ENVELOPE_AHEAD: Duration = Duration::from_secs(300);
/// Recovered and withdrawn gaps are shown for this long.
pub const CLOSED_GAP_AGE: Duration = Duration::from_secs(7 * 86_400);
/// Most invitations that wait for an answer; more are refused.
pub const OPEN_INVITATIONS: usize = 256;
/// Those of one account that wait here at most.
pub const OPEN_INVITATIONS_OF_ONE: usize = 16;
/// One event for each reason (and group) of refusals in this time.
pub const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(60);
/// Accounts that can be blocked.
pub const BLOCKED_ACCOUNTS: usize = 4096;
/// Most bytes of ratchet trees of the invitations that wait for an answer; more are refused.
pub const OPEN_INVITATION_BYTES: usize = 64 * 1024 * 1024;
/// Most changes and additions of a group that were carried out and are kept for the case that a long
/// split is lost.
pub const PAST_WISHES: usize = 4096;
/// How long an invitation may be answered; for so long its account repeats it.
pub const INVITATION_AGE: Duration = Duration::from_secs(30 * 86_400);
/// Most commits whose invitations are repeated.
pub const REPEATED_INVITATIONS: usize = 64;
/// Most bytes that are kept to repeat invitations.
pub const REPEATED_INVITATION_BYTES: u64 = 64 * 1024 * 1024;
/// Longest topic period and registration period.
pub const PERIOD: Duration = Duration::from_secs(86_400);
/// A linking that is not done after this is forgotten.
pub const LINK_AGE: Duration = Duration::from_secs(300);
/// How far the epoch in which a message was first sealed may lie after that of the state it is
/// sealed under: it may have been made on a longer path, which others passed over.
pub const EPOCHS_AHEAD: u64 = 1024;
/// How long a member can come back from a state that was left.
pub const KEPT_REJOIN_AGE: Duration = Duration::from_secs(90 * 86_400);
/// Most states of a group from which a member can come back, beyond those that are kept anyway.
pub const KEPT_REJOIN: usize = 1024;
/// Most keys of leaves that one request for a way back names.
pub const REJOIN_LEAVES: usize = 96;
/// Most states that it names.
pub const REJOIN_STATES: usize = 12;
/// Key packages of own requests that are kept, the newest.
pub const REJOIN_PACKAGES: usize = 64;
/// Requests are repeated after [`crate::api::Config::rejoin_retry`] this often, then daily.
pub const REJOIN_HOURLY: u32 = 24;
/// Private parts of key packages are kept this long after they were last offered.
pub const PACKAGE_AGE: Duration = Duration::from_secs(60 * 86_400);
/// Requests for a way back that are older are not answered.
pub const REQUEST_AGE: Duration = Duration::from_secs(86_400);
/// Most requests that wait for an answer.
pub const REJOIN_REQUESTS: usize = 256;
/// Most bytes of commits in one answer: more, and the leaf is swapped instead.
pub const REJOIN_CHAIN_BYTES: usize = 256 * 1024;
/// Most commits of a chain that is compared.
pub const CHAIN_COMMITS: usize = 2048;
/// Most states where a chain becomes due at a time.
pub const CHAINS_AT_A_TIME: usize = 8;
/// Most accounts whose logs are kept beyond what groups attached, for somebody departed from them.
pub const DEPARTED_KEPT: usize = 4096;
/// Most bytes of what an installation is called.
pub const LABEL_BYTES: usize = 64;
/// Most labels of installations that are kept.
pub const OWN_LABELS: usize = 4096;
/// Most groups of which is kept what the account decided in them.
pub const OWN_MARKS: usize = 65_536;
/// Places up to which groups were read, in one statement: it is of the smallest size class.
pub const READS_AT_ONCE: usize = 3;
/// Unread messages of a group are counted among so many that follow what was read.
pub const UNREAD_COUNTED: usize = 10_000;
/// Groups whose messages of before are asked for at a time.
pub const HISTORY_GROUPS: usize = 16;
/// Most senders and parts of their numbers in one question for messages.
pub const HISTORY_WANTED: usize = 128;
/// Most bytes of a list of what is held: it fits one message.
pub const HISTORY_LIST_BYTES: usize = 96 * 1024;
/// Most parts of a sender's numbers in such a list, the last ones.
pub const HISTORY_RANGES: usize = 2048;
/// Most parts of numbers that are noted to be asked for at a time.
pub const HISTORY_PLAN: usize = 65_536;
/// Most bytes of messages that are handed over at once: they fit four segments, with one that repairs.
pub const HISTORY_BYTES: usize = 480 * 1024;
/// Most messages that are handed over at once.
pub const HISTORY_MESSAGES: usize = 1024;
/// Most messages that nobody holds which are noted at a time.
pub const HISTORY_MISSING: usize = 1024;
/// Former registration secrets of the own account that are kept.
pub const FORMER_CARDS: usize = 8;
/// How long they are kept: whoever has one of them is told of the newest where they share a group.
pub const FORMER_CARD_AGE: Duration = Duration::from_secs(30 * 86_400);
/// Most cards of others that are kept.
pub const CONTACTS: usize = 16_384;
/// Most own key packages that are kept after they were replaced.
pub const FORMER_PACKAGES: usize = 96;
