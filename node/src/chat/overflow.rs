//! Arrived messages that found the core's queue full: noted here, read again from the own archive.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use waku_groupchat_core::Timestamp;
use waku_groupchat_storage::Archive;
use waku_groupchat_waku::PubsubTopic;

use super::fetch::{self, Range};
use super::handle::{CoreHandle, Health};
use super::now;

/// How long the catch-up waits before it asks an archive again that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Messages without a timestamp are archived under the time of their arrival; this much earlier is
/// where reading starts for them.
const STAMP_SLACK: Duration = Duration::from_secs(60);

/// The Waku timestamps between which messages found no room.
#[derive(Debug, Default)]
pub(super) struct Overflow(watch::Sender<Option<Range>>);

impl Overflow {
    /// Notes a message that the core has yet to get, by its Waku timestamp.
    pub(super) fn mark(&self, timestamp: Option<i64>) {
        let range = match timestamp {
            Some(at) if at > 0 => Range::of(Timestamp::from_waku(at)),
            _ => Range { from: now() - STAMP_SLACK, to: now() + STAMP_SLACK },
        };
        self.add(range);
    }

    /// Notes a range that the core has yet to get.
    pub(super) fn add(&self, range: Range) {
        self.0.send_modify(|noted| *noted = Some(noted.map_or(range, |n| n.with(range))));
    }

    fn take(&self) -> Option<Range> {
        self.0.send_replace(None)
    }
}

/// Reads what was noted from the archive and hands it to the core, waiting for room, until `stop`.
/// The core knows what it had already.
pub(super) async fn catch_up(
    core: CoreHandle,
    (archive, fault): (Arc<dyn Archive>, watch::Receiver<Option<String>>),
    topic: PubsubTopic,
    stop: CancellationToken,
) {
    let overflow = &core.status().overflow;
    let mut marks = overflow.0.subscribe();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            mark = marks.wait_for(Option::is_some) => if mark.is_err() { return },
        }
        // What the archive could not take yet is not in it.
        if fault.borrow().is_some() {
            if !pause(&stop).await {
                return;
            }
            continue;
        }
        // While the database fails, what is read would only come back here.
        if *core.status().health.borrow() != Health::Ready && !pause(&stop).await {
            return;
        }
        let Some(range) = overflow.take() else { continue };
        debug!(from = %range.from, to = %range.to, "reading again what found the queue full");
        let read = fetch::from_archive(&core, &archive, topic, range);
        let failed = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            result = read => result.err(),
        };
        if let Some(error) = failed {
            warn!(%error, "the archive cannot be read; trying again");
            overflow.add(range);
            if !pause(&stop).await {
                return;
            }
        }
    }
}

/// Waits a little. `false` if `stop` came first.
async fn pause(stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(RETRY) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noted_range_holds_every_message() {
        let overflow = Overflow::default();
        assert_eq!(overflow.take(), None);
        for secs in [50, 20, 70] {
            overflow.add(Range::of(Timestamp::from_secs(secs)));
        }
        let range = overflow.take().expect("noted");
        assert_eq!(range.from, Timestamp::from_secs(20));
        assert!(range.to > Timestamp::from_secs(70));
        assert_eq!(overflow.take(), None);
    }
}
