//! Writing the archive. What cannot be written waits in memory, within a bound, and is written as
//! soon as the disk takes it; meanwhile the relay goes on, and health and a metric say so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use waku_groupchat_metrics::{Metrics, NodeError};
use waku_groupchat_storage::{Archive, ArchiveError, ArchivedMessage};

use crate::chat::chain;

/// How long after a fault writing is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Most bytes of payloads that wait. What finds no room is lost to the archive, and said so; a
/// later catch-up brings it from store peers.
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Most messages that wait.
const WAITING_MESSAGES: usize = 20_000;

/// The way into the archive.
pub(crate) struct Archiving {
    archive: Arc<dyn Archive>,
    metrics: Metrics,
    waiting: Mutex<Waiting>,
    /// Why it could not be written the last time; `None` while it can.
    fault: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<ArchivedMessage>,
    bytes: usize,
    lost: u64,
}

impl Waiting {
    /// Puts messages before or behind those that wait.
    fn add(&mut self, messages: Vec<ArchivedMessage>, front: bool) {
        let messages: Vec<_> = match front {
            true => messages.into_iter().rev().collect(),
            false => messages,
        };
        for message in messages {
            let bytes = message.message.payload.len();
            if self.bytes + bytes > WAITING_BYTES || self.messages.len() >= WAITING_MESSAGES {
                self.lost += 1;
                continue;
            }
            self.bytes += bytes;
            match front {
                true => self.messages.push_front(message),
                false => self.messages.push_back(message),
            }
        }
    }

    fn take(&mut self) -> Vec<ArchivedMessage> {
        self.bytes = 0;
        self.messages.drain(..).collect()
    }
}

impl Archiving {
    pub(crate) fn new(archive: Arc<dyn Archive>, metrics: Metrics) -> Self {
        let (waiting, fault) = (Mutex::default(), watch::Sender::new(None));
        Self { archive, metrics, waiting, fault }
    }

    /// Why the archive cannot be written, as long as that is so.
    pub(crate) fn fault(&self) -> watch::Receiver<Option<String>> {
        self.fault.subscribe()
    }

    /// Writes messages, or keeps them until they can be written.
    /// Blocks on the disk.
    pub(crate) fn insert(&self, batch: &[ArchivedMessage]) {
        if let Err(left) = self.write(batch) {
            self.waiting.lock().add(left, false);
        }
    }

    /// Writes what waits, in its order.
    async fn again(self: &Arc<Self>) {
        let this = Arc::clone(self);
        // a panic, our bug, was reported by the panic hook
        let _ = tokio::task::spawn_blocking(move || this.write_waiting()).await;
    }

    fn write_waiting(&self) {
        let batch = self.waiting.lock().take();
        match self.write(&batch) {
            Ok(()) => {
                let mut waiting = self.waiting.lock();
                if waiting.messages.is_empty() {
                    let lost = std::mem::take(&mut waiting.lost);
                    self.fault.send_replace(None);
                    info!(lost, "the archive is written again");
                }
            }
            Err(left) => self.waiting.lock().add(left, true),
        }
    }

    /// Gives back what was not written.
    fn write(&self, batch: &[ArchivedMessage]) -> Result<(), Vec<ArchivedMessage>> {
        let begin = Instant::now();
        let report = self.archive.insert(batch);
        self.metrics.store().inserted(begin.elapsed());
        self.metrics.store().archived(self.archive.len());
        match report {
            Ok(report) => {
                debug!(?report, "archived");
                Ok(())
            }
            Err(error) => {
                self.failed(&error);
                let unreadable = match error {
                    ArchiveError::Unreadable(hash) => Some(hash),
                    _ => None,
                };
                Err(batch.iter().filter(|m| Some(m.hash) != unreadable).cloned().collect())
            }
        }
    }

    /// The thread that writes met a bug.
    pub(crate) fn panicked(&self) {
        self.metrics.node().error(NodeError::ArchiveInsert);
        error!("the archive's writer panicked");
    }

    fn failed(&self, error: &ArchiveError) {
        self.metrics.node().error(NodeError::ArchiveInsert);
        let why = chain(error);
        self.fault.send_if_modified(|known| {
            let new = known.is_none();
            if new {
                warn!(reason = why, "the archive cannot be written; the relay goes on");
            }
            *known = Some(why);
            new
        });
    }
}

/// Tries to write what waits, until `stop`, and then once more.
pub(crate) async fn run(archiving: Arc<Archiving>, stop: CancellationToken) {
    let mut fault = archiving.fault();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            met = fault.wait_for(Option::is_some) => if met.is_err() { return },
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(RETRY) => archiving.again().await,
        }
    }
    if archiving.fault.borrow().is_some() {
        archiving.again().await;
        let left = archiving.waiting.lock().messages.len();
        if left > 0 {
            warn!(left, "messages that the archive could not take are lost to it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use waku_groupchat_core::Timestamp;
    use waku_groupchat_storage::{
        ArchivePage, ArchiveQuery, InsertReport, MemoryArchive, PruneReport,
    };
    use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

    use super::*;

    /// An archive that cannot be written while the test says so.
    #[derive(Debug)]
    struct Full {
        inner: MemoryArchive,
        full: AtomicBool,
    }

    impl Archive for Full {
        fn insert(&self, batch: &[ArchivedMessage]) -> Result<InsertReport, ArchiveError> {
            if self.full.load(Ordering::SeqCst) {
                let source = std::io::Error::from(std::io::ErrorKind::StorageFull).into();
                return Err(ArchiveError::DiskFull { path: "/there".into(), source });
            }
            self.inner.insert(batch)
        }

        fn query(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError> {
            self.inner.query(query)
        }

        fn contains(&self, hashes: &[MessageHash]) -> Result<Vec<bool>, ArchiveError> {
            self.inner.contains(hashes)
        }

        fn len(&self) -> usize {
            self.inner.len()
        }

        fn oldest(&self) -> Result<Option<i64>, ArchiveError> {
            self.inner.oldest()
        }

        fn newest(&self) -> Result<Option<i64>, ArchiveError> {
            self.inner.newest()
        }

        fn prune(&self, now_ns: i64) -> Result<PruneReport, ArchiveError> {
            self.inner.prune(now_ns)
        }
    }

    fn message(n: u64, bytes: usize) -> ArchivedMessage {
        let content = ContentTopic::from_wire("/a/1/b/proto");
        let time = Timestamp::from_secs(1_700_000_000 + n).as_waku();
        ArchivedMessage::new(
            PubsubTopic::new(1, 0),
            WakuMessage::new(content, vec![1; bytes], time),
        )
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_written_later() {
        let full = AtomicBool::new(true);
        let archive = Arc::new(Full { inner: MemoryArchive::new(), full });
        let metrics = Metrics::new("test").expect("fresh");
        let archiving = Arc::new(Archiving::new(Arc::clone(&archive) as _, metrics.clone()));
        let stop = CancellationToken::new();
        let retries = tokio::spawn(run(Arc::clone(&archiving), stop.clone()));
        for n in 0..5 {
            archiving.insert(&[message(2 * n, 10), message(2 * n + 1, 10)]);
        }
        let mut fault = archiving.fault();
        let why = fault.borrow().clone().expect("a fault");
        assert!(why.contains("the disk is full at /there"), "{why}");
        assert_eq!(archive.len(), 0);
        let families = metrics.registry().gather();
        let errors = families.iter().find(|f| f.name() == "waku_node_errors_total");
        let of_writing = |m: &&prometheus::proto::Metric| {
            m.get_label().iter().any(|label| label.value() == "insert_failure")
        };
        let failures = errors.and_then(|e| e.get_metric().iter().find(of_writing));
        assert!(failures.expect("counted").get_counter().get_value() >= 5.0);
        archive.full.store(false, Ordering::SeqCst);
        let healed = fault.wait_for(Option::is_none);
        let healed = tokio::time::timeout(Duration::from_secs(20), healed).await;
        healed.expect("in time").expect("it runs");
        assert_eq!(archive.len(), 10, "nothing is lost");
        stop.cancel();
        retries.await.expect("ends");
    }

    #[test]
    fn what_waits_is_bounded_and_keeps_its_order() {
        let mut waiting = Waiting::default();
        for n in 0..40 {
            waiting.add(vec![message(n, 1024 * 1024)], false);
        }
        assert_eq!((waiting.messages.len(), waiting.lost), (32, 8));
        let all = waiting.take();
        assert_eq!(waiting.bytes, 0);
        waiting.add(vec![message(100, 1)], false);
        waiting.add(all[..3].to_vec(), true);
        let times: Vec<_> = waiting.messages.iter().map(|m| m.message.timestamp).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}
