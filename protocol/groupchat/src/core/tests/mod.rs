//! Cores that pass their outputs to each other directly, and members that break the rules.
//!
//! [`World`] is a driver for a handful of cores: what one publishes, all others get at once and in
//! order, and a Store keeps. A test takes somebody off ([`Peer::deaf`]) and delivers by hand what
//! it wants to come, in the order it wants. [`hostile`] makes what no honest member sends.

mod again;
mod aside;
mod batches;
mod cards;
mod claims;
mod commits;
mod copied;
mod crowd;
mod decoders;
mod evidence;
mod history;
mod history_faults;
mod hostile;
mod installations;
mod invitations;
mod large;
mod late;
mod leaving;
mod linking;
mod messages;
mod own_group;
mod reads;
mod records;
mod recovery;
mod rejoin;
mod repeats;
mod restarts;
mod segments;
mod splits;
mod strangers;
mod vectors;

use std::collections::BTreeMap;
use std::time::Duration;

use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use super::Core;
use crate::account::Phrase;
use crate::api::views::{GapState, GapView, MessageView};
use crate::api::{
    Answer, Command, CommandError, CommandId, Config, Event, EventRecord, FetchRequest,
    FetchResult, FetchSource, FetchTry, FetchWhat, Input, Output, PublishKind, PublishResult,
    RefusedReason,
};
use crate::mls::CoreRng;
use crate::store::MemoryStore;
use crate::{GroupId, InstallationId, MessageId, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const TOPIC: PubsubTopic = PubsubTopic::new(1, 0);
/// What is written beside the state: events, the names of MLS bytes that were here, MLS's own keys,
/// which every message that opens uses up.
const BESIDE: [&str; 3] = ["event/", "seen/", "mls/"];

/// Places in [`World::peers`].
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// All randomness of a test: from `SEED`, or a fixed one; printed.
fn randomness() -> CoreRng {
    let seed: u64 = std::env::var("SEED").map_or(7, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    CoreRng::new(bytes)
}

struct Peer {
    core: Core<MemoryStore>,
    heard: Vec<Event>,
    refused: Vec<RefusedReason>,
    answers: BTreeMap<CommandId, Result<Answer, CommandError>>,
    /// What it was given: its own archive.
    archive: Vec<WakuMessage>,
    /// Nothing reaches it, and no Store answers it; what it publishes is lost.
    deaf: bool,
    /// Its timers do not run.
    asleep: bool,
    /// Of the account that it made.
    phrase: Option<Phrase>,
}

/// Says of a publish, by its kind, whether it reaches nobody.
type Loses = Box<dyn FnMut(PublishKind) -> bool>;

struct World {
    now: Timestamp,
    peers: Vec<Peer>,
    /// What is lost on the way, and in no Store.
    loses: Loses,
    /// Everything that was published, in order.
    wire: Vec<(PublishKind, WakuMessage)>,
    commands: u64,
    group: GroupId,
    rng: CoreRng,
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_secs(1_767_225_600);
        let group = GroupId::from_bytes([0; GroupId::LEN]);
        let (peers, wire, rng) = (Vec::new(), Vec::new(), randomness());
        let loses: Loses = Box::new(|_| false);
        Self { now, peers, loses, wire, commands: 0, group, rng }
    }

    /// Alice, Bob and Carol in a group that Alice made.
    fn three() -> Self {
        let mut world = Self::new();
        let cards: Vec<String> = (0..3).map(|_| world.add().1).collect();
        world.make_group();
        world.invite(&cards[1..]);
        for peer in [BOB, CAROL] {
            world.command(peer, Command::AcceptInvitation { group: world.group });
        }
        world.run(MINUTE);
        world
    }

    fn config() -> Config {
        let mut config = Config::new(TOPIC);
        config.registration_delay = Duration::from_secs(5);
        config.invitation_delay = Duration::from_secs(5);
        config.installation_delay = Duration::from_secs(20);
        config
    }

    /// A peer without an account.
    fn add_empty(&mut self) -> usize {
        let place = self.peers.len();
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let core = Core::open(MemoryStore::new(), Self::config(), seed, self.now).expect("memory");
        let (heard, refused, archive) = (Vec::new(), Vec::new(), Vec::new());
        let (answers, asleep, deaf) = (BTreeMap::new(), false, false);
        let phrase = None;
        self.peers.push(Peer { core, heard, refused, answers, archive, deaf, asleep, phrase });
        self.give(place, Input::Connectivity { relay_peers: 1, store_peers: 1 });
        place
    }

    /// A further installation of `first`'s account.
    fn link(&mut self, first: usize) -> usize {
        let new = self.add_empty();
        let Answer::LinkRequested { request, .. } = self.command(new, Command::RequestLink) else {
            panic!("a request")
        };
        self.command(first, Command::AcceptLink { request });
        let digits = self.digits(new).expect("both have answered");
        for who in [first, new] {
            let answer = self.command(who, Command::ConfirmLink { digits: digits.clone() });
            assert!(matches!(answer, Answer::LinkCompared { same: true }));
        }
        assert_eq!(self.account(new), self.account(first));
        new
    }

    /// The digits of the linking that is under way.
    fn digits(&self, who: usize) -> Option<String> {
        self.peers[who].core.linking().expect("memory")?.digits
    }

    /// A new account on a peer of its own; its place and its card.
    fn add(&mut self) -> (usize, String) {
        self.add_peer(false)
    }

    fn add_peer(&mut self, deaf: bool) -> (usize, String) {
        let place = self.add_empty();
        self.peers[place].deaf = deaf;
        let Answer::AccountCreated { card, phrase, .. } =
            self.command(place, Command::CreateAccount)
        else {
            panic!("an account")
        };
        self.peers[place].phrase = Some(phrase);
        self.run(MINUTE);
        (place, card.to_string())
    }

    fn account(&self, who: usize) -> crate::AccountId {
        self.peers[who].core.account().expect("memory").expect("an account").account
    }

    fn make_group(&mut self) {
        let (name, description) = ("Hut".to_owned(), "Who brings what".to_owned());
        match self.command(ALICE, Command::CreateGroup { name, description }) {
            Answer::GroupCreated { group } => self.group = group,
            other => panic!("a group: {other:?}"),
        }
    }

    fn invite(&mut self, cards: &[String]) {
        self.command(ALICE, Command::Invite { group: self.group, cards: cards.to_vec() });
        self.run(MINUTE);
    }

    fn command(&mut self, who: usize, command: Command) -> Answer {
        self.try_command(who, command).expect("a good command")
    }

    fn try_command(&mut self, who: usize, command: Command) -> Result<Answer, CommandError> {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.give(who, Input::Command(id, command));
        self.peers[who].answers.remove(&id).expect("answered at once")
    }

    fn say(&mut self, who: usize, text: &str) -> MessageId {
        let command = Command::Send { group: self.group, text: text.to_owned() };
        match self.command(who, command) {
            Answer::Accepted { message } => message,
            other => panic!("a message: {other:?}"),
        }
    }

    /// What `who` publishes now, without anybody getting it.
    fn say_aside(&mut self, who: usize, text: &str) -> (MessageId, WakuMessage) {
        let deaf: Vec<bool> = self.peers.iter().map(|p| p.deaf).collect();
        self.peers.iter_mut().for_each(|p| p.deaf = true);
        self.peers[who].deaf = false;
        let id = self.say(who, text);
        self.peers.iter_mut().zip(deaf).for_each(|(p, deaf)| p.deaf = deaf);
        let (_, message) = self.wire.pop().expect("published");
        (id, message)
    }

    /// One input, and all that follows from it.
    fn give(&mut self, who: usize, input: Input) {
        self.peers[who].core.handle(self.now, input).expect("memory does not fail");
        self.settle();
    }

    /// One message by hand; the events that came of it.
    fn deliver(&mut self, to: usize, message: &WakuMessage) -> Vec<Event> {
        let before = self.peers[to].heard.len();
        self.peers[to].archive.push(message.clone());
        self.give(to, Input::Message(message.clone()));
        self.peers[to].heard[before..].to_vec()
    }

    /// Lets the time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = (0..self.peers.len())
                .filter(|who| !self.peers[*who].asleep)
                .filter_map(|who| Some((self.peers[who].core.poll_timeout()?.max(self.now), who)))
                .min()
                .filter(|(at, _)| *at <= end);
            let Some((at, who)) = next else { break };
            self.now = at;
            self.peers[who].core.handle_timeout(at).expect("memory does not fail");
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        while let Some((who, output)) = (0..self.peers.len())
            .find_map(|who| self.peers[who].core.poll_output().map(|output| (who, output)))
        {
            match output {
                Output::Publish(publish) => {
                    let result = if self.peers[who].deaf {
                        PublishResult::Failed { reason: "alone".to_owned() }
                    } else {
                        PublishResult::Published { peers: 1 }
                    };
                    self.peers[who].archive.push(publish.message.clone());
                    self.input(who, Input::Published(publish.id, result));
                    if !self.peers[who].deaf && !(self.loses)(publish.kind) {
                        self.spread(who, publish.kind, &publish.message);
                    }
                }
                Output::Fetch(id, request) => {
                    let (messages, result) = self.fetched(who, &request);
                    self.input(who, Input::Messages(messages));
                    self.input(who, Input::Fetched(id, result));
                }
                Output::Answer(id, answer) => {
                    self.peers[who].answers.insert(id, answer);
                }
                // told of once a minute, and counted each time
                Output::Event(EventRecord { event: Event::Refused { .. }, .. }) => {}
                Output::Event(record) => self.peers[who].heard.push(record.event),
                Output::Refused(reason) => self.peers[who].refused.push(reason),
            }
        }
    }

    fn input(&mut self, who: usize, input: Input) {
        self.peers[who].core.handle(self.now, input).expect("memory does not fail");
    }

    fn spread(&mut self, from: usize, kind: PublishKind, message: &WakuMessage) {
        self.wire.push((kind, message.clone()));
        for to in (0..self.peers.len()).filter(|to| *to != from) {
            if !self.peers[to].deaf {
                self.peers[to].archive.push(message.clone());
                self.input(to, Input::Message(message.clone()));
            }
        }
    }

    fn fetched(&self, who: usize, request: &FetchRequest) -> (Vec<WakuMessage>, FetchResult) {
        let (source, all): (&str, Vec<&WakuMessage>) = match &request.source {
            FetchSource::OwnArchive(topics) => {
                let own = self.peers[who].archive.iter();
                ("own archive", own.filter(|m| topics.contains(&m.content_topic)).collect())
            }
            FetchSource::StorePeers => ("store", self.wire.iter().map(|(_, m)| m).collect()),
        };
        let reached = source == "own archive" || !self.peers[who].deaf;
        let found: Vec<WakuMessage> = all
            .into_iter()
            .filter(|m| {
                let at = Timestamp::from_waku(m.timestamp.unwrap_or_default());
                reached && (request.from..request.to).contains(&at)
            })
            .cloned()
            .collect();
        let outcome = if reached { Ok(found.len() as u64) } else { Err("cut off".to_owned()) };
        let tried = vec![FetchTry { source: source.to_owned(), outcome }];
        match request.what {
            FetchWhat::Messages => (found, FetchResult { tried, hashes: Vec::new() }),
            FetchWhat::Hashes => {
                let hashes = found.iter().map(|m| m.hash(&TOPIC)).collect();
                (Vec::new(), FetchResult { tried, hashes })
            }
        }
    }

    fn installation(&self, who: usize) -> InstallationId {
        self.peers[who].core.account().expect("memory").expect("an account").installation
    }

    fn read(&self, who: usize) -> Vec<MessageView> {
        let messages = self.peers[who].core.messages(self.group, None, usize::MAX);
        messages.expect("memory").unwrap_or_default()
    }

    fn texts(&self, who: usize) -> Vec<String> {
        self.read(who).into_iter().map(|m| m.text).collect()
    }

    fn gaps(&self, who: usize, state: GapState) -> Vec<GapView> {
        let gaps = self.peers[who].core.gaps(Some(self.group)).expect("memory");
        gaps.into_iter().filter(|gap| gap.state == state).collect()
    }

    /// The store without keys of these prefixes.
    fn dump(&self, who: usize, without: &[&str]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.peers[who]
            .core
            .store()
            .iter()
            .filter(|(k, _)| !without.iter().any(|prefix| k.starts_with(prefix.as_bytes())))
            .map(|(k, v)| (k.to_vec(), v.to_vec()))
            .collect()
    }

    /// Delivers what has to be refused: nothing but that is told, and the state stays; `without`:
    /// what of the store may change.
    fn refused_but(&mut self, to: usize, message: &WakuMessage, without: &[&str]) -> RefusedReason {
        let (before, refused) = (self.dump(to, without), self.peers[to].refused.len());
        let events = self.deliver(to, message);
        let [reason] = self.peers[to].refused[refused..] else {
            panic!("one refusal, not {:?} and {events:?}", &self.peers[to].refused[refused..])
        };
        assert!(events.is_empty(), "{reason}: {events:?}");
        assert!(before == self.dump(to, without), "a refused message ({reason}) changed the state");
        reason
    }

    /// Opened, and refused then: it cost its sender's MLS keys.
    fn refused(&mut self, to: usize, message: &WakuMessage) -> RefusedReason {
        self.refused_but(to, message, &BESIDE)
    }

    /// Refused before anything of it was used.
    fn refused_outright(&mut self, to: usize, message: &WakuMessage) -> RefusedReason {
        self.refused_but(to, message, &BESIDE[..2])
    }

    /// Delivers what changes nothing and is not told of.
    fn ignored(&mut self, to: usize, message: &WakuMessage) {
        let (before, refused) = (self.dump(to, &[]), self.peers[to].refused.len());
        let events = self.deliver(to, message);
        assert!(events.is_empty(), "{events:?}");
        assert_eq!(self.peers[to].refused[refused..], []);
        assert!(before == self.dump(to, &[]), "an ignored message changed the state");
    }

    /// These still talk with each other, and what each has in memory is what it has written.
    fn go_on(&mut self, honest: &[usize]) {
        for &who in honest {
            let text = format!("{who} goes on");
            let id = self.say(who, &text);
            for &other in honest {
                let message = self.peers[other].core.message(id).expect("memory");
                assert_eq!(message.map(|m| m.text).as_ref(), Some(&text), "from {who} to {other}");
            }
        }
        for &who in honest {
            self.as_written(who);
        }
    }

    fn as_written(&self, who: usize) {
        let core = &self.peers[who].core;
        let store = core.store().clone();
        let again = Core::open(store, Self::config(), [99; 32], self.now).expect("memory");
        assert_eq!(core.groups().expect("memory"), again.groups().expect("memory"));
        assert_eq!(core.gaps(None).expect("memory"), again.gaps(None).expect("memory"));
        let members = |core: &Core<_>| core.members(self.group).expect("memory");
        assert_eq!(members(core), members(&again));
        assert_eq!(core.invitations().expect("memory"), again.invitations().expect("memory"));
    }
}
