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

mod hostile;
mod links;
mod node;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::api::{
    Answer, Command, CommandError, CommandId, Config, Input, PublishKind,
};
use waku_groupchat_core::{MemoryStore, Timestamp};
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

use self::hostile::Withheld;
use self::run::Happening;

pub use links::Links;
pub use node::{Archive, Held, Mishap, Node};

/// Where virtual time starts: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A node of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// Its place among the nodes, from 0.
    pub fn number(self) -> usize {
        self.0
    }
}

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
    /// When.
    pub at: Timestamp,
    /// What it is.
    pub kind: PublishKind,
    /// Its Waku hash.
    pub hash: MessageHash,
    /// The message.
    pub message: Arc<WakuMessage>,
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
    slow: BTreeMap<NodeId, Duration>,
    due: BTreeMap<(Timestamp, u64), Happening>,
    /// When which node wants to be called.
    timers: BTreeSet<(Timestamp, NodeId)>,
    sequence: u64,
    /// How far clocks are ahead, in nanoseconds.
    skews: BTreeMap<NodeId, i64>,
    published: Vec<Seen>,
    /// Nodes that run on a copy of what another one had written.
    copies: BTreeMap<NodeId, NodeId>,
    /// What nodes pretend to have published.
    withheld: BTreeMap<NodeId, Vec<Withheld>>,
    trace: Vec<TraceLine>,
    traced: bool,
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
            slow: BTreeMap::new(),
            due: BTreeMap::new(),
            timers: BTreeSet::new(),
            sequence: 0,
            skews: BTreeMap::new(),
            published: Vec::new(),
            copies: BTreeMap::new(),
            withheld: BTreeMap::new(),
            trace: Vec::new(),
            traced: true,
        }
    }

    /// An empty network whose time starts at `now`: for nodes that have lived before.
    pub fn starting_at(seed: u64, links: Links, now: Timestamp) -> Self {
        Self { now, ..Self::new(seed, links) }
    }

    /// Whether a trace is kept from now on. It is at first; a long run without it takes less memory.
    pub fn set_traced(&mut self, traced: bool) {
        self.traced = traced;
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
        self.note(id, || format!("has its clock set {seconds} s ahead"));
        self.skews.insert(id, seconds * 1_000_000_000);
        self.retime(id);
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
        let held = (message.hash(&self.config.pubsub_topic), Arc::new(message.clone()));
        for id in self.node_ids() {
            self.later(self.now, Happening::Deliver(id, held.clone()));
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
        self.note(id, || "stops".to_owned());
        self.nodes[id.0].stop();
        self.retime(id);
        self.tell_connectivity();
    }

    /// Has a node crash right after the next thing it writes: what should follow from that (a
    /// publish, a fetch) is lost, but for the answer to a command.
    pub fn crash_after_next_write(&mut self, id: NodeId) {
        self.doomed.insert(id);
    }

    /// Starts a node again, if need be after it was stopped, with something that goes wrong with its
    /// store, commits being counted from then on.
    pub fn restart_with(&mut self, id: NodeId, mishap: Mishap) {
        self.nodes[id.0].stop();
        self.nodes[id.0].set_mishap(mishap);
        self.restart(id);
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
        self.note(id, || "starts".to_owned());
        self.retime(id);
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

    /// Puts each node on a side: those of different sides do not reach each other, and only side 0
    /// reaches the store node. All cuts from before are gone.
    pub fn set_sides(&mut self, side: impl Fn(NodeId) -> usize) {
        let sides: Vec<usize> = self.node_ids().map(side).collect();
        self.cut.clear();
        self.cut_store.clear();
        for a in self.node_ids() {
            let others = self.node_ids().filter(|b| a < *b && sides[a.0] != sides[b.0]);
            self.cut.extend(others.map(|b| (a, b)));
            if sides[a.0] != 0 {
                self.cut_store.insert(a);
            }
        }
        self.tell_connectivity();
    }

    /// What a node sends and gets takes this much longer, from now on.
    pub fn set_slow(&mut self, id: NodeId, by: Duration) {
        self.slow.insert(id, by);
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

    fn note(&mut self, node: NodeId, what: impl FnOnce() -> String) {
        if self.traced {
            self.trace.push(TraceLine { at: self.now, node, what: what() });
        }
    }

    /// To be called after a node's core did anything.
    fn retime(&mut self, id: NodeId) {
        if let Some(old) = self.nodes[id.0].timer.take() {
            self.timers.remove(&(old, id));
        }
        if let Some(shown) = self.nodes[id.0].timeout() {
            let at = self.when(id, shown);
            self.timers.insert((at, id));
            self.nodes[id.0].timer = Some(at);
        }
    }

    /// A number below `n`, from the network's seed.
    pub fn random_below(&mut self, n: u64) -> u64 {
        self.rng.random_range(0..n.max(1))
    }
}
