//! Registration records that an inviter must not use.

use super::*;
use crate::account::{
    InstallationKey, KeyPackages, Log, PART_CLASS, Record, day_start, record_topics, seal_record,
    utc_day,
};
use crate::limits::RECORD_PERIODS;

/// Alice looks for Dave's record, which nobody has seen yet.
struct Search {
    world: World,
    dave: usize,
}

impl Search {
    fn new() -> Self {
        let mut world = World::three();
        let (dave, card) = world.add_peer(true);
        world.invite(&[card]);
        Self { world, dave }
    }

    fn day(&self) -> u64 {
        utc_day(self.world.now)
    }

    fn expiry(&self) -> Timestamp {
        day_start(self.day() + RECORD_PERIODS)
    }

    fn key(&self, who: usize) -> InstallationKey {
        self.world.key(who)
    }

    fn log(&self, who: usize) -> Log {
        self.world.peers[who].core.inner.own_log().expect("an account")
    }

    fn packages(&self, who: usize) -> KeyPackages {
        let inner = &self.world.peers[who].core.inner;
        inner.account.as_ref().expect("an account").key_packages.iter().cloned().collect()
    }

    /// Dave's record as it should be, but for what is given.
    fn record(&self, day: u64, packages: &KeyPackages, expiry: Timestamp) -> Vec<u8> {
        let (key, log) = (self.key(self.dave), self.log(self.dave));
        Record::sign(&key, &log, day, packages, expiry).expect("it can be signed")
    }

    /// A record on the topics of Dave's of this day, as every holder of the card can put it there.
    fn sealed(&self, day: u64, record: &[u8]) -> WakuMessage {
        let inner = &self.world.peers[self.dave].core.inner;
        let secret = inner.account.as_ref().expect("an account").registration();
        let mut rng = self.world.rng.clone();
        let parts = seal_record(&secret, day, record, [self.world.now; 4], &mut rng);
        parts.expect("it fits")[0].clone()
    }

    fn refused(&mut self, record: &[u8]) -> RefusedReason {
        let message = self.sealed(self.day(), record);
        self.world.refused_outright(ALICE, &message)
    }

    /// Dave's own record comes, and he is invited.
    fn ends_well(mut self) {
        self.world.peers[self.dave].deaf = false;
        self.world.give(self.dave, Input::Connectivity { relay_peers: 2, store_peers: 1 });
        self.world.run(MINUTE * 60 * 24);
        self.world.command(self.dave, Command::AcceptInvitation { group: self.world.group });
        self.world.run(MINUTE);
        self.world.go_on(&[ALICE, BOB, CAROL, self.dave]);
    }
}

#[test]
fn forged_records_are_refused() {
    let mut search = Search::new();
    let (day, expiry) = (search.day(), search.expiry());
    let good = search.record(day, &search.packages(search.dave), expiry);
    let mut forged = good.clone();
    *forged.last_mut().expect("not empty") ^= 1;
    assert_eq!(search.refused(&forged), RefusedReason::Invalid, "its signature");
    assert_eq!(search.refused(&good[..good.len() - 3]), RefusedReason::Invalid, "cut");
    assert_eq!(search.refused(b"no record"), RefusedReason::Invalid);

    let carols =
        Record::sign(&search.key(CAROL), &search.log(CAROL), day, &search.packages(CAROL), expiry);
    assert_eq!(search.refused(&carols.expect("good")), RefusedReason::Invalid, "another account");
    search.ends_well();
}

#[test]
fn records_out_of_time_are_refused() {
    let mut search = Search::new();
    let (day, expiry) = (search.day(), search.expiry());
    let packages = search.packages(search.dave);
    let expired = search.record(day, &packages, search.world.now - Duration::from_secs(1));
    assert_eq!(search.refused(&expired), RefusedReason::Invalid, "expired");
    for other in [day - 1, day + 1] {
        let moved = search.record(other, &packages, expiry);
        assert_eq!(search.refused(&moved), RefusedReason::Invalid, "of another day");
    }
    search.ends_well();
}

#[test]
fn records_whose_key_packages_are_not_the_accounts_are_refused() {
    let mut search = Search::new();
    let (day, expiry) = (search.day(), search.expiry());
    let dave = search.world.installation(search.dave);
    let carols = search.packages(CAROL).into_values().next().expect("one");
    let mut damaged = search.packages(search.dave).into_values().next().expect("one");
    *damaged.last_mut().expect("not empty") ^= 1;
    for package in [b"junk".to_vec(), carols, damaged] {
        let record = search.record(day, &KeyPackages::from([(dave, package)]), expiry);
        assert_eq!(search.refused(&record), RefusedReason::Invalid);
    }
    let none = search.record(day, &KeyPackages::new(), expiry);
    assert_eq!(search.refused(&none), RefusedReason::Invalid, "nobody to invite");
    search.ends_well();
}

#[test]
fn junk_on_the_records_topics_is_refused_and_bounded() {
    let mut search = Search::new();
    let secret = {
        let inner = &search.world.peers[search.dave].core.inner;
        inner.account.as_ref().expect("an account").registration()
    };
    for topic in record_topics(&secret, search.day()) {
        let junk = search.world.junk(topic, PART_CLASS.bytes());
        assert_eq!(search.world.refused_outright(ALICE, &junk), RefusedReason::Invalid);
    }
    // halves of records of many days: only those that can still count are kept
    let mut long = search.record(search.day(), &search.packages(search.dave), search.expiry());
    long.resize(20_000, 0);
    let now = search.world.now;
    for ago in 0..200 {
        let day = search.day() - ago;
        let at = now - Duration::from_secs(86_400) * ago as u32;
        let mut rng = search.world.rng.clone();
        let half = seal_record(&secret, day, &long, [at; 4], &mut rng).expect("it fits")[0].clone();
        search.world.deliver(ALICE, &half);
    }
    let kept = search.world.peers[ALICE].core.inner.assemblers.len();
    assert!(kept <= RECORD_PERIODS as usize + 3, "{kept} days");
    search.ends_well();
}
