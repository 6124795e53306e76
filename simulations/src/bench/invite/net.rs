//! Cores on one virtual clock, whose own work is timed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use waku_groupchat_core::api::{
    Answer, Command, CommandId, Config, Event, FetchRequest, FetchResult, FetchSource, FetchTry,
    FetchWhat, Input, Output, PublishKind, PublishResult,
};
use waku_groupchat_core::{Core, MemoryStore, Timestamp};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

/// The shard of all messages.
const TOPIC: PubsubTopic = PubsubTopic::new(1, 0);
/// Registration periods are short, so that making accounts takes little of the virtual time.
pub const REGISTRATION_PERIOD: Duration = Duration::from_secs(3600);

/// Messages that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// How many.
    pub messages: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

struct Peer {
    core: Core<MemoryStore>,
    answers: BTreeMap<CommandId, Result<Answer, String>>,
    events: Vec<Event>,
    work: Duration,
    longest: Duration,
}

/// Cores that hear each other at once, and one archive that all of them share.
pub struct Net {
    now: Timestamp,
    peers: Vec<Peer>,
    archive: HashMap<ContentTopic, Vec<WakuMessage>>,
    hashes: BTreeSet<MessageHash>,
    /// What was sent since the last [`Net::reset`]: when, what, bytes.
    sent: Vec<(Timestamp, PublishKind, usize)>,
    /// Registration records in the order they left.
    records: Vec<WakuMessage>,
    commands: u64,
    /// Whether messages wait, for [`Net::hear`].
    holds: bool,
    held: Vec<WakuMessage>,
}

impl Net {
    /// Nobody, at this time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            peers: Vec::new(),
            archive: HashMap::new(),
            hashes: BTreeSet::new(),
            sent: Vec::new(),
            records: Vec::new(),
            commands: 0,
            holds: false,
            held: Vec::new(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new core; its place.
    pub fn add(&mut self, seed: u64) -> anyhow::Result<usize> {
        let mut config = Config::new(TOPIC);
        config.registration_period = REGISTRATION_PERIOD;
        config.registration_delay = Duration::from_secs(60);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let core = Core::open(MemoryStore::new(), config, bytes, self.now)?;
        let place = self.take_in(core);
        self.give(place, Input::Connectivity { relay_peers: 1, store_peers: 0 })?;
        Ok(place)
    }

    /// A core from another net whose time is not after this one's; its place.
    pub fn take_in(&mut self, core: Core<MemoryStore>) -> usize {
        let (work, longest) = (Duration::ZERO, Duration::ZERO);
        self.peers.push(Peer { core, answers: BTreeMap::new(), events: Vec::new(), work, longest });
        self.peers.len() - 1
    }

    /// Takes the first core out of the net.
    pub fn into_first(self) -> Option<Core<MemoryStore>> {
        self.peers.into_iter().next().map(|peer| peer.core)
    }

    /// Puts messages into the archive.
    pub fn archive(&mut self, messages: impl IntoIterator<Item = WakuMessage>) {
        for message in messages {
            self.archive.entry(message.content_topic.clone()).or_default().push(message);
        }
    }

    /// A core.
    pub fn core(&self, who: usize) -> &Core<MemoryStore> {
        &self.peers[who].core
    }

    /// What a core told.
    pub fn events(&self, who: usize) -> &[Event] {
        &self.peers[who].events
    }

    /// The parts of registration records that left, in order.
    pub fn records(&self) -> &[WakuMessage] {
        &self.records
    }

    /// Forgets times and what was sent.
    pub fn reset(&mut self) {
        self.sent.clear();
        for peer in &mut self.peers {
            (peer.work, peer.longest) = (Duration::ZERO, Duration::ZERO);
        }
    }

    /// How long a core worked since the last [`Net::reset`].
    pub fn work(&self, who: usize) -> Duration {
        self.peers[who].work
    }

    /// The longest of its steps.
    pub fn longest(&self, who: usize) -> Duration {
        self.peers[who].longest
    }

    /// What was sent of some kinds.
    pub fn sent(&self, wanted: impl Fn(&PublishKind) -> bool) -> Sent {
        let sent = self.sent.iter().filter(|(_, kind, _)| wanted(kind));
        sent.fold(Sent::default(), |sum, (_, _, bytes)| Sent {
            messages: sum.messages + 1,
            bytes: sum.bytes + bytes,
        })
    }

    /// Most messages of some kinds within a time.
    pub fn most_within(&self, time: Duration, wanted: impl Fn(&PublishKind) -> bool) -> usize {
        let times: Vec<Timestamp> =
            self.sent.iter().filter(|(_, kind, _)| wanted(kind)).map(|(at, ..)| *at).collect();
        let until = |from: Timestamp| times.partition_point(|at| *at < from + time);
        (0..times.len()).map(|first| until(times[first]) - first).max().unwrap_or_default()
    }

    /// Bytes of keys and values in a core's store.
    pub fn store_bytes(&self, who: usize) -> u64 {
        let pairs = self.peers[who].core.store().iter();
        pairs.map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    /// From now on messages wait until [`Net::hear`] gives them, or again go to all at once.
    pub fn hold(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// Gives a core all messages that were held.
    pub fn hear(&mut self, who: usize) -> anyhow::Result<()> {
        for message in self.held.clone() {
            self.give(who, Input::Message(message))?;
        }
        Ok(())
    }

    /// A command that is to be accepted, and what follows from it at once.
    pub fn command(&mut self, who: usize, command: Command) -> anyhow::Result<Answer> {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.give(who, Input::Command(id, command))?;
        let answer = self.peers[who].answers.remove(&id).context("no answer")?;
        answer.map_err(anyhow::Error::msg)
    }

    /// Lets the time pass.
    pub fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = self.now + time;
        loop {
            let due = |peer: &Peer| peer.core.poll_timeout().map(|at| at.max(self.now));
            let next = self.peers.iter().enumerate().filter_map(|(who, p)| Some((due(p)?, who)));
            let Some((at, who)) = next.min().filter(|(at, _)| *at <= end) else { break };
            self.now = at;
            self.timed(who, |core| core.handle_timeout(at))?;
            self.settle()?;
        }
        self.now = end;
        Ok(())
    }

    fn give(&mut self, who: usize, input: Input) -> anyhow::Result<()> {
        self.input(who, input)?;
        self.settle()
    }

    fn input(&mut self, who: usize, input: Input) -> anyhow::Result<()> {
        let now = self.now;
        self.timed(who, |core| core.handle(now, input))
    }

    fn timed(
        &mut self,
        who: usize,
        work: impl FnOnce(&mut Core<MemoryStore>) -> Result<(), waku_groupchat_core::Fault>,
    ) -> anyhow::Result<()> {
        let peer = &mut self.peers[who];
        let begun = super::cpu();
        work(&mut peer.core)?;
        let took = super::cpu() - begun;
        peer.work += took;
        peer.longest = peer.longest.max(took);
        Ok(())
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        while let Some((who, output)) = (0..self.peers.len())
            .find_map(|who| self.peers[who].core.poll_output().map(|output| (who, output)))
        {
            match output {
                Output::Publish(publish) => {
                    let (kind, bytes) = (publish.kind, publish.message.payload.len());
                    self.sent.push((self.now, kind, bytes));
                    self.hashes.insert(publish.hash);
                    if matches!(kind, PublishKind::Registration) {
                        self.records.push(publish.message.clone());
                    }
                    self.archive([publish.message.clone()]);
                    let taken = PublishResult::Published { peers: 1 };
                    self.input(who, Input::Published(publish.id, taken))?;
                    if self.holds {
                        self.held.push(publish.message);
                        continue;
                    }
                    for other in (0..self.peers.len()).filter(|other| *other != who) {
                        self.input(other, Input::Message(publish.message.clone()))?;
                    }
                }
                Output::Fetch(id, request) => {
                    let (messages, result) = self.fetched(&request);
                    for message in messages {
                        self.input(who, Input::Message(message))?;
                    }
                    self.input(who, Input::Fetched(id, result))?;
                }
                Output::Answer(id, answer) => {
                    let answer = answer.map_err(|error| error.to_string());
                    self.peers[who].answers.insert(id, answer);
                }
                Output::Event(record) => self.peers[who].events.push(record.event),
                Output::Refused(_) => {}
            }
        }
        Ok(())
    }

    /// The archive answers by topic, and tells all hashes; there are no other store peers.
    fn fetched(&self, request: &FetchRequest) -> (Vec<WakuMessage>, FetchResult) {
        let within = |message: &&WakuMessage| {
            let at = Timestamp::from_waku(message.timestamp.unwrap_or_default());
            (request.from..request.to).contains(&at)
        };
        let messages: Vec<WakuMessage> = match &request.source {
            FetchSource::OwnArchive(topics) => {
                let kept = topics.iter().filter_map(|topic| self.archive.get(topic));
                kept.flatten().filter(within).cloned().collect()
            }
            FetchSource::StorePeers => Vec::new(),
        };
        let asked = request.what == FetchWhat::Hashes;
        let hashes = if asked { self.hashes.iter().copied().collect() } else { Vec::new() };
        let outcome = Ok(messages.len() as u64);
        let tried = vec![FetchTry { source: "archive".to_owned(), outcome }];
        (messages, FetchResult { tried, hashes })
    }
}
