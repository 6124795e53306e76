//! The way to the core's thread: one bounded queue, and what is known of the core without asking.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{error, info, warn};
use waku_groupchat_core::api::{
    Answer, Command, CommandError, EventRecord, FetchId, FetchResult, Hold, PublishId,
    PublishResult,
};
use waku_groupchat_core::{Batch, Core, Fault, InstallationId, Store, StoreError, Timestamp};
use waku_groupchat_metrics::{self as metrics, ChatMetrics};
use waku_groupchat_storage::sealed::Protection;
use waku_groupchat_waku::WakuMessage;

use super::overflow::Overflow;
use crate::clock::now;
use crate::extension::Connectivity;

/// The core as it runs in a node.
pub(super) type ChatCore = Core<Database>;

/// The core's database: RocksDB, or what a test has in its place. A write that goes well ends a
/// fault.
pub(super) struct Database {
    store: Box<dyn Store>,
    status: Arc<Status>,
}

impl Database {
    pub(super) fn new(store: Box<dyn Store>, status: Arc<Status>) -> Self {
        Self { store, status }
    }
}

impl Store for Database {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.store.scan(prefix)
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.store.scan_from(prefix, from, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        #[cfg(debug_assertions)]
        crate::faults::write()?;
        self.store.commit(batch)?;
        self.status.works();
        Ok(())
    }
}

/// A question, with the way back for its answer. Gives the fault that kept it from being answered.
pub(super) type Question = Box<dyn FnOnce(&ChatCore) -> Result<(), Fault> + Send>;

/// What reaches the core's thread, in one bounded queue.
///
/// HTTP tries once and answers 429 if the queue is full; arrived messages try once and are read
/// from the archive later; executors and the catch-up wait for room.
pub(super) enum Message {
    /// Somebody wants something done.
    Command {
        /// What.
        command: Command,
        /// Where the answer goes once it is durable.
        answer: oneshot::Sender<Result<Answer, CallError>>,
    },
    /// Somebody wants to know something; it reads only.
    Query(Question),
    /// Messages of the shard that the own archive holds.
    Arrived {
        /// The messages.
        messages: Vec<Arc<WakuMessage>>,
        /// When they came over the relay; `None` if they came from an archive.
        heard: Option<Timestamp>,
    },
    /// What became of a publish.
    Published(PublishId, PublishResult),
    /// What became of a fetch; its messages came before.
    Fetched(FetchId, FetchResult),
    /// Peers came or went.
    Connectivity(Connectivity),
    /// All chat data of this installation is to go.
    Wipe {
        /// The installation that is meant.
        installation: InstallationId,
        /// Where it is told once it is gone.
        answer: oneshot::Sender<Result<(), CallError>>,
    },
}

/// Why a call to the core gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The core said no.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The queue is full.
    #[error("the chat has as much to do as it takes: try again")]
    Full,
    /// The database failed; nothing was changed.
    #[error("the chat's database failed, nothing was changed: {0}")]
    Fault(String),
    /// The core's thread has ended.
    #[error("the chat has stopped")]
    Stopped,
    /// Another installation was named than the one that is here.
    #[error("this is installation {0}, and another one was named: nothing was removed")]
    OtherInstallation(InstallationId),
    /// A wipe has begun and is not done.
    #[error("the chat's data is being removed, and not all of it is gone: {0}")]
    Unfinished(String),
}

/// Whether the core can work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It can.
    Ready,
    /// It met a fault, and nothing was written since.
    Fault(String),
    /// Its thread has ended.
    Stopped,
}

/// What is known of the core without asking it.
#[derive(Debug)]
pub(super) struct Status {
    /// Counts what happens.
    pub(super) metrics: ChatMetrics,
    /// Whether it can work.
    pub(super) health: watch::Sender<Health>,
    /// Why nothing is published, if that is so.
    pub(super) hold: watch::Sender<Option<Hold>>,
    /// The cursor of the newest event since the start; 0 before the first.
    pub(super) newest_event: watch::Sender<u64>,
    /// The newest events, for readers of streams. One that falls behind by more than it holds is
    /// told so, and reads the log.
    pub(super) events: broadcast::Sender<Arc<EventRecord>>,
    /// Arrived messages that found the queue full.
    pub(super) overflow: Overflow,
    /// How often the database was wiped.
    pub(super) wipes: watch::Sender<u64>,
    /// What keeps others from reading the database, once it is open.
    pub(super) protection: Mutex<Option<Protection>>,
}

impl Status {
    pub(super) fn new(metrics: ChatMetrics, event_buffer: usize) -> Self {
        Self {
            metrics,
            health: watch::Sender::new(Health::Ready),
            hold: watch::Sender::new(None),
            newest_event: watch::Sender::new(0),
            events: broadcast::Sender::new(event_buffer.max(1)),
            overflow: Overflow::default(),
            wipes: watch::Sender::new(0),
            protection: Mutex::new(None),
        }
    }

    /// The database is open, and lies like this.
    pub(super) fn is_protected_by(&self, protection: Protection) {
        *self.protection.lock() = Some(protection);
        match protection {
            Protection::Permissions => warn!(
                "the chat's database is protected by {protection}: keys and messages lie on disk \
                 as they are; `waku-groupchat chat-key set` encrypts it"
            ),
            Protection::Passphrase | Protection::KeyFile => {
                info!("the chat's database is encrypted under {protection}");
            }
        }
    }

    /// Takes over what the core says of the clock and of copies.
    pub(super) fn holds(&self, hold: Option<Hold>, clock_ahead: Option<i64>) {
        self.metrics.clock_ahead(clock_ahead.unwrap_or(0));
        self.hold.send_if_modified(|known| {
            let new = *known != hold;
            if new {
                match hold {
                    Some(hold) => warn!(reason = %hold, "nothing is published"),
                    None => info!("publishes go on"),
                }
                self.metrics.held(hold.map(|hold| match hold {
                    Hold::Ended => metrics::HoldReason::Ended,
                    Hold::Copied => metrics::HoldReason::Copied,
                    Hold::Clock { .. } => metrics::HoldReason::Clock,
                }));
                *known = hold;
            }
            new
        });
    }

    /// The core met a fault.
    pub(super) fn fails(&self, fault: &Fault) {
        self.metrics.database_fault();
        let reason = chain(fault);
        self.health.send_if_modified(|health| {
            let health_now = Health::Fault(reason.clone());
            let new = *health != health_now;
            if new {
                error!(reason, "the chat's database fails");
            }
            *health = health_now;
            new
        });
    }

    /// The database was written to.
    fn works(&self) {
        self.health.send_if_modified(|health| {
            let ended = matches!(health, Health::Fault(_));
            if ended {
                info!("the chat's database works again");
                *health = Health::Ready;
            }
            ended
        });
    }
}

/// Asks the core's thread. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct CoreHandle {
    queue: mpsc::Sender<Message>,
    status: Arc<Status>,
}

impl CoreHandle {
    pub(super) fn new(queue: mpsc::Sender<Message>, status: Arc<Status>) -> Self {
        Self { queue, status }
    }

    pub(super) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Has a command carried out; the answer comes after the batch that holds it.
    pub(super) async fn command(&self, command: Command) -> Result<Answer, CallError> {
        let (answer, answered) = oneshot::channel();
        self.offer(Message::Command { command, answer })?;
        answered.await.unwrap_or(Err(CallError::Stopped))
    }

    /// Reads on the core's thread.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ChatCore) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, CallError> {
        let (question, answered) = question(read);
        self.offer(Message::Query(question))?;
        answered.await.unwrap_or(Err(CallError::Stopped))
    }

    /// Reads on the core's thread, after waiting for room in the queue.
    pub(super) async fn query_in_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ChatCore) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, CallError> {
        let (question, answered) = question(read);
        if !self.tell(Message::Query(question)).await {
            return Err(CallError::Stopped);
        }
        answered.await.unwrap_or(Err(CallError::Stopped))
    }

    /// Hands over messages that arrived, a few at a time so that commands come in between. What
    /// finds no room is noted and read from the archive later.
    pub(super) fn arrived(&self, messages: impl IntoIterator<Item = Arc<WakuMessage>>) {
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let batch: Vec<_> = messages.by_ref().take(BATCH).collect();
            let heard = Some(now());
            match self.queue.try_send(Message::Arrived { messages: batch, heard }) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(Message::Arrived { messages, .. })) => {
                    for message in &messages {
                        self.status.metrics.queue_overflow();
                        self.status.overflow.mark(message.timestamp);
                    }
                }
                // What comes back is what was sent.
                Err(TrySendError::Full(_)) => {}
            }
        }
    }

    /// Has all chat data of this installation removed.
    pub(super) async fn wipe(&self, installation: InstallationId) -> Result<(), CallError> {
        let (answer, answered) = oneshot::channel();
        self.offer(Message::Wipe { installation, answer })?;
        answered.await.unwrap_or(Err(CallError::Stopped))
    }

    /// Hands over messages of an archive, waiting for room. `false` once the core has stopped.
    pub(super) async fn feed(&self, messages: Vec<WakuMessage>) -> bool {
        let mut messages = messages.into_iter().map(Arc::new).peekable();
        while messages.peek().is_some() {
            let batch: Vec<_> = messages.by_ref().take(BATCH).collect();
            if !self.tell(Message::Arrived { messages: batch, heard: None }).await {
                return false;
            }
        }
        true
    }

    /// Puts a message into the queue, waiting for room. `false` once the core has stopped.
    pub(super) async fn tell(&self, message: Message) -> bool {
        self.queue.send(message).await.is_ok()
    }

    fn offer(&self, message: Message) -> Result<(), CallError> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.status.metrics.queue_overflow();
                CallError::Full
            }
            TrySendError::Closed(_) => CallError::Stopped,
        })
    }
}

/// A question, and where its answer comes.
fn question<T: Send + 'static>(
    read: impl FnOnce(&ChatCore) -> Result<T, Fault> + Send + 'static,
) -> (Question, oneshot::Receiver<Result<T, CallError>>) {
    let (answer, answered) = oneshot::channel();
    // Nobody may be waiting any more: then the answer is dropped.
    let question: Question = Box::new(move |core| match read(core) {
        Ok(value) => {
            let _ = answer.send(Ok(value));
            Ok(())
        }
        Err(fault) => {
            let _ = answer.send(Err(CallError::Fault(chain(&fault))));
            Err(fault)
        }
    });
    (question, answered)
}

/// An error with what caused it, to where it began.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Most messages of one queue entry: at a few milliseconds each, commands wait little behind them.
const BATCH: usize = 16;
