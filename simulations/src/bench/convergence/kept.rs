//! What the states of a group take that are kept, to read what comes late and to go back.
//!
//! Carol follows as many commits of Alice's as states are kept, on RocksDB. Beside it, plain
//! OpenMLS's whole state after each of as many commits, in a database of the same kind: that is
//! what keeping states comes to without differences.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use waku_groupchat_core::{Batch, GroupId, MemoryStore, Store};
use waku_groupchat_storage::KvStore;

use super::Options;
use super::scene::{SHORT, Scene};
use crate::bench::archive::disk_bytes;
use crate::bench::core::own::Own;
use crate::bench::core::plain::{self, Plain};
use crate::bench::relay::process;

/// Kept states of a group of one size, in bytes. Pairs: with one state, and with all of them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kept {
    /// Leaves of the group.
    pub leaves: usize,
    /// States that are kept in the end.
    pub states: usize,
    /// Keys and values of all that Carol has.
    pub stored: [usize; 2],
    /// Her database on disk.
    pub disk: [u64; 2],
    /// Resident in a process that has only opened it; none if that was left out.
    pub resident: Option<[u64; 2]>,
    /// Keys and values of plain OpenMLS's state, once and as often as states are kept.
    pub plain_stored: [usize; 2],
    /// The same as databases on disk.
    pub plain_disk: [u64; 2],
}

/// Follows commits in a group of this size.
pub(super) fn run(leaves: usize, options: &Options) -> anyhow::Result<Kept> {
    let folder = options.folder.join(format!("kept-{leaves}"));
    ensure!(!folder.exists(), "{} is there already", folder.display());
    std::fs::create_dir_all(&folder)?;
    let measured = measure(leaves, options, &folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(leaves: usize, options: &Options, folder: &Path) -> anyhow::Result<Kept> {
    let mut scene = Scene::new(leaves, 1)?;
    let group = scene.group;
    let first = written(&folder.join("first"), scene.members[0].store())?;
    let resident_first = resident(options, &folder.join("first"))?;
    let (stored, states, disk, resident_all) = follow(&mut scene, group, options, folder)?;
    let resident = resident_first.zip(resident_all).map(|(one, all)| [one, all]);
    let plain = beside(leaves, options.states, folder)?;
    Ok(Kept {
        leaves,
        states,
        stored: [bytes(scene.members[0].store()), stored],
        disk: [first, disk],
        resident,
        plain_stored: plain.0,
        plain_disk: plain.1,
    })
}

/// Carol's pairs, her states, her disk, and what a process takes that opens it.
fn follow(
    scene: &mut Scene,
    group: GroupId,
    options: &Options,
    folder: &Path,
) -> anyhow::Result<(usize, usize, u64, Option<u64>)> {
    let all = folder.join("all");
    written(&all, scene.members[0].store())?;
    let now = scene.members[0].now.max(scene.alice.now);
    let mut disk = Own::open(KvStore::open(&all)?, 7, now)?;
    let mut memory = Own::open(scene.members[0].store().clone(), 7, now)?;
    for n in 0.. {
        ensure!(n < 2 * options.states, "{} states are kept", memory.kept(group));
        if memory.kept(group) >= options.states {
            break;
        }
        scene.alice.rename_within(group, &format!("name {n:04}"), SHORT)?;
        let commit = scene.alice.published();
        disk.now = scene.alice.now;
        disk.receive(commit.clone())?;
        memory.now = scene.alice.now;
        memory.receive(commit)?;
    }
    let states = memory.kept(group);
    let stored = bytes(&memory.into_store());
    ensure!(disk.kept(group) == states, "{} states on disk", disk.kept(group));
    drop(disk);
    Ok((stored, states, settled(&all)?, resident(options, &all)?))
}

/// Plain OpenMLS's pairs and disk, once and for all states.
fn beside(leaves: usize, states: usize, folder: &Path) -> anyhow::Result<([usize; 2], [u64; 2])> {
    let [mut alice, mut bob] = [Plain::new()?, Plain::new()?];
    alice.create("name")?;
    let mut packages = (0..leaves - 2).map(|_| plain::stranger()).collect::<Result<Vec<_>, _>>()?;
    packages.push(bob.package()?);
    let adds: Vec<&[u8]> = packages.iter().map(Vec::as_slice).collect();
    let commit = alice.commit(&adds, "name")?;
    bob.join(&commit)?;
    let one = folder.join("plain-one");
    put(&mut KvStore::open(&one)?, 0, &bob)?;
    let all = folder.join("plain-all");
    let mut store = KvStore::open(&all)?;
    let (first, mut stored) = (bob.stored(), bob.stored());
    put(&mut store, 0, &bob)?;
    for n in 1..states {
        let commit = alice.commit(&[], &format!("name {n:04}"))?;
        bob.receive(&commit.commit)?;
        put(&mut store, n, &bob)?;
        stored += bob.stored();
    }
    drop(store);
    Ok(([first, stored], [settled(&one)?, settled(&all)?]))
}

/// A copy of all that plain OpenMLS keeps.
fn put(store: &mut KvStore, copy: usize, plain: &Plain) -> anyhow::Result<()> {
    let prefix = u32::try_from(copy)?.to_be_bytes();
    let under =
        |(key, value): (Vec<u8>, Vec<u8>)| ([&prefix, key.as_slice()].concat(), Some(value));
    Ok(store.commit(plain.pairs().into_iter().map(under).collect::<Batch>())?)
}

/// Puts what a core has written in memory into a database; its bytes on disk.
fn written(folder: &Path, memory: &MemoryStore) -> anyhow::Result<u64> {
    let mut store = KvStore::open(folder)?;
    let pair = |(key, value): (&[u8], &[u8])| (key.to_vec(), Some(value.to_vec()));
    store.commit(memory.iter().map(pair).collect())?;
    drop(store);
    settled(folder)
}

/// Bytes on disk once opening it again has put its log into tables.
fn settled(folder: &Path) -> anyhow::Result<u64> {
    drop(KvStore::open(folder)?);
    disk_bytes(folder)
}

fn bytes(store: &MemoryStore) -> usize {
    store.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// Resident bytes of a process that opens this database.
fn resident(options: &Options, folder: &Path) -> anyhow::Result<Option<u64>> {
    let Some(program) = &options.program else { return Ok(None) };
    let said = Command::new(program).arg("opened").arg(folder).output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8(said.stdout)?;
    Ok(Some(text.trim().parse().with_context(|| text.clone())?))
}

/// Opens the database of a core, and tells how much of this process is resident then.
///
/// # Errors
///
/// It cannot be opened, or the system does not tell.
pub fn opened(folder: &Path) -> anyhow::Result<u64> {
    let own = Own::open(KvStore::open(folder)?, 7, super::scene::later())?;
    let resident = process::memory(std::process::id())?.resident;
    drop(own);
    Ok(resident)
}
