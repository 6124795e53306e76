//! What leaves a member: publishes and bytes, beside the MLS messages of plain OpenMLS.

use std::collections::BTreeMap;

use serde::Serialize;
use waku_groupchat_core::api::{Command, Publish};

use super::scene::{SHORT, Scene};
use crate::bench::core::plain::{self, Plain};

/// What was published of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Publishes.
    pub publishes: usize,
    /// Bytes of their Waku messages.
    pub bytes: usize,
}

/// What leaves a member in a group of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Sizes {
    /// Leaves of the group.
    pub leaves: usize,
    /// Inviting all others, by kind.
    pub invite: BTreeMap<&'static str, Sent>,
    /// Joining.
    pub join: Sent,
    /// The first commit of a member in the new tree.
    pub commit: Sent,
    /// Taking one account out.
    pub remove: Sent,
    /// MLS messages of plain OpenMLS.
    pub plain: PlainSizes,
}

/// Bytes of MLS messages.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PlainSizes {
    /// The commit that adds all others.
    pub add: usize,
    /// Its Welcome.
    pub welcome: usize,
    /// The tree that goes with it.
    pub tree: usize,
    /// The first commit of a member in the new tree.
    pub commit: usize,
    /// Taking one out.
    pub remove: usize,
}

fn all(publishes: &[Publish]) -> Sent {
    let bytes = publishes.iter().map(|publish| publish.message.encode().len()).sum();
    Sent { publishes: publishes.len(), bytes }
}

/// Makes a group of this size, and commits in it.
pub(super) fn run(leaves: usize) -> anyhow::Result<Sizes> {
    let mut scene = Scene::new(leaves, 1)?;
    let mut invite = BTreeMap::<_, Sent>::new();
    for publish in &scene.invited {
        let sent = invite.entry(publish.kind.name()).or_default();
        sent.publishes += 1;
        sent.bytes += publish.message.encode().len();
    }
    let (group, alice) = (scene.group, &mut scene.alice);
    alice.rename_within(group, "name 0001", SHORT)?;
    let commit = all(&alice.publishes());
    let other = alice.standing(group)?.members;
    let own = alice.account()?;
    let account = other.into_values().find(|account| *account != own);
    let accounts = account.into_iter().collect();
    alice.change(Command::Remove { group, accounts }, SHORT)?;
    let remove = all(&alice.publishes());
    Ok(Sizes { leaves, invite, join: all(&scene.joined), commit, remove, plain: plain(leaves)? })
}

fn plain(leaves: usize) -> anyhow::Result<PlainSizes> {
    let mut alice = Plain::new()?;
    alice.create("name")?;
    let packages = (1..leaves).map(|_| plain::stranger()).collect::<Result<Vec<_>, _>>()?;
    let adds: Vec<&[u8]> = packages.iter().map(Vec::as_slice).collect();
    let added = alice.commit(&adds, "name")?;
    let commit = alice.commit(&[], "name 0001")?.commit.len();
    Ok(PlainSizes {
        add: added.commit.len(),
        welcome: added.welcome.map_or(0, |welcome| welcome.len()),
        tree: added.tree.len(),
        commit,
        remove: alice.remove(1)?,
    })
}
