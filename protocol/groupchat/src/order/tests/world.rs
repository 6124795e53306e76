//! Random graphs of commits, from a seed.

use std::collections::BTreeSet;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::mls::StateId;
use crate::order::model::{Model, Seat, State};
use crate::order::roles::{Authority, Policy, Right, Rights, Role};
use crate::order::{Commit, Graph, Leaf};
use crate::{AccountId, InstallationId};

/// A group's first known state and the commits after it, parents before children.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) root: StateId,
    pub(super) members: Vec<(InstallationId, AccountId)>,
    authority: Authority,
    revoked: Vec<InstallationId>,
    pub(super) commits: Vec<(StateId, Commit)>,
    pub(super) model: Model,
}

/// How a world is.
struct Habits {
    accounts: u8,
    /// Installations of an account.
    installations: u8,
    /// How often a commit follows the newest one, in percent.
    in_line: u32,
    /// Nobody is removed or demoted.
    calm: bool,
}

pub(super) fn installation(account: u8, nth: u8) -> InstallationId {
    let mut bytes = [account; 32];
    bytes[31] = nth;
    InstallationId::from_bytes(bytes)
}

pub(super) fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 32])
}

fn role(rng: &mut ChaCha20Rng) -> Role {
    *[Role::Member, Role::Member, Role::Admin, Role::Owner].choose(rng).expect("some")
}

fn bytes(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

impl World {
    /// How many commits the world of a seed has.
    pub(super) fn size(seed: u64) -> usize {
        ChaCha20Rng::seed_from_u64(!seed).random_range(2..=24)
    }

    /// The first `size` commits of a seed's world.
    pub(super) fn random(seed: u64, size: usize) -> Self {
        Self::make(seed, size, false)
    }

    /// The same where nobody is removed or demoted.
    pub(super) fn calm(seed: u64, size: usize) -> Self {
        Self::make(seed, size, true)
    }

    fn make(seed: u64, size: usize, calm: bool) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let habits = Habits {
            accounts: rng.random_range(2..=6),
            installations: rng.random_range(1..=3),
            in_line: *[20, 50, 80].choose(&mut rng).expect("some"),
            calm,
        };
        let mut world = Self::start(seed, &habits, &mut rng);
        for _ in 0..size {
            let (id, commit) = world.next(&habits, &mut rng);
            world.push(id, commit);
        }
        world
    }

    fn start(seed: u64, habits: &Habits, rng: &mut ChaCha20Rng) -> Self {
        let everybody = (1..=habits.accounts).flat_map(|a| {
            (1..=habits.installations).map(move |n| (installation(a, n), account(a)))
        });
        let mut members: Vec<_> = everybody.filter(|_| rng.random_ratio(2, 3)).collect();
        if members.is_empty() {
            members.push((installation(1, 1), account(1)));
        }
        let mut authority = Authority::default();
        for (_, member) in &members {
            authority.name(*member, role(rng));
        }
        let role = |rng: &mut ChaCha20Rng| role(rng).min(Role::Admin);
        if rng.random_ratio(2, 3) {
            let (add, remove, profile) = (role(rng), role(rng), role(rng));
            authority.policy =
                Policy { add, remove, profile, roles: role(rng), policy: Role::Owner };
        }
        let revoked: Vec<_> =
            members.iter().map(|(i, _)| *i).filter(|_| rng.random_ratio(1, 12)).collect();
        let root = StateId::from_bytes(bytes(rng));
        let model = Model::new(root, &members, &authority, &revoked);
        Self { seed, root, members, authority, revoked, commits: Vec::new(), model }
    }

    pub(super) fn push(&mut self, id: StateId, commit: Commit) {
        self.model.insert(id, &commit);
        self.commits.push((id, commit));
    }

    /// A graph of the root alone.
    pub(super) fn empty_graph(&self) -> Graph {
        let leaf = |installation| Leaf { installation, since: None };
        let members = self.members.iter().map(|(i, a)| (leaf(*i), *a));
        let mut graph = Graph::new(self.root, members, self.authority.clone());
        for installation in &self.revoked {
            graph.revoke(*installation);
        }
        graph
    }

    pub(super) fn graph(&self) -> Graph {
        let mut graph = self.empty_graph();
        for (id, commit) in &self.commits {
            graph.insert(*id, commit.clone()).expect("parents come first");
        }
        graph
    }

    /// Whose revocations are known in a state: attached to a commit up to it.
    pub(super) fn revoked_up_to(&self, id: StateId) -> BTreeSet<InstallationId> {
        let line = self.model.line(id);
        let attached = self.commits.iter().filter(|(id, _)| line.contains(id));
        attached.flat_map(|(_, c)| &c.revokes).chain(&self.revoked).copied().collect()
    }

    pub(super) fn states(&self) -> Vec<StateId> {
        [self.root].into_iter().chain(self.commits.iter().map(|(id, _)| *id)).collect()
    }

    fn next(&self, habits: &Habits, rng: &mut ChaCha20Rng) -> (StateId, Commit) {
        let states = self.states();
        let parent = if rng.random_ratio(habits.in_line, 100) {
            states[states.len() - 1]
        } else {
            *states.choose(rng).expect("the root at least")
        };
        let before = self.model.state(parent);
        let author = before.seats.choose(rng).expect("its author stays in each state");
        let mut commit = plain(parent, author, bytes(rng));
        match rng.random_range(0..100) {
            0..25 => {}
            25..33 => commit.uses = Rights::NONE.with(Right::Profile),
            33..55 => add(&mut commit, habits, before, rng),
            55..63 => swap(&mut commit, before, rng),
            63..80 => remove(&mut commit, habits, before, rng),
            80..92 => change_role(&mut commit, habits, before, rng),
            _ => change_policy(&mut commit, habits, before, rng),
        }
        if rng.random_ratio(1, 16) {
            commit.revokes.extend(before.seats.choose(rng).map(|seat| seat.installation));
        }
        let may = |right: &Right| before.may(commit.account, *right);
        if !Right::ALL.iter().filter(|right| commit.uses.has(**right)).all(may) {
            commit = plain(parent, author, commit.tie);
        }
        (StateId::from_bytes(bytes(rng)), commit)
    }

    /// The graph for people, one commit a line.
    pub(super) fn show(&self) -> String {
        let place = |id: &StateId| self.states().iter().position(|at| at == id).expect("a state");
        let short = |i: &InstallationId| format!("{}.{}", i.as_bytes()[0], i.as_bytes()[31]);
        let list = |all: &[InstallationId]| all.iter().map(short).collect::<Vec<_>>().join(" ");
        let members: Vec<InstallationId> = self.members.iter().map(|(i, _)| *i).collect();
        let mut shown = format!("0: {} {:?}\n", list(&members), self.authority);
        shown += &format!("   revoked: {}\n", list(&self.revoked));
        for (n, (_, c)) in self.commits.iter().enumerate() {
            let adds: Vec<InstallationId> = c.adds.iter().map(|(i, _)| *i).collect();
            shown += &format!(
                "{} <- {} by {}: adds [{}] removes [{}] swaps [{}] uses {:?} revokes [{}] tie {:02x} {:?}\n",
                place(&c.parent),
                n + 1,
                short(&c.author),
                list(&adds),
                list(&c.removes),
                list(&c.swaps),
                c.uses,
                list(&c.revokes),
                c.tie[0],
                c.authority,
            );
        }
        shown
    }
}

/// A commit that changes nothing that order looks at.
pub(super) fn plain(parent: StateId, author: &Seat, tie: [u8; 32]) -> Commit {
    Commit {
        parent,
        author: author.installation,
        account: author.account,
        tie,
        adds: Vec::new(),
        removes: Vec::new(),
        swaps: Vec::new(),
        uses: Rights::NONE,
        authority: None,
        revokes: Vec::new(),
    }
}

fn add(commit: &mut Commit, habits: &Habits, before: &State, rng: &mut ChaCha20Rng) {
    let n = rng.random_range(1..=habits.accounts);
    let new = installation(n, rng.random_range(1..=habits.installations));
    if before.seat(new).is_none() {
        commit.adds.push((new, account(n)));
    }
    if account(n) != commit.account {
        commit.uses = Rights::NONE.with(Right::Add);
    }
}

fn swap(commit: &mut Commit, before: &State, rng: &mut ChaCha20Rng) {
    let seat = before.seats.choose(rng).expect("some");
    if seat.installation != commit.author {
        commit.swaps.push(seat.installation);
        commit.adds.push((seat.installation, seat.account));
    }
}

fn remove(commit: &mut Commit, habits: &Habits, before: &State, rng: &mut ChaCha20Rng) {
    let seat = before.seats.choose(rng).expect("some");
    let whole_account = rng.random_ratio(1, 2);
    if habits.calm || before.role(seat.account) > before.role(commit.account) {
        return;
    }
    let goes = |other: &&Seat| {
        let named = other.installation == seat.installation
            || whole_account && other.account == seat.account;
        named && other.installation != commit.author
    };
    commit.removes = before.seats.iter().filter(goes).map(|seat| seat.installation).collect();
    if seat.account != commit.account {
        commit.uses = Rights::NONE.with(Right::Remove);
    }
    if rng.random_ratio(1, 8) && !commit.removes.is_empty() {
        commit.adds.push((commit.removes[0], seat.account));
    }
    let stays = |other: &Seat| {
        other.account == seat.account && !commit.removes.contains(&other.installation)
    };
    if commit.adds.is_empty() && !before.seats.iter().any(stays) {
        let mut authority = before.authority.clone();
        authority.name(seat.account, Role::Member);
        commit.authority = Some(authority);
    }
}

fn change_role(commit: &mut Commit, habits: &Habits, before: &State, rng: &mut ChaCha20Rng) {
    let seat = before.seats.choose(rng).expect("some");
    let (was, is) = (before.authority.named(seat.account), role(rng));
    let own = before.role(commit.account);
    // who is named the first of its role takes it from those that it had fallen to
    let first = before.authority.owners.is_empty();
    if was.max(is) > own || habits.calm && (is < was || first) {
        return;
    }
    let mut authority = before.authority.clone();
    authority.name(seat.account, is);
    commit.authority = Some(authority);
    commit.uses = Rights::NONE.with(Right::Roles);
}

fn change_policy(commit: &mut Commit, habits: &Habits, before: &State, rng: &mut ChaCha20Rng) {
    if habits.calm {
        return;
    }
    let mut authority = before.authority.clone();
    let policy = &mut authority.policy;
    let fields = [&mut policy.add, &mut policy.remove, &mut policy.profile, &mut policy.roles];
    for field in fields {
        if rng.random_ratio(1, 3) {
            *field = role(rng);
        }
    }
    commit.authority = Some(authority);
    commit.uses = Rights::NONE.with(Right::Policy);
}
