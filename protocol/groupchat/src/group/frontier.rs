//! What a sender says of the messages it holds of others: what changed since its last message.

use std::collections::BTreeMap;

use prost::Message as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tracker::Tracker;
use crate::InstallationId;
use crate::limits::{FRONTIER_BEYOND, FRONTIER_BYTES};
use crate::proto::group as pb;

/// Bytes around an entry: one of tag, at most two of length.
pub(crate) const ENTRY_OVERHEAD: usize = 3;

/// The short name of an installation inside frontiers: the first 8 bytes of its SHA-256.
pub(crate) fn short(installation: &InstallationId) -> u64 {
    let digest: [u8; 32] = Sha256::digest(installation.as_bytes()).into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// What was last said of each sender: (contiguous, highest).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said(BTreeMap<InstallationId, (u64, u64)>);

impl Said {
    /// The entries that changed since the last call, as many as fit [`FRONTIER_BYTES`]; the rest
    /// stays for the next message. Never more than `FRONTIER_BYTES` bytes once encoded.
    pub(crate) fn next<'t>(
        &mut self,
        senders: impl Iterator<Item = (&'t InstallationId, &'t Tracker)>,
    ) -> Vec<pb::FrontierEntry> {
        let mut entries = Vec::new();
        let mut room = FRONTIER_BYTES;
        for (installation, tracker) in senders {
            let now = (tracker.upto(), tracker.max_held());
            if now.1 == 0 || self.0.get(installation) == Some(&now) {
                continue;
            }
            let entry = entry(installation, tracker);
            let size = entry.encoded_len() + ENTRY_OVERHEAD;
            if size <= room {
                room -= size;
                entries.push(entry);
                self.0.insert(*installation, now);
            }
        }
        entries
    }
}

/// What is said of one sender.
pub(crate) fn entry(installation: &InstallationId, tracker: &Tracker) -> pb::FrontierEntry {
    let upto = tracker.upto();
    pb::FrontierEntry {
        installation: short(installation),
        upto,
        epoch: tracker.epoch_of(upto),
        beyond: tracker
            .beyond(FRONTIER_BEYOND)
            .into_iter()
            .map(|number| pb::Held { number, epoch: tracker.epoch_of(number) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tracker::Place;
    use super::*;

    fn held(numbers: &[u64]) -> Tracker {
        let mut t = Tracker::new(1, 0);
        for &number in numbers {
            t.hold(Place { number, epoch: 1, previous_epoch: (number > 1).then_some(1) });
        }
        t
    }

    #[test]
    fn only_changes_are_said() {
        let id = InstallationId::from_bytes([1; 32]);
        let mut said = Said::default();
        let t = held(&[1, 2, 4]);
        let entries = said.next([(&id, &t)].into_iter());
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].upto, 2);
        assert_eq!(entries[0].beyond, [pb::Held { number: 4, epoch: 1 }]);
        assert!(said.next([(&id, &t)].into_iter()).is_empty());
        let t = held(&[1, 2, 3, 4]);
        assert_eq!(said.next([(&id, &t)].into_iter())[0].upto, 4);
    }

    #[test]
    fn a_frontier_is_bounded_and_says_the_rest_next_time() {
        let all: Vec<_> = (0u8..200)
            .map(|i| (InstallationId::from_bytes([i; 32]), held(&[1, 3, 5, 7, 9])))
            .collect();
        let mut said = Said::default();
        let mut total = 0;
        for _ in 0..200 {
            let entries = said.next(all.iter().map(|(id, t)| (id, t)));
            let size = pb::Application { frontier: entries.clone(), ..Default::default() };
            assert!(size.encoded_len() <= FRONTIER_BYTES);
            total += entries.len();
        }
        assert_eq!(total, 200);
    }
}
