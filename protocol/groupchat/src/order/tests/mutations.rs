//! The checks notice faults in the choice.

use super::checks::{self, Check};
use super::world::World;
use crate::order::mutation::{Mutation, mutate};

/// Within how many seeds each fault has to be caught.
const SEEDS: u64 = 100;

const CHECKS: [(&str, Check); 6] = [
    ("it is what the rules say", checks::equals_model),
    ("arrival does not matter", checks::ignores_arrival),
    ("it moves to no fewer accounts", checks::never_moves_to_fewer),
    ("no weight is gained", checks::gains_no_weight),
    ("pruning changes nothing", checks::pruning_changes_nothing),
    ("joiners choose alike", checks::joiners_choose_alike),
];

#[test]
fn each_fault_in_the_choice_is_caught_within_100_seeds() {
    let mut missed = Vec::new();
    for mutation in Mutation::OF_THE_CHOICE {
        let caught: Vec<String> = CHECKS
            .iter()
            .filter_map(|(name, check)| {
                let fails = |seed: &u64| {
                    let world = World::random(*seed, World::size(*seed));
                    mutate(mutation, || check(&world)).is_err()
                };
                Some(format!("{name}: {} seeds", (0..SEEDS).find(fails)? + 1))
            })
            .collect();
        println!("{mutation:?} is caught by: {}", caught.join("; "));
        if caught.is_empty() {
            missed.push(mutation);
        }
    }
    assert!(missed.is_empty(), "not caught within {SEEDS} seeds: {missed:?}");
}
