//! A node: a core, the archive of its node, and what was heard from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use waku_groupchat_core::api::{
    Answer, CommandError, CommandId, Config, Event, EventRecord, Input, Output,
};
use waku_groupchat_core::{Core, Fault as CoreFault, MemoryStore, Timestamp};
use waku_groupchat_storage::testing::{Fault, FaultStore};
use waku_groupchat_waku::{ContentTopic, MessageHash, WakuMessage};

/// A message under its hash.
pub type Held = (MessageHash, Arc<WakuMessage>);

/// Messages by time and hash, as a Waku archive orders them.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    messages: BTreeMap<(Timestamp, MessageHash), Arc<WakuMessage>>,
}

impl Archive {
    /// Keeps a message; a second time changes nothing.
    pub fn insert(&mut self, (hash, message): &Held) {
        let at = Timestamp::from_waku(message.timestamp.unwrap_or_default());
        self.messages.entry((at, *hash)).or_insert_with(|| Arc::clone(message));
    }

    /// What lies in a range, the end exclusive, of these topics or of all.
    pub fn range(
        &self,
        from: Timestamp,
        to: Timestamp,
        topics: Option<&[ContentTopic]>,
    ) -> Vec<Held> {
        let topics: Option<BTreeSet<&ContentTopic>> = topics.map(|t| t.iter().collect());
        let first = (from, MessageHash::from_bytes([0; 32]));
        let end = (to.max(from), MessageHash::from_bytes([0; 32]));
        self.messages
            .range(first..end)
            .filter(|(_, m)| topics.as_ref().is_none_or(|t| t.contains(&m.content_topic)))
            .map(|((_, hash), m)| (*hash, Arc::clone(m)))
            .collect()
    }

    /// The hashes of all that is kept.
    pub fn hashes(&self) -> BTreeSet<MessageHash> {
        self.messages.keys().map(|(_, hash)| *hash).collect()
    }
}

/// What goes wrong with a node's store, once. Commits are counted from 1, since the node was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// This commit fails, and the core goes on: what it was given is given again.
    Fails(u64),
    /// The node crashes instead of this commit, and is started again.
    CrashBefore(u64),
    /// The node crashes right after this commit, and is started again: everything that should
    /// follow from it is lost, answers too.
    CrashAfter(u64),
}

impl Mishap {
    fn fault(self) -> Fault {
        match self {
            Self::Fails(commit) | Self::CrashBefore(commit) => Fault::At(commit),
            Self::CrashAfter(_) => Fault::Never,
        }
    }
}

/// A node of a virtual network.
#[derive(Debug)]
pub struct Node {
    core: Option<Core<FaultStore<MemoryStore>>>,
    /// What is still to go wrong.
    mishap: Option<Mishap>,
    /// How often it was started.
    life: u32,
    stopped: MemoryStore,
    archive: Archive,
    answers: BTreeMap<CommandId, Result<Answer, CommandError>>,
    events: Vec<EventRecord>,
    connectivity: (usize, usize),
    /// When the network means to call it.
    pub(super) timer: Option<Timestamp>,
}

impl Node {
    pub(super) fn new(mishap: Option<Mishap>) -> Self {
        Self {
            core: None,
            mishap,
            life: 0,
            stopped: MemoryStore::new(),
            archive: Archive::default(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            connectivity: (0, 0),
            timer: None,
        }
    }

    /// The core, to ask.
    ///
    /// # Panics
    ///
    /// If the node is stopped.
    pub fn core(&self) -> &Core<FaultStore<MemoryStore>> {
        self.core.as_ref().expect("the node is up")
    }

    /// What it has written.
    ///
    /// # Panics
    ///
    /// If the node is stopped.
    pub fn written(&self) -> &MemoryStore {
        self.core().store().inner()
    }

    /// Whether what was to go wrong has not happened yet.
    pub fn awaits_mishap(&self) -> bool {
        self.mishap.is_some()
    }

    pub(super) fn set_mishap(&mut self, mishap: Mishap) {
        self.mishap = Some(mishap);
    }

    pub(super) fn core_mut(&mut self) -> Option<&mut Core<FaultStore<MemoryStore>>> {
        self.core.as_mut()
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Everything it told so far, over restarts.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().map(|record| &record.event)
    }

    /// The same with their times, by its own clock.
    pub fn event_records(&self) -> impl Iterator<Item = &EventRecord> {
        self.events.iter()
    }

    pub(super) fn start(
        &mut self,
        store: MemoryStore,
        config: Config,
        seed: [u8; 32],
        now: Timestamp,
    ) {
        let fault = self.mishap.map_or(Fault::Never, Mishap::fault);
        let store = FaultStore::new(store, fault);
        let core = Core::open(store, config, seed, now).expect("a store of its own making");
        self.core = Some(core);
        self.life += 1;
        self.connectivity = (0, 0);
    }

    pub(super) fn stop(&mut self) {
        if let Some(core) = self.core.take() {
            self.stopped = core.into_store().into_inner();
        }
    }

    pub(super) fn take_store(&mut self) -> MemoryStore {
        self.stop();
        std::mem::take(&mut self.stopped)
    }

    pub(super) fn timeout(&self) -> Option<Timestamp> {
        self.core.as_ref().and_then(Core::poll_timeout)
    }

    /// `false` if it crashed.
    #[must_use]
    pub(super) fn handle(&mut self, now: Timestamp, input: &Input) -> bool {
        self.survives(|core| core.handle(now, input.clone()))
    }

    /// `false` if it crashed.
    #[must_use]
    pub(super) fn handle_timeout(&mut self, now: Timestamp) -> bool {
        self.survives(|core| core.handle_timeout(now))
    }

    fn survives(
        &mut self,
        work: impl Fn(&mut Core<FaultStore<MemoryStore>>) -> Result<(), CoreFault>,
    ) -> bool {
        let Some(core) = &mut self.core else { return true };
        let done = work(core);
        let crash = match (done, self.mishap) {
            (Ok(()), Some(Mishap::CrashAfter(commit))) if core.store().commits() >= commit => true,
            (Ok(()), _) => return true,
            (Err(_), Some(Mishap::Fails(_))) => {
                work(core).expect("the store works again");
                false
            }
            (Err(_), Some(Mishap::CrashBefore(_))) => true,
            (Err(fault), _) => panic!("memory does not fail: {fault}"),
        };
        self.mishap = None;
        !crash
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.core.as_mut().and_then(Core::poll_output)
    }

    /// All that the core put out and nobody took.
    pub(super) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.poll_output()).collect()
    }

    pub(super) fn life(&self) -> u32 {
        self.life
    }

    pub(super) fn archive(&mut self, held: &Held) {
        self.archive.insert(held);
    }

    pub(super) fn archived(
        &self,
        from: Timestamp,
        to: Timestamp,
        topics: Option<&[ContentTopic]>,
    ) -> Vec<Held> {
        self.archive.range(from, to, topics)
    }

    pub(super) fn answered(&mut self, name: CommandId, answer: Result<Answer, CommandError>) {
        self.answers.insert(name, answer);
    }

    pub(super) fn answer(&mut self, name: CommandId) -> Option<Result<Answer, CommandError>> {
        self.answers.remove(&name)
    }

    pub(super) fn heard(&mut self, event: EventRecord) {
        self.events.push(event);
    }

    pub(super) fn connectivity_changed(&mut self, relay: usize, store: usize) -> bool {
        let changed = self.core.is_some() && self.connectivity != (relay, store);
        if changed {
            self.connectivity = (relay, store);
        }
        changed
    }
}
