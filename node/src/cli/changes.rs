//! `group changes`: what was asked for in a group and does not stand for good yet.

use waku_groupchat_core::api::views::{AskedChange, ChangeState, ChangeView};

use super::client::Client;
use super::members::role_name;
use super::text::{clean_line, date_time, table};
use super::{CliError, Page, names};
use crate::chat::api::types::Changes;

pub(super) fn run(client: &Client, group: &str) -> Result<Page, CliError> {
    let id = names::group(client, group)?;
    let answer: Changes = client.get(&format!("/groups/{id}/changes"))?;
    let text = if answer.changes.is_empty() {
        "Nothing waits.\n".to_owned()
    } else {
        let rows: Vec<_> = answer.changes.iter().map(row).collect();
        table(["WHAT", "STATE", "TRIED NEXT"], &rows)
    };
    Page::new(&answer, text)
}

fn row(view: &ChangeView) -> [String; 3] {
    let next = view.next.map_or_else(|| "-".to_owned(), date_time);
    [what(&view.change), state(view.state).to_owned(), next]
}

fn what(change: &AskedChange) -> String {
    match change {
        AskedChange::Profile { name, .. } => format!("name {}", clean_line(name)),
        AskedChange::Policy => "policy".to_owned(),
        AskedChange::Role { account, role } => {
            format!("role {} of {}", role_name(*role), account.short())
        }
        AskedChange::Remove { installation } => format!("remove {}", installation.short()),
        AskedChange::Keys => "own keys".to_owned(),
        AskedChange::Add { account } => format!("add {}", account.short()),
    }
}

fn state(state: ChangeState) -> &'static str {
    match state {
        ChangeState::Searching => "looking for its record",
        ChangeState::Waiting => "waits for its turn",
        ChangeState::Publishing => "on its way",
        ChangeState::Made => "made, may still move",
    }
}
