//! Which content topic is whose.
//!
//! Topics change with the period of the message's own timestamp, so a table is made for each
//! period that a message asks for, and a few are kept. A receiver takes the topics of the
//! neighbouring periods too. Topics that live for one exchange stand in a table of their own.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use waku_groupchat_waku::ContentTopic;

use super::Inner;
use super::records::StateName;
use crate::account::{inbox_topic, record_topics, recovery_topics};
use crate::kdf::{SealKey, derive_key, derive_topic, label};
use crate::limits::{ENVELOPE_AHEAD, KEPT_STATE_AGE, PERIOD, RECORD_PERIODS};
use crate::mls::StateId;
use crate::{AccountId, GroupId, Timestamp};

/// Tables kept at a time.
const TABLES: usize = 64;

/// Whose a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A group's, sealed under one of its states.
    Group { group: GroupId, state: StateId },
    /// The own inbox.
    Inbox { period: u64 },
    /// A registration record that an intent waits for.
    Record { group: GroupId, account: AccountId, period: u64 },
    /// An inbox for one group that this installation comes back into.
    ReturnInbox { group: GroupId, period: u64 },
    /// A recovery record of an account whose card is kept.
    Contact { account: AccountId, period: u64 },
    /// A recovery record of the account that is recovered.
    Recovery { period: u64 },
    /// The own account's record, which another installation publishes.
    OwnRecord { period: u64 },
    /// The own account's recovery record, which another installation publishes.
    OwnRecovery { period: u64 },
    /// The shared part of an invitation whose envelope came.
    InvitationShared,
    /// Of who cannot follow a group from one of its states on.
    Rejoin { group: GroupId, name: StateName },
    /// The linking that is under way.
    Link,
}

/// Days for which the rejoin topics are kept at a time.
const REJOIN_DAYS: usize = 12;

/// What a table is for: the length of its periods, and the number of one.
type Slot = (u64, u64);

/// Tables by period. Emptied whenever a group, a state or an intent comes or goes.
#[derive(Debug, Default)]
pub(super) struct Topics {
    tables: BTreeMap<Slot, HashMap<ContentTopic, Target>>,
    used: Vec<Slot>,
    /// Rejoin topics by UTC day.
    days: BTreeMap<u64, HashMap<ContentTopic, Target>>,
}

impl Topics {
    pub(super) fn clear(&mut self) {
        self.tables.clear();
        self.used.clear();
    }

    /// States can be rejoined from now that could not before.
    pub(super) fn rejoins(&mut self, group: GroupId, name: StateName, secret: &[u8; 32]) {
        for (day, table) in &mut self.days {
            table.insert(rejoin_topic(secret, *day), Target::Rejoin { group, name });
        }
    }

    /// States cannot be rejoined from any more.
    pub(super) fn clear_rejoins(&mut self) {
        self.days.clear();
    }
}

/// Whether a topic has the form of all the extension's topics.
fn is_ours(topic: &ContentTopic) -> bool {
    let text = topic.as_str();
    text.len() == 39 && text.starts_with("/wgc/1/") && text.ends_with("/proto")
}

/// The number of the period that a time lies in.
pub(super) fn period(time: Timestamp, length: Duration) -> u64 {
    let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
    time.as_nanos() / nanos
}

/// A group's topic in a period.
pub(super) fn group_topic(wire: &[u8; 32], period: u64) -> ContentTopic {
    derive_topic(wire, label::GROUP_TOPIC, &period.to_be_bytes())
}

/// The key of a group's seals in a period.
pub(super) fn group_key(wire: &[u8; 32], period: u64) -> SealKey {
    derive_key(wire, label::GROUP_KEY, &period.to_be_bytes())
}

/// A state's topic for who cannot follow, on a UTC day.
pub(super) fn rejoin_topic(rejoin: &[u8; 32], day: u64) -> ContentTopic {
    derive_topic(rejoin, label::REJOIN_TOPIC, &day.to_be_bytes())
}

/// The key of what is sealed there on a UTC day.
pub(super) fn rejoin_key(rejoin: &[u8; 32], day: u64) -> SealKey {
    derive_key(rejoin, label::REJOIN_KEY, &day.to_be_bytes())
}

impl Inner {
    /// Whose this topic is at this time, and the period in which it is that.
    pub(super) fn target(
        &mut self,
        topic: &ContentTopic,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<(Target, u64)> {
        if !is_ours(topic) || at > now + ENVELOPE_AHEAD {
            return None;
        }
        if let Some(target) = self.one_time_target(topic) {
            return Some((target, 0));
        }
        for length in self.period_lengths() {
            let here = period(at, Duration::from_secs(length));
            // who was away for longer than states are kept follows from where it stands
            let known = self.groups.values().filter(|g| g.record.period == length);
            let known = known.map(super::group::Group::since).min().unwrap_or(now);
            let kept = known.min(now - KEPT_STATE_AGE);
            let oldest = period(kept, Duration::from_secs(length));
            let records = length == self.registration_secs();
            let oldest = if records { self.oldest_record(now).min(oldest) } else { oldest };
            for period in [here, here.saturating_sub(1), here + 1] {
                if period + 1 < oldest {
                    continue;
                }
                if let Some(target) = self.table(length, period).get(topic) {
                    return Some((*target, period));
                }
                if records && let Some(account) = self.contacts.of(topic, period) {
                    return Some((Target::Contact { account, period }, period));
                }
            }
        }
        let here = period(at, PERIOD);
        let oldest = period(now - KEPT_STATE_AGE, PERIOD);
        let days = [here, here.saturating_sub(1), here + 1].into_iter();
        days.filter(|day| day + 1 >= oldest)
            .find_map(|day| Some((*self.rejoin_topics(day).get(topic)?, day)))
    }

    /// Where who cannot follow a group asks on a day.
    fn rejoin_topics(&mut self, day: u64) -> &HashMap<ContentTopic, Target> {
        if !self.topics.days.contains_key(&day) {
            let states = self.groups.iter().flat_map(|(group, g)| {
                g.rejoin.iter().map(move |(name, record)| {
                    let target = Target::Rejoin { group: *group, name: *name };
                    (rejoin_topic(&record.secret.0, day), target)
                })
            });
            let table = states.collect();
            if self.topics.days.len() >= REJOIN_DAYS {
                self.topics.days.pop_first();
            }
            self.topics.days.insert(day, table);
        }
        &self.topics.days[&day]
    }

    fn registration_secs(&self) -> u64 {
        self.config.registration_period.as_secs().max(1)
    }

    fn period_lengths(&self) -> Vec<u64> {
        let mut lengths: Vec<u64> = self.groups.values().map(|g| g.record.period).collect();
        lengths.push(self.registration_secs());
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    fn table(&mut self, length: u64, period: u64) -> &HashMap<ContentTopic, Target> {
        let slot = (length, period);
        if let Some(place) = self.topics.used.iter().position(|used| *used == slot) {
            self.topics.used.remove(place);
            self.topics.used.push(slot);
        } else {
            let table = self.make_table(length, period);
            if self.topics.used.len() >= TABLES {
                let oldest = self.topics.used.remove(0);
                self.topics.tables.remove(&oldest);
            }
            self.topics.used.push(slot);
            self.topics.tables.insert(slot, table);
        }
        &self.topics.tables[&slot]
    }

    fn make_table(&self, length: u64, period: u64) -> HashMap<ContentTopic, Target> {
        let mut table = HashMap::new();
        for (&group, g) in self.groups.iter().filter(|(_, g)| g.record.period == length) {
            for state in g.states() {
                let Some(keys) = &state.keys else { continue };
                let topic = group_topic(&keys.wire.0, period);
                table.insert(topic, Target::Group { group, state: state.id });
            }
        }
        if length != self.registration_secs() {
            return table;
        }
        if let Some(account) = &self.account {
            let topic = inbox_topic(&account.registration(), period);
            table.insert(topic, Target::Inbox { period });
            for topic in record_topics(&account.registration(), period) {
                table.insert(topic, Target::OwnRecord { period });
            }
            for topic in recovery_topics(&account.card().recovery, period) {
                table.insert(topic, Target::OwnRecovery { period });
            }
        }
        for (group, record) in &self.returns {
            let topic = inbox_topic(&record.inbox(), period);
            table.insert(topic, Target::ReturnInbox { group: *group, period });
        }
        if let Some(recovering) = &self.recovering {
            for topic in recovery_topics(recovering.secret(), period) {
                table.insert(topic, Target::Recovery { period });
            }
        }
        for ((group, account), intent) in self.intents.open() {
            for topic in record_topics(&intent.card.card().registration, period) {
                let (group, account) = (*group, *account);
                table.insert(topic, Target::Record { group, account, period });
            }
        }
        table
    }

    fn one_time_target(&self, topic: &ContentTopic) -> Option<Target> {
        if self.shared_awaited(topic) {
            return Some(Target::InvitationShared);
        }
        self.link_topics().contains(topic).then_some(Target::Link)
    }

    /// The topics of a group's state in a range of time, newest first, at most `limit`.
    pub(super) fn state_topics(
        &self,
        group: &GroupId,
        state: StateId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Vec<ContentTopic> {
        let Some(g) = self.groups.get(group) else { return Vec::new() };
        let Some(keys) = g.state(state).and_then(|s| s.keys.as_ref()) else { return Vec::new() };
        let length = Duration::from_secs(g.record.period);
        (period(from, length).saturating_sub(1)..=period(to, length) + 1)
            .rev()
            .map(|p| group_topic(&keys.wire.0, p))
            .take(limit)
            .collect()
    }

    /// The oldest registration period whose record may still be used.
    fn oldest_record(&self, now: Timestamp) -> u64 {
        period(now, self.config.registration_period).saturating_sub(RECORD_PERIODS)
    }

    /// All topics of a group in a range of time, at most `limit`: for the own archive.
    pub(super) fn group_topics(
        &self,
        group: &GroupId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Vec<ContentTopic> {
        let Some(g) = self.groups.get(group) else { return Vec::new() };
        let length = Duration::from_secs(g.record.period);
        (period(from, length)..=period(to, length))
            .rev()
            .flat_map(|p| {
                let keys = g.states().filter_map(|state| state.keys.as_ref());
                keys.map(move |keys| group_topic(&keys.wire.0, p))
            })
            .take(limit)
            .collect()
    }
}
