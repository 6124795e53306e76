//! What came of many seeds, for programs: `docs/reports/convergence.json`.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

/// What happened in one story, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Stories by their kind.
    pub stories: BTreeMap<&'static str, usize>,
    /// Installations.
    pub nodes: usize,
    /// Messages that were accepted.
    pub messages: usize,
    /// Changes of groups that were accepted.
    pub changes: usize,
    /// Installations that said that they leave, each time.
    pub leavers: usize,
    /// Invitations of those who were in the group before, or were invited.
    pub invited_again: usize,
    /// Commands that were refused.
    pub refused: usize,
    /// Publishes of commits.
    pub commits: usize,
    /// States that several commits left.
    pub forks: usize,
    /// How often an installation moved to another branch, by the number of commits that it left
    /// behind.
    pub rewinds: BTreeMap<u64, usize>,
    /// How often an installation learned that it is not in the group any more.
    pub removed: usize,
    /// Changes that were given up, since they were not allowed any more.
    pub given_up: usize,
    /// Splits of the network, and nodes cut off.
    pub splits: usize,
    /// Nodes that were stopped.
    pub stops: usize,
    /// Nodes that were to crash after a write.
    pub crashes: usize,
    /// Nodes that started again, and whose store then failed once, or that crashed at some write.
    pub mishaps: usize,
    /// How often an installation that waited for a member could follow its group again.
    pub rejoins: usize,
    /// How often an installation learned on which side of a long split it was.
    pub long_splits: usize,
    /// What hostile members did, as far as it came about, by its kind.
    pub hostile: BTreeMap<&'static str, usize>,
    /// Members that were let in on a branch that lost its place, by somebody who was taken out: they
    /// wait for a new invitation.
    pub stranded: usize,
    /// The most states of one group that one core kept.
    pub most_states: usize,
    /// Hours of virtual time.
    pub hours: u64,
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        for (kind, n) in &other.stories {
            *self.stories.entry(kind).or_default() += n;
        }
        for (depth, n) in &other.rewinds {
            *self.rewinds.entry(*depth).or_default() += n;
        }
        self.nodes += other.nodes;
        self.messages += other.messages;
        self.changes += other.changes;
        self.leavers += other.leavers;
        self.invited_again += other.invited_again;
        self.refused += other.refused;
        self.commits += other.commits;
        self.forks += other.forks;
        self.removed += other.removed;
        self.given_up += other.given_up;
        self.splits += other.splits;
        self.stops += other.stops;
        self.crashes += other.crashes;
        self.mishaps += other.mishaps;
        self.stranded += other.stranded;
        self.rejoins += other.rejoins;
        self.long_splits += other.long_splits;
        for (what, n) in &other.hostile {
            *self.hostile.entry(what).or_default() += n;
        }
        self.most_states = self.most_states.max(other.most_states);
        self.hours += other.hours;
    }
}

/// What came of a run over many seeds. Keys are in snake case.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The commit of the source that ran.
    pub commit: String,
    /// The first seed.
    pub seed_from: u64,
    /// How many.
    pub seeds: u64,
    /// Those after which everything held.
    pub passed: u64,
    /// Those after which something did not.
    pub failed: Vec<u64>,
    /// Seconds that the run took.
    pub seconds: f64,
    /// What happened in all of them.
    pub counts: Counts,
}
