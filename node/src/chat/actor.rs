//! The core's thread: takes one message after the other, and hands on what the core wants done.
//!
//! The thread never waits for anything but its queue and the core's deadline, so nothing that waits
//! for it can hold it up. After each input it drains the core's outputs: answers go back at once,
//! publishes and fetches go to the executors' bounded channels. What finds one full is told to the
//! core as failed at once; the core tries again with its own back-off.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use waku_groupchat_core::api::{
    Answer, CommandError, CommandId, Config, Event, EventRecord, FetchId, FetchRequest,
    FetchResult, FetchSource, FetchTry, Hold, Input, Output, Publish, PublishResult,
};
use waku_groupchat_core::{Fault, InstallationId, Timestamp};
use waku_groupchat_metrics::MessageDirection;
use waku_groupchat_waku::WakuMessage;

use super::gauges::{self, Gauges};
use super::handle::{CallError, ChatCore, Health, Message, Status, chain};
use super::wipe::{self, Ground, Handed};
use super::{ChatStartError, fetch, now};
use crate::clock::Steps;
use crate::crash::crash_point;
use crate::extension::{Connectivity, PeersAhead};

/// How long after a fault of the database what can wait is tried again.
const FAULT_RETRY: Duration = Duration::from_secs(1);

/// Most messages that arrived and are written in one batch.
const WRITTEN_AT_ONCE: usize = 256;

/// The longest sleep: the clock may be set meanwhile, and deadlines are points on it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Messages that waited longer than this are not taken to show their senders' clocks.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// The longest sleep while the clock holds publishes: they go on soon after it is set.
const HELD_SLEEP: Duration = Duration::from_secs(1);

/// Where the executors take their work from.
#[derive(Debug)]
pub(super) struct Executors {
    pub(super) publishes: mpsc::Sender<Publish>,
    pub(super) fetches: mpsc::Sender<(FetchId, FetchRequest)>,
}

/// What a core begins on.
pub(super) struct Begin {
    pub(super) ground: Box<dyn Ground>,
    pub(super) config: Config,
}

type AnswerTo = oneshot::Sender<Result<Answer, CallError>>;

/// The state of the core's thread.
pub(super) struct Actor {
    core: ChatCore,
    begin: Begin,
    queue: mpsc::Receiver<Message>,
    executors: Executors,
    status: Arc<Status>,
    /// Commands that wait for the core's answer.
    answers: HashMap<CommandId, AnswerTo>,
    next_command: u64,
    /// Results that met a fault, in order: at most as many as the executors hold.
    again: VecDeque<Input>,
    /// Nothing that waits is tried before this.
    not_before: Timestamp,
    gauges: Gauges,
    /// Where the node's archive is told of peers' clocks.
    clock: PeersAhead,
    steps: Steps,
    /// As they were last told.
    peers: Connectivity,
    /// What executors have not answered.
    handed: Handed,
    /// There is no database to go on with.
    ended: bool,
}

impl Actor {
    pub(super) fn new(
        core: ChatCore,
        begin: Begin,
        queue: mpsc::Receiver<Message>,
        executors: Executors,
        status: Arc<Status>,
        clock: PeersAhead,
    ) -> Self {
        Self {
            core,
            begin,
            peers: Connectivity::default(),
            handed: Handed::default(),
            ended: false,
            queue,
            executors,
            status,
            answers: HashMap::new(),
            next_command: 0,
            again: VecDeque::new(),
            not_before: Timestamp::ZERO,
            gauges: Gauges::due(now()),
            clock,
            steps: Steps::new(),
        }
    }

    /// Runs until `stop`, then finishes what the queue holds.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let _ended = Ended(Arc::clone(&self.status));
        self.settle();
        while !self.ended {
            self.mind_the_clock();
            let held = matches!(self.core.hold(), Some(Hold::Clock { .. }));
            let longest = if held { HELD_SLEEP } else { LONGEST_SLEEP };
            let sleep = self.deadline().since(now()).min(longest);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Before the queue, so that a full one does not keep deadlines waiting.
                () = tokio::time::sleep(sleep) => self.tick(),
                message = self.queue.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
            }
        }
        self.queue.close();
        while let Some(message) = self.queue.recv().await {
            if !self.ended {
                self.take(message);
            }
        }
    }

    /// Tells the core that the system's clock was set, and the node how far it is off.
    fn mind_the_clock(&mut self) {
        if self.steps.stepped() {
            let result = self.core.handle(now(), Input::ClockSet);
            self.note(&result);
            self.settle();
        }
        let ahead = self.core.clock_ahead();
        self.clock.set(-ahead.unwrap_or(0));
        self.status.holds(self.core.hold(), ahead);
    }

    /// When something is due although nothing arrives.
    fn deadline(&self) -> Timestamp {
        let again = self.again.front().map(|_| Timestamp::ZERO);
        let core = self.core.poll_timeout();
        let due = core.into_iter().chain(again).map(|at| at.max(self.not_before));
        due.chain(self.gauges.deadline()).min().unwrap_or(now() + LONGEST_SLEEP)
    }

    /// Does what is due.
    fn tick(&mut self) {
        let at = now();
        if at >= self.not_before {
            while let Some(input) = self.again.pop_front() {
                if !self.try_result(input) {
                    return;
                }
                self.settle();
            }
            if self.core.poll_timeout().is_some_and(|due| due <= at) {
                let result = self.core.handle_timeout(at);
                self.note(&result);
                self.settle();
            }
        }
        if self.gauges.deadline().is_some_and(|due| due <= at) {
            let result = self.gauges.read(&self.core, &self.status.metrics);
            self.note(&result);
        }
    }

    fn take(&mut self, message: Message) {
        let mut next = Some(message);
        while let Some(message) = next {
            next = self.take_one(message);
        }
    }

    /// Gives what was found in the queue behind it, if that is another kind of thing.
    fn take_one(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Command { command, answer } => {
                let id = CommandId(self.next_command);
                self.next_command += 1;
                crash_point("before-commit");
                let result = self.core.handle(now(), Input::Command(id, command));
                crash_point("after-commit");
                self.note(&result);
                match result {
                    Ok(()) => {
                        self.answers.insert(id, answer);
                    }
                    Err(fault) => {
                        let _ = answer.send(Err(CallError::Fault(chain(&fault))));
                    }
                }
                self.settle();
            }
            Message::Query(question) => {
                let result = question(&self.core);
                self.note(&result);
            }
            Message::Arrived { messages, heard } => return self.arrived(messages, heard),
            Message::Published(id, result) => {
                if self.handed.is_published(id) {
                    self.result(Input::Published(id, result));
                }
            }
            Message::Fetched(id, result) => {
                if self.handed.is_fetched(id) {
                    self.result(Input::Fetched(id, result));
                }
            }
            Message::Wipe { installation, answer } => {
                let result = self.wipe(installation);
                // Whoever asked may be gone.
                let _ = answer.send(result);
            }
            Message::Connectivity(peers @ Connectivity { relay_peers, store_peers }) => {
                self.peers = peers;
                // Only the newest one matters.
                self.again.retain(|input| !matches!(input, Input::Connectivity { .. }));
                self.result(Input::Connectivity { relay_peers, store_peers });
            }
        }
        None
    }

    /// Hands over what arrived, and what of that waits in the queue right behind it: one durable
    /// write for all of it. Gives what it found there that is something else.
    fn arrived(
        &mut self,
        mut messages: Vec<Arc<WakuMessage>>,
        heard: Option<Timestamp>,
    ) -> Option<Message> {
        let mut next = None;
        while messages.len() < WRITTEN_AT_ONCE && next.is_none() {
            match self.queue.try_recv() {
                Ok(Message::Arrived { messages: more, heard: also })
                    if also.is_some() == heard.is_some() =>
                {
                    messages.extend(more);
                }
                Ok(other) => next = Some(other),
                Err(_) => break,
            }
        }
        // one that waited long shows that, not its sender's clock
        let heard = heard.is_some_and(|at| now().distance(at) < HEARD_WITHIN);
        let mut messages = messages.into_iter().map(Arc::unwrap_or_clone).peekable();
        while messages.peek().is_some() {
            self.hand_over(messages.by_ref().take(WRITTEN_AT_ONCE).collect(), heard);
        }
        next
    }

    fn hand_over(&mut self, messages: Vec<WakuMessage>, heard: bool) {
        let timestamps: Vec<_> = messages.iter().map(|message| message.timestamp).collect();
        let input = if heard { Input::Heard(messages) } else { Input::Messages(messages) };
        let result = self.core.handle(now(), input);
        if result.is_err() {
            // The archive has them; they are read again.
            timestamps.into_iter().for_each(|at| self.status.overflow.mark(at));
        }
        self.note(&result);
        self.settle();
    }

    /// Hands a result to the core, behind those that wait because of a fault.
    fn result(&mut self, input: Input) {
        if self.again.is_empty() {
            self.try_result(input);
            self.settle();
        } else {
            self.again.push_back(input);
        }
    }

    /// Hands a result to the core; after a fault it waits at the front. Whether it was taken.
    fn try_result(&mut self, input: Input) -> bool {
        let result = self.core.handle(now(), input.clone());
        self.note(&result);
        if result.is_err() {
            self.again.push_front(input);
        }
        result.is_ok()
    }

    /// Carries out what the core wants done, until it wants nothing more.
    fn settle(&mut self) {
        loop {
            let mut refused = Vec::new();
            while let Some(output) = self.core.poll_output() {
                refused.extend(self.carry_out(output));
            }
            if refused.is_empty() {
                return;
            }
            for input in refused {
                self.try_result(input);
            }
        }
    }

    /// Hands on one output. Gives what the core must be told if there was no room for it.
    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Answer(id, result) => {
                self.answer(id, result);
                None
            }
            Output::Event(record) => {
                self.event(record);
                None
            }
            Output::Refused(reason) => {
                self.status.metrics.refused(gauges::label(reason));
                None
            }
            Output::Publish(publish) => {
                // known before the result can come
                let id = publish.id;
                self.handed.publish(id);
                match self.executors.publishes.try_send(publish) {
                    Err(TrySendError::Full(publish)) => {
                        self.handed.is_published(id);
                        let reason = "the node's publish queue is full".to_owned();
                        Some(Input::Published(publish.id, PublishResult::Failed { reason }))
                    }
                    // Closed: the node shuts down, and the publish is on disk.
                    Ok(()) | Err(TrySendError::Closed(_)) => None,
                }
            }
            Output::Fetch(id, request) => {
                self.handed.fetch(id);
                match self.executors.fetches.try_send((id, request)) {
                    Err(TrySendError::Full((id, request))) => {
                        self.handed.is_fetched(id);
                        let outcome = Err("the node's fetch queue is full".to_owned());
                        let tried = FetchTry { source: source(&request).to_owned(), outcome };
                        let result = FetchResult { tried: vec![tried], hashes: Vec::new() };
                        Some(Input::Fetched(id, result))
                    }
                    Ok(()) | Err(TrySendError::Closed(_)) => None,
                }
            }
        }
    }

    /// Removes all chat data, and begins anew without any.
    fn wipe(&mut self, installation: InstallationId) -> Result<(), CallError> {
        let own = self.core.account().map_err(|fault| CallError::Fault(chain(&fault)))?;
        let own = own.ok_or(CallError::Refused(CommandError::NoAccount))?.installation;
        if own != installation {
            return Err(CallError::OtherInstallation(own));
        }
        warn!("all chat data of this installation is removed");
        self.begin_anew().map_err(|error| {
            self.ended = true;
            let reason = wipe::unfinished(&error);
            error!(reason, "the chat's data is not removed whole, and the chat stops");
            CallError::Unfinished(reason)
        })
    }

    fn begin_anew(&mut self) -> Result<(), ChatStartError> {
        let Begin { ground, config } = &self.begin;
        // closes the database
        self.core = wipe::stand_in(config.clone(), &self.status)?;
        ground.wipe()?;
        self.core = wipe::open_core(&**ground, config.clone(), &self.status)?;
        self.handed.renew();
        self.again.clear();
        self.answers.clear();
        self.gauges = Gauges::due(now());
        self.status.newest_event.send_replace(0);
        self.status.wipes.send_modify(|wipes| *wipes += 1);
        let Connectivity { relay_peers, store_peers } = self.peers;
        self.result(Input::Connectivity { relay_peers, store_peers });
        Ok(())
    }

    fn answer(&mut self, id: CommandId, result: Result<Answer, CommandError>) {
        match &result {
            Ok(Answer::Accepted { .. }) => self.status.metrics.message(MessageDirection::Sent),
            Ok(Answer::GroupCreated { group }) => {
                let result = self.gauges.joined(&self.core, *group);
                self.note(&result);
                self.gauges.touch(now());
            }
            _ => {}
        }
        if let Some(answer) = self.answers.remove(&id) {
            // Whoever asked may be gone; what was asked is done all the same.
            let _ = answer.send(result.map_err(CallError::Refused));
        }
        crash_point("after-answer");
    }

    fn event(&mut self, record: EventRecord) {
        match &record.event {
            Event::Joined { group } => {
                let result = self.gauges.joined(&self.core, *group);
                self.note(&result);
            }
            Event::Message { .. } => self.status.metrics.message(MessageDirection::Received),
            Event::MessageState { state, .. } => {
                if let Some(state) = gauges::delivery(*state) {
                    self.status.metrics.delivered(state);
                }
            }
            Event::Reordered { .. } => self.status.metrics.reordered(),
            Event::ChangeFailed { change, .. } => {
                self.status.metrics.change_failed(gauges::change(*change));
            }
            _ => {}
        }
        self.gauges.touch(now());
        self.status.newest_event.send_replace(record.cursor);
        // Without readers there is nobody to send it to.
        let _ = self.status.events.send(Arc::new(record));
    }

    /// Shows a fault in the node's health, and puts off what can wait.
    fn note(&mut self, result: &Result<(), Fault>) {
        if let Err(fault) = result {
            self.not_before = now() + FAULT_RETRY;
            self.status.fails(fault);
        }
    }
}

/// The name under which a source that was not asked stands in a fetch's result.
fn source(request: &FetchRequest) -> &'static str {
    match request.source {
        FetchSource::OwnArchive(_) => fetch::OWN_ARCHIVE,
        FetchSource::StorePeers => fetch::STORE_PEERS,
    }
}

/// Says that the core's thread has ended, also when it panics.
struct Ended(Arc<Status>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.health.send_replace(Health::Stopped);
    }
}
