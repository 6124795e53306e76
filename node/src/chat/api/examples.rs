//! Examples for the OpenAPI document, made from the types that are answered: they cannot drift from
//! the code, and a test holds the document's schemas against them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use waku_groupchat_core::api::views::{
    AccountView, AskedChange, BlockedView, ChangeState, ChangeView, Evidence, GapState, GapView,
    GroupState, GroupView, GuardView, HistoryState, HistoryView, InstallationState,
    InstallationView, InvitationView, LinkRole, LinkView, MemberView, MessageCursor, MessageKind,
    MessageView, SendState, TryView,
};
use waku_groupchat_core::api::{
    self, ChangeKind, Event, EventRecord, LinkFailure, RecoveryFailure, RefusedReason, Role,
    TurnedAway,
};
use waku_groupchat_core::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

use super::types::{
    AcceptedMessage, Changes, CloseReason, Compared, CreatedAccount, CreatedGroup, CreatedToken,
    Events, Gaps, Groups, Installations, Invitations, Inviting, Label, LinkAccepted, LinkDigits,
    LinkRequest, LinkRequested, Members, MessageRef, Messages, NewAccount, NewCard, NewGuard,
    NewInvitations, NewMessage, NewRead, NewRole, NewToken, Policy, Profile, Recovering, Recovery,
    Removals, Revocations, Revoked, StreamClosed, StreamReady, TokenList, TokenView, Wipe,
};
use crate::chat::access::Scope;

const OWN: AccountId = AccountId::from_bytes([0xa1; 32]);
const OTHER: AccountId = AccountId::from_bytes([0xb2; 32]);
const OWN_INSTALLATION: InstallationId = InstallationId::from_bytes([0x1a; 32]);
const OTHER_INSTALLATION: InstallationId = InstallationId::from_bytes([0x2b; 32]);
const GROUP: GroupId = GroupId::from_bytes([0x0c; 16]);
const AT: Timestamp = Timestamp::from_secs(1_763_860_953);
const DAY: u64 = 20_415;

/// An example a schema, by the schema's name.
pub(super) fn by_schema() -> BTreeMap<&'static str, Value> {
    let mut all = BTreeMap::new();
    accounts(&mut all);
    groups(&mut all);
    messages(&mut all);
    tokens(&mut all);
    put(&mut all, "Events", &Events { next: 12, events: events().into_iter().take(2).collect() });
    put(&mut all, "EventRecord", &message_event());
    put(&mut all, "StreamReady", &StreamReady { after: 11 });
    put(&mut all, "StreamClosed", &closed());
    all
}

fn put(all: &mut BTreeMap<&'static str, Value>, name: &'static str, example: &impl Serialize) {
    // A test sees that none is null.
    all.insert(name, serde_json::to_value(example).unwrap_or_default());
}

fn accounts(all: &mut BTreeMap<&'static str, Value>) {
    let phrase = ["abandon"; 23].join(" ") + " art";
    let (account, installation) = (OWN, OWN_INSTALLATION);
    let request = "wgclink1qqqsyqcyq5rqwzqf".to_owned();
    put(all, "NewAccount", &NewAccount {});
    put(all, "Recovery", &Recovery { phrase: phrase.clone(), stolen: false });
    put(all, "Recovering", &Recovering { account });
    put(all, "NewCard", &NewCard { card: card() });
    put(all, "CreatedAccount", &CreatedAccount { account, installation, phrase, card: card() });
    let registered_day = Some(DAY);
    let view = AccountView { account, installation, card: card(), registered_day, returning: 0 };
    put(all, "AccountView", &view);
    put(all, "LinkRequested", &LinkRequested { installation, request: request.clone() });
    put(all, "LinkRequest", &LinkRequest { request });
    let digits = "0412 7780".to_owned();
    put(all, "LinkDigits", &LinkDigits { digits: digits.clone() });
    put(all, "Compared", &Compared { same: true });
    let link = LinkView {
        role: LinkRole::Existing,
        other: Some(OTHER_INSTALLATION),
        digits: Some(digits),
        confirmed: false,
        expires: AT,
        request: None,
    };
    put(all, "LinkView", &link);
    put(all, "Wipe", &Wipe { installation });
    put(all, "LinkAccepted", &LinkAccepted { installation: OTHER_INSTALLATION });
    let first = InstallationView {
        installation,
        label: Some("Laptop".to_owned()),
        added_at: AT,
        added_by: None,
        this: true,
        state: InstallationState::Live,
        ended_at: None,
        ended_by: None,
        added: Vec::new(),
        last_seen: None,
    };
    let second = InstallationView {
        installation: OTHER_INSTALLATION,
        added_by: Some(installation),
        this: false,
        state: InstallationState::Revoked,
        ended_at: Some(AT),
        ended_by: Some(installation),
        last_seen: Some(AT),
        ..first.clone()
    };
    put(all, "Revocations", &Revocations { installations: vec![OTHER_INSTALLATION] });
    put(all, "Label", &Label { label: "Laptop".to_owned() });
    put(all, "Revoked", &Revoked { added: vec![OTHER_INSTALLATION] });
    put(all, "Installations", &Installations { installations: vec![first, second] });
}

fn card() -> String {
    "wgc1qqqsyqcyq5rqwzqfpg9scrgwpugpzysn".to_owned()
}

fn groups(all: &mut BTreeMap<&'static str, Value>) {
    let (name, description) = ("Hut weekend".to_owned(), "Who brings what".to_owned());
    let policy = Policy::from(api::Policy::default());
    let view = GroupView {
        group: GROUP,
        name: name.clone(),
        description: description.clone(),
        state: GroupState::Joined,
        epoch: 3,
        accounts: 2,
        installations: 3,
        creator: OWN_INSTALLATION,
        policy: policy.into(),
        unread: 2,
        read_upto: Some(place()),
    };
    put(all, "Profile", &Profile { name: name.clone(), description: description.clone() });
    put(all, "Policy", &policy);
    put(all, "NewRole", &NewRole { role: Role::Admin });
    put(all, "Removals", &Removals { accounts: vec![OTHER] });
    put(all, "CreatedGroup", &CreatedGroup { group: GROUP });
    put(all, "GroupView", &view);
    put(all, "Groups", &Groups { groups: vec![view] });
    let own = MemberView { account: OWN, role: Role::Owner, installations: vec![OWN_INSTALLATION] };
    let other =
        MemberView { account: OTHER, role: Role::Member, installations: vec![OTHER_INSTALLATION] };
    put(all, "Members", &Members { members: vec![own, other] });
    let add = AskedChange::Add { account: OTHER };
    let made = ChangeView { change: AskedChange::Keys, state: ChangeState::Made, next: None };
    let searching = ChangeView { change: add, state: ChangeState::Searching, next: Some(AT) };
    put(all, "Changes", &Changes { changes: vec![made, searching] });
    put(all, "NewInvitations", &NewInvitations { cards: vec![card()] });
    put(all, "Inviting", &Inviting { accounts: vec![OTHER] });
    let waiting = InvitationView { group: GROUP, name, description, from: OTHER };
    put(all, "NewGuard", &NewGuard { contacts_only: true });
    let blocked = vec![BlockedView { account: OTHER, since: AT, invitations: 2 }];
    let guard = GuardView {
        contacts_only: true,
        blocked,
        turned_away_blocked: 2,
        turned_away_strangers: 1,
        turned_away_too_many: 0,
    };
    put(all, "GuardView", &guard);
    put(all, "Invitations", &Invitations { invitations: vec![waiting] });
}

fn messages(all: &mut BTreeMap<&'static str, Value>) {
    let others = MessageView {
        id: others_message(),
        account: OTHER,
        kind: MessageKind::Text,
        text: "Who is in?".to_owned(),
        time: AT,
        waku_hash: format!("0x{}", "5f".repeat(32)),
        blocked: false,
        sending: None,
        handed_by: Some(OWN_INSTALLATION),
    };
    let own = MessageView {
        id: own_message(),
        account: OWN,
        text: "Me!".to_owned(),
        sending: Some(SendState::Published { peers: 4 }),
        handed_by: None,
        ..others.clone()
    };
    let upto = MessageRef { installation: OTHER_INSTALLATION, number: 7 };
    put(all, "NewMessage", &NewMessage { text: own.text.clone() });
    put(all, "HistoryView", &history());
    put(all, "NewRead", &NewRead { upto: Some(upto) });
    put(all, "MessageRef", &upto);
    put(all, "AcceptedMessage", &AcceptedMessage { id: own.id });
    put(all, "MessageView", &own);
    let next = Some(own.cursor());
    put(all, "Messages", &Messages { messages: vec![others, own], next });
    put(all, "Gaps", &Gaps { gaps: vec![gap()] });
}

fn tokens(all: &mut BTreeMap<&'static str, Value>) {
    let expires = Some(Timestamp::from_secs(1_766_452_953));
    let (name, scopes) = ("lunch bot".to_owned(), vec![Scope::Read, Scope::Send]);
    put(all, "NewToken", &NewToken { name: name.clone(), scopes: scopes.clone(), expires });
    let id = "9f86d081884c7d65".to_owned();
    let about = TokenView { id, name, scopes, created: Some(AT), expires };
    put(all, "CreatedToken", &CreatedToken { token: "d4".repeat(32), about: about.clone() });
    let first = TokenView {
        id: "first".to_owned(),
        name: "the node's token file".to_owned(),
        scopes: vec![Scope::Admin],
        created: None,
        expires: None,
    };
    put(all, "TokenList", &TokenList { tokens: vec![first, about] });
}

fn history() -> HistoryView {
    HistoryView {
        state: HistoryState::Receiving,
        from: Some(OTHER_INSTALLATION),
        groups: 1,
        all_groups: 2,
        messages: 1024,
        all_messages: 3000,
        handed_over: 1000,
    }
}

fn place() -> MessageCursor {
    MessageCursor { time: AT, installation: OTHER_INSTALLATION, number: 7 }
}

fn own_message() -> MessageId {
    MessageId { group: GROUP, installation: OWN_INSTALLATION, number: 4 }
}

fn others_message() -> MessageId {
    MessageId { group: GROUP, installation: OTHER_INSTALLATION, number: 7 }
}

fn gap() -> GapView {
    GapView {
        group: GROUP,
        account: OTHER,
        installation: OTHER_INSTALLATION,
        number: 6,
        evidence: Evidence::Proven { by_number: 7 },
        first_noticed: AT,
        state: GapState::Fetching,
        tried: vec![TryView {
            source: "own archive".to_owned(),
            outcome: "0 messages".to_owned(),
            times: 2,
            at: AT,
        }],
    }
}

fn message_event() -> EventRecord {
    let event = Event::Message { id: others_message(), account: OTHER };
    EventRecord { cursor: 12, at: AT, event }
}

fn closed() -> StreamClosed {
    StreamClosed {
        reason: CloseReason::TooSlow,
        detail: "more events wait than a reader may be behind".to_owned(),
        after: 12,
    }
}

/// An event of each type.
pub(in crate::chat) fn events() -> Vec<EventRecord> {
    let profile = ("Hut weekend".to_owned(), "Who brings what".to_owned());
    let not_allowed = "not allowed in this group: this needs the role admin".to_owned();
    let events = [
        Event::Registered { account: OWN, day: DAY },
        Event::Message { id: others_message(), account: OTHER },
        Event::InstallationLinked { account: OWN, installation: OTHER_INSTALLATION },
        Event::InstallationEnded { account: OTHER, installation: OTHER_INSTALLATION },
        Event::CardChanged { account: OTHER },
        Event::Recovered { account: OWN, installation: OWN_INSTALLATION, groups: 2 },
        Event::RecoveryFailed { reason: RecoveryFailure::NotFound },
        Event::LinkDigits { installation: OTHER_INSTALLATION, digits: "0412 7780".to_owned() },
        Event::LinkFailed { installation: None, reason: LinkFailure::Expired },
        Event::Invited { group: GROUP, account: OTHER, installations: 1 },
        Event::InvitationFailed { group: GROUP, account: OTHER, reason: "is full".to_owned() },
        Event::Invitation { group: GROUP, name: profile.0.clone(), from: OTHER },
        Event::InvitationTurnedAway { from: OTHER, reason: TurnedAway::Stranger, count: 2 },
        Event::Joined { group: GROUP },
        Event::MembersAdded { group: GROUP, accounts: vec![OTHER] },
        Event::MembersRemoved { group: GROUP, accounts: vec![OTHER] },
        Event::RolesChanged { group: GROUP },
        Event::Removed { group: GROUP },
        Event::Waiting { group: GROUP },
        Event::Rejoined { group: GROUP },
        Event::Split { group: GROUP, stands: true },
        Event::Reordered { group: GROUP, depth: 1 },
        Event::ChangeFailed { group: GROUP, change: ChangeKind::Profile, reason: not_allowed },
        Event::ProfileChanged { group: GROUP, name: profile.0, description: profile.1 },
        Event::MessageState { id: own_message(), state: SendState::Acknowledged },
        Event::History { history: history() },
        Event::Read { group: GROUP, upto: place(), unread: 2 },
        Event::Gap { gap: gap() },
        Event::ClockOff { ahead: -31 },
        Event::ClockRight,
        Event::Copied { group: GROUP },
        Event::Refused { group: Some(GROUP), installation: None, reason: RefusedReason::Mls },
    ];
    let record = |(n, event)| EventRecord { cursor: n, at: AT, event };
    (11..).zip(events).map(record).collect()
}

/// A stream as it is on the wire: how it begins, an event, a comment that keeps it open, its end.
pub(super) fn stream() -> String {
    let (ready, closed) = (json!(StreamReady { after: 11 }), json!(closed()));
    let event = json!(message_event());
    format!(
        "id: 11\nevent: ready\nretry: 1000\ndata: {ready}\n\nid: 12\ndata: {event}\n\n:\n\n\
         id: 12\nevent: closed\ndata: {closed}\n\n"
    )
}
