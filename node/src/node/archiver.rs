//! Writes messages to the archive, as many as wait in one batch.
//!
//! Whoever brings messages waits until they are written. While one batch is being written, others
//! gather behind it and become the next one, so that a busy node writes few large batches and an
//! idle one writes at once. There is no queue that could grow: who waits here takes no more.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use waku_groupchat_storage::ArchivedMessage;

use super::archiving::Archiving;

/// Messages that are written together at most, unless somebody brings more at once.
const BATCH: usize = 256;

/// The way into an archive. Cheap to clone.
#[derive(Clone)]
pub(super) struct Archiver(Arc<Shared>);

struct Shared {
    archiving: Arc<Archiving>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Whether a thread writes, and will look for what waits once it has.
    writing: bool,
}

/// Messages that somebody brought, and who is told once they are written.
struct Waiting {
    messages: Vec<ArchivedMessage>,
    written: oneshot::Sender<()>,
}

impl Archiver {
    pub(super) fn new(archiving: Arc<Archiving>) -> Self {
        Self(Arc::new(Shared { archiving, state: Mutex::default() }))
    }

    /// Writes messages; returns once they are written, or cannot be: then they wait
    /// ([`Archiving`]).
    pub(super) async fn write(&self, messages: Vec<ArchivedMessage>) {
        if messages.is_empty() {
            return;
        }
        let (written, waits) = oneshot::channel();
        let begin = {
            let mut state = self.0.state();
            state.waiting.push_back(Waiting { messages, written });
            !std::mem::replace(&mut state.writing, true)
        };
        if begin {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.write());
        }
        // An error says that the runtime ends.
        let _ = waits.await;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits, up to a batch. Where nothing does, the thread's turn ends.
    fn next(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let mut messages = 0;
        let mut taken = Vec::new();
        while let Some(first) = state.waiting.front() {
            messages += first.messages.len();
            if messages > BATCH && !taken.is_empty() {
                break;
            }
            taken.extend(state.waiting.pop_front());
        }
        state.writing = !taken.is_empty();
        taken
    }

    /// Writes until nothing waits.
    fn write(&self) {
        loop {
            let mut taken = self.next();
            let batch: Vec<_> = taken.iter_mut().flat_map(|w| w.messages.drain(..)).collect();
            if batch.is_empty() {
                return;
            }
            // A panic, our bug, must not keep those waiting who come after.
            if catch_unwind(AssertUnwindSafe(|| self.archiving.insert(&batch))).is_err() {
                self.archiving.panicked();
            }
            for waiting in taken {
                // An error says that whoever waited has gone.
                let _ = waiting.written.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::pin::Pin;
    use std::sync::mpsc;

    use waku_groupchat_metrics::Metrics;
    use waku_groupchat_storage::{
        Archive, ArchiveError, ArchivePage, ArchiveQuery, InsertReport, MemoryArchive, PruneReport,
    };
    use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

    use super::*;

    /// Notes how many messages each batch has, and writes it once it is told to: with `false` it
    /// panics.
    struct Gated {
        memory: MemoryArchive,
        batches: Mutex<Vec<usize>>,
        gate: Mutex<mpsc::Receiver<bool>>,
    }

    impl Archive for Gated {
        fn insert(&self, batch: &[ArchivedMessage]) -> Result<InsertReport, ArchiveError> {
            let writes = self.gate.lock().expect("no panic").recv().expect("open");
            self.batches.lock().expect("no panic").push(batch.len());
            assert!(writes, "asked to panic");
            self.memory.insert(batch)
        }

        fn len(&self) -> usize {
            self.memory.len()
        }

        fn query(&self, query: &ArchiveQuery) -> Result<ArchivePage, ArchiveError> {
            self.memory.query(query)
        }

        fn contains(&self, hashes: &[MessageHash]) -> Result<Vec<bool>, ArchiveError> {
            self.memory.contains(hashes)
        }

        fn oldest(&self) -> Result<Option<i64>, ArchiveError> {
            self.memory.oldest()
        }

        fn newest(&self) -> Result<Option<i64>, ArchiveError> {
            self.memory.newest()
        }

        fn prune(&self, now_ns: i64) -> Result<PruneReport, ArchiveError> {
            self.memory.prune(now_ns)
        }
    }

    type Writer = Pin<Box<dyn Future<Output = ()>>>;

    /// Brings a message each; all of them wait when this returns.
    async fn bring(archiver: &Archiver, numbers: Range<usize>) -> Vec<Writer> {
        let mut writers: Vec<Writer> = Vec::new();
        for number in numbers {
            let topic = ContentTopic::from_wire("/app/1/name/proto");
            let message = WakuMessage::new(topic, vec![1], number as i64);
            let message = ArchivedMessage::new(PubsubTopic::new(1, 2), message);
            let archiver = archiver.clone();
            let mut writer: Writer = Box::pin(async move { archiver.write(vec![message]).await });
            assert!(futures::poll!(&mut writer).is_pending());
            writers.push(writer);
        }
        writers
    }

    fn archiver() -> (Archiver, Arc<Gated>, mpsc::SyncSender<bool>) {
        let (permit, gate) = mpsc::sync_channel(3);
        let (memory, batches) = (MemoryArchive::new(), Mutex::default());
        let gated = Arc::new(Gated { memory, batches, gate: Mutex::new(gate) });
        let metrics = Metrics::new("test").expect("metrics");
        let archiving = Archiving::new(Arc::clone(&gated) as Arc<dyn Archive>, metrics);
        (Archiver::new(Arc::new(archiving)), gated, permit)
    }

    #[tokio::test]
    async fn what_gathers_behind_a_batch_becomes_the_next_one() {
        let (archiver, gated, permit) = archiver();
        let writers = bring(&archiver, 0..BATCH + 10).await;
        // The first batch has those who had come when the thread looked.
        for _ in 0..3 {
            permit.send(true).expect("open");
        }
        futures::future::join_all(writers).await;
        let batches = gated.batches.lock().expect("no panic").clone();
        assert_eq!(batches.iter().sum::<usize>(), BATCH + 10);
        assert!(batches.len() <= 3 && batches.iter().all(|size| *size <= BATCH), "{batches:?}");
        assert_eq!(gated.len(), BATCH + 10);
    }

    #[tokio::test]
    async fn a_panic_keeps_nobody_waiting() {
        let (archiver, gated, permit) = archiver();
        let writers = bring(&archiver, 0..1).await;
        permit.send(false).expect("open");
        futures::future::join_all(writers).await;
        let writers = bring(&archiver, 1..2).await;
        permit.send(true).expect("open");
        futures::future::join_all(writers).await;
        assert_eq!(*gated.batches.lock().expect("no panic"), [1, 1]);
        assert_eq!(gated.len(), 1);
    }
}
