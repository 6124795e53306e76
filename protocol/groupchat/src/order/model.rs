//! The rules of order, written down a second time: by brute force, from their text, without the code
//! that it is compared with. For tests and simulations; in no node.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Commit, Graph};
use super::roles::{Authority, Right, Role};
use crate::mls::StateId;
use crate::{AccountId, InstallationId};

/// A leaf: its installation, and the commit that added it.
pub(in crate::order) type Name = (InstallationId, Option<StateId>);

/// Who sits in a state.
#[derive(Clone)]
pub(in crate::order) struct Seat {
    pub(in crate::order) installation: InstallationId,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests of who is in a state look at it"))]
    pub(in crate::order) account: AccountId,
    /// The commits that gave it a leaf, each in exchange for the one before. The last names it.
    given: Vec<Option<StateId>>,
}

#[derive(Clone)]
pub(in crate::order) struct State {
    pub(in crate::order) seats: Vec<Seat>,
    pub(in crate::order) authority: Authority,
}

impl State {
    pub(in crate::order) fn seat(&self, installation: InstallationId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.installation == installation)
    }

    pub(in crate::order) fn name(&self, installation: InstallationId) -> Option<Name> {
        let given = self.seat(installation)?.given.last()?;
        Some((installation, *given))
    }

    pub(in crate::order) fn role(&self, account: AccountId) -> Role {
        let Authority { owners, admins, .. } = &self.authority;
        if owners.is_empty() && admins.is_empty() {
            return Role::Owner;
        }
        let highest = if owners.is_empty() { admins } else { owners };
        if highest.contains(&account) {
            Role::Owner
        } else if admins.contains(&account) {
            Role::Admin
        } else {
            Role::Member
        }
    }

    pub(in crate::order) fn may(&self, account: AccountId, right: Right) -> bool {
        let policy = &self.authority.policy;
        let least = match right {
            Right::Add => policy.add,
            Right::Remove => policy.remove,
            Right::Profile => policy.profile,
            Right::Roles => policy.roles,
            Right::Policy => policy.policy,
        };
        self.role(account) >= least
    }
}

/// A commit, with what can be said of it by what lies before it.
struct Made {
    commit: Commit,
    /// The author's leaf.
    author: Name,
    /// All leaves that it takes out against their will, with those they were given in exchange for.
    takes: BTreeSet<Name>,
}

/// All commits of a group since some state.
pub(in crate::order) struct Model {
    revoked: BTreeSet<InstallationId>,
    made: BTreeMap<StateId, Made>,
    states: BTreeMap<StateId, State>,
}

impl Model {
    pub(in crate::order) fn new(
        root: StateId,
        members: &[(InstallationId, AccountId)],
        authority: &Authority,
        revoked: &[InstallationId],
    ) -> Self {
        let seats = members.iter().map(|&(installation, account)| Seat {
            installation,
            account,
            given: vec![None],
        });
        let state = State { seats: seats.collect(), authority: authority.clone() };
        Self {
            revoked: revoked.iter().copied().collect(),
            made: BTreeMap::new(),
            states: [(root, state)].into(),
        }
    }

    pub(in crate::order) fn insert(&mut self, id: StateId, commit: &Commit) {
        let before = &self.states[&commit.parent];
        let author = before.name(commit.author).expect("the author sits in the state before");
        let mut after = before.clone();
        let mut takes = BTreeSet::new();
        for removed in &commit.removes {
            let seat = before.seat(*removed).expect("who is removed sits in the state before");
            takes.extend(seat.given.iter().map(|given| (*removed, *given)));
        }
        after.seats.retain(|seat| !commit.removes.contains(&seat.installation));
        for &(installation, account) in &commit.adds {
            match after.seats.iter_mut().find(|seat| seat.installation == installation) {
                Some(seat) => seat.given.push(Some(id)),
                None => after.seats.push(Seat { installation, account, given: vec![Some(id)] }),
            }
        }
        if let Some(authority) = &commit.authority {
            after.authority = authority.clone();
        }
        self.states.insert(id, after);
        self.made.insert(id, Made { commit: commit.clone(), author, takes });
    }

    pub(in crate::order) fn parent(&self, id: StateId) -> Option<StateId> {
        Some(self.made.get(&id)?.commit.parent)
    }

    /// A state and all before it.
    pub(in crate::order) fn line(&self, id: StateId) -> Vec<StateId> {
        let mut line = vec![id];
        while let Some(parent) = self.parent(line[line.len() - 1]) {
            line.push(parent);
        }
        line
    }

    fn is_before_or(&self, old: StateId, new: StateId) -> bool {
        self.line(new).contains(&old)
    }

    pub(in crate::order) fn children(&self, id: StateId) -> Vec<StateId> {
        self.made.keys().copied().filter(|child| self.parent(*child) == Some(id)).collect()
    }

    /// The states that come after one.
    pub(in crate::order) fn after(&self, id: StateId) -> Vec<StateId> {
        let all = self.made.keys().copied();
        all.filter(|other| *other != id && self.is_before_or(id, *other)).collect()
    }

    /// Every path from a state, itself first, to where nothing follows.
    fn paths(&self, id: StateId) -> Vec<Vec<StateId>> {
        let below = self.children(id).into_iter().flat_map(|child| self.paths(child));
        let mut paths: Vec<Vec<StateId>> =
            below.map(|path| [id].into_iter().chain(path).collect()).collect();
        if paths.is_empty() {
            paths.push(vec![id]);
        }
        paths
    }

    /// Where two branches part.
    fn parting(&self, a: StateId, b: StateId) -> StateId {
        let line = self.line(b);
        self.line(a).into_iter().find(|at| line.contains(at)).expect("the root")
    }

    /// Whether what one commit does makes another void, seen from a fork before both, after which
    /// `after` comes.
    fn voids(&self, fork: StateId, after: &[StateId], by_id: StateId, id: StateId) -> bool {
        let (by, of) = (&self.made[&by_id], &self.made[&id]);
        if by.takes.is_empty() && by.commit.authority.is_none() {
            return false;
        }
        let related = self.is_before_or(by_id, id) || self.is_before_or(id, by_id);
        if related || by.author == of.author {
            return false;
        }
        let (left, made) = (&self.states[&by.commit.parent], &self.states[&by_id]);
        let account = of.commit.account;
        let takes_right = |right: &Right| {
            of.commit.uses.has(*right) && left.may(account, *right) && !made.may(account, *right)
        };
        if !by.takes.contains(&of.author) && !Right::ALL.iter().any(takes_right) {
            return false;
        }
        let attached = self.line(fork).into_iter().chain(after.iter().copied());
        let revoked = attached
            .filter_map(|id| self.made.get(&id))
            .any(|made| made.commit.revokes.contains(&by.commit.author));
        let parting = &self.states[&self.parting(by_id, id)];
        let lower = parting.role(by.commit.account) < parting.role(account);
        !revoked && !self.revoked.contains(&by.commit.author) && !lower
    }

    fn counts(&self, fork: StateId, after: &[StateId], id: StateId) -> bool {
        let made = &self.made[&id];
        self.states[&fork].name(made.commit.author) == Some(made.author)
            && !after.iter().any(|by| self.voids(fork, after, *by, id))
    }

    /// The accounts that support a path, as seen from a fork.
    fn support(&self, path: &[StateId], counting: &BTreeSet<StateId>) -> usize {
        let accounts: BTreeSet<AccountId> = path
            .iter()
            .filter(|id| counting.contains(id))
            .map(|id| self.made[id].commit.account)
            .collect();
        accounts.len()
    }

    /// What each child of a state weighs there.
    pub(in crate::order) fn weights(&self, fork: StateId) -> BTreeMap<StateId, usize> {
        let after = self.after(fork);
        let counts = |id: &&StateId| self.counts(fork, &after, **id);
        let counting: BTreeSet<StateId> = after.iter().filter(counts).copied().collect();
        let weight = |child: StateId| {
            let paths = self.paths(child);
            paths.iter().map(|path| self.support(path, &counting)).max().expect("a path")
        };
        self.children(fork).into_iter().map(|child| (child, weight(child))).collect()
    }

    /// The standing path from a state on.
    pub(in crate::order) fn standing(&self, from: StateId) -> Vec<StateId> {
        let mut standing = vec![from];
        while let Some(next) = self.next(standing[standing.len() - 1]) {
            standing.push(next);
        }
        standing
    }

    /// Which of the commits that leave a state stands.
    fn next(&self, state: StateId) -> Option<StateId> {
        let children = self.children(state);
        if children.len() < 2 {
            return children.first().copied();
        }
        let weights = self.weights(state);
        let most = weights.values().max()?;
        let heaviest = weights.iter().filter(|(_, weight)| *weight == most);
        heaviest.min_by_key(|(child, _)| self.made[child].commit.tie).map(|(child, _)| *child)
    }
}

#[cfg(test)]
impl Model {
    pub(in crate::order) fn state(&self, id: StateId) -> &State {
        &self.states[&id]
    }

    /// The accounts that have a counting commit on the way from a fork to a state.
    pub(in crate::order) fn counting(&self, fork: StateId, to: StateId) -> BTreeSet<AccountId> {
        let line = self.line(to).into_iter().take_while(|id| *id != fork);
        let after = self.after(fork);
        line.filter(|id| self.counts(fork, &after, *id))
            .map(|id| self.made[&id].commit.account)
            .collect()
    }

    /// The accounts that have a commit on the way from a fork to a state, by a leaf that the fork
    /// has: what supports it as long as nobody is removed or demoted.
    pub(in crate::order) fn supporters(&self, fork: StateId, to: StateId) -> BTreeSet<AccountId> {
        let line = self.line(to).into_iter().take_while(|id| *id != fork);
        line.filter_map(|id| self.made.get(&id))
            .filter(|made| self.states[&fork].name(made.commit.author) == Some(made.author))
            .map(|made| made.commit.account)
            .collect()
    }
}

impl Graph {
    /// Whether the standing path is the one of the rules.
    #[cfg(feature = "simulation")]
    pub(crate) fn follows_the_rules(&self) -> bool {
        let root = self.root();
        let members = self.members(root).into_values();
        let members: Vec<_> = members.map(|(leaf, account)| (leaf.installation, account)).collect();
        let revoked: Vec<_> = self.revoked.iter().copied().collect();
        let mut model = Model::new(root, &members, self.authority(root), &revoked);
        let mut states: Vec<StateId> = self.states().collect();
        states.sort_by_key(|state| self.depth(*state));
        for state in states {
            if let Some(commit) = self.commit(state) {
                model.insert(state, commit);
            }
        }
        self.standing() == model.standing(root)
    }
}
