//! The group chat.

use prometheus::{IntCounter, IntGauge, Registry};

use crate::label::{Label, label};
use crate::register::{
    CounterBy, GaugeBy, RegisterError, counter, counter_by, gauge, gauge_by, gauge_value,
};

label! {
    /// What a publish carries. The chat core's names for it.
    pub enum PublishKind, "kind" {
        /// A message of a group, for the first time.
        Message = "message",
        /// A message again.
        Retry = "retry",
        /// A commit of a group.
        Commit = "commit",
        /// What a member knows of everybody's numbers.
        Sync = "sync",
        /// Something for a member that missed it, or asking for one.
        Repair = "repair",
        /// The part of an invitation that all invited accounts share.
        InvitationShared = "invitation-shared",
        /// The part of an invitation for one account.
        InvitationEnvelope = "invitation-envelope",
        /// A part of a registration record.
        Registration = "registration",
        /// A step of linking an installation.
        Link = "link",
        /// To or from a member that cannot follow a group.
        Rejoin = "rejoin",
        /// Messages of before, between an account's installations.
        History = "history",
    }
}

label! {
    /// Where a gap stands.
    pub enum GapState, "state" {
        /// Reported; nobody was asked yet.
        Missing = "missing",
        /// Archives are being asked.
        Fetching = "fetching",
        /// It came.
        Recovered = "recovered",
        /// Archives answered and do not have it.
        Unavailable = "unavailable",
        /// The sender's own words contradict the claim.
        Withdrawn = "withdrawn",
    }
}

label! {
    /// Which way a message of a group went.
    pub enum MessageDirection, "direction" {
        /// Accepted from the own user.
        Sent = "sent",
        /// Readable for the first time, from another installation.
        Received = "received",
    }
}

label! {
    /// How far an own message got. The chat core's names for it.
    pub enum DeliveryState, "state" {
        /// Relay peers took it.
        Published = "published",
        /// It was seen in a Store.
        Stored = "stored",
        /// A member of another account said that it holds it.
        Acknowledged = "acknowledged",
    }
}

label! {
    /// Why an inbound message was refused. The chat core's names for it.
    pub enum RefusedReason, "reason" {
        /// Its seal does not open.
        Seal = "seal",
        /// What is inside does not parse.
        Malformed = "malformed",
        /// MLS refused it.
        Mls = "mls",
        /// Its core does not fit its sender.
        Core = "core",
        /// Its sender gave this number to another message before.
        NumberReused = "number-reused",
        /// Its sender may not commit.
        NotAllowed = "not-allowed",
        /// An added installation is not proven by its account's log.
        Unproven = "unproven",
        /// Its time does not fit its envelope.
        Time = "time",
        /// Its signatures or fields fail their checks.
        Invalid = "invalid",
        /// Its sender's installation was revoked.
        Revoked = "revoked",
    }
}

label! {
    /// Why nothing is published.
    pub enum HoldReason, "reason" {
        /// The clock is off.
        Clock = "clock",
        /// This installation was revoked, or has left its account.
        Ended = "ended",
        /// A copy of the chat's database is in use.
        Copied = "copied",
    }
}

label! {
    /// What somebody asked to change in a group. The chat core's names for it.
    pub enum ChangeKind, "change" {
        /// Name and description.
        Profile = "profile",
        /// Taking an installation out.
        Remove = "remove",
        /// An account's role.
        Role = "role",
        /// Which role each right needs.
        Policy = "policy",
        /// New keys of the own leaf.
        Update = "update",
        /// Bringing another installation of the own account in.
        Installation = "installation",
    }
}

/// Recorder of the group chat.
#[derive(Clone, Debug)]
pub struct ChatMetrics {
    publishes: CounterBy<PublishKind>,
    gaps: GaugeBy<GapState>,
    messages: CounterBy<MessageDirection>,
    deliveries: CounterBy<DeliveryState>,
    refused: CounterBy<RefusedReason>,
    groups: IntGauge,
    epochs: IntCounter,
    reorders: IntCounter,
    failed_changes: CounterBy<ChangeKind>,
    overflow: IntCounter,
    faults: IntCounter,
    held: GaugeBy<HoldReason>,
    clock: IntGauge,
}

impl ChatMetrics {
    /// Registers `waku_groupchat_publishes_total`, `waku_groupchat_gaps`,
    /// `waku_groupchat_messages_total`, `waku_groupchat_deliveries_total`,
    /// `waku_groupchat_refused_total`, `waku_groupchat_groups`, `waku_groupchat_epochs_total`,
    /// `waku_groupchat_reorders_total`, `waku_groupchat_failed_changes_total`,
    /// `waku_groupchat_queue_overflow_total`, `waku_groupchat_database_faults_total`,
    /// `waku_groupchat_publishes_held` and `waku_groupchat_clock_ahead_seconds`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            publishes: counter_by(
                registry,
                "waku_groupchat_publishes_total",
                "Relay publishes by what they carry",
            )?,
            gaps: gauge_by(registry, "waku_groupchat_gaps", "Reported gaps by state")?,
            messages: counter_by(
                registry,
                "waku_groupchat_messages_total",
                "Group messages sent and received",
            )?,
            deliveries: counter_by(
                registry,
                "waku_groupchat_deliveries_total",
                "Own messages by the state they reached",
            )?,
            refused: counter_by(
                registry,
                "waku_groupchat_refused_total",
                "Inbound messages refused, by reason",
            )?,
            groups: gauge(registry, "waku_groupchat_groups", "Groups this installation is in")?,
            epochs: counter(
                registry,
                "waku_groupchat_epochs_total",
                "Epochs that groups went through while this installation was in them",
            )?,
            reorders: counter(
                registry,
                "waku_groupchat_reorders_total",
                "Times that changes of a group gave way to others made at the same time",
            )?,
            failed_changes: counter_by(
                registry,
                "waku_groupchat_failed_changes_total",
                "Changes of a group that were asked for here and given up, by what they change",
            )?,
            overflow: counter(
                registry,
                "waku_groupchat_queue_overflow_total",
                "Messages or commands that a full queue of the chat turned away",
            )?,
            faults: counter(
                registry,
                "waku_groupchat_database_faults_total",
                "Times that the chat's database could not be read or written",
            )?,
            held: gauge_by(
                registry,
                "waku_groupchat_publishes_held",
                "Whether nothing of the chat is published, by the reason",
            )?,
            clock: gauge(
                registry,
                "waku_groupchat_clock_ahead_seconds",
                "How far the clock is ahead of what peers' messages show",
            )?,
        })
    }

    /// Counts a publish that peers took.
    pub fn published(&self, kind: PublishKind) {
        self.publishes.inc(kind);
    }

    /// Sets how many gaps are in a state.
    pub fn gaps(&self, state: GapState, count: usize) {
        self.gaps.set(state, count);
    }

    /// Counts a message of a group.
    pub fn message(&self, direction: MessageDirection) {
        self.messages.inc(direction);
    }

    /// Counts an own message that got further.
    pub fn delivered(&self, state: DeliveryState) {
        self.deliveries.inc(state);
    }

    /// Counts an inbound message that was refused.
    pub fn refused(&self, reason: RefusedReason) {
        self.refused.inc(reason);
    }

    /// Sets how many groups this installation is in.
    pub fn groups(&self, count: usize) {
        self.groups.set(gauge_value(count));
    }

    /// Counts epochs that groups went through.
    pub fn epochs(&self, passed: u64) {
        self.epochs.inc_by(passed);
    }

    /// Counts changes of a group that gave way to others, however many they were.
    pub fn reordered(&self) {
        self.reorders.inc();
    }

    /// Counts a change of a group that was given up.
    pub fn change_failed(&self, change: ChangeKind) {
        self.failed_changes.inc(change);
    }

    /// Counts a fault of the database.
    pub fn database_fault(&self) {
        self.faults.inc();
    }

    /// Sets why nothing is published, if that is so.
    pub fn held(&self, reason: Option<HoldReason>) {
        for one in HoldReason::ALL {
            self.held.set(*one, usize::from(reason == Some(*one)));
        }
    }

    /// Sets by how many seconds the clock is ahead of peers'; negative: behind.
    pub fn clock_ahead(&self, seconds: i64) {
        self.clock.set(seconds);
    }

    /// Counts what a full queue turned away. A turned-away message is read from the archive later.
    pub fn queue_overflow(&self) {
        self.overflow.inc();
    }
}
