//! Which nodes are linked, and who reaches whom over those links.

use std::collections::BTreeSet;

/// Links between nodes, each as (lower, higher) index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology(BTreeSet<(usize, usize)>);

impl Topology {
    /// Every node linked to every other.
    pub fn full(nodes: usize) -> Self {
        Self((0..nodes).flat_map(|high| (0..high).map(move |low| (low, high))).collect())
    }

    /// Without the links of these nodes.
    #[must_use]
    pub fn without(&self, nodes: &[usize]) -> Self {
        self.only(|low, high| !nodes.contains(&low) && !nodes.contains(&high))
    }

    /// These nodes linked among themselves, and the others among themselves.
    #[must_use]
    pub fn split(&self, island: &[usize]) -> Self {
        self.only(|low, high| island.contains(&low) == island.contains(&high))
    }

    /// The links of both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// Whether two nodes are linked.
    pub fn has(&self, low: usize, high: usize) -> bool {
        self.0.contains(&(low, high))
    }

    /// How many nodes are linked to this one.
    pub fn degree(&self, node: usize) -> usize {
        self.0.iter().filter(|(low, high)| *low == node || *high == node).count()
    }

    /// The nodes that reach `target` over one or more links, without itself.
    pub fn reaching(&self, target: usize) -> BTreeSet<usize> {
        let (mut found, mut front) = (BTreeSet::from([target]), vec![target]);
        while let Some(node) = front.pop() {
            for (low, high) in &self.0 {
                let other = match node {
                    n if n == *low => *high,
                    n if n == *high => *low,
                    _ => continue,
                };
                if found.insert(other) {
                    front.push(other);
                }
            }
        }
        found.remove(&target);
        found
    }

    fn only(&self, keep: impl Fn(usize, usize) -> bool) -> Self {
        Self(self.0.iter().copied().filter(|(low, high)| keep(*low, *high)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_off_nodes_reach_nobody() {
        let all = Topology::full(5);
        assert_eq!(all.reaching(0), BTreeSet::from([1, 2, 3, 4]));
        assert_eq!(all.degree(3), 4);
        let cut = all.without(&[2]);
        assert_eq!(cut.reaching(0), BTreeSet::from([1, 3, 4]));
        assert!(cut.reaching(2).is_empty() && cut.degree(2) == 0 && !cut.has(1, 2));
    }

    #[test]
    fn an_island_reaches_itself() {
        let split = Topology::full(5).split(&[2, 4]);
        assert_eq!(split.reaching(2), BTreeSet::from([4]));
        assert_eq!(split.reaching(0), BTreeSet::from([1, 3]));
        assert_eq!(Topology::full(5).common(&split), split);
    }

    #[test]
    fn reaches_over_others() {
        let line = Topology(BTreeSet::from([(0, 1), (1, 2)]));
        assert_eq!(line.reaching(0), BTreeSet::from([1, 2]));
    }
}
