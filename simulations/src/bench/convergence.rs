//! Changes at the same time: how soon all stand in one state, what going back costs, what the kept
//! states take, and what leaves a member.
//!
//! [`rounds`] has real cores on the virtual network, where each delivery takes one round. The rest
//! is driven as in [`super::core`]: Alice, some members with a core each, and a crowd that is only
//! in the tree. Plain OpenMLS makes the same groups and commits beside it.

pub mod kept;
pub mod rewind;
pub mod rounds;
mod scene;
pub mod sizes;
mod table;

use std::path::PathBuf;

use serde::Serialize;

use super::machine::Machine;
use super::results::Results;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Numbers of members that commit at once, a case each.
    pub together: Vec<usize>,
    /// Of the virtual network.
    pub seed: u64,
    /// Sizes of the groups in which commits are gone back over, in leaves.
    pub rewound: Vec<usize>,
    /// Commits that are gone back over.
    pub depths: Vec<usize>,
    /// Sizes of the groups whose states are kept, and whose bytes are counted.
    pub leaves: Vec<usize>,
    /// States that are kept.
    pub states: usize,
    /// Folder for the databases; what a run puts there it removes.
    pub folder: PathBuf,
    /// The program `bench`, which tells what a core takes in a process of its own; without it that
    /// is left out.
    pub program: Option<PathBuf>,
}

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Members that commit at once.
    pub rounds: Vec<rounds::Rounds>,
    /// Going back.
    pub rewinds: Vec<rewind::Rewind>,
    /// States that are kept.
    pub kept: Vec<kept::Kept>,
    /// What leaves a member.
    pub sizes: Vec<sizes::Sizes>,
}

/// Measures all of it.
pub fn run(options: &Options) -> anyhow::Result<Results> {
    let machine = Machine::now();
    let mut measured =
        Measured { rounds: Vec::new(), rewinds: Vec::new(), kept: Vec::new(), sizes: Vec::new() };
    for members in &options.together {
        eprintln!("bench: {members} members commit at once");
        measured.rounds.push(rounds::run(*members, options.seed)?);
    }
    for leaves in &options.rewound {
        eprintln!("bench: going back in a group of {leaves}");
        measured.rewinds.extend(rewind::run(*leaves, &options.depths)?);
    }
    for leaves in &options.leaves {
        eprintln!("bench: sizes and kept states in a group of {leaves}");
        measured.sizes.push(sizes::run(*leaves)?);
        measured.kept.push(kept::run(*leaves, options)?);
    }
    table::results(&measured, options, machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_measured() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            together: vec![2, 4],
            seed: 1,
            rewound: vec![6],
            depths: vec![1, 3],
            leaves: vec![6],
            states: 5,
            folder: folder.path().to_owned(),
            program: None,
        };
        let results = run(&options).expect("a run");
        assert!(results.aims.len() >= 2 && results.tables.len() == 4);
        for part in ["rounds", "rewinds", "kept", "sizes"] {
            assert!(!results.raw[part].as_array().expect("a list").is_empty(), "{part}");
        }
        let rewinds = results.raw["rewinds"].as_array().expect("a list");
        assert!(rewinds.iter().all(|rewind| rewind["with"].as_f64() > Some(0.0)));
    }
}
