//! Two members of a group: what the targets deliver to.

use std::sync::LazyLock;
use std::time::Duration;

use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use crate::api::{
    Answer, Command, CommandId, Config, FetchRequest, FetchResult, FetchSource, FetchTry,
    FetchWhat, Input, Output, PublishResult,
};
use crate::core::Core;
use crate::store::MemoryStore;
use crate::{GroupId, Timestamp};

/// Alice made a group and invited Bob, who joined. Kept as it then was; each input is given to a
/// copy.
pub(super) struct Pair {
    alice: MemoryStore,
    bob: MemoryStore,
    uninvited: MemoryStore,
    pub(super) group: GroupId,
    pub(super) now: Timestamp,
    /// Everything that was published.
    #[cfg(test)]
    pub(super) wire: Vec<WakuMessage>,
}

pub(super) static PAIR: LazyLock<Pair> = LazyLock::new(Pair::make);

pub(super) fn config() -> Config {
    let mut config = Config::new(PubsubTopic::new(1, 0));
    config.registration_delay = Duration::from_secs(1);
    config.invitation_delay = Duration::from_secs(1);
    config
}

pub(super) fn open(store: MemoryStore, seed: u8, now: Timestamp) -> Core<MemoryStore> {
    Core::open(store, config(), [seed; 32], now).expect("a store in memory")
}

impl Pair {
    fn make() -> Self {
        let now = Timestamp::from_secs(1_767_225_600);
        let cores = [1, 2].map(|seed| open(MemoryStore::new(), seed, now));
        let mut world = World { cores, now, wire: Vec::new(), answer: None };
        for who in [0, 1] {
            world.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
            world.command(who, Command::CreateAccount);
        }
        world.pass(Duration::from_secs(60));
        let card = world.cores[1].inner.account.as_ref().expect("just made").card();
        let profile = ("Hut".to_owned(), "Who brings what".to_owned());
        let made =
            world.command(0, Command::CreateGroup { name: profile.0, description: profile.1 });
        let Answer::GroupCreated { group } = made else { panic!("a group") };
        let uninvited = world.cores[1].store().clone();
        world.command(0, Command::Invite { group, cards: vec![card.to_string()] });
        world.pass(Duration::from_secs(60));
        world.command(1, Command::AcceptInvitation { group });
        world.pass(Duration::from_secs(60));
        let (now, [alice, bob]) = (world.now, world.cores.map(Core::into_store));
        Self {
            alice,
            bob,
            uninvited,
            group,
            now,
            #[cfg(test)]
            wire: world.wire,
        }
    }

    pub(super) fn alice(&self) -> Core<MemoryStore> {
        open(self.alice.clone(), 3, self.now)
    }

    pub(super) fn bob(&self) -> Core<MemoryStore> {
        open(self.bob.clone(), 4, self.now)
    }

    /// Bob before the invitation.
    pub(super) fn uninvited(&self) -> Core<MemoryStore> {
        open(self.uninvited.clone(), 4, self.now)
    }
}

/// Two cores that hear each other.
struct World {
    cores: [Core<MemoryStore>; 2],
    now: Timestamp,
    wire: Vec<WakuMessage>,
    /// To the last command.
    answer: Option<Answer>,
}

impl World {
    fn command(&mut self, who: usize, command: Command) -> Answer {
        self.give(who, Input::Command(CommandId(1), command));
        self.answer.take().expect("an answer")
    }

    fn give(&mut self, who: usize, input: Input) {
        self.cores[who].handle(self.now, input).expect("memory");
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_secs(1);
            for who in [0, 1] {
                self.cores[who].handle_timeout(self.now).expect("memory");
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        while let Some((who, output)) =
            [0, 1].into_iter().find_map(|who| Some((who, self.cores[who].poll_output()?)))
        {
            match output {
                Output::Publish(publish) => {
                    let result = PublishResult::Published { peers: 1 };
                    self.wire.push(publish.message.clone());
                    self.cores[who]
                        .handle(self.now, Input::Published(publish.id, result))
                        .expect("memory");
                    self.cores[1 - who]
                        .handle(self.now, Input::Message(publish.message))
                        .expect("memory");
                }
                Output::Fetch(id, request) => {
                    let result = self.fetched(who, &request);
                    self.cores[who].handle(self.now, Input::Fetched(id, result)).expect("memory");
                }
                Output::Answer(_, answer) => self.answer = Some(answer.expect("a good command")),
                Output::Event(_) | Output::Refused(_) => {}
            }
        }
    }
}

impl World {
    /// Everything that is asked for, or its hashes: both archives hold all.
    fn fetched(&mut self, who: usize, request: &FetchRequest) -> FetchResult {
        let fits = |message: &&WakuMessage| {
            let at = message.timestamp.map_or(Timestamp::ZERO, Timestamp::from_waku);
            let topic = match &request.source {
                FetchSource::OwnArchive(topics) => topics.contains(&message.content_topic),
                FetchSource::StorePeers => true,
            };
            topic && (request.from..request.to).contains(&at)
        };
        let found: Vec<WakuMessage> = self.wire.iter().filter(fits).cloned().collect();
        let tried = vec![FetchTry { source: "all".to_owned(), outcome: Ok(found.len() as u64) }];
        let mut hashes = Vec::new();
        match request.what {
            FetchWhat::Hashes => {
                hashes = found.iter().map(|m| m.hash(&config().pubsub_topic)).collect();
            }
            FetchWhat::Messages => {
                for message in found {
                    self.cores[who].handle(self.now, Input::Message(message)).expect("memory");
                }
            }
        }
        FetchResult { tried, hashes }
    }
}
