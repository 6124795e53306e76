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
