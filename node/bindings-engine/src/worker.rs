//! Carries out requests, in their order, on one thread; a dial gets a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::outgoing::Outgoing;
use crate::waku::Node;
use crate::wire::{Code, Connect, Failure, Request, empty};

/// Requests that may wait; the socket is not read while it is full.
const QUEUE: usize = 16;

/// Dials that may be under way.
const MAX_DIALS: usize = 16;

/// How long a dial may take where the request does not say.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long go-waku may take to stop; the process ends then all the same.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The queue to the thread that carries out requests.
pub(crate) struct Worker(SyncSender<(u64, Request)>);

impl Worker {
    /// Starts the thread.
    pub(crate) fn start(outgoing: Outgoing) -> Self {
        let (sender, requests) = sync_channel(QUEUE);
        let state = State { node: None, dials: Arc::default(), outgoing };
        thread::spawn(move || state.run(&requests));
        Self(sender)
    }

    /// Queues a request; waits while the queue is full.
    pub(crate) fn queue(&self, id: u64, request: Request) {
        // The thread only ends after `stop`, and the process with it.
        let _ = self.0.send((id, request));
    }
}

struct State {
    node: Option<Arc<Node>>,
    dials: Arc<AtomicUsize>,
    outgoing: Outgoing,
}

impl State {
    fn run(mut self, requests: &Receiver<(u64, Request)>) {
        while let Ok((id, request)) = requests.recv() {
            match request {
                Request::Stop => self.stop(id),
                Request::Connect(connect) => self.connect(id, connect),
                request => {
                    let outcome = self.carry_out(request);
                    self.outgoing.answer(Some(id), outcome);
                }
            }
        }
    }

    fn carry_out(&mut self, request: Request) -> Result<Value, Failure> {
        match request {
            Request::Start(start) => {
                if self.node.is_some() {
                    return Err(Failure::new(Code::AlreadyStarted, "the node is started"));
                }
                let node = self.node.insert(Arc::new(Node::start(start)?));
                Ok(json!(node.info()?))
            }
            Request::RelaySubscribe(topic) => {
                self.node()?.subscribe(&topic.pubsub_topic).map(|()| empty())
            }
            Request::RelayUnsubscribe(topic) => {
                self.node()?.unsubscribe(&topic.pubsub_topic).map(|()| empty())
            }
            Request::RelayPublish(publish) => {
                let id = self.node()?.publish(publish.pubsub_topic, &publish.message)?;
                Ok(json!({ "messageId": id }))
            }
            Request::RelayReady(topic) => {
                Ok(json!({ "ready": self.node()?.ready(topic.pubsub_topic)? }))
            }
            Request::Peers => Ok(json!({ "peers": self.node()?.peers()? })),
            Request::Info => Ok(json!(self.node()?.info()?)),
            Request::Credit(_) | Request::Connect(_) | Request::Stop => {
                Err(Failure::bad_request("handled elsewhere"))
            }
        }
    }

    /// Dials on a thread of its own, for it may take long and nothing else should wait for it.
    fn connect(&self, id: u64, connect: Connect) {
        let node = match self.node() {
            Ok(node) => Arc::clone(node),
            Err(failure) => return self.outgoing.answer(Some(id), Err(failure)),
        };
        if self.dials.fetch_add(1, Ordering::Relaxed) >= MAX_DIALS {
            self.dials.fetch_sub(1, Ordering::Relaxed);
            let busy = Failure::new(Code::Busy, format!("{MAX_DIALS} dials are under way"));
            return self.outgoing.answer(Some(id), Err(busy));
        }
        let (dials, outgoing) = (Arc::clone(&self.dials), self.outgoing.clone());
        thread::spawn(move || {
            let timeout = connect.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
            let outcome = node.connect(&connect.multiaddr, timeout.unwrap_or(DIAL_TIMEOUT));
            dials.fetch_sub(1, Ordering::Relaxed);
            outgoing.answer(Some(id), outcome.map(|()| empty()));
        });
    }

    /// Stops go-waku, for at most [`STOP_TIMEOUT`], answers, and ends the process.
    fn stop(mut self, id: u64) -> ! {
        let (done, stopped) = sync_channel(1);
        let node = self.node.take();
        thread::spawn(move || {
            // A dial under way still holds the node; the end of the process ends it too.
            let outcome = node.and_then(Arc::into_inner).map_or(Ok(()), Node::stop);
            let _ = done.send(outcome);
        });
        let outcome = stopped.recv_timeout(STOP_TIMEOUT).unwrap_or_else(|_| {
            Err(Failure::new(Code::Waku, format!("go-waku took over {STOP_TIMEOUT:?} to stop")))
        });
        self.outgoing.answer_and_exit(Some(id), outcome.map(|()| empty()), 0)
    }

    fn node(&self) -> Result<&Arc<Node>, Failure> {
        self.node.as_ref().ok_or_else(|| Failure::new(Code::NotStarted, "the node is not started"))
    }
}
