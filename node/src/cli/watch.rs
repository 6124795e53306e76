//! `watch`: what happens, as it happens.

use std::io::{self, Write};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use waku_groupchat_core::api::views::{AccountView, MessageView};
use waku_groupchat_core::api::{Event, EventRecord};
use waku_groupchat_core::{GroupId, MessageId};

use super::client::Client;
use super::follow::{Follower, Step, patiently};
use super::watch_text::Lines;
use super::{CliError, NodeArgs, interrupt, names};
use crate::chat::api::types::Groups;

/// `watch`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
It goes on when the node is restarted or the network fails, from where it stood: nothing is left \
out, and what the node does not keep any more is said. Ctrl-C ends it.\n\n\
With --json, each line of standard output is one event, an object with `cursor`, `at` and `type`; \
those of type `message` have the message as `message`. Give the last `cursor` as --after to go on \
in another run.")]
pub struct WatchArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    /// Id, beginning of the id, or name of a group; everything if left out
    group: Option<String>,
    /// Begin after the event with this cursor, 0 for the first; with what happens next if left out
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
}

/// Runs until it is interrupted, or until nobody reads its output any more.
pub(super) fn run(args: &WatchArgs, client: &Client) -> Result<(), CliError> {
    let only = args.group.as_deref().map(|name| names::group(client, name)).transpose()?;
    let mut follower = Follower::open(client, args.after)?;
    interrupt::ends_with(0, || ())?;
    let mut watch = Watch { client, json: args.node.json, lines: Lines::new(only.is_none()) };
    watch.learn()?;
    watch.note("following", &watch.lines.following(only, follower.after()))?;
    loop {
        let step = follower.next(None);
        let printed = match step? {
            Step::Event(record) if only.is_none() || group_of(&record.event) == only => {
                watch.event(&record)
            }
            Step::Event(_) | Step::Deadline => Ok(()),
            Step::Lost(reason) => watch.note("lost", &format!("{reason}: trying again")),
            Step::Back => {
                watch.note("back", &format!("Following again, after event {}.", follower.after()))
            }
            Step::Missed(from, to) => {
                let detail = format!("Events {from} to {} are gone: going on after them.", to - 1);
                watch.note("missed", &detail)
            }
        };
        match printed {
            Err(CliError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            other => other?,
        }
    }
}

/// The group that an event is of, if it is of one.
pub(super) fn group_of(event: &Event) -> Option<GroupId> {
    match event {
        Event::Invited { group, .. }
        | Event::InvitationFailed { group, .. }
        | Event::Invitation { group, .. }
        | Event::Joined { group }
        | Event::MembersAdded { group, .. }
        | Event::MembersRemoved { group, .. }
        | Event::RolesChanged { group }
        | Event::Removed { group }
        | Event::Waiting { group }
        | Event::Rejoined { group }
        | Event::Split { group, .. }
        | Event::Reordered { group, .. }
        | Event::ChangeFailed { group, .. }
        | Event::ProfileChanged { group, .. }
        | Event::Read { group, .. } => Some(*group),
        Event::Message { id, .. } | Event::MessageState { id, .. } => Some(id.group),
        Event::Gap { gap } => Some(gap.group),
        Event::Refused { group, .. } => *group,
        Event::Copied { group } => Some(*group),
        Event::InstallationLinked { .. }
        | Event::InstallationEnded { .. }
        | Event::CardChanged { .. }
        | Event::Recovered { .. }
        | Event::RecoveryFailed { .. }
        | Event::LinkDigits { .. }
        | Event::LinkFailed { .. }
        | Event::Registered { .. }
        | Event::History { .. }
        | Event::InvitationTurnedAway { .. }
        | Event::ClockOff { .. }
        | Event::ClockRight => None,
    }
}

struct Watch<'c> {
    client: &'c Client,
    json: bool,
    lines: Lines,
}

impl Watch<'_> {
    /// Reads the names that are shown.
    fn learn(&mut self) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        let groups: Groups = self.ask("/groups")?;
        self.lines.know(groups.groups.into_iter().map(|g| (g.group, g.name)));
        match self.ask::<AccountView>("/accounts") {
            Ok(account) => self.lines.own(account.account),
            // It has none yet, and may get one.
            Err(CliError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn event(&mut self, record: &EventRecord) -> Result<(), CliError> {
        let message = match &record.event {
            Event::Message { id, .. } => Some(self.message(*id)?),
            Event::MessageState { id, .. } if !self.json && self.lines.is_new(*id) => {
                Some(self.message(*id)?)
            }
            _ => None,
        };
        let text = if self.json {
            let mut object = serde_json::to_value(record).map_err(CliError::Json)?;
            if let (Some(message), Value::Object(fields)) = (message, &mut object) {
                fields.insert("message".to_owned(), json!(message));
            }
            format!("{object}\n")
        } else {
            if self.lines.needs(&record.event) {
                self.learn()?;
            }
            self.lines.event(record, message.as_ref())
        };
        let _whole = interrupt::printing();
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Print)
    }

    fn message(&self, id: MessageId) -> Result<MessageView, CliError> {
        let MessageId { group, installation, number } = id;
        self.ask(&format!("/groups/{group}/messages/{installation}/{number}"))
    }

    /// Asks until the node answers, and says so where it does not at once.
    fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let mut said = false;
        patiently(
            || self.client.get(path),
            || match std::mem::replace(&mut said, true) {
                true => Ok(()),
                false => self.note("lost", "the node does not answer: trying again"),
            },
        )
    }

    /// Says something of the watching itself, beside the events.
    fn note(&self, code: &str, detail: &str) -> Result<(), CliError> {
        let _whole = interrupt::printing();
        let mut err = io::stderr().lock();
        let written = if self.json {
            writeln!(err, "{}", json!({ "code": code, "detail": detail }))
        } else {
            writeln!(err, "-- {detail}")
        };
        // Whoever reads the events may have closed this.
        written.or(Ok(()))
    }
}
