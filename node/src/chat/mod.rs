//! The group chat as an extension of the node.
//!
//! ```text
//!  HTTP ─────────┐ one try, else 429        ┌─► publishes ─► publish.rs ─► relay, own archive
//!  relay ────────┤ one try, else overflow   │
//!  overflow.rs ──┼──► queue ──► actor.rs ───┼─► fetches ───► fetch.rs ───► archive, store peers
//!  fetch.rs ─────┤              (the core)  │
//!  publish.rs ───┘ wait for room            └─► answers, events
//! ```
//!
//! The core (`waku-groupchat-core`) does no IO and runs on a thread of its own, so that neither MLS
//! nor RocksDB holds up the network. Everything reaches it through one bounded queue
//! (`handle.rs`). The thread never waits for an executor, so the arrows make no deadlock: what
//! finds an executor's channel full is told to the core as failed, and the core tries again later.
//! [`api`] is the HTTP side; [`Token`] and the tokens made with it say who may use it (`tokens.rs`,
//! `access.rs`).

mod access;
mod actor;
pub mod api;
mod fetch;
mod gauges;
mod handle;
mod overflow;
mod owner_file;
mod publish;
#[cfg(test)]
mod tests;
mod token;
mod tokens;
pub mod unlock;
mod wipe;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};
use waku_groupchat_core::api::Config;
use waku_groupchat_core::{Fault, Timestamp};
use waku_groupchat_metrics::{ChatMetrics, RegisterError};
use waku_groupchat_storage::ArchiveError;
use waku_groupchat_storage::sealed::{ChatKey, Protection, SealError};
use waku_groupchat_waku::PubsubTopic;

use self::actor::{Actor, Begin, Executors};
use self::fetch::Range;
use self::handle::{CoreHandle, Health, Message, Status};
use crate::extension::{Arrived, Connectivity, Context, Extension, Plan, StartError};

pub use self::access::Scope;
pub(crate) use self::handle::chain;
pub use self::owner_file::OwnerFileError;
pub use self::publish::LOG_TARGET as PUBLISH_LOG_TARGET;
pub use self::token::{Token, TokenError};
use self::tokens::Tokens;
pub use self::tokens::TokensError;
use self::wipe::{Folder, Ground};
use crate::clock::now;

/// The folder of the core's database in the data directory.
pub(crate) const DATABASE: &str = "chat";
/// The file of the tokens that were made, in the data directory.
const TOKENS: &str = "api-tokens.json";
/// Publishes that wait for the executor; the core holds back no more than this a group.
const PUBLISHES: usize = 1024;
/// Fetches that wait for an executor.
const FETCHES: usize = 64;
/// How far before the archive's newest message it is read at the start: longer than a full queue
/// takes. What is older and was not taken shows as a gap.
const UNREAD: Duration = Duration::from_secs(300);

/// What health says of a database that is not encrypted.
const NOT_ENCRYPTED: &str =
    "the chat's database is not encrypted: whoever reads this disk reads keys and messages";

/// How the chat runs.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    /// Settings of the core, with the shard it lives on.
    pub core: Config,
    /// Commands, questions and batches of messages that wait for the core at most; at least 1.
    pub queue_capacity: usize,
    /// Streams of events.
    pub streams: StreamOptions,
    /// What the database is encrypted under; `None`: it is not.
    pub key: Option<Arc<ChatKey>>,
}

/// How streams of events run.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Events that a reader may be behind; at least 1.
    pub buffer: usize,
    /// A comment this often keeps proxies from closing a silent stream, and lets readers see that
    /// the node is there.
    pub keep_alive: Duration,
}

impl Default for StreamOptions {
    /// A buffer of what a long catch-up brings at once, in 2 MB, and a comment every 15 seconds.
    fn default() -> Self {
        Self { buffer: 4096, keep_alive: Duration::from_secs(15) }
    }
}

/// Why the chat did not start.
#[derive(Debug, thiserror::Error)]
pub enum ChatStartError {
    /// Its database does not open.
    #[error("the chat's database: {}", handle::chain(.0))]
    Database(#[from] SealError),
    /// It is encrypted, and there is nothing to open it with.
    #[error(
        "the chat's database: {0}: group-chat-passphrase-file, group-chat-key-file or the variable \
         {variable} gives it", variable = unlock::PASSPHRASE
    )]
    Locked(SealError),
    /// The file of the tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// What the database holds cannot be used.
    #[error("the chat's state: {0}")]
    State(#[from] Fault),
    /// The node's archive cannot be read.
    #[error("the node's archive: {0}")]
    Archive(#[from] ArchiveError),
    /// The system has no random bytes to give.
    #[error("no random bytes for the chat: {0}")]
    Random(#[from] getrandom::Error),
    /// Its metrics are registered already.
    #[error(transparent)]
    Metrics(#[from] RegisterError),
    /// The core's thread cannot be made.
    #[error("the chat's thread: {0}")]
    Thread(#[from] io::Error),
    /// The core's thread ended while it started: a bug.
    #[error("the chat's thread ended while it started")]
    ThreadEnded,
}

/// The running chat.
pub struct ChatExtension {
    topic: PubsubTopic,
    core: CoreHandle,
    tokens: Arc<Tokens>,
    streams: StreamOptions,
    /// Ends requests that wait.
    closing: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for ChatExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatExtension").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl ChatExtension {
    /// The chat's name as an extension.
    pub const NAME: &'static str = "chat";

    /// The chat for a node that has yet to start.
    pub fn plan(options: ChatOptions, data_dir: PathBuf, token: Token) -> Plan {
        let pubsub_topic = options.core.pubsub_topic;
        Plan {
            name: Self::NAME,
            pubsub_topic,
            start: Box::new(move |context| {
                Box::pin(async move {
                    let chat = Self::start(context, options, &data_dir, token).await?;
                    Ok::<Arc<dyn Extension>, StartError>(chat)
                })
            }),
        }
    }

    /// Opens the core's database below `data_dir` and starts the core's thread and what serves it.
    ///
    /// # Errors
    ///
    /// [`ChatStartError`] if the database, the thread or the metrics cannot be made.
    pub async fn start(
        context: Context,
        options: ChatOptions,
        data_dir: &Path,
        token: Token,
    ) -> Result<Arc<Self>, ChatStartError> {
        let path = data_dir.join(DATABASE);
        let ground = Folder::new(&path, options.key.clone());
        let tokens = Tokens::open(&token, data_dir.join(TOKENS))?;
        Self::start_on(context, options, tokens, ground).await
    }

    async fn start_on(
        context: Context,
        options: ChatOptions,
        tokens: Tokens,
        ground: impl Ground + 'static,
    ) -> Result<Arc<Self>, ChatStartError> {
        let status = Arc::new(Status::new(
            ChatMetrics::register(&context.registry)?,
            options.streams.buffer,
        ));
        let topic = options.core.pubsub_topic;
        let (queue, queued) = mpsc::channel(options.queue_capacity.max(1));
        let (publishes, publish_jobs) = mpsc::channel(PUBLISHES);
        let (fetches, fetch_jobs) = mpsc::channel(FETCHES);
        let core = CoreHandle::new(queue, Arc::clone(&status));
        let stop = CancellationToken::new();
        let executors = Executors { publishes, fetches };
        let (config, archive) = (options.core, Arc::clone(&context.archive));
        let clock = context.clock;
        let open = move || {
            let core = wipe::open_core(&ground, config.clone(), &status)?;
            status.overflow.add(unread(archive.newest()?));
            let begin = Begin { ground: Box::new(ground), config };
            Ok(Actor::new(core, begin, queued, executors, status, clock))
        };
        let thread = spawn(open, stop.clone()).await?;

        let tasks = TaskTracker::new();
        let publishing = publish::run(
            publish_jobs,
            context.publisher.clone(),
            topic,
            core.clone(),
            stop.clone(),
        );
        tasks.spawn(publishing.instrument(info_span!(parent: None, "chat.publish")));
        let fetcher = fetch::Fetcher {
            core: core.clone(),
            engine: context.engine,
            archive: Arc::clone(&context.archive),
            topic,
        };
        let fetching = fetcher.run(fetch_jobs, stop.clone());
        tasks.spawn(fetching.instrument(info_span!(parent: None, "chat.fetch")));
        let catching_up = overflow::catch_up(
            core.clone(),
            (context.archive, context.archive_fault),
            topic,
            stop.clone(),
        );
        tasks.spawn(catching_up.instrument(info_span!(parent: None, "chat.catch-up")));
        let watching = watch_peers(core.clone(), context.connectivity, stop.clone());
        tasks.spawn(watching.instrument(info_span!(parent: None, "chat.peers")));
        tasks.close();
        Ok(Arc::new(Self {
            topic,
            core,
            tokens: Arc::new(tokens),
            streams: options.streams,
            closing: stop.child_token(),
            stop,
            tasks,
            thread: Mutex::new(Some(thread)),
        }))
    }
}

#[async_trait]
impl Extension for ChatExtension {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn pubsub_topic(&self) -> PubsubTopic {
        self.topic
    }

    async fn on_messages(&self, messages: &[Arrived]) {
        self.core.arrived(messages.iter().map(|arrived| Arc::clone(&arrived.message)));
    }

    fn routes(&self) -> Router {
        let tokens = Arc::clone(&self.tokens);
        api::routes(self.core.clone(), tokens, self.streams, self.closing.clone())
    }

    fn health(&self) -> Vec<(String, String)> {
        let health = match &*self.core.status().health.borrow() {
            Health::Ready => match *self.core.status().hold.borrow() {
                None => "READY".to_owned(),
                Some(hold) => hold.to_string(),
            },
            Health::Fault(reason) => format!("the database fails: {reason}"),
            Health::Stopped => "stopped".to_owned(),
        };
        vec![("GroupChat".to_owned(), health)]
    }

    fn remarks(&self) -> Vec<(String, String)> {
        let protection = *self.core.status().protection.lock();
        let remark =
            (protection == Some(Protection::Permissions)).then(|| NOT_ENCRYPTED.to_owned());
        remark.into_iter().map(|remark| ("GroupChat".to_owned(), remark)).collect()
    }

    fn close(&self) {
        self.closing.cancel();
    }

    async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        let Some(thread) = self.thread.lock().await.take() else { return };
        // A panic of the thread was reported by the panic hook; there is nothing left to stop.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// Starts the core's thread and waits until the core is open.
async fn spawn(
    open: impl FnOnce() -> Result<Actor, ChatStartError> + Send + 'static,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, ChatStartError> {
    // The core's thread has a runtime of its own, for its queue and its deadlines only.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (opened, is_open) = oneshot::channel();
    let thread =
        thread::Builder::new().name("chat-core".to_owned()).spawn(move || match open() {
            Ok(actor) => {
                // Nobody waits if the node's start was given up.
                if opened.send(Ok(())).is_ok() {
                    runtime.block_on(actor.run(stop));
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        })?;
    is_open.await.map_err(|_| ChatStartError::ThreadEnded)??;
    Ok(thread)
}

/// What the archive may hold that the core had not taken when the process ended.
fn unread(newest: Option<i64>) -> Range {
    let newest = Range::of(Timestamp::from_waku(newest.unwrap_or_default()));
    newest.with(Range::of(newest.from - UNREAD))
}

/// Tells the core how many peers there are, now and whenever that changes.
async fn watch_peers(
    core: CoreHandle,
    mut connectivity: watch::Receiver<Connectivity>,
    stop: CancellationToken,
) {
    connectivity.mark_changed();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = connectivity.changed() => if changed.is_err() { return },
        }
        let now = *connectivity.borrow_and_update();
        if !core.tell(Message::Connectivity(now)).await {
            return;
        }
    }
}
