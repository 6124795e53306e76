//! Which numbers are held here, and which of those that another holds are not.

use std::collections::BTreeMap;

use prost::Message as _;

use super::take::Missing;
use crate::core::group::Group;
use crate::core::records::GapEvidence;
use crate::core::{Inner, Tx};
use crate::group::tracker::Ranges;
use crate::limits::{HISTORY_LIST_BYTES, HISTORY_PLAN, HISTORY_RANGES, OPEN_GAPS_PER_SENDER};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId};

/// Bytes around a sender in a list: tags, lengths.
const AROUND: usize = 16;

/// Numbers of one sender, both ends among them, to be asked for from the last one down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) group: GroupId,
    pub(super) sender: InstallationId,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        (self.to - self.from).saturating_add(1)
    }
}

/// What is held of one sender, wherever it came from.
struct Held {
    account: AccountId,
    parts: Vec<(u64, u64)>,
    missing: Vec<u64>,
}

impl Group {
    /// The parts of a sender's numbers that are not held in `from..=to`, ascending.
    pub(super) fn lacks_of(&self, sender: &InstallationId, from: u64, to: u64) -> Vec<(u64, u64)> {
        let none = Ranges::default();
        let past = self.past.get(sender).map_or(&none, |past| &past.held);
        let now = self.senders.get(sender).map_or(&none, |sender| sender.tracker.held());
        let lacking = now.lacking(from, to).into_iter();
        lacking.flat_map(|(from, to)| past.lacking(from, to)).collect()
    }

    /// All that is held, by sender; `own`: this installation and its account.
    fn held(&self, own: (InstallationId, AccountId)) -> BTreeMap<InstallationId, Held> {
        let mut all: BTreeMap<InstallationId, Held> = BTreeMap::new();
        let empty = |account| Held { account, parts: Vec::new(), missing: Vec::new() };
        for (sender, record) in &self.senders {
            let held = all.entry(*sender).or_insert_with(|| empty(record.account));
            held.parts.extend(record.tracker.held().iter());
            if !self.departed.contains(sender) {
                held.missing = record.tracker.missing(OPEN_GAPS_PER_SENDER);
            }
        }
        for (sender, record) in &self.past {
            let held = all.entry(*sender).or_insert_with(|| empty(record.account));
            held.parts.extend(record.held.iter());
        }
        if self.send.number > 0 {
            let held = all.entry(own.0).or_insert_with(|| empty(own.1));
            held.parts.push((1, self.send.number));
        }
        let lost = self
            .gaps
            .iter()
            .filter(|(_, gap)| gap.is_open() && matches!(gap.evidence, GapEvidence::Proven { .. }));
        for ((sender, number), _) in lost {
            if let Some(held) = all.get_mut(sender).filter(|_| !self.departed.contains(sender)) {
                held.missing.push(*number);
            }
        }
        for held in all.values_mut() {
            held.missing.sort_unstable();
            held.missing.dedup();
            held.parts.sort_unstable();
            let over = held.parts.len().saturating_sub(HISTORY_RANGES);
            held.parts.drain(..over);
        }
        all.retain(|_, held| !held.parts.is_empty());
        all
    }

    /// How many messages are here.
    fn count(&self) -> u64 {
        let now = self.senders.values().map(|sender| sender.tracker.held().count());
        let past = self.past.values().map(|past| past.held.count());
        now.chain(past).fold(self.send.number, u64::saturating_add)
    }
}

impl Inner {
    /// How many messages of the account's groups are here.
    pub(super) fn messages_here(&self) -> u64 {
        let shown = self.groups.iter().filter(|(id, _)| !self.is_own_group(id));
        shown.map(|(_, group)| group.count()).fold(0, u64::saturating_add)
    }

    /// The groups that another installation of the account is in, as far as is known here.
    pub(super) fn shared_with(
        &self,
        other: &InstallationId,
    ) -> impl Iterator<Item = (&GroupId, &Group)> {
        let own = self.account.as_ref().map(|own| own.account);
        let other = *other;
        self.groups.iter().filter(move |(id, group)| {
            own.is_some() && group.account_of(&other) == own && !self.is_own_group(id)
        })
    }

    /// What is held here of some groups that `to` is in.
    pub(super) fn list_for(
        &self,
        to: &InstallationId,
        nonce: u64,
        from: &pb::HistoryFrom,
    ) -> pb::HistoryList {
        let mut list = pb::HistoryList { to: to.as_bytes().to_vec(), nonce, ..Default::default() };
        let Some(own) = self.account.as_ref().map(|own| (own.installation, own.account)) else {
            return list;
        };
        let all = || self.shared_with(to);
        list.all_groups = all().count() as u64;
        list.all_messages = all().map(|(_, group)| group.count()).fold(0, u64::saturating_add);
        let after = (from.after_group.as_slice(), from.after_sender.as_slice());
        let mut room = HISTORY_LIST_BYTES;
        for (id, group) in all().filter(|(id, _)| from.groups.iter().any(|g| g == id.as_bytes())) {
            let mut senders = Vec::new();
            for (sender, held) in group.held(own) {
                if (id.as_bytes().as_slice(), sender.as_bytes().as_slice()) <= after {
                    continue;
                }
                let sender = to_sender(&sender, held);
                let bytes = sender.encoded_len() + AROUND;
                list.more = bytes > room;
                if list.more {
                    break;
                }
                room -= bytes;
                senders.push(sender);
            }
            if !senders.is_empty() {
                list.groups.push(pb::HeldGroup { group: id.as_bytes().to_vec(), senders });
            }
            if list.more {
                break;
            }
        }
        list
    }

    /// Notes what of a list is not here, to be asked for.
    pub(super) fn plan_for(&mut self, tx: &Tx<'_>, list: &pb::HistoryList) {
        let own = self.account.as_ref().map(|own| own.installation);
        for listed in &list.groups {
            let Some(id) = GroupId::from_slice(&listed.group) else { continue };
            let Some(group) = self.groups.get(&id).filter(|group| group.line.is_some()) else {
                continue;
            };
            if !self.handover.record.todo.contains(&id) {
                continue;
            }
            let (mut pieces, mut missing) = (Vec::new(), Vec::new());
            for sender in &listed.senders {
                let Some((sender, account, held, lost)) = parse(sender) else { continue };
                if Some(sender) == own {
                    continue;
                }
                let lacking = held.iter().flat_map(|&(from, to)| group.lacks_of(&sender, from, to));
                let mut of = lacking
                    .map(|(from, to)| Piece { group: id, sender, from, to })
                    .collect::<Vec<_>>();
                of.reverse();
                pieces.extend(of);
                for number in lost {
                    let above = held.iter().find(|(from, _)| *from > number);
                    if let Some(&(by_number, _)) = above
                        && !group.lacks_of(&sender, number, number).is_empty()
                    {
                        let lost = Missing { account, by_number, noticed: tx.now };
                        missing.push(((id, sender, number), lost));
                    }
                }
            }
            let room = HISTORY_PLAN.saturating_sub(self.handover.plan.len());
            self.handover.plan.extend(pieces.into_iter().take(room));
            let room = crate::limits::HISTORY_MISSING.saturating_sub(self.handover.missing.len());
            self.handover.missing.extend(missing.into_iter().take(room));
        }
    }
}

fn to_sender(sender: &InstallationId, held: Held) -> pb::HeldSender {
    let range = |(from, to)| pb::NumberRange { from, to };
    let mut missing: Vec<(u64, u64)> = Vec::new();
    for number in held.missing {
        match missing.last_mut() {
            Some((_, to)) if *to + 1 == number => *to = number,
            _ => missing.push((number, number)),
        }
    }
    pb::HeldSender {
        installation: sender.as_bytes().to_vec(),
        account: held.account.as_bytes().to_vec(),
        held: held.parts.into_iter().map(range).collect(),
        missing: missing.into_iter().map(range).collect(),
    }
}

/// Sender, account, parts of its numbers that are held, and numbers that are not.
type Listed = (InstallationId, AccountId, Vec<(u64, u64)>, Vec<u64>);

/// A sender of a list, if its numbers are in order.
fn parse(sender: &pb::HeldSender) -> Option<Listed> {
    let parts = |ranges: &[pb::NumberRange]| -> Option<Vec<(u64, u64)>> {
        let mut last = 0;
        let mut next = |range: &pb::NumberRange| {
            let fits = range.from > last && range.from <= range.to;
            last = range.to;
            fits.then_some((range.from, range.to))
        };
        ranges.iter().map(&mut next).collect()
    };
    let lost = parts(&sender.missing)?.into_iter().flat_map(|(from, to)| from..=to);
    Some((
        InstallationId::from_slice(&sender.installation)?,
        AccountId::from_slice(&sender.account)?,
        parts(&sender.held)?,
        lost.take(OPEN_GAPS_PER_SENDER).collect(),
    ))
}
