//! Real cores: an account's installations on a network of their own, over weeks.
//!
//! Registering takes nothing from other accounts, so each account has a network of its own, and the
//! observer gets what all of them publish.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::api::views::{InstallationState, InstallationView};
use waku_groupchat_core::api::{Command, Config, PublishKind};
use waku_groupchat_core::{InstallationId, Timestamp};
use waku_groupchat_waku::PubsubTopic;

use super::sight::{Record, Sight};
use crate::cast;
use crate::network::{Links, Network, NodeId, START};

const DAY: Duration = Duration::from_secs(86_400);
/// How likely it is on a day that somebody loses an installation.
const REVOKED: f64 = 0.04;
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
    /// How many were revoked.
    pub revoked: usize,
    /// Publishes of linking: how many bytes each.
    pub linking: Vec<usize>,
}

/// One account's life. It begins with some of its installations, links the others on days of their
/// own, and now and then loses one, which is revoked.
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
    let (first, _) = cast::account(&mut net);
    let off = rng.random_range(-lives.clock_off..=lives.clock_off);
    net.set_skew(first, off);
    let days: Vec<u64> = (at_first..all).map(|_| rng.random_range(1..lives.days.max(2))).collect();
    let (mut links, mut revoked) = (at_first - 1, 0);
    let mut live = vec![1; lives.days as usize];
    for day in 0..lives.days {
        links += days.iter().filter(|d| **d == day).count();
        for _ in 0..std::mem::take(&mut links) {
            let new = cast::link(&mut net, first);
            net.set_skew(new, off);
        }
        let gone = if rng.random_bool(REVOKED) { revoke(&mut net, first, &mut rng) } else { 0 };
        revoked += gone;
        let all = net.node(first).core().installations().expect("memory");
        let count = all.iter().filter(|view| is_live(view)).count();
        live[day as usize] = count;
        let end = START + DAY * u32::try_from(day + 1).unwrap_or(u32::MAX);
        net.run_for(end.since(net.now()));
    }
    let linked = net.node_ids().count() - 1;
    Life { linked, revoked, ..seen(&net, account, &live, &mut rng) }
}

/// Puts one of the others out, as after a loss; how many that were.
fn revoke(net: &mut Network, first: NodeId, rng: &mut ChaCha20Rng) -> usize {
    let own = net.node(first).core().account().expect("memory").expect("an account").installation;
    let all = net.node(first).core().installations().expect("memory");
    let live = all.iter().filter(|view| is_live(view) && view.installation != own);
    let others: Vec<InstallationId> = live.map(|view| view.installation).collect();
    if others.is_empty() {
        return 0;
    }
    let lost = others[rng.random_range(0..others.len())];
    net.command(first, Command::Revoke { installations: vec![lost] }).expect("a live one");
    1
}

fn is_live(view: &InstallationView) -> bool {
    view.state == InstallationState::Live
}

/// Some delay, no loss: what is lost is published again, whoever lost it.
fn links() -> Links {
    Links { loss: 0.0, duplication: 0.0, least: WAY.0, most: WAY.1 }
}

/// What the observer gets of it.
fn seen(net: &Network, account: usize, live: &[usize], rng: &mut ChaCha20Rng) -> Life {
    let mut life = Life::default();
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
                sights: vec![sight],
            }),
        }
    }
    for record in &mut life.records {
        record.sights.sort_by_key(|sight| sight.came);
    }
    life
}

/// Many lives, on as many threads as there are processors.
pub fn live_all(lives: &Lives, accounts: usize) -> Vec<Life> {
    super::measure::in_parallel(accounts, |account| live(lives, account))
}

/// Seconds since the run began.
pub fn seconds(at: Timestamp) -> f64 {
    at.since(START).as_secs_f64()
}
