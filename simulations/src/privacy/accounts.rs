//! Real cores: an account's installations on a network of their own, over weeks.
//!
//! Registering takes nothing from other accounts, so each account has a network of its own, and the
//! observer gets what all of them publish.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::account::Phrase;
use waku_groupchat_core::api::views::{InstallationState, InstallationView};
use waku_groupchat_core::api::{Answer, Command, Config, Event, PublishKind};
use waku_groupchat_core::{InstallationId, Timestamp};
use waku_groupchat_waku::PubsubTopic;

use super::sight::{Record, Sight};
use crate::cast;
use crate::network::{Links, Network, NodeId, START};

const DAY: Duration = Duration::from_secs(86_400);
/// How likely it is on a day that somebody loses an installation.
const REVOKED: f64 = 0.04;
/// How likely it is on a day that somebody gives the account another card by hand.
const ROTATED: f64 = 0.03;
/// How likely it is on a day that all installations are lost, and the phrase brings the account back.
const RECOVERED: f64 = 0.012;
/// How long the phrase may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a publish takes to the observer, at least and at most.
const WAY: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(600));

/// How accounts live.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// Of all that is drawn.
    pub seed: u64,
    /// How many days.
    pub days: u64,
    /// Most installations of an account.
    pub most: usize,
    /// By how many seconds an account's clocks are off at most.
    pub clock_off: i64,
}

/// What one account showed.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Its records, by day.
    pub records: Vec<Record>,
    /// How many installations were linked, after the first one.
    pub linked: usize,
    /// How many were revoked. The contact card changes with each.
    pub revoked: usize,
    /// How often it was given another card by hand.
    pub rotated: usize,
    /// How often it was brought back by its phrase: all installations lost, in half of the cases to
    /// somebody who lets them go on.
    pub recovered: usize,
    /// Publishes of linking: how many bytes each.
    pub linking: Vec<usize>,
}

/// One account's life. It begins with some of its installations, links the others on days of their
/// own, now and then loses one, which is revoked, changes its card, or loses them all and comes back by
/// its phrase.
///
/// # Panics
///
/// If the core refuses what people do, or links nobody in time.
pub fn live(lives: &Lives, account: usize) -> Life {
    let mut rng = ChaCha20Rng::seed_from_u64(lives.seed);
    rng.set_stream(account as u64);
    let all = rng.random_range(1..=lives.most);
    let at_first = rng.random_range(1..=all);
    let mut net = Network::new(rng.random(), links());
    net.set_traced(false);
    let real = Config::new(PubsubTopic::new(1, 0));
    net.config_mut().registration_delay = real.registration_delay;
    // what it asks of stores is not published, and there are no groups
    net.config_mut().catch_up = DAY * 30;
    // not everybody begins at one time
    net.run_for(Duration::from_secs(rng.random_range(0..80_000)));
    let off = rng.random_range(-lives.clock_off..=lives.clock_off);
    let mut person = Person::new(net, off);
    let days: Vec<u64> = (at_first..all).map(|_| rng.random_range(1..lives.days.max(2))).collect();
    let mut links = at_first - 1;
    let mut life = Life::default();
    let (mut live, mut recoveries) = (vec![1; lives.days as usize], BTreeSet::new());
    for day in 0..lives.days {
        links += days.iter().filter(|d| **d == day).count();
        life.linked += links;
        (0..std::mem::take(&mut links)).for_each(|_| person.link());
        life.revoked += usize::from(rng.random_bool(REVOKED) && person.revoke(&mut rng));
        if rng.random_bool(ROTATED) {
            person.rotate();
            life.rotated += 1;
        }
        live[day as usize] = person.live().len();
        if day > 0 && rng.random_bool(RECOVERED) {
            let at = START + DAY * u32::try_from(day).unwrap_or(u32::MAX);
            let at = at + Duration::from_secs(rng.random_range(7_200..82_800));
            person.net.run_for(at.since(person.net.now()));
            person.recover(rng.random());
            recoveries.extend([day, day + 1]);
            life.recovered += 1;
            // the others are made anew the day after
            links += live[day as usize] - 1;
        }
        let end = START + DAY * u32::try_from(day + 1).unwrap_or(u32::MAX);
        person.net.run_for(end.since(person.net.now()));
    }
    seen(&person.net, account, &live, &mut rng, &mut life);
    life.records.iter_mut().for_each(|record| record.recovery = recoveries.contains(&record.day));
    life
}

/// Somebody with an account.
struct Person {
    net: Network,
    /// The installation that does what people do.
    first: NodeId,
    phrase: Phrase,
    /// By how many seconds the clocks are off.
    off: i64,
}

impl Person {
    fn new(mut net: Network, off: i64) -> Self {
        let first = net.add_node();
        let made = net.command(first, Command::CreateAccount);
        let Ok(Answer::AccountCreated { phrase, .. }) = made else { panic!("{made:?}") };
        net.set_skew(first, off);
        Self { net, first, phrase, off }
    }

    fn link(&mut self) {
        let new = cast::link(&mut self.net, self.first);
        self.net.set_skew(new, self.off);
    }

    fn live(&self) -> Vec<InstallationId> {
        let all = self.net.node(self.first).core().installations().expect("memory");
        let live = all.iter().filter(|view| view.state == InstallationState::Live);
        live.map(|view: &InstallationView| view.installation).collect()
    }

    /// Puts one of the others out, as after a loss; whether there was one.
    fn revoke(&mut self, rng: &mut ChaCha20Rng) -> bool {
        let account = self.net.node(self.first).core().account().expect("memory");
        let own = account.expect("an account").installation;
        let others: Vec<InstallationId> = self.live().into_iter().filter(|id| *id != own).collect();
        if others.is_empty() {
            return false;
        }
        let lost = others[rng.random_range(0..others.len())];
        let revoke = Command::Revoke { installations: vec![lost] };
        self.net.command(self.first, revoke).expect("a live one");
        true
    }

    fn rotate(&mut self) {
        self.net.command(self.first, Command::RotateCard).expect("a live one");
    }

    /// Loses all installations and comes back by the phrase. If they were stolen, they go on.
    fn recover(&mut self, stolen: bool) {
        let lost: Vec<NodeId> = self.net.node_ids().collect();
        if !stolen {
            lost.into_iter().for_each(|node| self.net.stop(node));
        }
        let new = self.net.add_node();
        self.net.set_skew(new, self.off);
        let phrase = self.phrase.clone();
        self.net.command(new, Command::Recover { phrase, stolen }).expect("an empty one");
        let back = self.net.run_until(PATIENCE, |net| {
            net.node(new).events().any(|event| matches!(event, Event::Recovered { .. }))
        });
        assert!(back, "the phrase brings it back");
        self.first = new;
    }
}

/// Some delay, no loss: what is lost is published again, whoever lost it.
fn links() -> Links {
    Links { loss: 0.0, duplication: 0.0, least: WAY.0, most: WAY.1 }
}

/// What the observer gets of it.
fn seen(net: &Network, account: usize, live: &[usize], rng: &mut ChaCha20Rng, life: &mut Life) {
    let spread = (WAY.1 - WAY.0).as_nanos() as u64;
    for publish in net.published() {
        if publish.kind == PublishKind::Link {
            life.linking.push(publish.message.payload.len());
        }
        if publish.kind != PublishKind::Registration {
            continue;
        }
        let day = publish.at.since(START).as_secs() / DAY.as_secs();
        let came = publish.at + WAY.0 + Duration::from_nanos(rng.random_range(0..=spread));
        let sight = Sight { came, message: publish.message.clone() };
        match life.records.last_mut().filter(|record| record.day == day) {
            Some(record) => record.sights.push(sight),
            None => life.records.push(Record {
                account,
                day,
                installations: live.get(day as usize).copied().unwrap_or(1),
                recovery: false,
                sights: vec![sight],
            }),
        }
    }
    for record in &mut life.records {
        record.sights.sort_by_key(|sight| sight.came);
    }
}

/// Many lives, on as many threads as there are processors.
pub fn live_all(lives: &Lives, accounts: usize) -> Vec<Life> {
    super::measure::in_parallel(accounts, |account| live(lives, account))
}

/// Seconds since the run began.
pub fn seconds(at: Timestamp) -> f64 {
    at.since(START).as_secs_f64()
}
