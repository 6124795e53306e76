//! Who may do what: scopes, and the access that a token gives to one request.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use waku_groupchat_core::Timestamp;

use super::now;

/// How often an expiry is compared with the clock, which may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// What a token allows. `admin` allows everything; the others stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To see the account, groups, messages, gaps and events.
    Read,
    /// To say something in a group, and what was read.
    Send,
    /// To make groups, change them, invite, and answer invitations.
    Manage,
    /// All of it, and to make the account, link installations, and make and revoke tokens.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Read, Self::Send, Self::Manage, Self::Admin];

    /// As it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scopes of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Scopes(pub(super) BTreeSet<Scope>);

impl Scopes {
    pub(super) fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&Scope::Admin) || self.0.contains(&scope)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(", "))
    }
}

/// What a request may do, by its token.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) scopes: Scopes,
    pub(super) expires: Option<Timestamp>,
    /// Cancelled when the token is revoked.
    pub(super) revoked: CancellationToken,
}

/// Why an access is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessEnd {
    Revoked,
    Expired,
}

impl Access {
    /// Waits until the token is revoked or expires.
    pub(super) async fn ended(&self) -> AccessEnd {
        tokio::select! {
            () = self.revoked.cancelled() => AccessEnd::Revoked,
            () = expired(self.expires) => AccessEnd::Expired,
        }
    }
}

async fn expired(at: Option<Timestamp>) {
    let Some(at) = at else { return std::future::pending().await };
    loop {
        let left = at.since(now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
    }
}
