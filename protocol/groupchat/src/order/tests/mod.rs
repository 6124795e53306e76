//! The choice of the standing path against a [model](super::model) of its own making, on random
//! graphs.
//!
//! Each check runs on graphs that a seed gives, says the seed where it fails, and with it the
//! fewest commits of that graph that fail.
//!
//! | module | what |
//! |---|---|
//! | [`world`] | random graphs of commits |
//! | [`checks`] | what holds for every graph |
//! | [`cases`] | graphs made by hand, for one rule each |
//! | [`mutations`] | that the checks notice faults in the choice |

mod cases;
mod checks;
mod mutations;
mod world;

use checks::Check;
use world::World;

/// The seeds of a run: `SEED` names one alone, `SEEDS` how many instead of `count`.
fn seeds(count: u64) -> Vec<u64> {
    let number = |name: &str| -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().expect("a number"))
    };
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(count)).collect(),
    }
}

/// The fewest commits of a seed's graph with which a check fails, and what it says.
fn fewest(check: Check, seed: u64) -> (usize, String) {
    let all = World::size(seed);
    (1..=all)
        .find_map(|size| Some((size, check(&World::random(seed, size)).err()?)))
        .unwrap_or((all, "it does not fail with fewer".to_owned()))
}

fn holds(count: u64, check: Check) {
    for seed in seeds(count) {
        if check(&World::random(seed, World::size(seed))).is_err() {
            let (size, why) = fewest(check, seed);
            let world = World::random(seed, size);
            panic!("seed {seed}, its first {size} commits: {why}\n{}", world.show());
        }
    }
}

#[test]
fn it_is_what_the_rules_say() {
    holds(400, checks::equals_model);
}

#[test]
fn the_order_of_arrival_and_repetition_do_not_matter() {
    holds(400, checks::ignores_arrival);
}

#[test]
fn it_ends_where_nothing_follows() {
    holds(400, checks::is_a_whole_path);
}

#[test]
fn where_nobody_is_removed_or_demoted_it_moves_to_no_fewer_accounts() {
    holds(400, checks::never_moves_to_fewer);
}

#[test]
fn neither_added_leaves_nor_repetition_add_weight() {
    holds(400, checks::gains_no_weight);
}

#[test]
fn pruning_changes_nothing_of_what_stands_after() {
    holds(300, checks::pruning_changes_nothing);
}

#[test]
fn who_joins_later_chooses_as_the_others_do() {
    holds(300, checks::joiners_choose_alike);
}
