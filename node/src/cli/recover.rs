//! `account recover`: an account comes back by its phrase.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use console::Term;
use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::Event;
use zeroize::{Zeroize as _, Zeroizing};

use super::client::Client;
use super::follow::Follower;
use super::wait::{self, Progress, WaitArgs};
use super::{CliError, Page};
use crate::chat::api::types::{Recovering, Recovery};

/// What happens without a wait.
const GOES_ON: &str =
    "Archives are asked for ten minutes or so; `waku-groupchat watch` tells the end";

/// Most bytes of a phrase that are read.
const LONGEST: u64 = 4096;

/// Recovers; with `--wait` until the account is back.
pub(super) fn run(client: &Client, stolen: bool, wait: WaitArgs) -> Result<Page, CliError> {
    let phrase = phrase().map_err(CliError::Phrase)?;
    let follower = wait.wait.then(|| Follower::open(client, None)).transpose()?;
    let mut body = Recovery { phrase: phrase.to_string(), stolen };
    let accepted: Result<Recovering, CliError> = client.post("/accounts/recovery", &body);
    body.phrase.zeroize();
    let accepted = accepted?;
    let account = accepted.account;
    let Some(mut follower) = follower else {
        return Page::new(&accepted, format!("Looking for account {account}. {GOES_ON}.\n"));
    };
    let mut end: Option<Result<(InstallationId, usize), String>> = None;
    wait::until(wait, &mut follower, GOES_ON, |event| match event {
        Some(Event::Recovered { installation, groups, .. }) => {
            end = Some(Ok((*installation, *groups)));
            Progress::Done
        }
        Some(Event::RecoveryFailed { reason }) => {
            end = Some(Err(reason.to_string()));
            Progress::Done
        }
        _ => Progress::Going(format!("looking for account {}", account.short())),
    })?;
    match end {
        Some(Ok((installation, groups))) => {
            let text = format!(
                "Account {account} is back. This installation, {installation}, is its only one.\n\
                 {}",
                asked(groups)
            );
            Page::new(&accepted, text)
        }
        Some(Err(reason)) => Err(CliError::NotRecovered { reason }),
        None => Page::new(&accepted, String::new()),
    }
}

fn asked(groups: usize) -> String {
    match groups {
        0 => String::new(),
        1 => "It asks in 1 group to be brought in; any member does that.\n".to_owned(),
        groups => format!("It asks in {groups} groups to be brought in; any member does that.\n"),
    }
}

/// The phrase: typed at the terminal without being shown, or the first line of the standard input.
/// It is no argument, since others on the machine can see those.
fn phrase() -> io::Result<Zeroizing<String>> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        let terminal = Term::stderr();
        terminal.write_str("Recovery phrase (24 words; not shown): ")?;
        return terminal.read_secure_line().map(Zeroizing::new);
    }
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().take(LONGEST).read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_groups_are_asked_is_said() {
        assert_eq!(asked(0), "");
        assert!(asked(1).contains("1 group "), "{}", asked(1));
        assert!(asked(3).contains("3 groups "), "{}", asked(3));
    }
}
