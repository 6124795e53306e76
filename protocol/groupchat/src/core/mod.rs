//! The core itself: state, one atomic batch an input, and what falls due.
//!
//! Flow of one [`Core::handle`]: the input changes the state in memory and writes through an
//! [`Overlay`]; what fell due by then is done in the same step; the overlay is committed as one
//! batch; only then the outputs can be polled. A fault drops the overlay, and the state is read
//! again from the store before anything else is done, so memory does not run ahead of it.
//!
//! | module | what |
//! |---|---|
//! | [`records`] | what is kept, under which keys |
//! | [`schema`], [`second`], [`third`] | the version of what is kept, and older ones |
//! | [`topics`] | which content topic is whose |
//! | [`outbox`], [`queue`], [`sealing`], [`confirm`] | publishing until it is confirmed |
//! | [`commands`] | what people and programs ask |
//! | [`inbound`], [`reading`], [`told`] | what arrives on a group's topics |
//! | [`group`], [`log_set`], [`agreed`] | a group's states, what proves its members, what they agree on |
//! | [`create`] | new groups, and what is derived from a state |
//! | [`commits`], [`received`] | commits, own ones and others' |
//! | [`judge`], [`effect`], [`evidence`] | whether a commit may be, what it does, what it brings |
//! | [`standing`] | where a group stands, and what follows when that changes |
//! | [`changes`], [`leaving`], [`leaf_updates`] | what members ask to change |
//! | [`wishes`] | what was asked for, until it stands for good |
//! | [`intents`], [`search`], [`invite`], [`join`] | looking for who is invited, and both sides of an invitation |
//! | [`repeats`] | invitations again, until they are answered |
//! | [`again`] | invitations to a group that was known before |
//! | [`loaded`] | MLS groups in memory |
//! | [`clock`] | how far the own clock is off |
//! | [`copied`] | a copy of this database that is in use |
//! | [`strangers`] | who may invite this account |
//! | [`gaps`] | missing messages |
//! | [`notes`] | what installations say to each other that is no message |
//! | [`sync`], [`repair`], [`behind`] | noticing and filling what others lack |
//! | [`register`], [`linking`] | the own account on the network |
//! | [`own_group`], [`packages`] | what the account's installations share; key packages |
//! | [`cards`] | the own contact card changes; others' cards |
//! | [`recovery`] | bringing the account back by its phrase alone |
//! | [`installations`] | who is live in accounts, and what follows for who is not |
//! | [`fetch`] | answers of archives, downtime |
//! | [`upkeep`] | clocks that step back, drivers that do not answer, starts, pruning |
//! | [`queries`], [`waiting`] | what can be read |
//! | [`inspect`] | what tests look at |
//! | `adversary` | what hostile members of simulations make |

#[cfg(feature = "simulation")]
mod adversary;
mod again;
mod agreed;
mod behind;
mod cards;
mod changes;
mod clock;
mod commands;
mod commits;
mod confirm;
mod copied;
mod create;
mod effect;
mod evidence;
mod fetch;
mod fourth;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gaps;
mod group;
mod handover;
mod inbound;
mod inspect;
mod installations;
mod intents;
mod invite;
mod join;
mod judge;
mod leaf_updates;
mod leaving;
mod linking;
mod loaded;
mod log_set;
mod members;
mod notes;
mod outbox;
mod own_group;
mod packages;
mod queries;
mod queue;
mod reading;
mod received;
pub(crate) mod records;
mod recovery;
mod register;
mod rejoin;
mod repair;
mod repeats;
mod schema;
mod sealing;
mod search;
mod second;
mod standing;
mod state;
mod strangers;
mod sync;
#[cfg(test)]
mod tests;
mod third;
mod told;
mod topics;
mod upkeep;
mod waiting;
mod wishes;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use openmls_rust_crypto::RustCrypto;

#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use self::adversary::{FORGED, Forgery};
use self::clock::PeerClock;
use self::copied::CopiedRecord;
use self::fetch::Fetching;
use self::group::Group;
#[doc(hidden)]
pub use self::inspect::{Kept, Standing};
use self::intents::Intents;
use self::join::AwaitedName;
use self::loaded::LoadedGroups;
use self::queue::Queue;
use self::records::{AccountRecord, AwaitedRecord, ClockRecord, LinkRecord, RepeatRecord};
use self::rejoin::{Chains, Requests};
use self::repeats::RepeatName;
use self::strangers::GuardRecord;
use self::topics::Topics;
use crate::account::{RecordAssembler, RecoveryAssembler};
use crate::api::{
    CommandError, CommandId, Config, Event, EventRecord, FetchId, Hold, Input, Output, PublishId,
    RefusedReason,
};
use crate::limits::{BACKOFF_DOUBLINGS, KEPT_EVENTS, PERIOD, TIMESTAMP_JITTER, TIMESTAMP_STEP};
use crate::mls::{CoreRng, MlsError};
use crate::store::{Overlay, Store, StoreError};
use crate::{AccountId, GroupId, Timestamp, segment};

/// The core hit a local fault: the disk, or a bug. Nothing of the input was done; the same input
/// can be given again. Never caused by what others send.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// OpenMLS failed on our own state.
    #[error("MLS on own state")]
    Mls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A setting outside its bounds.
    #[error("{0}")]
    Config(&'static str),
    /// A newer version of this software wrote the store.
    #[error(
        "the state was written by a newer version of this software: it has version {found}, this \
         one reads up to version {supported}; start the newer one again"
    )]
    NewerSchema {
        /// The version of the store.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
    /// The core's own records contradict each other.
    #[error("records contradict each other: {0}")]
    Bug(&'static str),
}

impl From<MlsError> for Fault {
    fn from(error: MlsError) -> Self {
        Self::Mls(Box::new(error))
    }
}

/// The group chat of one installation.
///
/// Driven by [`Core::handle`] and [`Core::handle_timeout`]; what it wants done leaves by
/// [`Core::poll_output`], to be drained after each of the two; [`Core::poll_timeout`] says when to
/// call [`Core::handle_timeout`] next. It has no clock, no threads and no sockets.
#[derive(Debug)]
pub struct Core<S: Store> {
    store: S,
    inner: Inner,
    outputs: VecDeque<Output>,
    /// A fault came between, and the state could not be read again yet.
    stale: bool,
    /// Nothing was ever written.
    new: bool,
}

/// Everything but the store.
#[derive(Debug)]
struct Inner {
    config: Config,
    rng: CoreRng,
    crypto: RustCrypto,
    account: Option<AccountRecord>,
    link: Option<LinkRecord>,
    clock: ClockRecord,
    groups: BTreeMap<GroupId, Group>,
    outgoing: Queue,
    intents: Intents,
    awaited: BTreeMap<AwaitedName, AwaitedRecord>,
    repeats: BTreeMap<RepeatName, RepeatRecord>,
    event_cursor: u64,
    /// A copy of this database was noticed.
    copied: Option<CopiedRecord>,
    /// Accounts' logs beyond what groups attached.
    known: installations::Known,
    guard: GuardRecord,
    /// What the account's installations share.
    shared: own_group::Shared,
    /// Own cards before, and who is still to be told.
    cards: cards::CardsRecord,
    /// Cards of others.
    contacts: cards::Contacts,
    /// Groups that this installation asks to be brought into.
    returns: BTreeMap<GroupId, recovery::ReturnRecord>,
    /// Messages of before, which they hand over to each other.
    handover: handover::Handover,
    /// Own key packages that were replaced.
    packages: packages::Packages,
    // not kept:
    peer_clock: PeerClock,
    /// The error of the clock that was told of, in seconds.
    clock_told: Option<i64>,
    topics: Topics,
    link_parts: Option<linking::Listening>,
    loaded: LoadedGroups,
    in_flight: BTreeMap<PublishId, (Timestamp, u64)>,
    fetches: BTreeMap<FetchId, (Timestamp, Fetching)>,
    assemblers: BTreeMap<(GroupId, AccountId, u64), RecordAssembler>,
    /// The own account's records of some periods, as others publish them.
    own_records: BTreeMap<u64, RecordAssembler>,
    /// The own account's recovery records, put together by period.
    own_recoveries: BTreeMap<u64, RecoveryAssembler>,
    segments: segment::Assembler,
    refused: BTreeMap<(Option<GroupId>, RefusedReason), Timestamp>,
    requests: Requests,
    chains: Chains,
    /// The phrase, while its account is looked for.
    recovering: Option<recovery::Recovering>,
    /// Accounts that come back into groups with another installation.
    brings: recovery::Brings,
    resumed: bool,
    last_now: Timestamp,
    prune_at: Timestamp,
    ids: u64,
    sequence: u64,
    relay_peers: usize,
    store_peers: usize,
    catch_up_at: Timestamp,
}

/// One step: what is written, what is put out, and when.
struct Tx<'a> {
    overlay: &'a Overlay<'a>,
    now: Timestamp,
    outputs: Vec<Output>,
}

/// A refused command, or a fault.
enum Stop {
    Command(CommandError),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

impl<S: Store> Core<S> {
    /// Opens what the store holds; an empty store is an installation without an account.
    ///
    /// `seed` must be fresh randomness of the operating system at each opening; a simulation gives
    /// its own. What was on its way when the process ended is published again. What an older
    /// version wrote is brought up to date first, on disk.
    ///
    /// # Errors
    ///
    /// [`Fault::NewerSchema`] if a newer version wrote the store, which stays as it is;
    /// [`Fault::Config`]; [`Fault::Store`].
    pub fn open(
        mut store: S,
        config: Config,
        seed: [u8; 32],
        now: Timestamp,
    ) -> Result<Self, Fault> {
        for period in [config.topic_period, config.registration_period] {
            if period < Duration::from_secs(1) || period > PERIOD {
                return Err(Fault::Config("topic and registration periods are 1 s to 1 day"));
            }
        }
        let new = schema::open(&mut store)?;
        let mut inner = Inner::load(&store, config, CoreRng::new(seed))?;
        inner.catch_up_at = now;
        if inner.clock.caught_up == Timestamp::ZERO {
            inner.clock.caught_up = now;
        }
        Ok(Self { store, inner, outputs: VecDeque::new(), stale: false, new })
    }

    /// Takes one input, as one atomic and durable batch. On a fault nothing was done.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<(), Fault> {
        match input {
            Input::Command(id, command) => self
                .step(now, |inner, tx| {
                    let answer = inner.command(tx, command)?;
                    tx.outputs.push(Output::Answer(id, Ok(answer)));
                    Ok(())
                })
                .or_else(|stop| self.stopped(id, stop)),
            other => self.run(now, |inner, tx| inner.input(tx, other)),
        }
    }

    /// Does what fell due. To be called at or after [`Core::poll_timeout`]; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.run(now, |_, _| Ok(()))
    }

    /// When something falls due next. Changes after each handling.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.inner.next_due()
    }

    /// The next thing to do, if there is one.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The store, to look at. What is in it belongs to the core.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Ends the core and gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }

    fn run(
        &mut self,
        now: Timestamp,
        work: impl FnOnce(&mut Inner, &mut Tx<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.step(now, |inner, tx| Ok(work(inner, tx)?)).map_err(|stop| match stop {
            Stop::Fault(fault) => fault,
            Stop::Command(_) => Fault::Bug("a command error without a command"),
        })
    }

    /// A refused command is an answer; it must leave no trace, so nothing of it was committed.
    fn stopped(&mut self, id: CommandId, stop: Stop) -> Result<(), Fault> {
        match stop {
            Stop::Fault(fault) => Err(fault),
            Stop::Command(error) => {
                self.outputs.push_back(Output::Answer(id, Err(error)));
                Ok(())
            }
        }
    }

    fn step(
        &mut self,
        now: Timestamp,
        work: impl FnOnce(&mut Inner, &mut Tx<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if self.stale {
            self.inner.reload(&self.store)?;
            self.stale = false;
        }
        let overlay = Overlay::new(&self.store);
        let mut tx = Tx { overlay: &overlay, now, outputs: Vec::new() };
        let done = work(&mut self.inner, &mut tx)
            .and_then(|()| self.inner.run_due(&mut tx).map_err(Stop::Fault));
        let outputs = tx.outputs;
        if self.new && !overlay.is_empty() {
            schema::put_newest(&overlay);
        }
        let batch = overlay.into_batch();
        let written = !batch.is_empty();
        let done = match done {
            Ok(()) if batch.is_empty() => Ok(()),
            Ok(()) => self.store.commit(batch).map_err(Stop::from),
            Err(Stop::Command(error)) if batch.is_empty() => return Err(Stop::Command(error)),
            Err(stop) => Err(stop),
        };
        match done {
            Ok(()) => {
                self.new &= !written;
                self.inner.let_go_of_phrase();
                self.outputs.extend(outputs);
                Ok(())
            }
            Err(stop) => {
                self.stale = true;
                self.inner.reload(&self.store)?;
                self.stale = false;
                Err(stop)
            }
        }
    }
}

impl Inner {
    fn input(&mut self, tx: &mut Tx<'_>, input: Input) -> Result<(), Fault> {
        match input {
            Input::Message(message) => self.message(tx, &message, false),
            Input::Messages(messages) => {
                messages.iter().try_for_each(|message| self.message(tx, message, false))
            }
            Input::Heard(messages) => {
                messages.iter().try_for_each(|message| self.message(tx, message, true))
            }
            Input::ClockSet => {
                self.peer_clock.forget();
                Ok(())
            }
            Input::Published(id, result) => self.published(tx, id, result),
            Input::Fetched(id, result) => self.fetched(tx, id, result),
            Input::Connectivity { relay_peers, store_peers } => {
                self.connectivity(tx, relay_peers, store_peers)
            }
            Input::Command(..) => Err(Fault::Bug("commands have a path of their own")),
        }
    }

    /// Does everything that is due at `tx.now`.
    fn run_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.mind_the_clock(tx)?;
        self.peer_clock.due(tx.now);
        self.tell_of_the_clock(tx)?;
        self.resume(tx)?;
        self.upkeep_due(tx)?;
        self.registration_due(tx)?;
        self.new_package_due(tx)?;
        self.telling_due(tx)?;
        self.reads_due(tx)?;
        self.handover_due(tx)?;
        self.leaf_updates_due(tx)?;
        self.intents_due(tx)?;
        self.repeats_due(tx)?;
        self.changes_due(tx)?;
        self.rejoin_due(tx)?;
        self.recovery_due(tx)?;
        self.cards_due(tx)?;
        self.gaps_due(tx)?;
        self.notes_due(tx)?;
        self.catch_up_due(tx)?;
        self.link_due(tx)?;
        self.outgoing_due(tx)
    }

    fn next_due(&self) -> Option<Timestamp> {
        [
            self.next_registration(),
            self.next_new_package(),
            self.next_telling(),
            self.next_reads(),
            self.next_handover(),
            self.next_intent(),
            self.next_repeat(),
            self.next_change(),
            self.next_leaf_update(),
            self.next_rejoin(),
            self.next_recovery(),
            self.next_card(),
            self.next_gap(),
            self.next_note(),
            self.next_catch_up(),
            self.link.as_ref().map(|l| l.expires),
            self.next_outgoing(),
            self.next_upkeep(),
            self.peer_clock.next_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn emit(&mut self, tx: &mut Tx<'_>, event: Event) -> Result<(), Fault> {
        if event.group().is_some_and(|group| self.is_own_group(&group)) {
            return Ok(());
        }
        self.event_cursor += 1;
        let record = EventRecord { cursor: self.event_cursor, at: tx.now, event };
        let json =
            serde_json::to_vec(&record).map_err(|e| StoreError::new("encoding an event", e))?;
        tx.overlay.put(records::key("event/", &[&record.cursor.to_be_bytes()]), json);
        if let Some(old) = record.cursor.checked_sub(KEPT_EVENTS) {
            tx.overlay.delete(records::key("event/", &[&old.to_be_bytes()]));
        }
        tx.outputs.push(Output::Event(record));
        Ok(())
    }

    /// Why nothing is published, if that is so.
    fn hold(&self) -> Option<Hold> {
        if !self.is_live() {
            return Some(Hold::Ended);
        }
        if self.copied.is_some() {
            return Some(Hold::Copied);
        }
        self.peer_clock.is_off().then_some(Hold::Clock { ahead: self.clock_ahead()? })
    }

    /// How many seconds the own clock is ahead of peers'.
    fn clock_ahead(&self) -> Option<i64> {
        self.peer_clock.offset().map(|offset| {
            let half = 500_000_000 * -offset.signum();
            (-offset).saturating_add(half) / 1_000_000_000
        })
    }

    /// Tells when the clock begins or ends to hold publishes.
    fn tell_of_the_clock(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let ahead = self.clock_ahead().filter(|_| self.peer_clock.is_off());
        let told = match (self.clock_told, ahead) {
            (Some(before), Some(ahead)) => before.abs_diff(ahead) < 10,
            (before, now) => before == now,
        };
        if told {
            return Ok(());
        }
        self.clock_told = ahead;
        self.emit(tx, ahead.map_or(Event::ClockRight, |ahead| Event::ClockOff { ahead }))
    }

    /// A Waku timestamp for now, as far as it is corrected: jittered, then rounded.
    fn waku_time(&self, now: Timestamp) -> Timestamp {
        let now = self.peer_clock.corrected(now);
        let jitter = self.rng.duration_below(TIMESTAMP_JITTER * 2);
        let shifted = (now + jitter) - TIMESTAMP_JITTER;
        let step = u64::try_from(TIMESTAMP_STEP.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos((shifted.as_nanos() + step / 2) / step * step)
    }

    /// Exponential back-off with jitter: `base` doubled `failures` times, up to a bound, then a
    /// uniform part of a quarter more.
    fn backoff(&self, base: Duration, failures: u32) -> Duration {
        let delay = base * 2u32.pow(failures.min(BACKOFF_DOUBLINGS));
        delay + self.rng.duration_below(delay / 4)
    }
}
