//! `Debug` of what carries texts of people, cards or requests: it shows how long they are, never
//! what they say, so that no log line and no panic can.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::views::{
    AccountView, GroupView, InstallationView, InvitationView, LinkView, MessageView,
};
use super::{Answer, Command, Event};

/// Fields of events and views that hold texts of people, cards, or what links installations.
const TEXTS: [&str; 7] = ["card", "description", "digits", "label", "name", "request", "text"];

/// Stands for a text.
struct Hidden<'t>(&'t str);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateAccount => f.write_str("CreateAccount"),
            Self::RotateCard => f.write_str("RotateCard"),
            // The phrase hides itself.
            Self::Recover { phrase, stolen } => {
                f.debug_struct("Recover").field("phrase", phrase).field("stolen", stolen).finish()
            }
            Self::RequestLink => f.write_str("RequestLink"),
            Self::AcceptLink { request } => {
                f.debug_struct("AcceptLink").field("request", &Hidden(request)).finish()
            }
            Self::ConfirmLink { digits } => {
                f.debug_struct("ConfirmLink").field("digits", &Hidden(digits)).finish()
            }
            Self::CancelLink => f.write_str("CancelLink"),
            Self::SetLabel { installation, label } => f
                .debug_struct("SetLabel")
                .field("installation", installation)
                .field("label", &Hidden(label))
                .finish(),
            Self::LeaveAccount => f.write_str("LeaveAccount"),
            Self::Revoke { installations } => {
                f.debug_struct("Revoke").field("installations", installations).finish()
            }
            Self::CreateGroup { name, description } => f
                .debug_struct("CreateGroup")
                .field("name", &Hidden(name))
                .field("description", &Hidden(description))
                .finish(),
            Self::SetProfile { group, name, description } => f
                .debug_struct("SetProfile")
                .field("group", group)
                .field("name", &Hidden(name))
                .field("description", &Hidden(description))
                .finish(),
            Self::Invite { group, cards } => {
                f.debug_struct("Invite").field("group", group).field("cards", &cards.len()).finish()
            }
            Self::AcceptInvitation { group } => {
                f.debug_struct("AcceptInvitation").field("group", group).finish()
            }
            Self::DeclineInvitation { group } => {
                f.debug_struct("DeclineInvitation").field("group", group).finish()
            }
            Self::Remove { group, accounts } => {
                f.debug_struct("Remove").field("group", group).field("accounts", accounts).finish()
            }
            Self::Block { account } => f.debug_struct("Block").field("account", account).finish(),
            Self::Unblock { account } => {
                f.debug_struct("Unblock").field("account", account).finish()
            }
            Self::SetInvitations { contacts_only } => {
                f.debug_struct("SetInvitations").field("contacts_only", contacts_only).finish()
            }
            Self::Leave { group } => f.debug_struct("Leave").field("group", group).finish(),
            Self::SetRole { group, account, role } => f
                .debug_struct("SetRole")
                .field("group", group)
                .field("account", account)
                .field("role", role)
                .finish(),
            Self::SetPolicy { group, policy } => {
                f.debug_struct("SetPolicy").field("group", group).field("policy", policy).finish()
            }
            Self::UpdateKeys { group } => {
                f.debug_struct("UpdateKeys").field("group", group).finish()
            }
            Self::AskHistory => f.write_str("AskHistory"),
            Self::DeclineHistory => f.write_str("DeclineHistory"),
            Self::MarkRead { group, upto } => {
                f.debug_struct("MarkRead").field("group", group).field("upto", upto).finish()
            }
            Self::Send { group, text } => {
                f.debug_struct("Send").field("group", group).field("text", &Hidden(text)).finish()
            }
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Phrase and card hide themselves.
            Self::AccountCreated { account, installation, phrase, card } => f
                .debug_struct("AccountCreated")
                .field("account", account)
                .field("installation", installation)
                .field("phrase", phrase)
                .field("card", card)
                .finish(),
            // The card hides itself.
            Self::CardRotated { card } => f.debug_tuple("CardRotated").field(card).finish(),
            Self::Recovering { account } => {
                f.debug_struct("Recovering").field("account", account).finish()
            }
            Self::LinkRequested { installation, request } => f
                .debug_struct("LinkRequested")
                .field("installation", installation)
                .field("request", &Hidden(request))
                .finish(),
            Self::LinkAccepted { installation } => {
                f.debug_struct("LinkAccepted").field("installation", installation).finish()
            }
            Self::LinkCompared { same } => {
                f.debug_struct("LinkCompared").field("same", same).finish()
            }
            Self::Revoked { added } => f.debug_struct("Revoked").field("added", added).finish(),
            Self::GroupCreated { group } => {
                f.debug_struct("GroupCreated").field("group", group).finish()
            }
            Self::Inviting { accounts } => {
                f.debug_struct("Inviting").field("accounts", accounts).finish()
            }
            Self::Accepted { message } => {
                f.debug_struct("Accepted").field("message", message).finish()
            }
            Self::Done => f.write_str("Done"),
        }
    }
}

/// Writes an event or a view as the JSON that it is for programs, with [`TEXTS`] hidden.
fn hiding(f: &mut fmt::Formatter<'_>, name: &str, shown: &impl Serialize) -> fmt::Result {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(shown) else { return Err(fmt::Error) };
    for (key, value) in &mut fields {
        if let Value::String(text) = value
            && TEXTS.contains(&key.as_str())
        {
            *value = Value::String(format!("{:?}", Hidden(text)));
        }
    }
    write!(f, "{name} {}", Value::Object(fields))
}

macro_rules! hiding {
    ($($name:ident),+) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hiding(f, stringify!($name), self)
            }
        })+
    };
}

hiding!(AccountView, Event, GroupView, InstallationView, InvitationView, LinkView, MessageView);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Policy;
    use crate::api::views::{GroupState, MessageKind};
    use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

    const SECRET: &str = "the hut at nine";

    #[test]
    fn texts_are_not_shown() {
        let text = || SECRET.to_owned();
        let group = GroupId::from_bytes([1; 16]);
        let (account, installation) =
            (AccountId::from_bytes([2; 32]), InstallationId::from_bytes([3; 32]));
        let shown = [
            format!("{:?}", Command::AcceptLink { request: text() }),
            format!("{:?}", Command::CreateGroup { name: text(), description: text() }),
            format!("{:?}", Command::SetProfile { group, name: text(), description: text() }),
            format!("{:?}", Command::Invite { group, cards: vec![text()] }),
            format!("{:?}", Command::Send { group, text: text() }),
            format!("{:?}", Answer::LinkRequested { installation, request: text() }),
            format!(
                "{:?}",
                AccountView {
                    account,
                    installation,
                    card: text(),
                    registered_day: None,
                    returning: 0
                }
            ),
            format!(
                "{:?}",
                GroupView {
                    group,
                    name: text(),
                    description: text(),
                    state: GroupState::Joined,
                    epoch: 1,
                    accounts: 1,
                    installations: 1,
                    creator: installation,
                    policy: Policy::default(),
                    unread: 0,
                    read_upto: None,
                }
            ),
            format!(
                "{:?}",
                MessageView {
                    id: MessageId { group, installation, number: 1 },
                    account,
                    kind: MessageKind::Text,
                    text: text(),
                    time: Timestamp::ZERO,
                    waku_hash: String::new(),
                    blocked: false,
                    sending: None,
                    handed_by: None,
                }
            ),
            format!(
                "{:?}",
                InvitationView { group, name: text(), description: text(), from: account }
            ),
            format!("{:?}", Event::Invitation { group, name: text(), from: account }),
            format!("{:?}", Event::ProfileChanged { group, name: text(), description: text() }),
        ];
        for shown in shown {
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
}
