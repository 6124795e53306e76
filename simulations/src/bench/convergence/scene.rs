//! A group of a size: Alice, members with a core each, and a crowd that is only in its tree.

use std::time::Duration;

use anyhow::ensure;
use waku_groupchat_core::api::Publish;
use waku_groupchat_core::{GroupId, MemoryStore, Timestamp};

use crate::bench::core::own::{BEGIN, Own, Records, stranger};

/// After a change its commit has left.
pub(super) const SHORT: Duration = Duration::from_secs(10);

/// A time after all that is done here.
pub(super) fn later() -> Timestamp {
    BEGIN + Duration::from_secs(86_400)
}

pub(super) struct Scene {
    pub(super) group: GroupId,
    pub(super) alice: Own<MemoryStore>,
    pub(super) members: Vec<Own<MemoryStore>>,
    /// What left Alice until all were invited.
    pub(super) invited: Vec<Publish>,
    /// What left the first member when it joined.
    pub(super) joined: Vec<Publish>,
}

impl Scene {
    /// As many leaves, some of them members with a core; all are in.
    pub(super) fn new(leaves: usize, members: usize) -> anyhow::Result<Self> {
        ensure!(leaves > members, "{leaves} leaves for {members} members");
        let mut records = Records::new();
        let mut alice = Own::new(MemoryStore::new(), 1, &mut records)?;
        let mut members = (0..members)
            .map(|n| Own::new(MemoryStore::new(), 2 + n as u64, &mut records))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut cards = (1 + members.len()..leaves)
            .map(|n| stranger(1_000 + n as u64, &mut records))
            .collect::<anyhow::Result<Vec<_>>>()?;
        cards.extend(members.iter().map(|member| member.card().to_owned()));
        let group = alice.create("name")?;
        for cards in cards.chunks(waku_groupchat_core::limits::INVITED_ACCOUNTS) {
            // those of the last invitation join with it
            alice.invite_all(&records, group, cards.to_vec())?;
        }
        let invited = alice.publishes();
        alice.confirm(&records)?;
        let sent: Vec<_> = invited.iter().map(|publish| publish.message.clone()).collect();
        let mut joined = Vec::new();
        for (n, member) in members.iter_mut().enumerate() {
            member.now = alice.now;
            member.receive(sent.clone())?;
            member.accept()?;
            member.pass(&Records::new(), SHORT)?;
            let said = member.publishes();
            if n == 0 {
                joined = said;
            }
            ensure!(member.standing(group)? == alice.standing(group)?, "not where Alice is");
        }
        Ok(Self { group, alice, members, invited, joined })
    }

    /// Alice and the members again, each on a copy of its own of what was written, at one time.
    pub(super) fn copies(&self) -> anyhow::Result<Vec<Own<MemoryStore>>> {
        let all = || std::iter::once(&self.alice).chain(&self.members);
        let now = all().map(|own| own.now).max().unwrap_or(self.alice.now);
        let copy = |(n, own): (usize, &Own<MemoryStore>)| {
            Own::open(own.store().clone(), 10_000 + n as u64, now)
        };
        all().enumerate().map(copy).collect()
    }
}
