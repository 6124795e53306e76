//! Retention: deletes from the archive what its policy no longer keeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use waku_groupchat_metrics::{Metrics, NodeError};
use waku_groupchat_storage::Archive;

use super::intake::now_ns;

/// How often. nwaku prunes every 30 minutes; a bound by size is overshot less at this pace, and a
/// run with nothing to delete is one look-up.
const INTERVAL: Duration = Duration::from_secs(60);

/// Prunes at once, and then at the interval, until `stop`.
pub(super) async fn run(archive: Arc<dyn Archive>, metrics: Metrics, stop: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        let archive = Arc::clone(&archive);
        let pruned = tokio::task::spawn_blocking(move || {
            let report = archive.prune(now_ns());
            report.map(|report| (report, archive.len()))
        })
        .await;
        match pruned {
            Ok(Ok((report, left))) => {
                debug!(?report, left, "pruned");
                metrics.store().archived(left);
            }
            Ok(Err(error)) => {
                metrics.node().error(NodeError::Retention);
                warn!(error = &error as &dyn std::error::Error, "the archive cannot delete");
            }
            Err(error) => error!(%error, "retention panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_storage::{ArchivedMessage, RocksArchive};
    use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

    use super::*;

    #[tokio::test]
    async fn prunes_at_once_and_ends_when_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = "capacity:2".parse().expect("a policy");
        let archive = RocksArchive::open(folder.path().join("archive"), policy).expect("new");
        let archive: Arc<dyn Archive> = Arc::new(archive);
        let content = ContentTopic::from_wire("/app/1/name/proto");
        let message = |i| WakuMessage::new(content.clone(), vec![1], now_ns() + i);
        let messages: Vec<_> =
            (0..5).map(|i| ArchivedMessage::new(PubsubTopic::new(0, 0), message(i))).collect();
        archive.insert(&messages).expect("inserted");
        let metrics = Metrics::new("test").expect("metrics");
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(Arc::clone(&archive), metrics.clone(), stop.clone()));
        let line = "waku_archive_messages{type=\"stored\"} 2";
        tokio::time::timeout(Duration::from_secs(10), async {
            while !metrics.encode().expect("text").lines().any(|l| l == line) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("in time");
        assert_eq!(archive.len(), 2);
        stop.cancel();
        task.await.expect("no panic");
    }
}
