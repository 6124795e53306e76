//! What a seed lets happen: who takes part, how the network is, and which steps follow.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::api::{Policy, Role};

use crate::network::Links;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// The longest time for which some do not hear the others, where all are to follow by themselves.
const LONGEST_APART: Duration = Duration::from_secs(5 * 86_400);

/// What kind of story a seed tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A few members, within hours.
    Hours,
    /// A few members over days: splits and absences shorter than the window.
    Days,
    /// Tens of members.
    Crowd,
    /// Absences of weeks of members that do nothing meanwhile.
    Weeks,
}

impl Kind {
    /// A fixed lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Crowd => "crowd",
            Self::Weeks => "weeks",
        }
    }
}

/// Chooses one of those that can do a thing when it comes to that: the rest of a division.
pub type Pick = u32;

/// Something that one member does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Says something.
    Say,
    /// Sets the name.
    Profile,
    /// Invites somebody who is not in.
    Invite(Pick),
    /// Removes somebody.
    Remove(Pick),
    /// Leaves.
    Leave,
    /// Names somebody's role.
    Role(Pick, Role),
    /// Sets the policy.
    Policy(Policy),
    /// Gives its leaf new keys.
    Keys,
}

impl Deed {
    /// Whether the core can do it so that all end together. What it cannot is drawn and passed
    /// over, so a seed's other steps stay what they are.
    pub fn is_supported(&self) -> bool {
        match self {
            // who is invited by a commit that loses its place, or comes back, cannot join again yet
            Self::Invite(_) => false,
            // a word that only members heard who are removed themselves is not said again yet
            Self::Leave => false,
            _ => true,
        }
    }
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// These members do this, at the same moment.
    Do(Vec<(Pick, Deed)>),
    /// The nodes fall apart into this many sides, each node on the side that its bits say; those
    /// of side 0 keep the store.
    Split {
        /// How many sides.
        sides: usize,
        /// Chooses the sides.
        bits: u64,
    },
    /// All links heal, and the store is back.
    Heal,
    /// One node is cut off from everybody.
    Alone(Pick),
    /// One node loses the store.
    NoStore(Pick),
    /// The store goes away.
    StoreDown,
    /// One node stops.
    Stop(Pick),
    /// Those that are stopped start again.
    StartAll,
    /// One node crashes right after the next thing that it writes.
    Crash(Pick),
    /// The links behave like this.
    Links(Links),
    /// One node's messages take longer.
    Slow(Pick, Duration),
    /// One node's clock is so many seconds ahead, or behind.
    Clock(Pick, i64),
}

/// What happens, and the time that passes after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What.
    pub what: Happening,
    /// How long until the next one.
    pub then: Duration,
}

/// All that a seed decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What kind of story it is.
    pub kind: Kind,
    /// How many installations each account has. The first makes the group.
    pub accounts: Vec<usize>,
    /// How many of the accounts are in the group from the start.
    pub first: usize,
    /// How often cores ask for what they missed.
    pub catch_up: Duration,
    /// What happens.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let kind = match rng.random_range(0..100) {
            0..72 => Kind::Hours,
            72..90 => Kind::Days,
            90..96 => Kind::Weeks,
            _ => Kind::Crowd,
        };
        let accounts = match kind {
            Kind::Crowd => vec![1; rng.random_range(10..=24)],
            _ => {
                let second = rng.random_ratio(1, 4);
                let accounts = rng.random_range(3..=6);
                (0..accounts).map(|n| if n == 1 && second { 2 } else { 1 }).collect()
            }
        };
        let all = accounts.len();
        let first = if all > 3 { rng.random_range(3..=all) } else { all };
        let catch_up = match kind {
            Kind::Hours => MINUTE * rng.random_range(5..=20),
            _ => MINUTE * rng.random_range(30..=120),
        };
        let steps = match kind {
            Kind::Hours => (0..rng.random_range(12..=40)).map(|_| step(kind, &mut rng)).collect(),
            Kind::Crowd => (0..rng.random_range(8..=20)).map(|_| step(kind, &mut rng)).collect(),
            Kind::Days => days(&mut rng),
            Kind::Weeks => weeks(&mut rng),
        };
        Self { seed, kind, accounts, first, catch_up, steps }
    }
}

fn step(kind: Kind, rng: &mut ChaCha20Rng) -> Step {
    let what = match rng.random_range(0..100) {
        0..62 => deeds(rng),
        62..70 => {
            let sides = if rng.random_ratio(3, 4) { 2 } else { 3 };
            Happening::Split { sides, bits: rng.random() }
        }
        70..78 => Happening::Heal,
        78..81 => Happening::Alone(rng.random()),
        81..83 => Happening::NoStore(rng.random()),
        83..85 => Happening::StoreDown,
        85..88 => Happening::Stop(rng.random()),
        88..91 => Happening::StartAll,
        91..95 => Happening::Crash(rng.random()),
        95..97 => Happening::Links(links(rng)),
        97..98 => Happening::Slow(rng.random(), Duration::from_secs(rng.random_range(1..=120))),
        _ => Happening::Clock(rng.random(), rng.random_range(-20..=20)),
    };
    Step { what, then: pause(kind, rng) }
}

/// No split and no absence outlasts the window in which commits can still enter.
fn days(rng: &mut ChaCha20Rng) -> Vec<Step> {
    let (mut steps, mut apart) = (Vec::new(), Duration::ZERO);
    for _ in 0..rng.random_range(12..=30) {
        let next = step(Kind::Days, rng);
        if apart + next.then > LONGEST_APART {
            steps.push(Step { what: Happening::Heal, then: Duration::ZERO });
            steps.push(Step { what: Happening::StartAll, then: HOUR * 3 });
            apart = Duration::ZERO;
        }
        apart += next.then;
        steps.push(next);
    }
    steps
}

/// Some are away for weeks, after all that they did has reached the others.
fn weeks(rng: &mut ChaCha20Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..rng.random_range(1..=3) {
        steps.push(Step { what: Happening::Heal, then: Duration::ZERO });
        steps.push(Step { what: Happening::StartAll, then: Duration::ZERO });
        for _ in 0..rng.random_range(1..=4) {
            steps.push(Step { what: deeds(rng), then: pause(Kind::Hours, rng) });
        }
        let away = Happening::Stop(rng.random());
        steps.push(Step { what: Happening::Links(Links::perfect()), then: HOUR * 4 });
        steps.push(Step { what: away, then: HOUR });
        for _ in 0..rng.random_range(2..=6) {
            steps.push(Step { what: deeds(rng), then: pause(Kind::Weeks, rng) });
            steps.push(Step { what: deeds(rng), then: DAY * rng.random_range(1..=6) });
        }
    }
    steps
}

/// One to four members do something at once.
fn deeds(rng: &mut ChaCha20Rng) -> Happening {
    let together = *[1, 1, 1, 2, 2, 3, 4].choose(rng).expect("some");
    Happening::Do((0..together).map(|_| (rng.random(), deed(rng))).collect())
}

fn deed(rng: &mut ChaCha20Rng) -> Deed {
    match rng.random_range(0..100) {
        0..45 => Deed::Say,
        45..57 => Deed::Profile,
        57..68 => Deed::Invite(rng.random()),
        68..75 => Deed::Remove(rng.random()),
        75..77 => Deed::Leave,
        77..86 => {
            let role = [Role::Member, Role::Admin, Role::Admin, Role::Owner].choose(rng);
            Deed::Role(rng.random(), *role.expect("some"))
        }
        86..89 => Deed::Policy(policy(rng)),
        _ => Deed::Keys,
    }
}

fn policy(rng: &mut ChaCha20Rng) -> Policy {
    let mut low = || if rng.random() { Role::Member } else { Role::Admin };
    Policy { add: low(), remove: low(), profile: low(), roles: low(), policy: Role::Owner }
}

fn links(rng: &mut ChaCha20Rng) -> Links {
    match rng.random_range(0..3) {
        0 => Links::perfect(),
        1 => Links::bad(),
        _ => Links {
            loss: 0.3,
            duplication: 0.3,
            least: Duration::from_millis(10),
            most: Duration::from_secs(60),
        },
    }
}

fn pause(kind: Kind, rng: &mut ChaCha20Rng) -> Duration {
    let long = match kind {
        Kind::Hours | Kind::Crowd => MINUTE * rng.random_range(1..=40),
        Kind::Days => HOUR * rng.random_range(1..=20),
        Kind::Weeks => DAY * rng.random_range(1..=5),
    };
    match rng.random_range(0..10) {
        0..4 => Duration::from_millis(rng.random_range(0..2_000)),
        4..8 => Duration::from_millis(rng.random_range(2_000..60_000)),
        _ => long,
    }
}
