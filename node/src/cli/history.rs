//! `history`: messages of before, from the account's other installations.

use clap::{Args, Subcommand};
use serde_json::Value;
use waku_groupchat_core::api::Event;
use waku_groupchat_core::api::views::{HistoryState, HistoryView};

use super::client::Client;
use super::follow::Follower;
use super::wait::{self, Progress, WaitArgs};
use super::{CliError, NodeArgs, Page};

/// What happens without a wait.
const GOES_ON: &str =
    "The node goes on asking by itself; `waku-groupchat history` shows how far it is";

/// `history` and what stands before its command.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(subcommand)]
    pub(super) command: Option<HistoryCommand>,
}

/// What to do; shows how far it is where nothing is said.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum HistoryCommand {
    /// Show how far it is; a new installation asks by itself
    Show {
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Ask for all that is not here
    Ask {
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Ask for nothing, and for nothing more
    Decline,
}

pub(super) fn run(args: &HistoryArgs, client: &Client) -> Result<Page, CliError> {
    match args.command {
        None => shown(client),
        Some(HistoryCommand::Show { wait }) => {
            if wait.wait {
                until_done(client, wait, || Ok(()))?;
            }
            shown(client)
        }
        Some(HistoryCommand::Ask { wait }) => {
            let ask = || client.post("/history", &Value::Null).map(|_: Value| ());
            if wait.wait {
                until_done(client, wait, ask)?
            } else {
                ask()?
            }
            shown(client)
        }
        Some(HistoryCommand::Decline) => {
            let _: Value = client.delete("/history")?;
            shown(client)
        }
    }
}

fn shown(client: &Client) -> Result<Page, CliError> {
    let view: HistoryView = client.get("/history")?;
    Page::new(&view, format!("{}.\n", sentence(&line(&view))))
}

/// Begins, and waits until all that others hold is here.
fn until_done(
    client: &Client,
    wait: WaitArgs,
    begin: impl FnOnce() -> Result<(), CliError>,
) -> Result<(), CliError> {
    // Before it begins, so that nothing of it is missed.
    let mut follower = Follower::open(client, None)?;
    begin()?;
    let mut now: HistoryView = client.get("/history")?;
    wait::until(wait, &mut follower, GOES_ON, |event| {
        if let Some(Event::History { history }) = event {
            now = *history;
        }
        match now.state {
            HistoryState::Done | HistoryState::Declined => Progress::Done,
            _ => Progress::Going(line(&now)),
        }
    })
}

/// How far it is, in words.
pub(super) fn line(view: &HistoryView) -> String {
    let HistoryView { groups, all_groups, messages, all_messages, handed_over, .. } = *view;
    let from = view.from.map(|from| format!(" by {}", from.short())).unwrap_or_default();
    match view.state {
        HistoryState::None => "no messages of before were asked for".to_owned(),
        HistoryState::Declined => {
            format!("messages of before are not asked for; {handed_over} were handed over")
        }
        HistoryState::Waiting => {
            "messages of before are asked for; no other installation has answered yet".to_owned()
        }
        HistoryState::Receiving => format!(
            "messages of before are handed over{from}: {messages} of {all_messages} are here, \
             {groups} of {all_groups} groups are done"
        ),
        HistoryState::Done => format!(
            "all messages of before that others hold are here: {handed_over} were handed over, \
             {messages} are here in {all_groups} groups"
        ),
    }
}

fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::InstallationId;

    use super::*;

    #[test]
    fn it_says_how_far_it_is() {
        let view = HistoryView {
            state: HistoryState::Receiving,
            from: Some(InstallationId::from_bytes([0xab; 32])),
            groups: 2,
            all_groups: 5,
            messages: 120,
            all_messages: 900,
            handed_over: 100,
        };
        assert_eq!(
            sentence(&line(&view)),
            "Messages of before are handed over by abababab: 120 of 900 are here, 2 of 5 groups are \
             done"
        );
        let done = HistoryView { state: HistoryState::Done, ..view };
        assert!(line(&done).contains("100 were handed over, 120 are here in 5 groups"));
        let none = HistoryView { state: HistoryState::None, from: None, ..view };
        assert_eq!(line(&none), "no messages of before were asked for");
    }
}
