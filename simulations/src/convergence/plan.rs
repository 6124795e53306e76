//! What a seed lets happen: who takes part, how the network is, and which steps follow.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::api::{Policy, Role};

use super::attack::{self, Attack};
use crate::network::{Links, Mishap};

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
    /// Two parts that go on apart for longer than states are kept.
    Apart,
}

impl Kind {
    /// A fixed lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Crowd => "crowd",
            Self::Weeks => "weeks",
            Self::Apart => "apart",
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

/// Deeds after which not everybody ends in one state yet: left out, unless asked for. What is left out
/// is drawn all the same, so a seed's other steps stay what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Invitations of those who were in the group before.
    pub invite_again: bool,
    /// Leaving.
    pub leave: bool,
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
    /// One node starts again, and something goes wrong with its store, commits being counted from
    /// then on.
    Mishap(Pick, Mishap),
    /// A hostile member does something.
    Attack(Attack),
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
    /// How many of the accounts are hostile: the last ones. The first of those is in the group from
    /// the start.
    pub hostile: usize,
    /// How many of the others are in the group from the start.
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
            0..68 => Kind::Hours,
            68..86 => Kind::Days,
            86..91 => Kind::Weeks,
            91..96 => Kind::Apart,
            _ => Kind::Crowd,
        };
        let mut accounts = match kind {
            Kind::Crowd if rng.random_ratio(1, 4) => vec![1; rng.random_range(25..=40)],
            Kind::Crowd => vec![1; rng.random_range(8..=24)],
            _ => {
                let second = rng.random_ratio(1, 4);
                let accounts = rng.random_range(3..=6);
                (0..accounts).map(|n| if n == 1 && second { 2 } else { 1 }).collect()
            }
        };
        let all = accounts.len();
        let first = match kind {
            Kind::Apart => all,
            _ if all > 3 => rng.random_range(3..=all),
            _ => all,
        };
        let catch_up = match kind {
            Kind::Hours => MINUTE * rng.random_range(5..=20),
            Kind::Weeks | Kind::Apart => HOUR * rng.random_range(2..=6),
            _ => MINUTE * rng.random_range(30..=120),
        };
        let steps = match kind {
            Kind::Hours => (0..rng.random_range(12..=40)).map(|_| step(kind, &mut rng)).collect(),
            Kind::Crowd => (0..rng.random_range(8..=20)).map(|_| step(kind, &mut rng)).collect(),
            Kind::Days => days(&mut rng),
            Kind::Weeks => weeks(&mut rng),
            Kind::Apart => apart(&mut rng),
        };
        let hostile = match kind {
            Kind::Apart | Kind::Weeks => 0,
            _ => *[0, 0, 0, 1, 2, 2].choose(&mut rng).expect("some"),
        };
        let steps = if hostile > 0 { with_plots(steps, &mut rng) } else { steps };
        accounts.extend(std::iter::repeat_n(1, hostile));
        Self { seed, kind, accounts, hostile, first, catch_up, steps }
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
        91..93 => Happening::Crash(rng.random()),
        93..95 => Happening::Mishap(rng.random(), mishap(rng)),
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

/// Two parts go on without each other until neither can read the other's commits.
fn apart(rng: &mut ChaCha20Rng) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..rng.random_range(0..=4))
        .map(|_| Step { what: calm(rng), then: pause(Kind::Hours, rng) })
        .collect();
    steps.push(Step { what: Happening::Heal, then: HOUR * 4 });
    let split = Happening::Split { sides: 2, bits: rng.random() };
    steps.push(Step { what: split, then: HOUR });
    for _ in 0..rng.random_range(9..=20) {
        steps.push(Step { what: calm(rng), then: pause(Kind::Hours, rng) });
        steps.push(Step { what: calm(rng), then: DAY });
    }
    steps.push(Step { what: Happening::Heal, then: HOUR });
    steps.extend((0..rng.random_range(0..=3)).map(|_| Step { what: calm(rng), then: HOUR * 20 }));
    steps
}

/// Some members do something that takes nobody's place.
fn calm(rng: &mut ChaCha20Rng) -> Happening {
    let deeds = (0..rng.random_range(1..=4)).map(|_| {
        let deed = match rng.random_range(0..10) {
            0..5 => Deed::Say,
            5..7 => Deed::Profile,
            7..9 => Deed::Keys,
            _ => Deed::Role(rng.random(), Role::Admin),
        };
        (rng.random(), deed)
    });
    Happening::Do(deeds.collect())
}

/// Hostile members do this and that meanwhile.
fn with_plots(steps: Vec<Step>, rng: &mut ChaCha20Rng) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    for step in steps {
        if rng.random_ratio(1, 5) {
            let plot = attack::plot(rng);
            // some happen at once, some while others go on
            let apart = rng.random_ratio(1, 3);
            let deeds = plot.into_iter().flat_map(|step| {
                let other = apart.then(|| Step { what: deeds(rng), then: Duration::ZERO });
                other.into_iter().chain([step])
            });
            all.extend(deeds);
        }
        all.push(step);
    }
    all
}

fn mishap(rng: &mut ChaCha20Rng) -> Mishap {
    let commit = rng.random_range(1..=40);
    match rng.random_range(0..3) {
        0 => Mishap::Fails(commit),
        1 => Mishap::CrashBefore(commit),
        _ => Mishap::CrashAfter(commit),
    }
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
        Kind::Weeks | Kind::Apart => DAY * rng.random_range(1..=5),
    };
    match rng.random_range(0..10) {
        0..4 => Duration::from_millis(rng.random_range(0..2_000)),
        4..8 => Duration::from_millis(rng.random_range(2_000..60_000)),
        _ => long,
    }
}
