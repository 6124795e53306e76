//! `missing`: messages that are known to exist and did not come in time.

use clap::Args;
use waku_groupchat_core::api::views::{Evidence, GapState, GapView};

use super::client::Client;
use super::text::{clean_line, date_time, hang, table};
use super::{CliError, NodeArgs, Page, names};
use crate::chat::api::types::Gaps;

/// `missing`.
#[derive(Clone, Debug, Args)]
pub struct MissingArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    /// Id, beginning of the id, or name of a group; all groups if left out
    group: Option<String>,
}

pub(super) fn run(args: &MissingArgs, client: &Client) -> Result<Page, CliError> {
    let path = match &args.group {
        Some(name) => format!("/groups/{}/missing", names::group(client, name)?),
        None => "/missing".to_owned(),
    };
    let answer: Gaps = client.get(&path)?;
    let text = if answer.gaps.is_empty() {
        "Nothing is missing.\n".to_owned()
    } else {
        listed(&answer.gaps)
    };
    Page::new(&answer, text)
}

/// A table of the gaps, each followed by what was tried for it.
fn listed(gaps: &[GapView]) -> String {
    let rows: Vec<_> = gaps
        .iter()
        .map(|g| {
            [
                g.group.short(),
                g.account.short(),
                g.installation.short(),
                g.number.to_string(),
                state(g.state).to_owned(),
                date_time(g.first_noticed),
                evidence(g.evidence),
            ]
        })
        .collect();
    let head = ["GROUP", "ACCOUNT", "INSTALLATION", "NUMBER", "STATE", "NOTICED", "KNOWN BY"];
    let table = table(head, &rows);
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (line, gap) in lines.zip(gaps) {
        text.push_str(line);
        text.push('\n');
        text.push_str(&tried(gap));
    }
    text
}

fn tried(gap: &GapView) -> String {
    gap.tried
        .iter()
        .map(|t| {
            let times = if t.times > 1 { format!(" ({} times)", t.times) } else { String::new() };
            let what = clean_line(&format!("{}: {}{times}", t.source, t.outcome));
            hang("          tried  ", &what)
        })
        .collect()
}

fn state(state: GapState) -> &'static str {
    match state {
        GapState::Missing => "missing",
        GapState::Fetching => "fetching",
        GapState::Recovered => "recovered",
        GapState::Unavailable => "unavailable",
        GapState::Withdrawn => "withdrawn",
    }
}

fn evidence(evidence: Evidence) -> String {
    match evidence {
        Evidence::Proven { by_number } => format!("its sender's number {by_number}"),
        Evidence::Claimed { by } => format!("a claim of {}", by.short()),
    }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::api::views::TryView;
    use waku_groupchat_core::{AccountId, GroupId, InstallationId, Timestamp};

    use super::*;

    #[test]
    fn a_gap_names_its_sender_and_what_was_tried() {
        let at = Timestamp::from_secs(1_763_860_953);
        let gap = GapView {
            group: GroupId::from_bytes([0xaa; 16]),
            account: AccountId::from_bytes([1; 32]),
            installation: InstallationId::from_bytes([2; 32]),
            number: 7,
            evidence: Evidence::Claimed { by: InstallationId::from_bytes([3; 32]) },
            first_noticed: at,
            state: GapState::Unavailable,
            tried: vec![TryView {
                source: "own archive".to_owned(),
                outcome: "0 messages".to_owned(),
                times: 3,
                at,
            }],
        };
        let text = listed(&[gap]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "aaaaaaaa  01010101  02020202      7       unavailable  2025-11-23 01:22:33Z  \
             a claim of 03030303"
        );
        assert_eq!(lines[2], "          tried  own archive: 0 messages (3 times)");
    }
}
