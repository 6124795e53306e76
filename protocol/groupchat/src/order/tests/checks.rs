//! What holds for every graph of commits. Each check says what is wrong.

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::world::{World, account, installation, plain};
use crate::mls::StateId;
use crate::order::{Commit, Graph, Leaf, Scale};

pub(super) type Check = fn(&World) -> Result<(), String>;

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} is {is:?}, should be {should:?}")) }
}

fn rng(world: &World) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(world.seed ^ 0x5EED)
}

/// The path, what each branch weighs, and who is in the newest state.
pub(super) fn equals_model(world: &World) -> Result<(), String> {
    let graph = world.graph();
    for fork in world.states() {
        let scale = Scale::at(&graph, fork);
        for (child, weight) in world.model.weights(fork) {
            equal(&format!("the weight of {child:?}"), &scale.weight(child), &weight)?;
        }
        let members = graph.members(fork);
        let state = world.model.state(fork);
        equal("the number of members", &members.len(), &state.seats.len())?;
        for (leaf, account) in members.values() {
            let name = Some((leaf.installation, leaf.since));
            equal("a leaf", &state.name(leaf.installation), &name)?;
            let seated = state.seat(leaf.installation).map(|seat| seat.account);
            equal("a leaf's account", &Some(*account), &seated)?;
        }
    }
    equal("the standing path", &graph.standing(), &world.model.standing(world.root))
}

/// Any order that has parents before children, each commit once or several times.
pub(super) fn ignores_arrival(world: &World) -> Result<(), String> {
    let mut rng = rng(world);
    let should = world.model.standing(world.root);
    for _ in 0..4 {
        let mut graph = world.empty_graph();
        let mut left: Vec<&(StateId, Commit)> = world.commits.iter().collect();
        left.shuffle(&mut rng);
        let mut here: Vec<&(StateId, Commit)> = Vec::new();
        while !left.is_empty() {
            let next = left.iter().position(|(_, c)| graph.contains(c.parent));
            let next = left.remove(next.expect("some commit's parent is here"));
            here.push(next);
            let again = *here.choose(&mut rng).expect("one at least");
            for (id, commit) in [next, again] {
                graph.insert(*id, commit.clone()).map_err(|e| e.to_string())?;
            }
        }
        equal("the path in another order", &graph.standing(), &should)?;
        equal("its end", &Some(&graph.tip()), &should.last())?;
    }
    Ok(())
}

/// From the root, each state a child of the one before, to one without children; so none twice.
pub(super) fn is_a_whole_path(world: &World) -> Result<(), String> {
    let graph = world.graph();
    let standing = graph.standing();
    equal("its beginning", &standing[0], &world.root)?;
    for step in standing.windows(2) {
        equal("a step's parent", &world.model.parent(step[1]), &Some(step[0]))?;
    }
    let tip = standing[standing.len() - 1];
    equal("what follows its end", &world.model.children(tip), &Vec::new())?;
    equal("the order of its end's ancestry", &world.model.line(tip).len(), &standing.len())
}

/// The path moves only to a branch which has a way that as many accounts support as the old way.
pub(super) fn never_moves_to_fewer(world: &World) -> Result<(), String> {
    let world = World::calm(world.seed, world.commits.len());
    let mut graph = world.empty_graph();
    let mut stood = graph.standing();
    for (id, commit) in &world.commits {
        graph.insert(*id, commit.clone()).map_err(|e| e.to_string())?;
        let stands = graph.standing();
        if let Some(at) = (0..stood.len().min(stands.len())).find(|n| stood[*n] != stands[*n]) {
            let (fork, now) = (stood[at - 1], stands[at]);
            let before = world.model.supporters(fork, stood[stood.len() - 1]).len();
            let ends = world.model.after(now).into_iter().chain([now]);
            let ends = ends.filter(|end| graph.contains(*end));
            let after = ends.map(|end| world.model.supporters(fork, end).len()).max();
            if after < Some(before) {
                return Err(format!("it moves from {before} accounts to {after:?} at {fork:?}"));
            }
        }
        stood = stands;
    }
    Ok(())
}

/// Who supports a branch already makes it no heavier by further commits, nor by leaves that it adds
/// there, whatever those commit.
pub(super) fn gains_no_weight(world: &World) -> Result<(), String> {
    let mut rng = rng(world);
    let Some((at, _)) = world.commits.choose(&mut rng) else { return Ok(()) };
    let line = world.model.line(*at);
    let mut graph = world.graph();
    let seats = &world.model.state(*at).seats;
    let author = seats.choose(&mut rng).expect("its author stays in each state");
    let supported: Vec<(StateId, StateId)> = line
        .windows(2)
        .map(|step| (step[1], step[0]))
        .filter(|(fork, _)| world.model.counting(*fork, *at).contains(&author.account))
        .collect();
    let weights = |graph: &Graph| -> Vec<usize> {
        supported.iter().map(|(fork, child)| Scale::at(graph, *fork).weight(*child)).collect()
    };
    let before = weights(&graph);
    let mut parent = *at;
    let mut state = |n: u8| StateId::from_bytes([n; 32].map(|b| b ^ rng.random::<u8>()));
    let mut adding = plain(parent, author, [0; 32]);
    adding.adds = (7..=9).map(|n| (installation(n, 9), account(n))).collect();
    let added = adding.adds.clone();
    let mut commits = vec![adding, plain(parent, author, [0; 32])];
    for (installation, account) in added {
        let mut commit = plain(parent, author, [0; 32]);
        (commit.author, commit.account) = (installation, account);
        commits.push(commit);
    }
    for (n, mut commit) in (0..).zip(commits) {
        commit.parent = parent;
        parent = state(n);
        graph.insert(parent, commit).map_err(|e| e.to_string())?;
    }
    equal("the weights of the branches that it supported", &weights(&graph), &before)
}

/// Wherever the root moves to, what stands after it is what stood, also when commits come later.
pub(super) fn pruning_changes_nothing(world: &World) -> Result<(), String> {
    let states = world.states();
    for root in &states {
        let should = world.model.standing(*root);
        let mut graph = world.graph();
        graph.prune(*root);
        equal(&format!("the path after {root:?}"), &graph.standing(), &should)?;
        let known = states.iter().position(|id| id == root).expect("a state");
        let mut graph = world.empty_graph();
        for (n, (id, commit)) in world.commits.iter().enumerate() {
            // what leaves a state that was dropped cannot enter any more
            if n < known || world.model.line(*id).contains(root) {
                graph.insert(*id, commit.clone()).map_err(|e| e.to_string())?;
            }
            if n + 1 == known {
                graph.prune(*root);
            }
        }
        equal(&format!("the path after {root:?}, pruned early"), &graph.standing(), &should)?;
    }
    Ok(())
}

/// Somebody who got a state by an invitation knows who is in it and what is attached up to it, but
/// not by which commits its members came, nor any other branch.
pub(super) fn joiners_choose_alike(world: &World) -> Result<(), String> {
    for root in world.states() {
        let state = world.model.state(root);
        let leaf = |installation| Leaf { installation, since: None };
        let members = state.seats.iter().map(|seat| (leaf(seat.installation), seat.account));
        let mut graph = Graph::new(root, members, state.authority.clone());
        for installation in world.revoked_up_to(root) {
            graph.revoke(installation);
        }
        for (id, commit) in &world.commits {
            if *id != root && world.model.line(*id).contains(&root) {
                graph.insert(*id, commit.clone()).map_err(|e| e.to_string())?;
            }
        }
        let should = world.model.standing(root);
        equal(&format!("the path for who joins at {root:?}"), &graph.standing(), &should)?;
    }
    Ok(())
}
