//! `account link-…`: linking a further installation.

use serde_json::{Value, json};
use waku_groupchat_core::InstallationId;
use waku_groupchat_core::api::Event;
use waku_groupchat_core::api::views::{LinkRole, LinkView};

use super::client::Client;
use super::follow::Follower;
use super::text::{date_time, fields};
use super::wait::{self, Progress, WaitArgs};
use super::{CliError, Page};
use crate::chat::api::types::{
    Compared, LinkAccepted, LinkDigits, LinkRequest, LinkRequested, NewAccount,
};
use crate::qr;

/// What happens without a wait.
const GOES_ON: &str = "The linking goes on for five minutes";

/// Makes a request, and shows it as text and as a code.
pub(super) fn request(client: &Client) -> Result<Page, CliError> {
    let made: LinkRequested = client.post("/installations/requests", &NewAccount {})?;
    Page::new(&made, requested(&made))
}

fn requested(made: &LinkRequested) -> String {
    // No request is too long for a code.
    let code = qr::terminal(&made.request).unwrap_or_default();
    format!(
        "Installation  {}\nRequest       {}\n\n{code}\nAt an installation of the account, within \
         five minutes:\n\n  waku-groupchat account link-accept {}\n\nThen both show eight digits \
         (`waku-groupchat account link`).\nThe request holds a secret: give it to nobody else.\n",
        made.installation, made.request, made.request
    )
}

/// Accepts a request; with `--wait` until the digits are there.
pub(super) fn accept(client: &Client, request: &str, wait: WaitArgs) -> Result<Page, CliError> {
    let body = LinkRequest { request: request.trim().to_owned() };
    // Before it begins, so that nothing of it is missed.
    let follower = wait.wait.then(|| Follower::open(client, None)).transpose()?;
    let accepted: LinkAccepted = client.post("/installations", &body)?;
    let new = accepted.installation;
    let Some(mut follower) = follower else {
        let text = format!(
            "Linking installation {new}. `waku-groupchat account link` shows the digits to compare.\n"
        );
        return Page::new(&accepted, text);
    };
    let mut failed = None;
    wait::until(wait, &mut follower, GOES_ON, |event| match event {
        Some(Event::LinkDigits { .. }) => Progress::Done,
        Some(Event::LinkFailed { reason, .. }) => {
            failed = Some(reason.to_string());
            Progress::Done
        }
        _ => Progress::Going(format!("waiting for installation {}", new.short())),
    })?;
    match failed {
        Some(reason) => Err(CliError::NotLinked { reason }),
        None => show(client),
    }
}

/// Shows the linking that is under way.
pub(super) fn show(client: &Client) -> Result<Page, CliError> {
    let link: LinkView = client.get("/installations/link")?;
    Page::new(&link, shown(&link))
}

fn shown(link: &LinkView) -> String {
    let (own, other) = match link.role {
        LinkRole::New => ("This installation asks to be taken in.", "the account's installation"),
        LinkRole::Existing => ("This installation takes in another.", "the new installation"),
    };
    let mut rows = vec![("Until", date_time(link.expires))];
    if let Some(id) = link.other {
        rows.push(("Other side", id.to_string()));
    }
    let next = match (&link.digits, link.confirmed) {
        (None, _) => format!("Waiting for {other}."),
        (Some(_), true) => format!("Compared here. Waiting for {other}."),
        (Some(digits), false) => {
            rows.push(("Digits", digits.clone()));
            let typed = digits.replace(' ', "-");
            format!(
                "If {other} shows the same digits, on both:\n\n  waku-groupchat account \
                 link-confirm {typed}\n\nIf not, somebody stands between: `waku-groupchat account \
                 link-cancel`."
            )
        }
    };
    format!("{own}\n\n{}\n{next}\n", fields(&rows))
}

/// Says which digits the other side shows; with `--wait` until the installation is in.
pub(super) fn confirm(client: &Client, digits: &str, wait: WaitArgs) -> Result<Page, CliError> {
    let follower = wait.wait.then(|| Follower::open(client, None)).transpose()?;
    let body = LinkDigits { digits: digits.to_owned() };
    let compared: Compared = client.post("/installations/link/digits", &body)?;
    if !compared.same {
        let reason = "those are not the digits shown here: somebody may stand between the two, so \
                      this linking has ended. Cancel it on the other side, and make a new request";
        return Err(CliError::NotLinked { reason: reason.to_owned() });
    }
    let Some(mut follower) = follower else {
        return Page::new(
            &compared,
            "The digits are the same. Waiting for the other side.\n".into(),
        );
    };
    let mut end: Option<Result<InstallationId, String>> = None;
    wait::until(wait, &mut follower, GOES_ON, |event| match event {
        Some(Event::InstallationLinked { installation, .. }) => {
            end = Some(Ok(*installation));
            Progress::Done
        }
        Some(Event::LinkFailed { reason, .. }) => {
            end = Some(Err(reason.to_string()));
            Progress::Done
        }
        _ => Progress::Going("waiting for the other side".to_owned()),
    })?;
    match end {
        Some(Ok(new)) => {
            Page::new(&compared, format!("Installation {new} is in the account now.\n"))
        }
        Some(Err(reason)) => Err(CliError::NotLinked { reason }),
        None => Page::new(&compared, String::new()),
    }
}

/// Gives up the linking that is under way.
pub(super) fn cancel(client: &Client) -> Result<Page, CliError> {
    let _: Value = client.delete("/installations/link")?;
    Page::new(&json!({}), "Given up.\n".to_owned())
}

#[cfg(test)]
mod tests {
    use waku_groupchat_core::Timestamp;

    use super::*;

    fn link(digits: Option<&str>, confirmed: bool) -> LinkView {
        LinkView {
            role: LinkRole::Existing,
            other: Some(InstallationId::from_bytes([2; 32])),
            digits: digits.map(str::to_owned),
            confirmed,
            expires: Timestamp::from_secs(1_763_860_953),
            request: None,
        }
    }

    #[test]
    fn what_to_do_next_is_shown() {
        assert!(shown(&link(None, false)).ends_with("Waiting for the new installation.\n"));
        let text = shown(&link(Some("0412 7780"), false));
        assert!(text.contains("0412 7780") && text.contains("link-confirm 0412-7780"), "{text}");
        let text = shown(&link(Some("0412 7780"), true));
        assert!(text.contains("Compared here") && !text.contains("0412"), "{text}");
    }

    #[test]
    fn a_request_is_shown_as_a_code_too() {
        let text = requested(&LinkRequested {
            installation: InstallationId::from_bytes([2; 32]),
            request: format!("wgcl1{}", "q".repeat(110)),
        });
        assert!(text.lines().filter(|line| line.contains('█')).count() > 10, "{text}");
    }
}
