//! The core, driven as a node drives it: Alice and Bob on stores that count what is written, and a
//! crowd that is invited with Bob.
//!
//! Everything goes through the API. Relay peers take what is published at once, a Store confirms it
//! when it is asked, and time is virtual.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use waku_groupchat_core::api::{
    Answer, Command, CommandId, Config, Event, FetchRequest, FetchResult, FetchSource, FetchTry,
    FetchWhat, Input, Output, Publish, PublishKind, PublishResult,
};
use waku_groupchat_core::{
    AccountId, Batch, Core, GroupId, MemoryStore, Pair, Standing, Store, StoreError, Timestamp,
};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

/// A time long after the epoch.
pub(in crate::bench) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Delays that are random in a node.
const SOON: Duration = Duration::from_millis(1);
/// First delay before a publish is looked for in a Store.
const CONFIRMED_AFTER: Duration = Duration::from_secs(60);

/// What is published at a bounded rate has left after this.
const ALL_OUT: Duration = Duration::from_secs(900);

/// What handling took.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::bench) struct Spent {
    /// Time of the processor.
    pub(in crate::bench) cpu: Duration,
    /// Time that passed: with waiting for the disk.
    pub(in crate::bench) wall: Duration,
}

impl Spent {
    /// Measures some work of this thread.
    pub(in crate::bench) fn on<T>(work: impl FnOnce() -> T) -> (T, Self) {
        let (cpu, wall) = (cpu(), Instant::now());
        let done = work();
        (done, Self { cpu: self::cpu() - cpu, wall: wall.elapsed() })
    }
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), nanos)
}

/// A store with the number of bytes that were written.
struct Counting<S> {
    inner: S,
    written: Cell<usize>,
}

impl<S: Store> Store for Counting<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan(prefix)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan_from(prefix, from, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let size = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let written = batch.changes().iter().map(size).sum::<usize>();
        self.written.set(self.written.get() + written);
        self.inner.commit(batch)
    }
}

/// What others keep: registration records by topic.
pub(in crate::bench) type Records = HashMap<ContentTopic, Vec<WakuMessage>>;

/// One installation.
pub(in crate::bench) struct Own<S: Store> {
    core: Core<Counting<S>>,
    pub(in crate::bench) now: Timestamp,
    commands: u64,
    spent: Spent,
    /// What it published since it was last asked.
    published: Vec<Publish>,
    hashes: Vec<MessageHash>,
    /// What it is given now: its own archive.
    archive: Records,
    pub(in crate::bench) read: usize,
    /// Bytes of the envelopes that it published since it was last asked.
    envelopes: usize,
    invited: Option<GroupId>,
    card: String,
}

impl<S: Store> Own<S> {
    /// One with an account, whose record is published.
    pub(in crate::bench) fn new(
        store: S,
        seed: u64,
        records: &mut Records,
    ) -> anyhow::Result<Self> {
        let mut own = Self::open(store, seed, BEGIN)?;
        let Answer::AccountCreated { card, .. } = own.command(records, Command::CreateAccount)?
        else {
            bail!("no account")
        };
        own.card = card.to_string();
        own.pass(records, SOON * 10)?;
        for publish in own.published.drain(..) {
            ensure!(publish.kind == PublishKind::Registration, "a new account said something");
            let topic = publish.message.content_topic.clone();
            records.entry(topic).or_default().push(publish.message);
        }
        Ok(own)
    }

    /// One on what is in this store, at this time.
    pub(in crate::bench) fn open(store: S, seed: u64, now: Timestamp) -> anyhow::Result<Self> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut config = Config::new(PubsubTopic::new(1, 0));
        (config.registration_delay, config.invitation_delay) = (SOON, SOON);
        config.publish_retry = CONFIRMED_AFTER;
        let store = Counting { inner: store, written: Cell::new(0) };
        let mut own = Self {
            core: Core::open(store, config, bytes, now)?,
            now,
            commands: 0,
            spent: Spent::default(),
            published: Vec::new(),
            hashes: Vec::new(),
            archive: Records::new(),
            read: 0,
            envelopes: 0,
            invited: None,
            card: String::new(),
        };
        own.handle(Input::Connectivity { relay_peers: 6, store_peers: 1 })?;
        Ok(own)
    }

    /// Stops it; what it has written.
    pub(in crate::bench) fn into_store(self) -> S {
        self.core.into_store().inner
    }

    /// What it has written so far.
    pub(in crate::bench) fn store(&self) -> &S {
        &self.core.store().inner
    }

    pub(in crate::bench) fn card(&self) -> &str {
        &self.card
    }

    fn handle(&mut self, input: Input) -> anyhow::Result<()> {
        let (done, spent) = Spent::on(|| self.core.handle(self.now, input));
        self.spend(spent);
        Ok(done?)
    }

    fn spend(&mut self, spent: Spent) {
        self.spent.cpu += spent.cpu;
        self.spent.wall += spent.wall;
    }

    /// What handling took since this was last asked.
    pub(in crate::bench) fn spent(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }

    /// Bytes written since this was last asked.
    pub(in crate::bench) fn written(&self) -> usize {
        self.core.store().written.take()
    }

    /// Bytes of the envelopes that were published since this was last asked.
    pub(super) fn envelopes(&mut self) -> usize {
        std::mem::take(&mut self.envelopes)
    }

    /// Carries out what the core wants done; gives the answer to a command, if there was one.
    fn settle(&mut self, records: &Records) -> anyhow::Result<Option<Answer>> {
        let mut answered = None;
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Publish(publish) => {
                    let taken = PublishResult::Published { peers: 6 };
                    let id = publish.id;
                    self.hashes.push(publish.hash);
                    if matches!(publish.kind, PublishKind::InvitationEnvelope(_)) {
                        self.envelopes += publish.message.encode().len();
                    }
                    self.published.push(publish);
                    self.handle(Input::Published(id, taken))?;
                }
                Output::Fetch(id, request) => {
                    let (messages, result) = self.fetched(records, &request);
                    self.handle(Input::Messages(messages))?;
                    self.handle(Input::Fetched(id, result))?;
                }
                Output::Answer(_, answer) => answered = Some(answer?),
                Output::Event(record) => match record.event {
                    Event::Message { .. } => self.read += 1,
                    Event::Invitation { group, .. } => self.invited = Some(group),
                    Event::InvitationFailed { reason, .. } => bail!("not invited: {reason}"),
                    _ => {}
                },
                Output::Refused(reason) => bail!("refused: {reason:?}"),
            }
        }
        Ok(answered)
    }

    fn fetched(
        &self,
        records: &Records,
        request: &FetchRequest,
    ) -> (Vec<WakuMessage>, FetchResult) {
        let messages: Vec<WakuMessage> = match &request.source {
            FetchSource::OwnArchive(topics) => {
                let all = [records, &self.archive];
                let of = |topic| all.into_iter().filter_map(move |r| r.get(topic)).flatten();
                topics.iter().flat_map(of).cloned().collect()
            }
            FetchSource::StorePeers => Vec::new(),
        };
        let hashes = match request.what {
            FetchWhat::Hashes => self.hashes.clone(),
            FetchWhat::Messages => Vec::new(),
        };
        let count = (messages.len() + hashes.len()) as u64;
        let tried = vec![FetchTry { source: "archive".to_owned(), outcome: Ok(count) }];
        (messages, FetchResult { tried, hashes })
    }

    fn command(&mut self, records: &Records, command: Command) -> anyhow::Result<Answer> {
        self.commands += 1;
        self.handle(Input::Command(CommandId(self.commands), command))?;
        self.settle(records)?.context("no answer")
    }

    /// Lets time pass.
    pub(in crate::bench) fn pass(
        &mut self,
        records: &Records,
        time: Duration,
    ) -> anyhow::Result<()> {
        let end = self.now + time;
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let (done, spent) = Spent::on(|| self.core.handle_timeout(self.now));
            self.spend(spent);
            done?;
            self.settle(records)?;
        }
        self.now = end;
        Ok(())
    }

    /// Everything is confirmed by a Store.
    pub(in crate::bench) fn confirm(&mut self, records: &Records) -> anyhow::Result<()> {
        self.pass(records, CONFIRMED_AFTER * 3)?;
        self.hashes.clear();
        Ok(())
    }

    pub(in crate::bench) fn published(&mut self) -> Vec<WakuMessage> {
        self.publishes().into_iter().map(|publish| publish.message).collect()
    }

    /// As [`Own::published`], with what each is.
    pub(in crate::bench) fn publishes(&mut self) -> Vec<Publish> {
        std::mem::take(&mut self.published)
    }

    pub(in crate::bench) fn create(&mut self, name: &str) -> anyhow::Result<GroupId> {
        let (name, description) = (name.to_owned(), String::new());
        match self.command(&Records::new(), Command::CreateGroup { name, description })? {
            Answer::GroupCreated { group } => Ok(group),
            other => bail!("no group: {other:?}"),
        }
    }

    /// Invites, until all of it is published.
    pub(in crate::bench) fn invite(
        &mut self,
        records: &Records,
        group: GroupId,
        cards: Vec<String>,
    ) -> anyhow::Result<Vec<WakuMessage>> {
        self.invite_all(records, group, cards)?;
        Ok(self.published())
    }

    /// As [`Own::invite`]; what it published stays.
    pub(in crate::bench) fn invite_all(
        &mut self,
        records: &Records,
        group: GroupId,
        cards: Vec<String>,
    ) -> anyhow::Result<()> {
        let expected = self.installations(group)? + cards.len();
        self.command(records, Command::Invite { group, cards })?;
        self.pass(records, ALL_OUT)?;
        let got = self.installations(group)?;
        ensure!(got == expected, "{got} of {expected} are in the group");
        Ok(())
    }

    pub(in crate::bench) fn installations(&self, group: GroupId) -> anyhow::Result<usize> {
        Ok(self.core.group(group)?.context("no such group")?.installations)
    }

    pub(in crate::bench) fn name(&self, group: GroupId) -> anyhow::Result<String> {
        Ok(self.core.group(group)?.context("no such group")?.name)
    }

    pub(in crate::bench) fn accept(&mut self) -> anyhow::Result<()> {
        let group = self.invited.context("not invited")?;
        self.command(&Records::new(), Command::AcceptInvitation { group }).map(|_| ())
    }

    /// Sets the name, until it is published.
    pub(in crate::bench) fn rename(
        &mut self,
        group: GroupId,
        name: &str,
    ) -> anyhow::Result<Vec<WakuMessage>> {
        self.rename_within(group, name, ALL_OUT)?;
        Ok(self.published())
    }

    /// Sets the name, and lets this time pass.
    pub(in crate::bench) fn rename_within(
        &mut self,
        group: GroupId,
        name: &str,
        time: Duration,
    ) -> anyhow::Result<()> {
        let (name, description) = (name.to_owned(), String::new());
        let change = Command::SetProfile { group, name: name.clone(), description };
        self.change(change, time)?;
        ensure!(self.name(group)? == name, "the name does not stand");
        Ok(())
    }

    /// Changes the group, and lets this time pass.
    pub(in crate::bench) fn change(
        &mut self,
        change: Command,
        time: Duration,
    ) -> anyhow::Result<()> {
        self.command(&Records::new(), change)?;
        self.pass(&Records::new(), time)
    }

    /// Its account.
    pub(in crate::bench) fn account(&self) -> anyhow::Result<AccountId> {
        Ok(self.core.account()?.context("no account")?.account)
    }

    /// Where it stands in the group.
    pub(in crate::bench) fn standing(&self, group: GroupId) -> anyhow::Result<Standing> {
        self.core.standing(group)?.context("not in the group")
    }

    /// States of the group that it keeps.
    pub(in crate::bench) fn kept(&self, group: GroupId) -> usize {
        self.core.kept_states(group).states
    }

    /// Sends. What it took is that until the message can be published; the rest comes with
    /// [`Own::taken`].
    pub(in crate::bench) fn send(&mut self, group: GroupId, text: &str) -> anyhow::Result<()> {
        self.now = self.now + SOON;
        self.commands += 1;
        let command = Command::Send { group, text: text.to_owned() };
        self.handle(Input::Command(CommandId(self.commands), command))
    }

    /// Relay peers took what was sent.
    pub(in crate::bench) fn taken(&mut self) -> anyhow::Result<Vec<WakuMessage>> {
        self.settle(&Records::new())?;
        // what else was due, a sync or a commit, waits for the next that takes all
        let said = |publish: &Publish| matches!(publish.kind, PublishKind::Message(_));
        let (said, rest): (Vec<Publish>, Vec<Publish>) =
            std::mem::take(&mut self.published).into_iter().partition(said);
        self.published = rest;
        Ok(said.into_iter().map(|publish| publish.message).collect())
    }

    /// Takes in messages as one batch.
    pub(in crate::bench) fn receive(&mut self, messages: Vec<WakuMessage>) -> anyhow::Result<()> {
        self.now = self.now + SOON;
        for message in &messages {
            let topic = message.content_topic.clone();
            self.archive.entry(topic).or_default().push(message.clone());
        }
        self.handle(Input::Messages(messages))?;
        self.settle(&Records::new())?;
        self.archive.clear();
        Ok(())
    }
}

/// The card of an account whose record is published, and that is not heard of again.
pub(in crate::bench) fn stranger(seed: u64, records: &mut Records) -> anyhow::Result<String> {
    Own::new(MemoryStore::new(), seed, records).map(|own| own.card)
}
