//! Carries out the core's publishes: one after the other, in the order the core gave them.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use waku_groupchat_core::api::{Publish, PublishKind, PublishResult};
use waku_groupchat_metrics as metrics;
use waku_groupchat_waku::PubsubTopic;

use super::handle::{CoreHandle, Message};
use crate::crash::crash_point;
use crate::engine::PublishError;
use crate::publisher::Publisher;

/// Target of the line that is logged for each publish that left.
pub const LOG_TARGET: &str = "waku_groupchat::publish";

/// Publishes what comes until the core's thread or `stop` ends it. What is left then is on disk,
/// and the core gives it again after the next start.
pub(super) async fn run(
    mut jobs: mpsc::Receiver<Publish>,
    publisher: Publisher,
    topic: PubsubTopic,
    core: CoreHandle,
    stop: CancellationToken,
) {
    loop {
        let job = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            job = jobs.recv() => match job {
                Some(job) => job,
                None => return,
            },
        };
        let Publish { id, kind, hash, message } = job;
        crash_point("before-publish");
        let result = outcome(publisher.publish(topic, message).await);
        crash_point("after-publish");
        match &result {
            PublishResult::Published { peers } => {
                left(&kind, &hash.to_string(), *peers);
                core.status().metrics.published(label(kind));
            }
            PublishResult::Failed { reason } => {
                debug!(%hash, kind = kind.name(), reason, "a publish reached nobody");
            }
        }
        if !core.tell(Message::Published(id, result)).await {
            return;
        }
    }
}

fn outcome(result: Result<crate::engine::Published, PublishError>) -> PublishResult {
    match result {
        Ok(published) => PublishResult::Published { peers: published.peers.max(1) },
        // Peers were handed these very bytes a moment ago.
        Err(PublishError::Duplicate) => PublishResult::Published { peers: 1 },
        Err(error) => PublishResult::Failed { reason: error.to_string() },
    }
}

/// The line for operators and for the conversation runner: names only, never content.
fn left(kind: &PublishKind, hash: &str, peers: usize) {
    let name = kind.name();
    match kind {
        PublishKind::Message(id) | PublishKind::Retry(id) => info!(
            target: LOG_TARGET,
            hash,
            kind = name,
            group = %id.group,
            installation = %id.installation,
            number = id.number,
            peers,
            "published"
        ),
        _ => info!(target: LOG_TARGET, hash, kind = name, peers, "published"),
    }
}

fn label(kind: PublishKind) -> metrics::PublishKind {
    match kind {
        PublishKind::Message(_) => metrics::PublishKind::Message,
        PublishKind::Retry(_) => metrics::PublishKind::Retry,
        PublishKind::Commit(_) => metrics::PublishKind::Commit,
        PublishKind::Sync(_) => metrics::PublishKind::Sync,
        PublishKind::Repair(_) => metrics::PublishKind::Repair,
        PublishKind::InvitationShared(_) => metrics::PublishKind::InvitationShared,
        PublishKind::InvitationEnvelope(_) => metrics::PublishKind::InvitationEnvelope,
        PublishKind::Registration => metrics::PublishKind::Registration,
        PublishKind::Link => metrics::PublishKind::Link,
        PublishKind::Rejoin(_) => metrics::PublishKind::Rejoin,
        PublishKind::History(_) => metrics::PublishKind::History,
    }
}
