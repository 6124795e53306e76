//! `--wait`: stays until what was begun is done, and shows on a terminal how far it is.

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use waku_groupchat_core::api::Event;

use super::follow::{Follower, Step};
use super::{CliError, interrupt};

/// Exit code of a wait that was interrupted: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;
/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Whether to wait, and for how long.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct WaitArgs {
    /// Wait until it is done; the node goes on by itself if the wait ends before
    #[arg(long)]
    pub(super) wait: bool,
    /// Wait no longer than this many seconds
    #[arg(long, requires = "wait", value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// How far something is.
pub(super) enum Progress {
    /// Done, for good or bad.
    Done,
    /// Not yet: what to show meanwhile.
    Going(String),
}

/// Follows events until `look` says that it is done. `goes_on` is what happens without the wait.
pub(super) fn until(
    args: WaitArgs,
    follower: &mut Follower<'_>,
    goes_on: &'static str,
    mut look: impl FnMut(Option<&Event>) -> Progress,
) -> Result<(), CliError> {
    // Only a terminal shows it.
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TURN);
    let at_end = bar.clone();
    interrupt::ends_with(INTERRUPTED, move || {
        at_end.finish_and_clear();
        eprintln!("Not waiting any longer. {goes_on}");
    })?;
    let deadline = args.timeout.map(|secs| Instant::now() + Duration::from_secs(secs));
    let result = follow(follower, deadline, &bar, &mut look);
    bar.finish_and_clear();
    match result? {
        Progress::Done => Ok(()),
        Progress::Going(state) => Err(CliError::NotDone { state, goes_on }),
    }
}

fn follow(
    follower: &mut Follower<'_>,
    deadline: Option<Instant>,
    bar: &ProgressBar,
    look: &mut impl FnMut(Option<&Event>) -> Progress,
) -> Result<Progress, CliError> {
    let mut progress = look(None);
    while let Progress::Going(far) = &progress {
        bar.set_message(far.clone());
        match follower.next(deadline)? {
            Step::Event(record) => progress = look(Some(&record.event)),
            Step::Lost(reason) => bar.set_message(format!("{far}; {reason}: trying again")),
            Step::Back => {}
            Step::Missed(..) | Step::Deadline => break,
        }
    }
    Ok(progress)
}
