//! One rule each, on graphs made by hand. Accounts are numbers, each with one installation; states
//! are numbers, 0 the root.

use super::world::{account, installation};
use crate::InstallationId;
use crate::mls::StateId;
use crate::order::roles::{Authority, Right, Rights, Role};
use crate::order::{Commit, Graph, GraphError, Leaf, Scale};

fn state(n: u8) -> StateId {
    StateId::from_bytes([n; 32])
}

fn of(n: u8) -> InstallationId {
    installation(n, 1)
}

/// Owners are accounts 1 and 2, the others members; everybody may remove.
fn authority() -> Authority {
    let mut authority = Authority::of_owner(account(1));
    authority.name(account(2), Role::Owner);
    authority.policy.remove = Role::Member;
    authority
}

/// A group of accounts 1 to 5.
fn group() -> Graph {
    let leaf = |n| Leaf { installation: of(n), since: None };
    Graph::new(state(0), (1..=5).map(|n| (leaf(n), account(n))), authority())
}

/// An update of `author`'s; it loses ties against those with lower numbers.
fn update(parent: u8, author: u8) -> Commit {
    Commit {
        parent: state(parent),
        author: of(author),
        account: account(author),
        tie: [author; 32],
        adds: Vec::new(),
        removes: Vec::new(),
        swaps: Vec::new(),
        uses: Rights::NONE,
        authority: None,
        revokes: Vec::new(),
    }
}

fn remove(parent: u8, author: u8, whom: u8) -> Commit {
    let uses = Rights::NONE.with(Right::Remove);
    Commit { removes: vec![of(whom)], uses, ..update(parent, author) }
}

fn add(parent: u8, author: u8, whom: u8) -> Commit {
    let uses = Rights::NONE.with(Right::Add);
    Commit { adds: vec![(of(whom), account(whom))], uses, ..update(parent, author) }
}

fn swap(parent: u8, author: u8, whom: u8) -> Commit {
    Commit { swaps: vec![of(whom)], uses: Rights::NONE, ..add(parent, author, whom) }
}

fn insert(graph: &mut Graph, commits: impl IntoIterator<Item = (u8, Commit)>) {
    for (id, mut commit) in commits {
        // no two commits have one tie
        commit.tie[31] = id;
        graph.insert(state(id), commit).expect("it fits the state before it");
    }
}

/// The weights at the root of these children.
fn weights<const N: usize>(graph: &Graph, children: [u8; N]) -> [usize; N] {
    let scale = Scale::at(graph, state(0));
    children.map(|child| scale.weight(state(child)))
}

#[test]
fn more_accounts_stand_before_fewer_and_the_lower_tie_among_equals() {
    let mut graph = group();
    insert(&mut graph, [(1, update(0, 1)), (2, update(0, 2))]);
    assert_eq!(graph.standing(), [state(0), state(1)]);
    insert(&mut graph, [(3, update(2, 3)), (4, update(1, 1)), (5, update(4, 1))]);
    assert_eq!(graph.standing(), [state(0), state(2), state(3)], "one account thrice is one");
    insert(&mut graph, [(6, update(5, 4))]);
    assert_eq!(graph.tip(), state(6), "two against two, so the tie decides again");
}

#[test]
fn a_removed_author_counts_no_more_where_it_did_not_see_it() {
    let mut graph = group();
    insert(&mut graph, [(1, update(0, 3)), (2, remove(1, 1, 3)), (3, update(0, 3))]);
    assert_eq!(weights(&graph, [1, 3]), [2, 0], "what came before the removal still counts");
}

#[test]
fn two_that_remove_each_other_are_both_out() {
    let mut graph = group();
    insert(&mut graph, [(1, remove(0, 1, 2)), (2, remove(0, 2, 1))]);
    assert_eq!(weights(&graph, [1, 2]), [0, 0]);
    assert_eq!(graph.tip(), state(1));
    insert(&mut graph, [(3, update(2, 3))]);
    assert_eq!(graph.tip(), state(3), "the others decide");
}

#[test]
fn a_lower_role_voids_nothing() {
    let mut graph = group();
    insert(&mut graph, [(3, remove(0, 3, 1)), (1, update(0, 1)), (4, remove(0, 3, 4))]);
    insert(&mut graph, [(5, update(0, 4))]);
    assert_eq!(weights(&graph, [1, 5]), [1, 0]);
}

#[test]
fn a_revoked_leaf_voids_nothing_wherever_that_is_attached() {
    let mut graph = group();
    insert(&mut graph, [(1, remove(0, 2, 3)), (2, update(0, 3))]);
    assert_eq!(weights(&graph, [1, 2]), [1, 0]);
    insert(&mut graph, [(4, Commit { revokes: vec![of(2)], ..update(2, 4) })]);
    assert_eq!(weights(&graph, [1, 2]), [1, 2]);
}

#[test]
fn a_right_taken_away_makes_void_what_uses_it() {
    let mut graph = group();
    let mut stricter = authority();
    stricter.policy.add = Role::Admin;
    let uses = Rights::NONE.with(Right::Policy);
    let policy = Commit { authority: Some(stricter), uses, ..update(0, 1) };
    insert(&mut graph, [(1, policy), (2, add(0, 3, 6)), (3, update(0, 4)), (4, add(0, 2, 6))]);
    assert_eq!(weights(&graph, [1, 2, 3, 4]), [1, 0, 1, 1]);
}

#[test]
fn who_comes_back_is_another_leaf() {
    let mut graph = group();
    insert(&mut graph, [(1, update(0, 4)), (2, remove(1, 1, 3)), (3, add(2, 1, 3))]);
    insert(&mut graph, [(4, update(3, 3))]);
    assert_eq!(weights(&graph, [1]), [2], "by the new leaf nothing");
    insert(&mut graph, [(5, remove(2, 2, 4)), (6, remove(3, 2, 3)), (7, update(0, 3))]);
    assert_eq!(weights(&graph, [7]), [0], "the old leaf was removed");
    let scale = Scale::at(&graph, state(3));
    assert_eq!([4, 6].map(|id| scale.weight(state(id))), [0, 1], "the new one was as well");
}

#[test]
fn an_exchanged_leaf_voids_nothing_and_escapes_no_removal() {
    let mut graph = group();
    insert(&mut graph, [(1, swap(0, 1, 3)), (2, update(0, 3))]);
    assert_eq!(weights(&graph, [1, 2]), [1, 1]);
    insert(&mut graph, [(4, update(1, 3))]);
    assert_eq!(weights(&graph, [1]), [1], "the new leaf was not there at the fork");
    insert(&mut graph, [(5, remove(1, 1, 3))]);
    assert_eq!(weights(&graph, [2]), [0], "the old leaf goes with the new one");
}

#[test]
fn a_branch_passed_over_plays_no_part_below() {
    let mut graph = group();
    insert(&mut graph, [(1, update(0, 1)), (2, update(1, 4)), (9, remove(0, 2, 3))]);
    insert(&mut graph, [(3, update(1, 3))]);
    let below = Scale::at(&graph, state(1));
    assert_eq!([2, 3].map(|id| below.weight(state(id))), [1, 1], "whoever joined at 1 knows no 9");
    assert_eq!(graph.standing(), [0, 1, 3].map(state));
}

#[test]
fn what_does_not_fit_the_state_before_does_not_enter() {
    let mut graph = group();
    assert_eq!(graph.insert(state(9), update(7, 1)), Err(GraphError::Parent));
    assert_eq!(graph.insert(state(9), update(0, 6)), Err(GraphError::Leaf));
    assert_eq!(graph.insert(state(9), remove(0, 1, 6)), Err(GraphError::Leaf));
    assert_eq!(graph.insert(state(9), add(0, 1, 2)), Err(GraphError::Leaf));
    assert_eq!(graph.standing(), [state(0)]);
    assert_eq!(graph.insert(state(1), update(0, 1)), Ok(()));
    assert_eq!(graph.insert(state(9), update(0, 1)), Err(GraphError::Again));
    assert_eq!(graph.insert(state(1), update(0, 1)), Ok(()));
}

#[test]
fn only_what_nothing_follows_is_forgotten() {
    let mut graph = group();
    insert(&mut graph, [(1, update(0, 1)), (2, update(1, 2))]);
    assert!(!graph.forget(state(0)) && !graph.forget(state(1)) && !graph.forget(state(7)));
    assert!(graph.forget(state(2)));
    assert_eq!(graph.tip(), state(1));
}
