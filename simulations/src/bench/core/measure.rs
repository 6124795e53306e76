//! One group after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use waku_groupchat_core::{GroupId, MemoryStore, Store, forget_verified};
use waku_groupchat_storage::KvStore;

use super::apart::Apart;
use super::own::{Own, Records, Spent, stranger};
use super::plain::{self, Plain};
use super::{
    ADD, ADD_ALL, Bytes, CATCH_UP, COMMIT, FOLLOW_ADD, FOLLOW_COMMIT, JOIN, Measured, Micros,
    OPERATIONS, Options, RECEIVE, SEND, TAKEN, TEXT,
};
use crate::bench::stats::Times;

/// Most accounts of one invitation.
const INVITED_AT_ONCE: usize = waku_groupchat_core::limits::INVITED_ACCOUNTS;

/// Which of these an operation ran on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum On {
    Plain,
    Memory,
    Rocks,
    Apart,
}

#[derive(Default)]
pub(super) struct Collected {
    times: BTreeMap<(&'static str, On), Vec<Duration>>,
    bytes: BTreeMap<&'static str, Bytes>,
}

impl Collected {
    pub(super) fn time<T>(
        &mut self,
        what: &'static str,
        on: On,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (done, spent) = Spent::on(work);
        self.add(what, on, spent);
        done
    }

    /// On RocksDB what counts is the time that passes, otherwise that of the processor.
    pub(super) fn add(&mut self, what: &'static str, on: On, spent: Spent) {
        let time = if on == On::Rocks { spent.wall } else { spent.cpu };
        self.times.entry((what, on)).or_default().push(time);
    }

    fn micros(&self, what: &'static str) -> Micros {
        let median = |on| {
            let times = self.times.get(&(what, on)).cloned().unwrap_or_default();
            Times::new(times).percentiles().p50
        };
        Micros {
            plain: median(On::Plain),
            memory: median(On::Memory),
            rocks: median(On::Rocks),
            apart: median(On::Apart),
        }
    }

    fn core_bytes(&mut self, what: &'static str, sent: usize, written: usize) {
        let bytes = self.bytes.entry(what).or_default();
        (bytes.core, bytes.written) = (sent, written);
    }
}

fn size(messages: &[waku_groupchat_waku::WakuMessage]) -> usize {
    messages.iter().map(|message| message.encode().len()).sum()
}

/// Alice and Bob on stores of one kind.
struct Duo<S: Store> {
    on: On,
    alice: Own<S>,
    bob: Own<S>,
    group: GroupId,
    records: Records,
}

impl<S: Store> Duo<S> {
    fn new(on: On, [alice, bob]: [S; 2], mut records: Records) -> anyhow::Result<Self> {
        let mut alice = Own::new(alice, 1, &mut records)?;
        let bob = Own::new(bob, 2, &mut records)?;
        let group = alice.create("name")?;
        Ok(Self { on, alice, bob, group, records })
    }

    /// All come in, as many at once as one invitation takes, Bob with the last ones.
    fn found(&mut self, to: &mut Collected, others: &[String]) -> anyhow::Result<()> {
        let mut cards = others.to_vec();
        cards.push(self.bob.card().to_owned());
        self.alice.spent();
        self.alice.written();
        forget_verified();
        let (mut sent, mut bytes) = (Vec::new(), 0);
        for cards in cards.chunks(INVITED_AT_ONCE) {
            sent = self.alice.invite(&self.records, self.group, cards.to_vec())?;
            bytes += size(&sent);
        }
        to.add(ADD_ALL, self.on, self.alice.spent());
        to.core_bytes(ADD_ALL, bytes, self.alice.written());
        to.bytes.entry(ADD_ALL).or_default().envelopes = self.alice.envelopes();
        self.alice.confirm(&self.records)?;
        self.bob.now = self.alice.now;
        self.bob.spent();
        self.bob.written();
        forget_verified();
        self.bob.receive(sent)?;
        self.bob.accept()?;
        to.add(JOIN, self.on, self.bob.spent());
        to.core_bytes(JOIN, 0, self.bob.written());
        ensure!(self.bob.installations(self.group)? == others.len() + 2, "some are missing");
        Ok(())
    }

    fn say(
        &mut self,
        text: &str,
    ) -> anyhow::Result<(Vec<waku_groupchat_waku::WakuMessage>, [Spent; 2])> {
        self.alice.spent();
        self.alice.send(self.group, text)?;
        let sent = self.alice.spent();
        let messages = self.alice.taken()?;
        ensure!(messages.len() == 1, "{} messages for one", messages.len());
        Ok((messages, [sent, self.alice.spent()]))
    }

    fn talk(&mut self, to: &mut Collected, text: &str) -> anyhow::Result<()> {
        self.alice.written();
        let (messages, [sent, taken]) = self.say(text)?;
        to.add(SEND, self.on, sent);
        to.add(TAKEN, self.on, taken);
        to.core_bytes(SEND, size(&messages), self.alice.written());
        self.bob.spent();
        self.bob.written();
        let read = self.bob.read;
        self.bob.receive(messages)?;
        to.add(RECEIVE, self.on, self.bob.spent());
        to.core_bytes(RECEIVE, 0, self.bob.written());
        ensure!(self.bob.read == read + 1, "a message was not read");
        Ok(())
    }

    fn catch_up(&mut self, to: &mut Collected, missed: usize, text: &str) -> anyhow::Result<()> {
        let mut messages = Vec::new();
        for _ in 0..missed {
            messages.extend(self.say(text)?.0);
        }
        self.bob.spent();
        self.bob.written();
        let read = self.bob.read;
        self.bob.now = self.alice.now;
        self.bob.receive(messages)?;
        let Spent { cpu, wall } = self.bob.spent();
        let each = u32::try_from(missed)?;
        to.add(CATCH_UP, self.on, Spent { cpu: cpu / each, wall: wall / each });
        to.core_bytes(CATCH_UP, 0, self.bob.written() / missed);
        ensure!(self.bob.read == read + missed, "not all that was missed was read");
        self.alice.confirm(&self.records)
    }

    /// Alice adds somebody, and sets the name; Bob follows.
    fn commit(&mut self, to: &mut Collected, card: &str, name: &str) -> anyhow::Result<()> {
        for (own, followed) in [(ADD, FOLLOW_ADD), (COMMIT, FOLLOW_COMMIT)] {
            // what Bob did on his own, such as new keys for his leaf
            let bobs = self.bob.published();
            self.alice.receive(bobs)?;
            self.alice.spent();
            self.alice.written();
            forget_verified();
            let sent = match own {
                ADD => self.alice.invite(&self.records, self.group, vec![card.to_owned()])?,
                _ => self.alice.rename(self.group, name)?,
            };
            to.add(own, self.on, self.alice.spent());
            to.core_bytes(own, size(&sent), self.alice.written());
            to.bytes.entry(own).or_default().envelopes = self.alice.envelopes();
            self.bob.now = self.alice.now;
            self.bob.spent();
            self.bob.written();
            forget_verified();
            self.bob.receive(sent)?;
            to.add(followed, self.on, self.bob.spent());
            to.core_bytes(followed, 0, self.bob.written());
            self.alice.confirm(&self.records)?;
        }
        let of = |own: &Own<S>| Ok((own.installations(self.group)?, own.name(self.group)?));
        let both: anyhow::Result<Vec<(usize, String)>> =
            [&self.alice, &self.bob].into_iter().map(of).collect();
        let both = both?;
        ensure!(both[0] == both[1] && both[1].1 == name, "Bob is not where Alice is: {both:?}");
        Ok(())
    }
}

/// Measures a group of this size.
pub(super) fn group(leaves: usize, options: &Options) -> anyhow::Result<Measured> {
    let mut to = Collected::default();
    let folder = empty(&options.folder, leaves)?;
    let open = |name: &str| KvStore::open(folder.join(name)).context("a database");
    let mut records = Records::new();
    let cards = (0..leaves - 2 + options.commits)
        .map(|n| stranger(100 + n as u64, &mut records))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (others, later) = cards.split_at(leaves - 2);
    let stores = [MemoryStore::new(), MemoryStore::new()];
    let mut memory = Duo::new(On::Memory, stores, records.clone())?;
    let mut rocks = Duo::new(On::Rocks, [open("alice")?, open("bob")?], records)?;
    let [mut alice, mut bob] = found_plain(&mut to, leaves)?;
    memory.found(&mut to, others)?;
    rocks.found(&mut to, others)?;

    let text = "x".repeat(TEXT);
    let mut apart = Apart::new(memory.alice.now)?;
    apart.founding(&mut to, &memory.records, others, memory.bob.card())?;
    for _ in 0..options.messages {
        let sent = to.time(SEND, On::Plain, || alice.send(text.as_bytes()))?;
        to.bytes.entry(SEND).or_default().plain = sent.len();
        to.time(RECEIVE, On::Plain, || bob.receive(&sent))?;
        memory.talk(&mut to, &text)?;
        rocks.talk(&mut to, &text)?;
        apart.message(&mut to, &[0; TEXT + 150])?;
    }
    memory.catch_up(&mut to, options.missed, &text)?;
    rocks.catch_up(&mut to, options.missed, &text)?;
    for (n, card) in later.iter().enumerate() {
        let name = format!("name {n:04}");
        let package = plain::stranger()?;
        for ((own, followed), adds) in
            [((ADD, FOLLOW_ADD), [package.as_slice()].as_slice()), ((COMMIT, FOLLOW_COMMIT), &[])]
        {
            let commit = to.time(own, On::Plain, || alice.commit(adds, &name))?;
            to.bytes.entry(own).or_default().plain = commit.commit.len() + commit.invitation();
            to.time(followed, On::Plain, || bob.receive(&commit.commit))?;
        }
        memory.commit(&mut to, card, &name)?;
        apart.commit(&mut to, &memory.records, card)?;
        rocks.commit(&mut to, card, &name)?;
    }
    let plain_stored = bob.stored();
    drop(rocks);
    std::fs::remove_dir_all(&folder)?;
    let mut micros: BTreeMap<_, _> =
        OPERATIONS.into_iter().map(|what| (what, to.micros(what))).collect();
    let one = micros[RECEIVE];
    if let Some(caught) = micros.get_mut(CATCH_UP) {
        (caught.plain, caught.apart) = (one.plain, one.apart);
    }
    Ok(Measured { leaves, micros, bytes: to.bytes, plain_stored })
}

fn found_plain(to: &mut Collected, leaves: usize) -> anyhow::Result<[Plain; 2]> {
    let [mut alice, mut bob] = [Plain::new()?, Plain::new()?];
    alice.create("name")?;
    let mut packages = (0..leaves - 2).map(|_| plain::stranger()).collect::<Result<Vec<_>, _>>()?;
    packages.push(bob.package()?);
    let adds: Vec<&[u8]> = packages.iter().map(Vec::as_slice).collect();
    let commit = to.time(ADD_ALL, On::Plain, || alice.commit(&adds, "name"))?;
    to.bytes.entry(ADD_ALL).or_default().plain = commit.commit.len() + commit.invitation();
    to.bytes.entry(JOIN).or_default().plain = commit.invitation();
    to.time(JOIN, On::Plain, || bob.join(&commit))?;
    Ok([alice, bob])
}

fn empty(folder: &Path, leaves: usize) -> anyhow::Result<PathBuf> {
    let folder = folder.join(format!("core-{leaves}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
