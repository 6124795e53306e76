//! Events as lines for people.

use std::collections::HashMap;

use waku_groupchat_core::api::views::{GapState, MessageView};
use waku_groupchat_core::api::{ChangeKind, Event, EventRecord, Hold};
use waku_groupchat_core::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

use super::messages::{said, sending};
use super::text::{clean_line, clock, date, hang};

/// Makes lines of events, under a head a day.
#[derive(Debug)]
pub(super) struct Lines {
    /// Whether each line names its group.
    groups: bool,
    names: HashMap<GroupId, String>,
    own: Option<AccountId>,
    day: String,
    /// The last own message that was shown, a sender.
    shown: HashMap<(GroupId, InstallationId), u64>,
}

impl Lines {
    pub(super) fn new(groups: bool) -> Self {
        let (names, shown) = (HashMap::new(), HashMap::new());
        Self { groups, names, own: None, day: String::new(), shown }
    }

    /// The names of groups.
    pub(super) fn know(&mut self, names: impl IntoIterator<Item = (GroupId, String)>) {
        self.names.extend(names);
    }

    /// The own account.
    pub(super) fn own(&mut self, account: AccountId) {
        self.own = Some(account);
    }

    /// Whether the event changes what there is to know, or names what is not known.
    pub(super) fn needs(&self, event: &Event) -> bool {
        match event {
            Event::ProfileChanged { .. } | Event::Joined { .. } => true,
            Event::Message { id, .. } | Event::MessageState { id, .. } => {
                self.own.is_none() || !self.names.contains_key(&id.group)
            }
            Event::Invited { group, .. } => !self.names.contains_key(group),
            _ => false,
        }
    }

    /// Whether this own message was not shown yet.
    pub(super) fn is_new(&self, id: MessageId) -> bool {
        self.shown.get(&(id.group, id.installation)).is_none_or(|shown| *shown < id.number)
    }

    /// What is said before the first event.
    pub(super) fn following(&self, only: Option<GroupId>, after: u64) -> String {
        let what = only.map_or_else(|| "all groups".to_owned(), |group| self.name(group));
        format!("Following {what}, after event {after}. Ctrl-C ends it.")
    }

    /// An event, with its message where it has one to show.
    pub(super) fn event(&mut self, record: &EventRecord, message: Option<&MessageView>) -> String {
        let mut text = self.head(record.at);
        let time = clock(record.at);
        let told = match (&record.event, message) {
            (Event::Message { .. } | Event::MessageState { .. }, Some(message)) => {
                let id = message.id;
                if Some(message.account) == self.own {
                    self.shown.insert((id.group, id.installation), id.number);
                }
                let lead = format!("{time}  {}", self.lead(message));
                return text + &hang(&lead, &said(message));
            }
            (Event::MessageState { id, state }, None) => {
                let how = sending(*state);
                format!("your {}#{}: {}", id.installation.short(), id.number, how.trim_start())
            }
            (event, _) => self.tell(event),
        };
        let group = super::watch::group_of(&record.event);
        let place = group.map(|group| self.place(group)).unwrap_or_default();
        text.push_str(&hang(&format!("{time}  {place}* "), &told));
        text
    }

    /// A new day's head.
    fn head(&mut self, at: Timestamp) -> String {
        let today = date(at);
        if today == self.day {
            return String::new();
        }
        let gap = if self.day.is_empty() { "" } else { "\n" };
        let head = format!("{gap}{today} (UTC)\n");
        self.day = today;
        head
    }

    fn lead(&self, message: &MessageView) -> String {
        let account = message.account.short();
        let who = if Some(message.account) == self.own { "you" } else { &account };
        let (place, id) = (self.place(message.id.group), message.id);
        let how = message.sending.map(sending).unwrap_or_default();
        format!("{place}{who:<8} {}#{}{how}  ", id.installation.short(), id.number)
    }

    fn place(&self, group: GroupId) -> String {
        if self.groups { format!("[{}] ", self.name(group)) } else { String::new() }
    }

    fn name(&self, group: GroupId) -> String {
        match self.names.get(&group) {
            Some(name) => clean_line(name),
            None => group.short(),
        }
    }

    /// An event in words.
    fn tell(&self, event: &Event) -> String {
        match event {
            Event::InstallationLinked { installation, .. } => {
                format!("installation {} is in the account now", installation.short())
            }
            Event::InstallationEnded { account, installation } => format!(
                "installation {} of {} is not live any more: what it says is refused",
                installation.short(),
                if Some(*account) == self.own {
                    "this account".to_owned()
                } else {
                    account.short()
                }
            ),
            Event::CardChanged { account } if Some(*account) == self.own => {
                "this account has another contact card now: waku-groupchat account card".to_owned()
            }
            Event::CardChanged { account } => {
                format!("{} has another contact card, which is used from now on", account.short())
            }
            Event::Recovered { installation, groups, .. } => format!(
                "the account is back, with installation {} alone; {groups} groups are asked",
                installation.short()
            ),
            Event::RecoveryFailed { reason } => format!("the account did not come back: {reason}"),
            Event::LinkDigits { installation, digits } => format!(
                "linking {}: if it shows {digits} too, waku-groupchat account link-confirm {}",
                installation.short(),
                digits.replace(' ', "-")
            ),
            Event::LinkFailed { reason, .. } => format!("nothing was linked: {reason}"),
            Event::Registered { day, .. } => {
                let day = date(Timestamp::from_secs(day.saturating_mul(86_400)));
                format!("registered for {day}: others can invite this account")
            }
            Event::Invited { account, installations, .. } => {
                let s = if *installations == 1 { "" } else { "s" };
                format!("invited {}, with {installations} installation{s}", account.short())
            }
            Event::InvitationFailed { account, reason, .. } => {
                format!("{} cannot be added: {}", account.short(), clean_line(reason))
            }
            Event::Invitation { group, name, from } => format!(
                "{} invites to {}. Join: waku-groupchat group accept {}",
                from.short(),
                clean_line(name),
                group.short()
            ),
            Event::InvitationTurnedAway { from, reason, count } => {
                format!(
                    "an invitation from {} was turned away: {reason} ({count} so far)",
                    from.short()
                )
            }
            Event::Joined { .. } => "joined".to_owned(),
            Event::MembersAdded { accounts, .. } => {
                let who: Vec<_> = accounts.iter().map(|account| account.short()).collect();
                format!("in the group now: {}", who.join(", "))
            }
            Event::MembersRemoved { accounts, .. } => {
                let who: Vec<_> = accounts.iter().map(|account| account.short()).collect();
                format!("not in the group any more: {}", who.join(", "))
            }
            Event::RolesChanged { .. } => "roles or policy changed".to_owned(),
            Event::Removed { .. } => {
                "this installation is not in the group any more; what was said can still be read"
                    .to_owned()
            }
            Event::Waiting { .. } => "cannot follow the group; waiting for a member".to_owned(),
            Event::Split { stands: true, .. } => {
                "the group had split; the others come back to this part".to_owned()
            }
            Event::Split { stands: false, .. } => {
                "the group had split; this part gives way to the other".to_owned()
            }
            Event::Rejoined { .. } => "follows the group again".to_owned(),
            Event::Reordered { depth, .. } => {
                let s = if *depth == 1 { "" } else { "s" };
                format!("{depth} change{s} gave way to others made at the same time")
            }
            Event::ChangeFailed { change, reason, .. } => {
                format!("{} was given up: {}", wish(*change), clean_line(reason))
            }
            Event::ProfileChanged { name, description, .. } => {
                let about = if description.is_empty() { "" } else { ": " };
                format!("now called {}{about}{}", clean_line(name), clean_line(description))
            }
            Event::History { history } => super::history::line(history),
            Event::Read { unread, .. } => match unread {
                0 => "all of it is read".to_owned(),
                unread => format!("read; {unread} unread"),
            },
            Event::Gap { gap } => {
                let how = match gap.state {
                    GapState::Missing => "is missing",
                    GapState::Fetching => "is missing; archives are asked",
                    GapState::Recovered => "was missing, and came",
                    GapState::Unavailable => "is missing, and no archive has it",
                    GapState::Withdrawn => "was said to be missing, and never was",
                };
                let (account, sender) = (gap.account.short(), gap.installation.short());
                format!("{account} {sender}#{} {how}", gap.number)
            }
            Event::ClockOff { ahead } => Hold::Clock { ahead: *ahead }.to_string(),
            Event::ClockRight => "the clock is right: publishes go on".to_owned(),
            Event::Copied { .. } => Hold::Copied.to_string(),
            Event::Refused { installation, reason, .. } => {
                let from = installation.map(|i| format!(" from {}", i.short())).unwrap_or_default();
                format!("refused a message{from}: {reason}")
            }
            // These are shown with their text.
            Event::Message { .. } | Event::MessageState { .. } => String::new(),
        }
    }
}

/// What was asked for, in words.
fn wish(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Profile => "your change of name and description",
        ChangeKind::Remove => "your removal of a member",
        ChangeKind::Role => "your change of a role",
        ChangeKind::Policy => "your change of the policy",
        ChangeKind::Update => "your renewal of keys",
        ChangeKind::Installation => "an installation of this account",
    }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::api::views::{MessageKind, SendState};

    use super::*;

    const GROUP: GroupId = GroupId::from_bytes([0xaa; 16]);
    const OWN: AccountId = AccountId::from_bytes([1; 32]);

    fn message(account: u8, number: u64, text: &str, sending: Option<SendState>) -> MessageView {
        MessageView {
            id: MessageId {
                group: GROUP,
                installation: InstallationId::from_bytes([account; 32]),
                number,
            },
            account: AccountId::from_bytes([account; 32]),
            kind: MessageKind::Text,
            text: text.to_owned(),
            time: Timestamp::ZERO,
            waku_hash: String::new(),
            blocked: false,
            sending,
            handed_by: None,
        }
    }

    fn show(lines: &mut Lines, secs: u64, event: Event, message: Option<&MessageView>) -> String {
        let at = Timestamp::from_secs(1_763_860_953 + secs);
        lines.event(&EventRecord { cursor: 1, at, event }, message)
    }

    #[test]
    fn events_are_readable() {
        let mut lines = Lines::new(true);
        lines.know([(GROUP, "Lunch\u{1b}".to_owned())]);
        lines.own(OWN);
        let other = message(2, 10, "yes\nor one", None);
        let own = message(1, 1, "noon?", Some(SendState::Published { peers: 2 }));
        let state = |state| Event::MessageState { id: own.id, state };
        assert!(lines.is_new(own.id));
        let mut text = show(&mut lines, 0, state(SendState::Published { peers: 2 }), Some(&own));
        assert!(!lines.is_new(own.id));
        let heard = Event::Message { id: other.id, account: other.account };
        text += &show(&mut lines, 5, heard, Some(&other));
        text += &show(&mut lines, 9, state(SendState::Acknowledged), None);
        let added = Event::MembersAdded { group: GROUP, accounts: vec![OWN] };
        text += &show(&mut lines, 86_400, added, None);
        assert_eq!(
            text,
            "2025-11-23 (UTC)\n\
             01:22:33  [Lunch\u{fffd}] you      01010101#1  at 2 peers  noon?\n\
             01:22:38  [Lunch\u{fffd}] 02020202 02020202#10  yes\n\
             \x20                                        or one\n\
             01:22:42  [Lunch\u{fffd}] * your 01010101#1: received\n\
             \n\
             2025-11-24 (UTC)\n\
             01:22:33  [Lunch\u{fffd}] * in the group now: 01010101\n"
        );
    }

    #[test]
    fn changes_of_a_group_are_readable() {
        let mut lines = Lines::new(false);
        let reason = "this needs the role admin\u{1b}".to_owned();
        let events = [
            (
                Event::MembersRemoved { group: GROUP, accounts: vec![OWN] },
                "not in the group any more: 01010101",
            ),
            (Event::RolesChanged { group: GROUP }, "roles or policy changed"),
            (Event::Reordered { group: GROUP, depth: 1 }, "1 change gave way to others"),
            (Event::Reordered { group: GROUP, depth: 2 }, "2 changes gave way to others"),
            (
                Event::ChangeFailed { group: GROUP, change: ChangeKind::Role, reason },
                "your change of a role was given up: this needs the role admin\u{fffd}",
            ),
            (Event::Removed { group: GROUP }, "this installation is not in the group any more"),
        ];
        for (event, told) in events {
            let text = show(&mut lines, 0, event, None);
            assert!(text.contains(told), "{text}");
        }
        let word = MessageView { kind: MessageKind::Left, ..message(2, 3, "", None) };
        let heard = Event::Message { id: word.id, account: word.account };
        let text = show(&mut lines, 0, heard, Some(&word));
        assert!(text.ends_with("02020202#3  * left the group\n"), "{text}");
    }

    #[test]
    fn one_group_is_not_named_on_each_line() {
        let mut lines = Lines::new(false);
        let text = show(&mut lines, 0, Event::Joined { group: GROUP }, None);
        assert_eq!(text, "2025-11-23 (UTC)\n01:22:33  * joined\n");
        assert!(lines.following(Some(GROUP), 7).contains("aaaaaaaa, after event 7"));
    }
}
