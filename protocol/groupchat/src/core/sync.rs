//! Syncs: after activity, one member says what it knows of everybody's numbers.
//!
//! Sixteen buckets of four bytes tell who knows more or less, without naming anybody. Who differs
//! in a bucket answers with what it holds of that bucket; what the other says it holds is a claim
//! like any other ([`super::gaps`]). So the last message of a sender does not stay unnoticed.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::group::Group;
use super::{Fault, Inner, Tx};
use crate::group::frontier::{self, short};
use crate::proto::group as pb;
use crate::{GroupId, InstallationId};

/// Number of buckets.
const BUCKETS: usize = 16;
/// Bytes of a bucket's digest.
const BUCKET_BYTES: usize = 4;
/// A member more, and syncs are spread over this much more time.
const SPREAD_A_MEMBER: Duration = Duration::from_millis(500);

/// The bucket of a sender.
fn bucket_of(installation: &InstallationId) -> usize {
    usize::try_from(short(installation) % BUCKETS as u64).unwrap_or(0)
}

impl Group {
    /// What is known here of everybody's numbers.
    fn digest(&self, own: (InstallationId, u64)) -> [[u8; BUCKET_BYTES]; BUCKETS] {
        let mut known: Vec<(u64, u64, usize)> = self
            .senders
            .iter()
            .filter(|(installation, _)| !self.departed.contains(installation))
            .map(|(installation, sender)| {
                let told = self.exchange.before_join.get(installation).copied().unwrap_or(0);
                let top = sender.tracker.max_held().max(sender.tracker.baseline()).max(told);
                (installation, top)
            })
            .chain([(&own.0, own.1)])
            .filter(|(_, top)| *top > 0)
            .map(|(installation, top)| (short(installation), top, bucket_of(installation)))
            .collect();
        for (installation, number) in &self.record.baselines {
            let counts = *number > 0 && !self.departed.contains(installation);
            if !self.senders.contains_key(installation) && counts {
                known.push((short(installation), *number, bucket_of(installation)));
            }
        }
        known.sort_unstable();
        let mut hashers: [Option<Sha256>; BUCKETS] = std::array::from_fn(|_| None);
        for (name, top, bucket) in known {
            let hasher = hashers[bucket].get_or_insert_with(Sha256::new);
            hasher.update(name.to_be_bytes());
            hasher.update(top.to_be_bytes());
        }
        hashers.map(|hasher| match hasher {
            None => [0; BUCKET_BYTES],
            Some(hasher) => {
                let mut bucket = [0; BUCKET_BYTES];
                bucket.copy_from_slice(&hasher.finalize()[..BUCKET_BYTES]);
                bucket
            }
        })
    }
}

impl Inner {
    fn own_digest(&self, id: GroupId) -> Option<[[u8; BUCKET_BYTES]; BUCKETS]> {
        let own = self.account.as_ref()?.installation;
        let group = self.groups.get(&id)?;
        Some(group.digest((own, group.send.number)))
    }

    /// Something was said in a group: a sync follows, unless one is due already.
    pub(super) fn active(&mut self, tx: &Tx<'_>, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let within = self.config.sync_after + SPREAD_A_MEMBER * group.size();
        let at = tx.now + self.config.sync_after + self.rng.duration_below(within);
        if let Some(group) = self.groups.get_mut(&id) {
            group.exchange.sync_at = Some(group.exchange.sync_at.map_or(at, |due| due.min(at)));
        }
    }

    /// Something was read in a group: a sync that says nothing was is far off.
    pub(super) fn wait_for_quiet(&mut self, tx: &Tx<'_>, id: GroupId) {
        let at = tx.now + self.config.quiet + self.rng.duration_below(self.config.quiet / 4);
        if let Some(group) = self.groups.get_mut(&id) {
            group.exchange.quiet_at = Some(at);
        }
    }

    pub(super) fn sync_due(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let exchange = &mut group.exchange;
        let mut due = exchange.sync_at.iter().chain(&exchange.quiet_at);
        if !due.any(|at| *at <= tx.now) {
            return Ok(());
        }
        exchange.sync_at = None;
        self.wait_for_quiet(tx, id);
        let Some(digest) = self.own_digest(id) else { return Ok(()) };
        let sync = pb::Sync { digest: digest.concat() };
        self.send_note(tx, id, pb::note::Body::Sync(sync), Vec::new())?;
        Ok(())
    }

    /// Another's sync: `false` if it is none. It stands for the own one if it is equal, and all
    /// branches were named with it that would be named here ([`Inner::names_all`]).
    pub(super) fn synced(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        sync: &pb::Sync,
        names_all: bool,
    ) -> bool {
        let Some(own) = self.own_digest(id) else { return true };
        if sync.digest.len() != BUCKETS * BUCKET_BYTES {
            return false;
        }
        if names_all
            && own.concat() == sync.digest
            && let Some(group) = self.groups.get_mut(&id)
        {
            // all that would be said here is said
            group.exchange.sync_at = None;
        }
        for (bucket, theirs) in (0_u8..).zip(sync.digest.chunks_exact(BUCKET_BYTES)) {
            if own[usize::from(bucket)] == *theirs {
                continue;
            }
            let at = self.answer_at(tx.now, id);
            if let Some(group) = self.groups.get_mut(&id) {
                group.exchange.buckets.entry(bucket).or_insert(at);
            }
        }
        true
    }

    /// Answers one bucket in which another differed.
    pub(super) fn buckets_due(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some((&bucket, _)) = group.exchange.buckets.iter().find(|(_, at)| **at <= tx.now)
        else {
            return Ok(());
        };
        group.exchange.buckets.remove(&bucket);
        let mut entries = self.bucket_entries(id, bucket);
        entries.truncate(MOST_ENTRIES);
        let note = pb::note::Body::Bucket(pb::Bucket { number: bucket.into() });
        self.send_note(tx, id, note, entries)?;
        Ok(())
    }

    /// What is held here of the senders of a bucket, the own messages among them.
    fn bucket_entries(&self, id: GroupId, bucket: u8) -> Vec<pb::FrontierEntry> {
        let (Some(group), Some(own)) = (self.groups.get(&id), &self.account) else {
            return Vec::new();
        };
        let here = |installation: &InstallationId| bucket_of(installation) == usize::from(bucket);
        let mut entries: Vec<pb::FrontierEntry> = group
            .senders
            .iter()
            .filter(|(installation, sender)| here(installation) && sender.tracker.max_held() > 0)
            .filter(|(installation, _)| !group.departed.contains(installation))
            .map(|(installation, sender)| frontier::entry(installation, &sender.tracker))
            .collect();
        if here(&own.installation) && group.send.number > 0 {
            let epoch = group.send.previous.map_or(0, |(_, epoch)| epoch);
            entries.push(pb::FrontierEntry {
                installation: short(&own.installation),
                upto: group.send.number,
                epoch,
                beyond: Vec::new(),
            });
        }
        entries
    }

    /// Another said what it holds of a bucket. If it says all that would be said here, that need
    /// not be said; if it lacks something, it is told. `false` for no bucket.
    pub(super) fn bucket_told(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        bucket: u32,
        told: &[pb::FrontierEntry],
    ) -> bool {
        let Some(bucket) = u8::try_from(bucket).ok().filter(|b| usize::from(*b) < BUCKETS) else {
            return false;
        };
        let top = |entry: &pb::FrontierEntry| {
            entry.beyond.last().map_or(entry.upto, |held| held.number.max(entry.upto))
        };
        let more = self.bucket_entries(id, bucket).into_iter().any(|own| {
            let theirs = told.iter().find(|entry| entry.installation == own.installation);
            theirs.is_none_or(|entry| top(entry) < top(&own))
        });
        let at = self.answer_at(tx.now, id);
        let Some(group) = self.groups.get_mut(&id) else { return true };
        if more {
            group.exchange.buckets.entry(bucket).or_insert(at);
        } else {
            group.exchange.buckets.remove(&bucket);
        }
        true
    }
}

/// Most entries of one answer: with 8 numbers each they fit the largest class.
const MOST_ENTRIES: usize = 512;
