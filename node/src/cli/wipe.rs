//! `wipe`: removes all chat data of the node's installation.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use serde_json::Value;
use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::views::AccountView;

use super::client::Client;
use super::{CliError, NodeArgs, Page};
use crate::chat::api::types::Wipe;

/// `wipe`.
#[derive(Clone, Debug, Args)]
pub struct WipeArgs {
    /// Do not ask; names the installation, or at least the first 8 digits of it
    #[arg(long, value_name = "INSTALLATION")]
    yes: Option<String>,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

/// Fewest digits that name it.
const DIGITS: usize = 8;

pub(super) fn run(args: &WipeArgs, client: &Client) -> Result<Page, CliError> {
    let account: AccountView = client.get("/accounts")?;
    let installation = account.installation;
    let named = match &args.yes {
        Some(named) => named.clone(),
        None => ask(&account).map_err(|source| CliError::NotConfirmed(source.to_string()))?,
    };
    if !names(&named, installation) {
        let reason = format!("`{}` does not name installation {installation}", named.trim());
        return Err(CliError::NotConfirmed(reason));
    }
    let nothing: Value = client.post("/wipe", &Wipe { installation })?;
    let text = "The chat's data is gone from this disk. The node goes on as a relay, without an \
                account.\n";
    Page::new(&nothing, text.to_owned())
}

/// Whether a person meant this installation.
fn names(named: &str, installation: InstallationId) -> bool {
    let named = named.trim().to_ascii_lowercase();
    named.len() >= DIGITS && installation.to_string().starts_with(&named)
}

fn ask(account: &AccountView) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        return Err(io::Error::other("nobody is there to ask: name the installation with --yes"));
    }
    let id = account.installation.to_string();
    let mut terminal = io::stderr().lock();
    writeln!(
        terminal,
        "This removes installation {id} of account {}\nfrom this node, with its keys, groups and \
         messages. Nobody brings them back. If it is the account's\nonly installation, the account \
         is left with its recovery phrase alone. Others are not told: remove\nthis installation on \
         another one first.\n\nType the first {DIGITS} digits of the installation to go on: ",
        account.account
    )?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_named_by_eight_digits_or_more() {
        let installation = InstallationId::from_bytes([0xab; 32]);
        for good in ["abababab", " ABABABAB\n", "ababababab", &installation.to_string()] {
            assert!(names(good, installation), "{good}");
        }
        for bad in ["", "\n", "yes", "abababa", "abababac", &"ab".repeat(33)] {
            assert!(!names(bad, installation), "{bad}");
        }
    }
}
