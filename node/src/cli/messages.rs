//! `send` and `read`: the messages of a group.

use std::fmt::Write;
use std::io::{self, Read};

use clap::Args;
use serde_json::Value;
use waku_groupchat_core::api::views::{
    AccountView, GroupState, GroupView, MessageKind, MessageView, SendState,
};
use waku_groupchat_core::{AccountId, MessageId};

use super::client::Client;
use super::text::{clean, clean_line, clock, date, hang, pad};
use super::{CliError, NodeArgs, Page, names};
use crate::chat::api::types::{AcceptedMessage, MessageRef, Messages, NewMessage, NewRead};

/// `send`.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    /// Id, beginning of the id, or name of the group
    group: String,
    /// What to say; `-` takes it from standard input
    #[arg(allow_hyphen_values = true)]
    text: String,
}

/// `read`.
#[derive(Clone, Debug, Args)]
pub struct ReadArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    /// Id, beginning of the id, or name of the group
    group: String,
    /// Only this many, the last ones
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only what follows the message up to which the account has read
    #[arg(long, conflicts_with = "last")]
    unread: bool,
    /// Then say, to all installations of the account, that what is shown was read
    #[arg(long)]
    mark: bool,
}

pub(super) fn send(args: &SendArgs, client: &Client) -> Result<Page, CliError> {
    let text = if args.text == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map_err(CliError::Stdin)?;
        // The line break that ends a piped text is not part of it.
        text.strip_suffix('\n').map_or(text.clone(), str::to_owned)
    } else {
        args.text.clone()
    };
    let id = names::group(client, &args.group)?;
    let accepted: AcceptedMessage =
        client.post(&format!("/groups/{id}/messages"), &NewMessage { text })?;
    let text = format!(
        "Accepted as number {} of installation {}.\n",
        accepted.id.number,
        accepted.id.installation.short()
    );
    Page::new(&accepted, text)
}

pub(super) fn read(args: &ReadArgs, client: &Client) -> Result<Page, CliError> {
    let id = names::group(client, &args.group)?;
    let group: GroupView = client.get(&format!("/groups/{id}"))?;
    let own: AccountView = client.get("/accounts")?;
    let from = group.read_upto.filter(|_| args.unread);
    let mut all = Messages { messages: Vec::new(), next: from };
    loop {
        let after = all.next.map(|next| format!("?after={next}")).unwrap_or_default();
        let page: Messages = client.get(&format!("/groups/{id}/messages{after}"))?;
        all.messages.extend(page.messages);
        all.next = page.next;
        if all.next.is_none() {
            break;
        }
    }
    if let Some(last) = args.last {
        all.messages.drain(..all.messages.len().saturating_sub(last));
    }
    if args.mark
        && let Some(MessageId { installation, number, .. }) = all.messages.last().map(|m| m.id)
    {
        let body = NewRead { upto: Some(MessageRef { installation, number }) };
        let _: Value = client.put(&format!("/groups/{id}/read"), &body)?;
    }
    let none = if args.unread { "Nothing unread." } else { "No messages yet." };
    let text = conversation(&group, own.account, &all.messages, none);
    Page::new(&all, text)
}

/// A head, then the messages by day: time, who, number, and how far the own ones got; `none` where
/// there are none.
fn conversation(group: &GroupView, own: AccountId, messages: &[MessageView], none: &str) -> String {
    let stands = match group.state {
        GroupState::Invited | GroupState::Joined => "",
        GroupState::Waiting => ": this installation cannot follow it, and waits for a member",
        GroupState::Leaving => ": this installation leaves it",
        GroupState::Removed => ": this installation is not in it any more",
    };
    let mut text = format!("{} ({}){stands}\n", clean_line(&group.name), group.group.short());
    if messages.is_empty() {
        let _ = writeln!(text, "\n{none}");
        return text;
    }
    let leads: Vec<_> = messages.iter().map(|m| lead(m, own)).collect();
    let width = leads.iter().map(String::len).max().unwrap_or(0) + 2;
    let mut day = String::new();
    for (message, lead) in messages.iter().zip(&leads) {
        let today = date(message.time);
        if today != day {
            let _ = writeln!(text, "\n{today} (UTC)");
            day = today;
        }
        text.push_str(&hang(&pad(lead, width), &said(message)));
    }
    text
}

fn lead(message: &MessageView, own: AccountId) -> String {
    let account = message.account.short();
    let who = if message.account == own { "you" } else { &account };
    let id = &message.id;
    let handed = message.handed_by.map(|by| format!("  by {}", by.short()));
    let how = message.sending.map(sending).or(handed).unwrap_or_default();
    format!("{}  {who:<8} {}#{}{how}", clock(message.time), id.installation.short(), id.number)
}

/// What a message says, for people.
pub(super) fn said(message: &MessageView) -> String {
    let said = match message.kind {
        MessageKind::Text => clean(&message.text),
        MessageKind::Left => "* left the group".to_owned(),
        MessageKind::Card => "* has another contact card".to_owned(),
    };
    if message.blocked { format!("[blocked] {said}") } else { said }
}

/// How far an own message got, after two spaces.
pub(super) fn sending(state: SendState) -> String {
    match state {
        SendState::Queued => "  queued".to_owned(),
        SendState::Published { peers: 1 } => "  at 1 peer".to_owned(),
        SendState::Published { peers } => format!("  at {peers} peers"),
        SendState::Stored => "  stored".to_owned(),
        SendState::Acknowledged => "  received".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::api::Policy;
    use waku_groupchat_core::{GroupId, InstallationId, Timestamp};

    use super::*;

    #[test]
    fn a_conversation_is_readable() {
        let group = GroupId::from_bytes([0xaa; 16]);
        let own = AccountId::from_bytes([1; 32]);
        let message = |account: u8, number, secs: u64, text: &str, sending| MessageView {
            id: MessageId {
                group,
                installation: InstallationId::from_bytes([account; 32]),
                number,
            },
            account: AccountId::from_bytes([account; 32]),
            kind: MessageKind::Text,
            text: text.to_owned(),
            time: Timestamp::from_secs(1_763_860_953 + secs),
            waku_hash: String::new(),
            blocked: false,
            sending,
            handed_by: None,
        };
        let view = GroupView {
            group,
            name: "Lunch".to_owned(),
            description: String::new(),
            state: GroupState::Joined,
            epoch: 1,
            accounts: 2,
            installations: 2,
            creator: InstallationId::from_bytes([1; 32]),
            policy: Policy::default(),
            unread: 0,
            read_upto: None,
        };
        let messages = [
            message(1, 1, 0, "noon?", Some(SendState::Stored)),
            message(2, 10, 5, "yes\nor one", None),
            message(2, 11, 86_400, "昨日\u{1b}[2J", None),
            MessageView { kind: MessageKind::Left, ..message(2, 12, 86_405, "", None) },
        ];
        assert_eq!(
            conversation(&view, own, &messages, ""),
            "Lunch (aaaaaaaa)\n\n\
             2025-11-23 (UTC)\n\
             01:22:33  you      01010101#1  stored  noon?\n\
             01:22:38  02020202 02020202#10         yes\n\
             \x20                                      or one\n\n\
             2025-11-24 (UTC)\n\
             01:22:33  02020202 02020202#11         昨日\u{fffd}[2J\n\
             01:22:38  02020202 02020202#12         * left the group\n"
        );
        let out = GroupView { state: GroupState::Removed, ..view };
        let text = conversation(&out, own, &messages, "");
        assert!(text.starts_with("Lunch (aaaaaaaa): this installation is not in it any more\n\n"));
    }
}
