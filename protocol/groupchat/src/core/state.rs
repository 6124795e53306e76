//! The state in memory: a mirror of the records in the store.

use std::collections::BTreeMap;

use openmls::group::MlsGroup;
use openmls_rust_crypto::RustCrypto;
use waku_groupchat_waku::ContentTopic;

use super::clock::PeerClock;
use super::gaps::AWAITED;
use super::group::{Group, load_line};
use super::handover::Handover;
use super::installations::Known;
use super::intents::Intents;
use super::loaded::{Loaded, LoadedGroups, Place};
use super::own_group::Shared;
use super::queue::Queue;
use super::records::{self, GapRecord, GroupRecord, IntentRecord, StateName, key, read};
use super::rejoin::{Chains, Requests};
use super::topics::Topics;
use super::{Fault, Inner, Tx};
use crate::account::Log;
use crate::api::Config;
use crate::mls::{self, CoreRng, MlsError, Provider, StateId, View};
use crate::segment::Assembler;
use crate::store::{Overlay, Store};
use crate::{AccountId, GroupId, InstallationId, Timestamp};

impl Inner {
    pub(super) fn load(store: &dyn Store, config: Config, rng: CoreRng) -> Result<Self, Fault> {
        let overlay = Overlay::new(store);
        let mut groups = BTreeMap::new();
        for (k, value) in overlay.scan(b"group/")? {
            let id = group_in(&k, "group/")?;
            let record: GroupRecord = records::decode(&value)?;
            let line = load_line(&overlay, &id, &record)?;
            let mut group = Group::new(record, line);
            for (k, value) in overlay.scan(&key("change/", &[id.as_bytes()]))? {
                let sequence = number(&k["change/".len() + GroupId::LEN..])?;
                group.changes.insert(sequence, records::decode(&value)?);
            }
            group.ask = read(&overlay, &key("asking/", &[id.as_bytes()]))?.unwrap_or_default();
            for (k, value) in overlay.scan(&key("rejoin/", &[id.as_bytes()]))? {
                group.rejoin.insert(named(&k, "rejoin/")?, records::decode(&value)?);
            }
            group.again = read(&overlay, &key("again/", &[id.as_bytes()]))?;
            for (k, value) in overlay.scan(&key("split/", &[id.as_bytes()]))? {
                group.splits.insert(named(&k, "split/")?, records::decode(&value)?);
            }
            for (k, value) in overlay.scan(&key("heard/", &[id.as_bytes()]))? {
                group.heard_in.insert(tail(&k, "heard/")?.0, records::decode(&value)?);
            }
            group.send = read(&overlay, &key("send/", &[id.as_bytes()]))?.unwrap_or_default();
            for (k, value) in overlay.scan(&key("sender/", &[id.as_bytes()]))? {
                let (installation, _) = tail(&k, "sender/")?;
                group.senders.insert(installation, records::decode(&value)?);
            }
            for (k, value) in overlay.scan(&key("handed/", &[id.as_bytes()]))? {
                group.past.insert(tail(&k, "handed/")?.0, records::decode(&value)?);
            }
            for (k, value) in overlay.scan(&key("gap/", &[id.as_bytes()]))? {
                let (installation, rest) = tail(&k, "gap/")?;
                let mut gap: GapRecord = records::decode(&value)?;
                if gap.due == Some(AWAITED) {
                    // whoever was asked will not answer any more
                    gap.due = Some(Timestamp::ZERO);
                }
                group.gaps.insert((installation, number(rest)?), gap);
            }
            group.index_members();
            groups.insert(id, group);
        }
        let mut outgoing = Queue::default();
        for (k, value) in overlay.scan(b"out/")? {
            outgoing.insert(number(&k[b"out/".len()..])?, records::decode(&value)?);
        }
        let mut intents = Intents::default();
        for (k, value) in overlay.scan(b"intent/")? {
            let id = group_in(&k, "intent/")?;
            let account = k
                .get("intent/".len() + GroupId::LEN..)
                .and_then(AccountId::from_slice)
                .ok_or(Fault::Bug("an intent's key"))?;
            let mut intent: IntentRecord = records::decode(&value)?;
            if intent.due == AWAITED {
                intent.due = Timestamp::ZERO;
            }
            intents.insert((id, account), intent);
        }
        let mut awaited = BTreeMap::new();
        for (k, value) in overlay.scan(b"awaited/")? {
            let (topic, secrets) = k[b"awaited/".len()..]
                .split_last_chunk::<16>()
                .ok_or(Fault::Bug("an awaited topic"))?;
            let topic = std::str::from_utf8(topic).map_err(|_| Fault::Bug("an awaited topic"))?;
            let topic = ContentTopic::from_wire(topic);
            awaited.insert((topic, *secrets), records::decode(&value)?);
        }
        let event_cursor = match overlay.scan(b"event/")?.last() {
            Some((k, _)) => number(&k[b"event/".len()..])?,
            None => 0,
        };
        // an entry may be the last one, and be out of the queue while what follows from it is queued
        let sequence = outgoing.last().map_or(0, |last| last + 1);
        let mut inner = Self {
            config,
            rng,
            crypto: RustCrypto::default(),
            account: read(&overlay, b"account")?,
            link: read(&overlay, b"linking")?,
            clock: read(&overlay, b"clock")?.unwrap_or_default(),
            groups,
            outgoing,
            intents,
            awaited,
            repeats: super::repeats::load_repeats(&overlay)?,
            event_cursor,
            copied: read(&overlay, super::copied::KEY)?,
            known: Known::default(),
            guard: read(&overlay, super::strangers::KEY)?.unwrap_or_default(),
            shared: Shared::load(&overlay)?,
            cards: super::cards::CardsRecord::load(&overlay)?,
            contacts: super::cards::Contacts::load(&overlay)?,
            returns: super::recovery::load_returns(&overlay)?,
            packages: super::packages::Packages::load(&overlay)?,
            handover: Handover::load(&overlay)?,
            peer_clock: PeerClock::default(),
            clock_told: None,
            topics: Topics::default(),
            link_parts: None,
            loaded: LoadedGroups::default(),
            in_flight: BTreeMap::new(),
            fetches: BTreeMap::new(),
            assemblers: BTreeMap::new(),
            own_records: BTreeMap::new(),
            own_recoveries: BTreeMap::new(),
            segments: Assembler::default(),
            refused: BTreeMap::new(),
            requests: Requests::default(),
            chains: Chains::default(),
            recovering: None,
            brings: super::recovery::Brings::default(),
            resumed: false,
            last_now: Timestamp::ZERO,
            prune_at: Timestamp::ZERO,
            ids: 0,
            sequence,
            relay_peers: 0,
            store_peers: 0,
            catch_up_at: Timestamp::ZERO,
        };
        for (k, value) in overlay.scan(b"known/")? {
            let account = k.get(b"known/".len()..).and_then(AccountId::from_slice);
            let account = account.ok_or(Fault::Bug("a known log's key"))?;
            let entries: Vec<Vec<u8>> = records::decode(&value)?;
            let log = Log::from_entries(account, &entries);
            inner.known.insert(log.map_err(|_| Fault::Bug("a known log does not hold"))?);
        }
        let at = inner.clock.caught_up;
        inner.index_departed(at)?;
        inner.resume_link()?;
        Ok(inner)
    }

    /// Reads everything again after a fault. What the driver was asked to do and has not answered
    /// is asked again; late answers name ids that are not known any more.
    pub(super) fn reload(&mut self, store: &dyn Store) -> Result<(), Fault> {
        let rng = self.rng.split();
        let fresh = Self::load(store, self.config.clone(), rng)?;
        let old = std::mem::replace(self, fresh);
        self.ids = old.ids;
        self.sequence = self.sequence.max(old.sequence);
        self.last_now = old.last_now;
        self.prune_at = old.prune_at;
        self.refused = old.refused;
        self.recovering_still(old.recovering, old.last_now);
        self.peer_clock = old.peer_clock;
        // what was to be told may be lost with the batch
        self.clock_told = old.clock_told.filter(|_| !self.peer_clock.is_off());
        self.relay_peers = old.relay_peers;
        self.store_peers = old.store_peers;
        self.catch_up_at = old.catch_up_at;
        if self.clock.caught_up == Timestamp::ZERO {
            self.clock = old.clock;
        }
        Ok(())
    }

    pub(super) fn provider<'t>(&'t self, tx: &Tx<'t>, view: View) -> Provider<'t> {
        Provider::new(tx.overlay, &self.crypto, &self.rng, view)
    }

    /// For what belongs to no group: keys and key packages.
    pub(super) fn global_provider<'t>(&'t self, tx: &Tx<'t>) -> Provider<'t> {
        self.provider(tx, View::Global)
    }

    /// A name for a new state.
    pub(super) fn new_state(&self) -> StateId {
        let mut bytes = [0; 32];
        self.rng.fill(&mut bytes);
        StateId::from_bytes(bytes)
    }

    /// Works on a group in memory; loaded once, and kept while others are not used more. `writes`:
    /// whether what MLS changes is written.
    pub(super) fn with_mls<T>(
        &mut self,
        tx: &Tx<'_>,
        place: Place,
        writes: bool,
        work: impl FnOnce(&mut MlsGroup, &Provider<'_>) -> Result<T, MlsError>,
    ) -> Result<T, Fault> {
        let view = place.view(writes);
        let mut loaded = match self.loaded.take(&place) {
            Some(loaded) => loaded,
            None => Loaded::new(load(&self.provider(tx, view))?),
        };
        let done = work(&mut loaded.group, &self.provider(tx, view))?;
        self.loaded.put(place, loaded);
        Ok(done)
    }
}

/// Loads the group that a provider shows.
pub(super) fn load(provider: &Provider<'_>) -> Result<MlsGroup, Fault> {
    mls::group::load(provider)?.ok_or(Fault::Bug("a state without MLS"))
}

fn group_in(k: &[u8], prefix: &str) -> Result<GroupId, Fault> {
    k.get(prefix.len()..prefix.len() + GroupId::LEN)
        .and_then(GroupId::from_slice)
        .ok_or(Fault::Bug("a key without its group"))
}

/// The state's name behind prefix and group.
fn named(k: &[u8], prefix: &str) -> Result<StateName, Fault> {
    let name = k.get(prefix.len() + GroupId::LEN..).and_then(|name| name.try_into().ok());
    name.ok_or(Fault::Bug("a key without its state's name"))
}

/// The installation behind prefix and group, and what follows it.
fn tail<'k>(k: &'k [u8], prefix: &str) -> Result<(InstallationId, &'k [u8]), Fault> {
    k.get(prefix.len() + GroupId::LEN..)
        .and_then(|rest| rest.split_at_checked(InstallationId::LEN))
        .and_then(|(id, rest)| Some((InstallationId::from_slice(id)?, rest)))
        .ok_or(Fault::Bug("a key without its installation"))
}

fn number(bytes: &[u8]) -> Result<u64, Fault> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| Fault::Bug("a key without its number"))
}
