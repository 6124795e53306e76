//! The run for people: the conversation as each installation sees it, gaps, publishes.

use std::fmt::Write;
use std::path::Path;

use console::{Term, measure_text_width, style, truncate_str};
use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::views::{Evidence, GapState, GapView, MessageView};

use super::checks::Failure;
use super::network::{Network, Node, STORE};
use super::observed::{Observed, Phase, SeatView};
use super::report::Report;
use super::scenario::id_of;
use super::ui::pad;

/// Columns where there is no terminal.
const COLUMNS: usize = 100;

/// The whole run, for people.
pub fn run(run: &Observed, report: &Report) -> String {
    let columns = Term::stdout().size_checked().map_or(COLUMNS, |(_, columns)| columns.into());
    let mut text = String::new();
    for seat in &run.seats {
        text.push_str(&conversation(run, seat, columns));
    }
    for seat in &run.seats {
        text.push_str(&gaps(run, seat));
    }
    text.push_str(&names(run));
    text.push_str(&publish_table(run, report));
    text
}

/// What failed, or that nothing did.
pub fn verdict(failures: &[Failure]) -> String {
    if failures.is_empty() {
        return format!("{} everything holds\n", style("✓").green());
    }
    let lines = failures.iter().map(|failure| format!("{} {failure}\n", style("✗").red()));
    lines.collect()
}

fn head(text: &str) -> String {
    format!("\n{}\n", style(text).bold())
}

/// The conversation as one installation sees it, and where its gaps are.
fn conversation(run: &Observed, seat: &SeatView, columns: usize) -> String {
    let when = if seat.stopped { ", before it was stopped" } else { "" };
    let short = seat.installation.short();
    let messages = &seat.view.messages;
    let title = format!("{} ({short}){when}: {} messages", seat.label, messages.len());
    let mut text = head(&title);
    let name = |message: &MessageView| name_of(run, message.id.installation);
    let wide = messages.iter().map(|m| measure_text_width(&name(m))).max().unwrap_or(0);
    for message in messages {
        let number = format!("#{}", message.id.number);
        let recovered = seat.view.gaps.iter().any(|gap| id_of(gap) == message.id);
        let mark = if recovered { style("↺").yellow() } else { style(" ") };
        let lead = format!(" {mark} {} {}  ", pad(&name(message), wide), pad(&number, 4));
        let room = columns.saturating_sub(measure_text_width(&lead)).max(20);
        let _ = writeln!(text, "{lead}{}", one_line(&message.text, room));
    }
    for gap in seat.view.gaps.iter().filter(|gap| gap.state != GapState::Recovered) {
        let name = pad(&name_of(run, gap.installation), wide);
        let number = pad(&format!("#{}", gap.number), 4);
        let what = style(format!("[{}]", state(gap.state))).red();
        let _ = writeln!(text, " {} {name} {number}  {what}", style("✗").red());
    }
    text
}

/// A text on one line of so many columns; a long one is cut and says how long it is.
fn one_line(text: &str, columns: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if measure_text_width(&plain) <= columns {
        return plain;
    }
    let tail = format!("… ({} bytes)", text.len());
    truncate_str(&plain, columns, &tail).into_owned()
}

/// Each gap that an installation reported: whose, which number, how known, what became of it.
fn gaps(run: &Observed, seat: &SeatView) -> String {
    if seat.view.gaps.is_empty() {
        return String::new();
    }
    let mut text = head(&format!("Gaps that {} reported: {}", seat.label, seat.view.gaps.len()));
    let rows: Vec<[String; 5]> = seat.view.gaps.iter().map(|gap| row(run, seat, gap)).collect();
    let wide = |column: usize| rows.iter().map(|row| measure_text_width(&row[column])).max();
    let wide: Vec<usize> = (0..5).map(|column| wide(column).unwrap_or(0)).collect();
    for (row, gap) in rows.iter().zip(&seat.view.gaps) {
        let cells: Vec<String> =
            row.iter().zip(&wide).map(|(cell, columns)| pad(cell, *columns)).collect();
        let _ = writeln!(text, "   {}", cells.join("  ").trim_end());
        if gap.state != GapState::Recovered {
            text.push_str(&tried(gap));
        }
    }
    text
}

fn row(run: &Observed, seat: &SeatView, gap: &GapView) -> [String; 5] {
    let sender = run.seats.iter().find(|seat| seat.account == gap.account);
    let name = sender.map_or_else(String::new, |sender| sender.speaker.clone());
    let evidence = match gap.evidence {
        Evidence::Proven { by_number } => format!("proven by its number {by_number}"),
        Evidence::Claimed { by } => format!("claimed by {}", name_of(run, by)),
    };
    let states = seat.states.get(&id_of(gap)).into_iter().flatten();
    [
        format!("{name} {}", gap.account.short()),
        format!("installation {}", gap.installation.short()),
        format!("number {}", gap.number),
        evidence,
        states.map(|now| state(*now)).collect::<Vec<_>>().join(" → "),
    ]
}

fn tried(gap: &GapView) -> String {
    let line = |source: &str, outcome: &str, times: u32| {
        let times = if times > 1 { format!(", {times} times") } else { String::new() };
        format!("       tried {source}: {outcome}{times}\n")
    };
    gap.tried.iter().map(|t| line(&t.source, &t.outcome, t.times)).collect()
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

/// The names that each installation saw the group have, one after the other.
fn names(run: &Observed) -> String {
    if run.seats.iter().all(|seat| seat.named.is_empty()) {
        return String::new();
    }
    let mut text = head("Names of the group, as each installation saw them");
    let wide = run.seats.iter().map(|seat| measure_text_width(&seat.label)).max().unwrap_or(0);
    for seat in &run.seats {
        let again = match seat.reordered {
            0 => "",
            _ => "  (one gave way, and was made again)",
        };
        let (label, epoch) = (pad(&seat.label, wide), seat.view.epoch);
        let _ = writeln!(text, "   {label}  {}  epoch {epoch}{again}", seat.named.join(" → "));
    }
    text
}

/// Relay publishes a line, with what was cut meanwhile, and the sums.
fn publish_table(run: &Observed, report: &Report) -> String {
    let Report { publishes, publishes_per_message: each, .. } = report;
    let mut text = head(&format!("Relay publishes a line: {each:.2}, and again where needed"));
    let phases = [
        (Phase::AllUp, "every link up"),
        (Phase::NodeCutOff, "a node cut off"),
        (Phase::NodeAndStoreCutOff, "a node and the store cut off"),
        (Phase::StoreCutOff, "the store cut off"),
        (Phase::OneLinkUp, "one link of the sender up"),
    ];
    let titles = ["lines", "first", "of these in the store", "again"];
    let _ = writeln!(text, "   {} {}", pad("", 30), titles.join("   "));
    for (phase, name) in phases {
        let of_phase = (0..run.lines.len()).filter(|line| run.lines[*line].phase == phase);
        let lines: Vec<usize> = of_phase.collect();
        let firsts = || lines.iter().flat_map(|line| run.firsts(*line));
        let held = firsts().filter(|publish| run.archive.contains(&publish.what.hash)).count();
        let again: usize = lines.iter().map(|line| run.retries(*line).count()).sum();
        let (count, first) = (lines.len(), firsts().count());
        let _ = writeln!(text, "   {name:<30} {count:>5}   {first:>5}   {held:>21}   {again:>5}");
    }
    let kinds: Vec<String> =
        publishes.by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let _ = writeln!(text, "   all publishes: {}", kinds.join(", "));
    let _ = writeln!(text, "   {} of them of an account's own group", publishes.of_own_groups);
    let _ = writeln!(
        text,
        "   {} published while the store was there; it holds these and {} that it heard of later",
        publishes.while_store_reached, publishes.archived_later
    );
    text
}

fn name_of(run: &Observed, installation: InstallationId) -> String {
    let seat = run.seats.iter().find(|seat| seat.installation == installation);
    seat.map_or_else(|| installation.short(), |seat| seat.label.clone())
}

/// Where the nodes are, and what to try with those that are left up.
pub fn left_up(network: &Network, binary: &Path, group: &str) -> String {
    let mut text = head("The network is up until Ctrl-C");
    for (index, node) in network.nodes().iter().enumerate() {
        let state = if node.runs() { node.client.base() } else { "stopped for good" };
        let token = match index {
            STORE => "no chat".to_owned(),
            _ => format!("token file {}", node.token_file().display()),
        };
        let _ = writeln!(text, "   {:<6} {state:<22} {token}", node.name);
    }
    let chat = || network.nodes().iter().skip(1);
    if let Some(node) = chat().find(|node| node.runs()) {
        text.push_str(&commands(node, binary, group));
    }
    if let Some(node) = chat().rfind(|node| !node.runs()) {
        let binary = binary.display();
        let config = node.config();
        let _ =
            writeln!(text, "   # the sender of the lost line: start it again, look at `missing`");
        let _ = writeln!(text, "   {binary} run --config-file={}", config.display());
    }
    text
}

fn commands(node: &Node, binary: &Path, group: &str) -> String {
    let mut text = format!("\n   # as {}\n", node.name);
    let _ = writeln!(text, "   export WAKU_GROUPCHAT_NODE={}", node.client.base());
    let _ = writeln!(text, "   export WAKU_GROUPCHAT_TOKEN_FILE={}", node.token_file().display());
    let binary = binary.display();
    for command in [
        format!("read {group}"),
        format!("missing {group}"),
        format!("send {group} 'hello'"),
        format!("read {group} --json"),
    ] {
        let _ = writeln!(text, "   {binary} {command}");
    }
    text
}
