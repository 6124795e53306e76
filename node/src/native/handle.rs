//! The engine as others hold it: encodes and decodes, and asks the network's task for the rest.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use waku_groupchat_storage::Archive;
use waku_groupchat_waku::store::{StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use super::command::{self, Answer, Command, Publish};
use super::config::{NativeConfig, StartError};
use super::task::{Queues, Task};
use crate::engine::{
    Engine, EngineError, EngineEvents, EngineInfo, PeerInfo, PeerName, PublishError, Published,
    QueryError,
};

/// Store queries under way at once; more wait. Each may hold a response of 16 MiB.
const QUERIES: usize = 16;

/// The engine on rust-libp2p. Dropping the last handle stops it; [`Engine::shutdown`] waits too.
#[derive(Debug)]
pub struct NativeEngine {
    commands: mpsc::Sender<Command>,
    publishes: mpsc::Sender<Publish>,
    queries: Semaphore,
    max_message_size: usize,
    store_timeout: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl NativeEngine {
    /// Listens, dials the static peers, and serves the Store from `archive` if the configuration
    /// says so. When it returns, the listen addresses are known. Nothing is subscribed to yet.
    ///
    /// The events must be read, or the engine takes nothing more from the network once their queue
    /// is full; commands it answers even then. A dropped receiver means that nobody wants them.
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing left running.
    pub async fn start(
        config: NativeConfig,
        archive: Option<Arc<dyn Archive>>,
    ) -> Result<(Arc<Self>, EngineEvents), StartError> {
        config.check()?;
        let archive = match (config.store, archive) {
            (true, None) => return Err(StartError::NoArchive),
            (true, archive) => archive,
            (false, _) => None,
        };
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let (commands, commanded) = mpsc::channel(command::QUEUE);
        let (publishes, to_publish) = mpsc::channel(command::PUBLISH_QUEUE);
        let (events, to_node) = mpsc::channel(config.event_queue);
        let engine = Self {
            commands,
            publishes,
            queries: Semaphore::new(QUERIES),
            max_message_size: config.max_message_size,
            store_timeout: config.store_timeout,
            tasks: tasks.clone(),
            stop: stop.clone(),
            _stop_on_drop: stop.clone().drop_guard(),
        };
        let queues = Queues { commands: commanded, publishes: to_publish, events, stop };
        let mut task = Task::new(&config, archive, &tasks, queues)?;
        task.listen(&config.listen).await?;
        tasks.spawn(task.run());
        Ok((Arc::new(engine), to_node))
    }

    /// Asks the task; `None` if it has ended.
    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.ok()?;
        answered.await.ok()
    }
}

#[async_trait]
impl Engine for NativeEngine {
    fn name(&self) -> &'static str {
        "native"
    }

    async fn subscribe(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        self.ask(|answer| Command::Subscribe(topic, answer)).await.ok_or(EngineError::Closed)?
    }

    async fn unsubscribe(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        self.ask(|answer| Command::Unsubscribe(topic, answer)).await.ok_or(EngineError::Closed)
    }

    async fn publish(
        &self,
        topic: PubsubTopic,
        message: WakuMessage,
    ) -> Result<Published, PublishError> {
        let data = message.encode();
        if data.len() > self.max_message_size {
            return Err(PublishError::TooLarge { size: data.len(), max: self.max_message_size });
        }
        let hash = message.hash(&topic);
        let (answer, answered) = oneshot::channel();
        let sent = self.publishes.send(Publish { topic, data, answer }).await;
        sent.map_err(|_| PublishError::Closed)?;
        let peers = answered.await.map_err(|_| PublishError::Closed)??;
        Ok(Published { hash, peers })
    }

    async fn store_query(
        &self,
        peer: &PeerName,
        request: StoreQueryRequest,
    ) -> Result<StoreQueryResponse, QueryError> {
        let _permit = self.queries.acquire().await.map_err(|_| QueryError::Closed)?;
        let asked = self.ask(|answer| Command::StoreQuery(peer.clone(), request.encode(), answer));
        let bytes = tokio::time::timeout(self.store_timeout, asked)
            .await
            .map_err(|_| QueryError::Timeout(self.store_timeout))?
            .ok_or(QueryError::Closed)??;
        read_response(&request, &bytes)
    }

    async fn store_peers(&self) -> Result<Vec<PeerName>, EngineError> {
        self.ask(Command::StorePeers).await.ok_or(EngineError::Closed)
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, EngineError> {
        self.ask(Command::Peers).await.ok_or(EngineError::Closed)
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.ask(Command::Info).await.ok_or(EngineError::Closed)
    }

    async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A page from its bytes. nwaku leaves the request id out of error responses.
fn read_response(
    request: &StoreQueryRequest,
    bytes: &[u8],
) -> Result<StoreQueryResponse, QueryError> {
    let response = StoreQueryResponse::decode(bytes)
        .map_err(|error| QueryError::Malformed(error.to_string()))?;
    if !response.is_ok() {
        return Err(QueryError::Status {
            code: response.status_code,
            description: response.status_desc,
        });
    }
    if response.request_id != request.request_id && !response.request_id.is_empty() {
        return Err(QueryError::Malformed("it answers another request".to_owned()));
    }
    Ok(response)
}
