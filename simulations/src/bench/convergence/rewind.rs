//! What it costs to go back over commits that lose.
//!
//! Carol follows a number of commits of Alice's. Then she hears of two others that leave the state
//! before all of them, by Bob and by Dave on top of it: two accounts stand behind these and one
//! behind Alice's, however many she made, so they win. Erin hears of the two alone. The difference
//! is what going back costs.

use anyhow::{bail, ensure};
use serde::Serialize;
use waku_groupchat_core::forget_verified;

use super::scene::{SHORT, Scene};
use crate::bench::core::own::Spent;

/// Going back over some commits. Times are CPU time in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rewind {
    /// Leaves of the group.
    pub leaves: usize,
    /// Commits that are gone back over.
    pub depth: usize,
    /// Following the two winning commits, for who followed the losing ones before.
    pub with: f64,
    /// The same, for who heard of nothing else.
    pub without: f64,
    /// Bytes that were written, by the one and by the other.
    pub written: [usize; 2],
}

fn micros(spent: Spent) -> f64 {
    spent.cpu.as_secs_f64() * 1e6
}

/// Goes back in a group of this size.
pub(super) fn run(leaves: usize, depths: &[usize]) -> anyhow::Result<Vec<Rewind>> {
    let scene = Scene::new(leaves, 4)?;
    depths.iter().map(|depth| one(&scene, leaves, *depth)).collect()
}

fn one(scene: &Scene, leaves: usize, depth: usize) -> anyhow::Result<Rewind> {
    let Ok([mut alice, mut bob, mut carol, mut dave, mut erin]) =
        <[_; 5]>::try_from(scene.copies()?)
    else {
        bail!("others are in the group")
    };
    let group = scene.group;
    let mut lost = Vec::new();
    for n in 0..depth {
        alice.rename_within(group, &format!("lost {n:04}"), SHORT)?;
        lost.extend(alice.published());
    }
    bob.now = alice.now;
    bob.rename_within(group, "wins 0001", SHORT)?;
    let mut wins = bob.published();
    dave.now = bob.now;
    dave.receive(wins.clone())?;
    dave.rename_within(group, "wins 0002", SHORT)?;
    wins.extend(dave.published());
    carol.now = dave.now;
    carol.receive(lost)?;
    ensure!(carol.standing(group)? == alice.standing(group)?, "Carol did not follow Alice");
    erin.now = dave.now;
    let (mut spent, mut written) = (Vec::new(), Vec::new());
    for own in [&mut carol, &mut erin] {
        forget_verified();
        own.spent();
        own.written();
        own.receive(wins.clone())?;
        spent.push(micros(own.spent()));
        written.push(own.written());
        ensure!(own.standing(group)? == dave.standing(group)?, "not where Dave is");
    }
    let ([with, without], [more, less]) = ([spent[0], spent[1]], [written[0], written[1]]);
    Ok(Rewind { leaves, depth, with, without, written: [more, less] })
}
