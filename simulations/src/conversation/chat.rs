//! The chat API of one node, `/chat/v1`: what the runner asks of it.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use waku_groupchat_core::api::EventRecord;
use waku_groupchat_core::api::views::{GapView, GroupView, MemberView, MessageView};
use waku_groupchat_core::{AccountId, GroupId, InstallationId, MessageId};

use super::client::{Client, ClientError};

/// A new account. Its recovery phrase is not read.
#[derive(Clone, Debug, Deserialize)]
pub struct CreatedAccount {
    /// The account.
    pub account: AccountId,
    /// This installation.
    pub installation: InstallationId,
    /// The contact card.
    pub card: String,
}

/// A request to link an installation.
#[derive(Clone, Debug, Deserialize)]
pub struct LinkRequested {
    /// The new installation.
    pub installation: InstallationId,
    /// What the existing one takes.
    pub request: String,
}

#[derive(Deserialize)]
struct CreatedGroup {
    group: GroupId,
}

#[derive(Deserialize)]
struct AcceptedMessage {
    id: MessageId,
}

#[derive(Deserialize)]
struct Messages {
    messages: Vec<MessageView>,
    #[serde(default)]
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Members {
    members: Vec<MemberView>,
}

#[derive(Deserialize)]
struct Gaps {
    gaps: Vec<GapView>,
}

#[derive(Deserialize)]
struct Compared {
    same: bool,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<EventRecord>,
}

impl Client {
    /// Makes an account on this node.
    pub async fn create_account(&self) -> Result<CreatedAccount, ClientError> {
        self.post("/chat/v1/accounts", json!({})).await
    }

    /// Makes this node's installation ask to be linked.
    pub async fn request_link(&self) -> Result<LinkRequested, ClientError> {
        self.post("/chat/v1/installations/requests", json!({})).await
    }

    /// Takes in the installation that made this request.
    pub async fn accept_link(&self, request: &str) -> Result<(), ClientError> {
        self.post("/chat/v1/installations", json!({ "request": request })).await.map(ignore)
    }

    /// Says which digits the other side of a linking shows; whether they are the own ones.
    pub async fn confirm_link(&self, digits: &str) -> Result<bool, ClientError> {
        let body = json!({ "digits": digits });
        Ok(self.post::<Compared>("/chat/v1/installations/link/digits", body).await?.same)
    }

    /// Makes a group.
    pub async fn create_group(&self, name: &str, about: &str) -> Result<GroupId, ClientError> {
        let body = json!({ "name": name, "description": about });
        Ok(self.post::<CreatedGroup>("/chat/v1/groups", body).await?.group)
    }

    /// Invites the accounts behind these cards.
    pub async fn invite(&self, group: GroupId, cards: &[&str]) -> Result<(), ClientError> {
        let path = format!("/chat/v1/groups/{group}/invitations");
        self.post(&path, json!({ "cards": cards })).await.map(ignore)
    }

    /// Joins a group that this installation was invited to.
    pub async fn accept_invitation(&self, group: GroupId) -> Result<(), ClientError> {
        let path = format!("/chat/v1/invitations/{group}/accept");
        self.call("POST", &path, Some(json!({})), Duration::ZERO).await.map(drop)
    }

    /// Says something; the answer is its name.
    pub async fn send(&self, group: GroupId, text: &str) -> Result<MessageId, ClientError> {
        let path = format!("/chat/v1/groups/{group}/messages");
        Ok(self.post::<AcceptedMessage>(&path, json!({ "text": text })).await?.id)
    }

    /// All messages of a group, in the node's order.
    pub async fn messages(&self, group: GroupId) -> Result<Vec<MessageView>, ClientError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/chat/v1/groups/{group}/messages{after}");
            let page: Messages = self.get(&path).await?;
            all.extend(page.messages);
            match page.next {
                Some(next) => after = format!("?after={next}"),
                None => return Ok(all),
            }
        }
    }

    /// A group, as this node sees it.
    pub async fn group(&self, group: GroupId) -> Result<GroupView, ClientError> {
        self.get(&format!("/chat/v1/groups/{group}")).await
    }

    /// Gives a group a name.
    pub async fn rename(&self, group: GroupId, name: &str, about: &str) -> Result<(), ClientError> {
        let path = format!("/chat/v1/groups/{group}/profile");
        let body = json!({ "name": name, "description": about });
        self.call("PUT", &path, Some(body), Duration::ZERO).await.map(drop)
    }

    /// Who is in a group.
    pub async fn members(&self, group: GroupId) -> Result<Vec<MemberView>, ClientError> {
        let path = format!("/chat/v1/groups/{group}/members");
        Ok(self.get::<Members>(&path).await?.members)
    }

    /// Every gap of a group that was reported, whatever became of it.
    pub async fn gaps(&self, group: GroupId) -> Result<Vec<GapView>, ClientError> {
        Ok(self.get::<Gaps>(&format!("/chat/v1/groups/{group}/missing")).await?.gaps)
    }

    /// Events after a cursor; waits up to `wait` for the first.
    pub async fn events(
        &self,
        after: u64,
        wait: Duration,
    ) -> Result<Vec<EventRecord>, ClientError> {
        let path = format!("/chat/v1/events?after={after}&wait={}", wait.as_secs());
        Ok(self.parse::<Events>("GET", &path, None, wait).await?.events)
    }
}

fn ignore(_: IgnoredAny) {}
