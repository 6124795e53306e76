//! Spawns the program and speaks its protocol.

mod tasks;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span};
use waku_groupchat_waku::{PubsubTopic, WakuMessage};
use zeroize::Zeroizing;

use super::wire::{Failure, Info, JsonMessage, Peer, Received, Request, Start};

/// Places for events that wait to be read, which is the credit that the program is given.
pub const EVENT_CREDIT: u32 = 256;

/// How many events are read before their credit goes back, so that not each costs a request.
const CREDIT_STEP: u32 = 64;

/// Requests that may wait for the socket.
const QUEUE: usize = 32;

/// How long an answer may take. The program's own limits are below it.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The program cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the bindings engine {} cannot be started", program.display())]
pub struct SpawnError {
    /// The program.
    pub program: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The program has ended.
    #[error("the bindings engine has ended")]
    Closed,
    /// No answer in time.
    #[error("the bindings engine did not answer within {0:?}")]
    Timeout(Duration),
    /// The program refused or failed.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The answer is not of the protocol.
    #[error("the bindings engine's answer does not parse")]
    Malformed(#[from] serde_json::Error),
}

type Answer = oneshot::Sender<Result<Value, Failure>>;

/// Requests that wait for their answer, by id; `None` once the program is gone.
type Pending = Arc<Mutex<Option<HashMap<u64, Answer>>>>;

/// A connection to one program. Dropping it closes the socket, and that ends the program.
#[derive(Debug)]
pub struct Client {
    lines: mpsc::Sender<Zeroizing<Vec<u8>>>,
    pending: Pending,
    next_id: AtomicU64,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// Messages in the order the program sent them. Reading gives credit back; while it is not read,
/// go-waku waits.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Received>,
    client: Arc<Client>,
    taken: u32,
}

impl Client {
    /// Starts the program with a socket of its own. What it and go-waku log goes to this process's
    /// standard error.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] if there is no such program, or no socket.
    pub fn spawn(program: &Path) -> Result<(Arc<Self>, Events), SpawnError> {
        let failed = |source| SpawnError { program: program.to_owned(), source };
        let (own, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        own.set_nonblocking(true).map_err(failed)?;
        let own = UnixStream::from_std(own).map_err(failed)?;
        let child = Command::new(program)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(io::stderr()))
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (client, events) = Self::over(own);
        client.track("child", tasks::watch(child, client.stop.clone()));
        Ok((client, events))
    }

    /// Speaks to a program at the other end of a socket.
    pub fn over(socket: UnixStream) -> (Arc<Self>, Events) {
        let (read, write) = socket.into_split();
        let (lines, to_write) = mpsc::channel(QUEUE);
        let (received, queue) = mpsc::channel(EVENT_CREDIT as usize);
        let stop = CancellationToken::new();
        let client = Arc::new(Self {
            lines,
            pending: Arc::new(Mutex::new(Some(HashMap::new()))),
            next_id: AtomicU64::new(1),
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            _stop_on_drop: stop.clone().drop_guard(),
        });
        client.track("writer", tasks::write_lines(write, to_write, stop.clone()));
        client
            .track("reader", tasks::read_lines(read, Arc::clone(&client.pending), received, stop));
        let events = Events { queue, client: Arc::clone(&client), taken: EVENT_CREDIT };
        (client, events)
    }

    fn track(&self, task: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(future.instrument(info_span!("bindings", task)));
    }

    /// Makes and starts the node.
    pub async fn start(&self, start: &Start<'_>) -> Result<Info, CallError> {
        self.call("start", Some(start)).await
    }

    /// Dials a peer by an address with `/p2p/<peer id>`, until it is connected or `timeout` is over.
    pub async fn connect(&self, multiaddr: &str, timeout: Duration) -> Result<(), CallError> {
        let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let params = json!({ "multiaddr": multiaddr, "timeoutMs": timeout });
        self.call::<_, Value>("connect", Some(&params)).await.map(drop)
    }

    /// Joins the mesh of a topic; its messages then come as [`Events`].
    pub async fn subscribe(&self, topic: PubsubTopic) -> Result<(), CallError> {
        self.with_topic::<Value>("relay-subscribe", topic).await.map(drop)
    }

    /// Leaves the mesh of a topic.
    pub async fn unsubscribe(&self, topic: PubsubTopic) -> Result<(), CallError> {
        self.with_topic::<Value>("relay-unsubscribe", topic).await.map(drop)
    }

    /// Publishes on a subscribed topic; gives go-waku's own hash, `0x` and hex.
    pub async fn publish(
        &self,
        topic: PubsubTopic,
        message: &WakuMessage,
    ) -> Result<String, CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Params {
            pubsub_topic: PubsubTopic,
            message: JsonMessage,
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Published {
            message_id: String,
        }
        let params = Params { pubsub_topic: topic, message: message.into() };
        let published: Published = self.call("relay-publish", Some(&params)).await?;
        Ok(published.message_id)
    }

    /// Whether a peer is subscribed to the topic.
    pub async fn ready(&self, topic: PubsubTopic) -> Result<bool, CallError> {
        #[derive(serde::Deserialize)]
        struct Ready {
            ready: bool,
        }
        self.with_topic("relay-ready", topic).await.map(|Ready { ready }| ready)
    }

    /// All peers that go-waku knows, connected or not.
    pub async fn peers(&self) -> Result<Vec<Peer>, CallError> {
        #[derive(serde::Deserialize)]
        struct Peers {
            peers: Vec<Peer>,
        }
        self.call("peers", None::<&()>).await.map(|Peers { peers }| peers)
    }

    /// Peer id, addresses and topics.
    pub async fn info(&self) -> Result<Info, CallError> {
        self.call("info", None::<&()>).await
    }

    /// Stops go-waku and waits until the program and all tasks have ended.
    pub async fn shutdown(&self) {
        match self.call::<_, Value>("stop", None::<&()>).await {
            Ok(_) | Err(CallError::Closed) => {}
            Err(error) => debug!(%error, "the program did not stop by itself"),
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn with_topic<R: DeserializeOwned>(
        &self,
        method: &str,
        topic: PubsubTopic,
    ) -> Result<R, CallError> {
        self.call(method, Some(&json!({ "pubsubTopic": topic }))).await
    }

    async fn call<P: Serialize, R: DeserializeOwned>(
        &self,
        method: &str,
        params: Option<&P>,
    ) -> Result<R, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let line = line(&Request { id, method, params })?;
        let (answer, answered) = oneshot::channel();
        self.pending.lock().as_mut().ok_or(CallError::Closed)?.insert(id, answer);
        // However this call ends, dropped by its caller too, its place goes.
        let _place = Place { id, pending: &self.pending };
        let exchange = async {
            self.lines.send(line).await.map_err(|_| CallError::Closed)?;
            answered.await.map_err(|_| CallError::Closed)
        };
        let result = tokio::time::timeout(CALL_TIMEOUT, exchange)
            .await
            .map_err(|_| CallError::Timeout(CALL_TIMEOUT))???;
        Ok(serde_json::from_value(result)?)
    }
}

/// Removes a request from the pending ones when it is dropped.
struct Place<'p> {
    id: u64,
    pending: &'p Pending,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.remove(&self.id);
        }
    }
}

impl Events {
    /// The next message; `None` once the program is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Received> {
        if self.taken >= CREDIT_STEP {
            // Not `call`: given up half-way, it would leave open whether the credit was given.
            if let Ok(place) = self.client.lines.reserve().await {
                let id = self.client.next_id.fetch_add(1, Ordering::Relaxed);
                let params = json!({ "events": mem::take(&mut self.taken) });
                let line = line(&Request { id, method: "credit", params: Some(&params) });
                place.send(line.unwrap_or_default());
            }
        }
        let received = self.queue.recv().await?;
        self.taken += 1;
        Some(received)
    }
}

/// The bytes of a request. They may hold the node key.
fn line<P: Serialize>(request: &Request<'_, P>) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    Ok(line)
}
