//! Many cores on a virtual network under virtual time, from a seed.
//!
//! Nothing here waits: the clock jumps to the next thing that happens. A publish reaches every
//! other node and the store node on its own, each with its own loss, delay and duplication, so
//! messages overtake one another. Nodes can be cut off, from each other or from the store, stopped
//! and started again on what they had written. The same seed and the same calls give the same run;
//! [`Network::trace`] shows it.
//!
//! ```
//! use std::time::Duration;
//! use waku_groupchat_core::api::Command;
//! use waku_groupchat_simulations::network::{Links, Network};
//!
//! let mut net = Network::new(7, Links::perfect());
//! let alice = net.add_node();
//! net.command(alice, Command::CreateAccount).expect("a fresh node");
//! net.run_for(Duration::from_secs(60));
//! ```

mod links;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::api::{
    Answer, Command, CommandError, CommandId, Config, FetchId, FetchRequest, FetchResult,
    FetchSource, FetchTry, FetchWhat, Input, Output, PublishId, PublishKind, PublishResult,
};
use waku_groupchat_core::{MemoryStore, Timestamp};
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

/// Messages of an archive that a core is given at a time.
const FETCHED_PAGE: usize = 16;

pub use links::Links;
pub use node::{Archive, Mishap, Node};

/// Where virtual time starts: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A node of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// One line of what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// When.
    pub at: Timestamp,
    /// At which node.
    pub node: NodeId,
    /// What.
    pub what: String,
}

/// A publish as an observer of everything sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who published.
    pub node: NodeId,
    /// What it is.
    pub kind: PublishKind,
    /// Its Waku hash.
    pub hash: MessageHash,
    /// The message.
    pub message: WakuMessage,
}

enum Happening {
    Deliver(NodeId, WakuMessage),
    Store(WakuMessage),
    // the answers a driver owes belong to one life of its core
    Published(NodeId, u32, PublishId, PublishResult),
    Answer(NodeId, u32, FetchId, FetchRequest),
}

/// The network, the clock and the store node.
pub struct Network {
    now: Timestamp,
    rng: ChaCha20Rng,
    links: Links,
    config: Config,
    nodes: Vec<Node>,
    store: Archive,
    store_up: bool,
    cut: BTreeSet<(NodeId, NodeId)>,
    cut_store: BTreeSet<NodeId>,
    doomed: BTreeSet<NodeId>,
    due: BTreeMap<(Timestamp, u64), Happening>,
    sequence: u64,
    /// How far clocks are ahead, in nanoseconds.
    skews: BTreeMap<NodeId, i64>,
    published: Vec<Seen>,
    trace: Vec<TraceLine>,
}

impl Network {
    /// An empty network. Cores get short registration and invitation delays unless
    /// [`Network::config_mut`] says otherwise.
    pub fn new(seed: u64, links: Links) -> Self {
        let mut config = Config::new(PubsubTopic::new(1, 0));
        config.registration_delay = Duration::from_secs(5);
        config.invitation_delay = Duration::from_secs(5);
        Self {
            now: START,
            rng: ChaCha20Rng::seed_from_u64(seed),
            links,
            config,
            nodes: Vec::new(),
            store: Archive::default(),
            store_up: true,
            cut: BTreeSet::new(),
            cut_store: BTreeSet::new(),
            doomed: BTreeSet::new(),
            due: BTreeMap::new(),
            sequence: 0,
            skews: BTreeMap::new(),
            published: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// An empty network whose time starts at `now`: for nodes that have lived before.
    pub fn starting_at(seed: u64, links: Links, now: Timestamp) -> Self {
        Self { now, ..Self::new(seed, links) }
    }

    /// Settings for nodes that are added or started from now on.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// How links behave from now on.
    pub fn set_links(&mut self, links: Links) {
        self.links = links;
    }

    /// Virtual time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Everything published so far, in order.
    pub fn published(&self) -> &[Seen] {
        &self.published
    }

    /// What happened so far: publishes, deliveries, answers, events.
    pub fn trace(&self) -> &[TraceLine] {
        &self.trace
    }

    /// The last `lines` of the trace and the events of all nodes, to print where a test fails.
    pub fn story(&self, lines: usize) -> String {
        let from = self.trace.len().saturating_sub(lines);
        let mut story = String::new();
        for line in &self.trace[from..] {
            let at = line.at.since(START).as_secs_f64();
            story.push_str(&format!("{at:>12.3} {:?} {}\n", line.node, line.what));
        }
        story
    }

    /// The store node's archive.
    pub fn store(&self) -> &Archive {
        &self.store
    }

    /// Empties the store node's archive, as one does that keeps messages for a while only.
    pub fn forget_store(&mut self) {
        self.store = Archive::default();
    }

    /// A node, to look at.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All nodes.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Sets a node's clock this many seconds ahead of the network's, or behind; the node notices
    /// that it is set.
    pub fn set_skew(&mut self, id: NodeId, seconds: i64) {
        self.note(id, format!("has its clock set {seconds} s ahead"));
        self.skews.insert(id, seconds * 1_000_000_000);
        self.input(id, Input::ClockSet);
    }

    /// The time by a node's clock.
    pub fn clock(&self, id: NodeId) -> Timestamp {
        let ahead = self.skews.get(&id).copied().unwrap_or(0);
        Timestamp::from_nanos(self.now.as_nanos().saturating_add_signed(ahead))
    }

    /// When a node's clock shows this.
    fn when(&self, id: NodeId, shown: Timestamp) -> Timestamp {
        let ahead = self.skews.get(&id).copied().unwrap_or(0);
        Timestamp::from_nanos(shown.as_nanos().saturating_add_signed(-ahead))
    }

    /// Has a message come to everybody over the relay, from nobody in particular.
    pub fn inject(&mut self, message: &WakuMessage) {
        for id in self.node_ids() {
            self.later(self.now, Happening::Deliver(id, message.clone()));
        }
    }

    /// Adds a node with an empty store and starts it.
    pub fn add_node(&mut self) -> NodeId {
        self.add_node_with(None)
    }

    /// Adds a node whose store fails once.
    pub fn add_node_with(&mut self, mishap: Option<Mishap>) -> NodeId {
        self.add(mishap, MemoryStore::new())
    }

    /// Adds a node that goes on from what another one, or an older version, has written.
    pub fn add_node_on(&mut self, store: MemoryStore) -> NodeId {
        self.add(None, store)
    }

    fn add(&mut self, mishap: Option<Mishap>, store: MemoryStore) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node::new(mishap));
        self.start(id, store);
        id
    }

    /// Stops a node as a crash does: what it had not written is gone.
    pub fn stop(&mut self, id: NodeId) {
        self.note(id, "stops");
        self.nodes[id.0].stop();
        self.tell_connectivity();
    }

    /// Has a node crash right after the next thing it writes: what should follow from that (a
    /// publish, a fetch) is lost, but for the answer to a command.
    pub fn crash_after_next_write(&mut self, id: NodeId) {
        self.doomed.insert(id);
    }

    /// Starts a stopped node on what it had written.
    pub fn restart(&mut self, id: NodeId) {
        let store = self.nodes[id.0].take_store();
        self.start(id, store);
    }

    fn start(&mut self, id: NodeId, store: MemoryStore) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let now = self.clock(id);
        self.nodes[id.0].start(store, self.config.clone(), seed, now);
        self.note(id, "starts");
        self.tell_connectivity();
    }

    /// Cuts or heals the link between two nodes.
    pub fn set_cut(&mut self, a: NodeId, b: NodeId, cut: bool) {
        let pair = (a.min(b), a.max(b));
        if cut {
            self.cut.insert(pair)
        } else {
            self.cut.remove(&pair)
        };
        self.tell_connectivity();
    }

    /// Cuts or heals the link between a node and the store node.
    pub fn set_store_cut(&mut self, id: NodeId, cut: bool) {
        if cut {
            self.cut_store.insert(id)
        } else {
            self.cut_store.remove(&id)
        };
        self.tell_connectivity();
    }

    /// Cuts a node off from everybody, or heals all its links.
    pub fn set_alone(&mut self, id: NodeId, alone: bool) {
        for other in self.node_ids().filter(|other| *other != id) {
            let pair = (id.min(other), id.max(other));
            if alone {
                self.cut.insert(pair)
            } else {
                self.cut.remove(&pair)
            };
        }
        self.set_store_cut(id, alone);
    }

    /// Takes the store node away, or brings it back with what it had.
    pub fn set_store_up(&mut self, up: bool) {
        self.store_up = up;
        self.tell_connectivity();
    }

    /// Gives a command to a running node and takes its answer.
    ///
    /// # Panics
    ///
    /// If the node is stopped, or crashes.
    pub fn command(&mut self, id: NodeId, command: Command) -> Result<Answer, CommandError> {
        self.try_command(id, command).expect("each command is answered at once")
    }

    /// Gives a command to a node; `None` if that is stopped, or crashes before it answers.
    pub fn try_command(
        &mut self,
        id: NodeId,
        command: Command,
    ) -> Option<Result<Answer, CommandError>> {
        self.sequence += 1;
        let name = CommandId(self.sequence);
        self.input(id, Input::Command(name, command));
        self.nodes[id.0].answer(name)
    }

    /// Lets the time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until the condition holds; `false` if it does not within `most`.
    pub fn run_until(&mut self, most: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(end) {
                self.now = end;
                return done(self);
            }
        }
    }

    /// Jumps to the next thing that happens by `end`, and lets it happen.
    fn step(&mut self, end: Timestamp) -> bool {
        let happens = self.due.first_key_value().map(|((at, _), _)| *at);
        let timer = self
            .node_ids()
            .filter_map(|id| {
                self.nodes[id.0].timeout().map(|at| (self.when(id, at).max(self.now), id))
            })
            .min();
        match (happens, timer) {
            (Some(at), timer) if at <= end && timer.is_none_or(|(t, _)| at <= t) => {
                self.now = self.now.max(at);
                if let Some((_, happening)) = self.due.pop_first() {
                    self.happen(happening);
                }
                true
            }
            (_, Some((at, id))) if at <= end => {
                self.now = at;
                let now = self.clock(id);
                let survives = self.nodes[id.0].handle_timeout(now);
                self.go_on(id, survives);
                true
            }
            _ => false,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver(id, message) => {
                if self.nodes[id.0].is_up() {
                    self.note(id, format!("gets {} bytes", message.payload.len()));
                    self.nodes[id.0].archive(self.config.pubsub_topic, &message);
                    self.input(id, Input::Heard(vec![message]));
                }
            }
            Happening::Store(message) => {
                if self.store_up {
                    self.store.insert(self.config.pubsub_topic, &message);
                }
            }
            Happening::Published(id, life, publish, result) => {
                if self.nodes[id.0].life() == life {
                    self.input(id, Input::Published(publish, result));
                }
            }
            Happening::Answer(id, life, fetch, request) => {
                if self.nodes[id.0].life() == life {
                    self.answer_fetch(id, fetch, &request);
                }
            }
        }
    }

    fn input(&mut self, id: NodeId, input: Input) {
        if self.nodes[id.0].is_up() {
            let now = self.clock(id);
            let survives = self.nodes[id.0].handle(now, &input);
            self.go_on(id, survives);
        }
    }

    /// Does what a node wants done, or starts it again if it crashed.
    fn go_on(&mut self, id: NodeId, survives: bool) {
        if survives {
            self.drain(id);
        } else {
            self.note(id, "crashes");
            self.restart(id);
        }
    }

    fn drain(&mut self, id: NodeId) {
        if self.doomed.remove(&id) {
            // what was written stands, what was to follow from it is gone
            let answers = self.nodes[id.0].outputs();
            for output in answers {
                if let Output::Answer(name, answer) = output {
                    self.nodes[id.0].answered(name, answer);
                }
            }
            self.stop(id);
            return;
        }
        while let Some(output) = self.nodes[id.0].poll_output() {
            match output {
                Output::Publish(publish) => {
                    self.note(
                        id,
                        format!(
                            "publishes {} {}",
                            publish.kind.name(),
                            publish.message.payload.len()
                        ),
                    );
                    self.nodes[id.0].archive(self.config.pubsub_topic, &publish.message);
                    let peers = self.spread(id, &publish.message);
                    let result = match peers {
                        0 => PublishResult::Failed { reason: "no peers".to_owned() },
                        peers => PublishResult::Published { peers },
                    };
                    if peers > 0 {
                        self.published.push(Seen {
                            node: id,
                            kind: publish.kind,
                            hash: publish.hash,
                            message: publish.message,
                        });
                    }
                    let at = self.now + Duration::from_millis(1);
                    let life = self.nodes[id.0].life();
                    self.later(at, Happening::Published(id, life, publish.id, result));
                }
                Output::Fetch(fetch, request) => {
                    let delay = self.links.delay(&mut self.rng);
                    let life = self.nodes[id.0].life();
                    self.later(self.now + delay, Happening::Answer(id, life, fetch, request));
                }
                Output::Answer(name, answer) => self.nodes[id.0].answered(name, answer),
                Output::Refused(_) => {}
                Output::Event(event) => {
                    self.note(id, format!("event {:?}", event.event));
                    self.nodes[id.0].heard(event);
                }
            }
        }
    }

    /// Sends a publish on its ways; how many it was handed to.
    fn spread(&mut self, from: NodeId, message: &WakuMessage) -> usize {
        let mut peers = 0;
        let others: Vec<NodeId> = self.node_ids().filter(|id| self.linked(from, *id)).collect();
        for to in others {
            peers += 1;
            for delay in self.links.deliveries(&mut self.rng) {
                self.later(self.now + delay, Happening::Deliver(to, message.clone()));
            }
        }
        if self.store_linked(from) {
            peers += 1;
            for delay in self.links.deliveries(&mut self.rng) {
                self.later(self.now + delay, Happening::Store(message.clone()));
            }
        }
        peers
    }

    fn answer_fetch(&mut self, id: NodeId, fetch: FetchId, request: &FetchRequest) {
        if !self.nodes[id.0].is_up() {
            return;
        }
        let (source, found) = match &request.source {
            FetchSource::OwnArchive(topics) => {
                let found = self.nodes[id.0].archived(request.from, request.to, Some(topics));
                ("own archive".to_owned(), Some(found))
            }
            FetchSource::StorePeers => {
                let found =
                    self.store_linked(id).then(|| self.store.range(request.from, request.to, None));
                ("store".to_owned(), found)
            }
        };
        let outcome = match &found {
            Some(found) => Ok(found.len() as u64),
            None => Err("cannot be reached".to_owned()),
        };
        let life = self.nodes[id.0].life();
        let (mut hashes, messages): (Vec<_>, Vec<_>) =
            found.unwrap_or_default().into_iter().unzip();
        if request.what == FetchWhat::Messages {
            hashes.clear();
            for page in messages.chunks(FETCHED_PAGE) {
                self.input(id, Input::Messages(page.to_vec()));
                if self.nodes[id.0].life() != life {
                    return;
                }
            }
        }
        let result = FetchResult { tried: vec![FetchTry { source, outcome }], hashes };
        if self.nodes[id.0].life() == life {
            self.input(id, Input::Fetched(fetch, result));
        }
    }

    fn later(&mut self, at: Timestamp, happening: Happening) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), happening);
    }

    fn linked(&self, a: NodeId, b: NodeId) -> bool {
        a != b
            && self.nodes[a.0].is_up()
            && self.nodes[b.0].is_up()
            && !self.cut.contains(&(a.min(b), a.max(b)))
    }

    fn store_linked(&self, id: NodeId) -> bool {
        self.store_up && !self.cut_store.contains(&id) && self.nodes[id.0].is_up()
    }

    fn tell_connectivity(&mut self) {
        for id in self.node_ids() {
            let store_peers = usize::from(self.store_linked(id));
            let relay_peers =
                self.node_ids().filter(|other| self.linked(id, *other)).count() + store_peers;
            if self.nodes[id.0].connectivity_changed(relay_peers, store_peers) {
                self.input(id, Input::Connectivity { relay_peers, store_peers });
            }
        }
    }

    fn note(&mut self, node: NodeId, what: impl Into<String>) {
        self.trace.push(TraceLine { at: self.now, node, what: what.into() });
    }

    /// A number below `n`, from the network's seed.
    pub fn random_below(&mut self, n: u64) -> u64 {
        self.rng.random_range(0..n.max(1))
    }
}
