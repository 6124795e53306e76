//! Answering others of the account: with a list, or with messages, one answer after the other.

use prost::Message as _;

use crate::core::outbox::message_key;
use crate::core::records::{MessageRecord, OutgoingKind, read};
use crate::core::{Fault, Inner, Tx};
use crate::limits::{HISTORY_BYTES, HISTORY_GROUPS, HISTORY_MESSAGES, HISTORY_WANTED};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, MessageId};

/// Bytes around a message: tags, lengths, and its account where that is a new one.
const AROUND: usize = 48;

/// Messages on their way into an answer.
struct Hand {
    senders: Vec<pb::HandedFrom>,
    messages: usize,
    room: usize,
    covered: u64,
}

impl Hand {
    /// Whether a message still fits; puts it in then.
    fn put(&mut self, account: AccountId, message: pb::HandedMessage) -> bool {
        let bytes = message.encoded_len() + AROUND;
        if self.messages >= HISTORY_MESSAGES || bytes > self.room {
            return false;
        }
        self.room -= bytes;
        self.messages += 1;
        match self.senders.last_mut().filter(|last| last.account == account.as_bytes()) {
            Some(last) => last.messages.push(message),
            None => self.senders.push(pb::HandedFrom {
                account: account.as_bytes().to_vec(),
                messages: vec![message],
            }),
        }
        true
    }
}

impl Inner {
    /// Another installation of the account asks. Of each only the last question counts.
    pub(super) fn history_asked(&mut self, tx: &Tx<'_>, from: InstallationId, ask: pb::HistoryAsk) {
        let at = tx.now + self.rng.duration_below(self.config.history_pause / 4);
        self.handover.questions.insert(from, (at, ask));
    }

    /// Answers what is due: one at a time, and not before the last one has left.
    pub(super) fn history_answers_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let due = self.handover.questions.iter().filter(|(_, (at, _))| *at <= tx.now);
        let Some(asker) = due.min_by_key(|(_, (at, _))| *at).map(|(asker, _)| *asker) else {
            return Ok(());
        };
        let pause = self.config.history_pause / 2;
        let since = tx.now.since(self.handover.answered_at);
        let history = |kind: &OutgoingKind| matches!(kind, OutgoingKind::History { .. });
        if since < pause || self.outgoing.any_unsent(history) {
            let wait = pause.saturating_sub(since).max(pause / 4);
            for (at, _) in self.handover.questions.values_mut() {
                *at = (*at).max(tx.now + wait);
            }
            return Ok(());
        }
        let Some((_, ask)) = self.handover.questions.remove(&asker) else { return Ok(()) };
        // it may have been put out meanwhile
        if !self.holders().contains(&asker) {
            return Ok(());
        }
        let answer = match ask.what {
            Some(pb::history_ask::What::List(from)) if from.groups.len() <= HISTORY_GROUPS => {
                pb::note::Body::HistoryList(self.list_for(&asker, ask.nonce, &from))
            }
            Some(pb::history_ask::What::Wanted(wanted)) => {
                pb::note::Body::HistoryHand(self.hand_to(tx, &asker, ask.nonce, &wanted)?)
            }
            _ => return Ok(()),
        };
        if self.send_history(tx, answer)? {
            self.handover.answered_at = tx.now;
        }
        Ok(())
    }

    /// As many of the wanted messages as one answer takes, from the first.
    pub(super) fn hand_to(
        &self,
        tx: &Tx<'_>,
        to: &InstallationId,
        nonce: u64,
        wanted: &pb::HistoryWanted,
    ) -> Result<pb::HistoryHand, Fault> {
        let mut hand = Hand { senders: Vec::new(), messages: 0, room: HISTORY_BYTES, covered: 0 };
        let ranges = wanted.groups.iter().flat_map(|group| {
            let id = GroupId::from_slice(&group.group);
            group.ranges.iter().map(move |range| (id, range))
        });
        for (id, range) in ranges.take(HISTORY_WANTED) {
            let numbers = range.numbers.unwrap_or_default();
            if numbers.from == 0 || numbers.from > numbers.to {
                break;
            }
            let sender = InstallationId::from_slice(&range.sender);
            let shared = id.filter(|id| self.shared_with(to).any(|(shared, _)| shared == id));
            let done = match shared.zip(sender) {
                Some(of) => self.hand_range(tx, &mut hand, of, (numbers.from, numbers.to))?,
                None => {
                    hand.pass(numbers.to - numbers.from);
                    true
                }
            };
            if !done {
                break;
            }
        }
        let Hand { senders, covered, .. } = hand;
        Ok(pb::HistoryHand { to: to.as_bytes().to_vec(), nonce, senders, covered })
    }

    /// Hands over numbers of one sender, from the last one down; `false` if no more fits.
    fn hand_range(
        &self,
        tx: &Tx<'_>,
        hand: &mut Hand,
        (group, installation): (GroupId, InstallationId),
        (from, to): (u64, u64),
    ) -> Result<bool, Fault> {
        let mut next = to;
        for (first, last) in self.held_parts(&group, &installation, from, to).into_iter().rev() {
            for number in (first..=last).rev() {
                let message = MessageId { group, installation, number };
                let record = match message_key(tx, message)? {
                    Some(at) => read::<MessageRecord>(tx.overlay, &at)?,
                    None => None,
                };
                if let Some(record) = record {
                    let message = pb::HandedMessage {
                        core: record.core,
                        signature: record.signature,
                        waku_hash: record.waku_hash.as_bytes().to_vec(),
                    };
                    if !hand.put(record.account, message) {
                        // what is above it is not held
                        hand.covered = hand.covered.saturating_add(next - number);
                        return Ok(false);
                    }
                }
                hand.pass(next - number);
                if number == from {
                    return Ok(true);
                }
                next = number - 1;
            }
        }
        hand.pass(next - from);
        Ok(true)
    }

    /// The parts of `from..=to` that are held here, ascending.
    fn held_parts(
        &self,
        group: &GroupId,
        sender: &InstallationId,
        from: u64,
        to: u64,
    ) -> Vec<(u64, u64)> {
        let Some(group) = self.groups.get(group) else { return Vec::new() };
        if self.account.as_ref().is_some_and(|own| own.installation == *sender) {
            let to = to.min(group.send.number);
            return if from <= to { vec![(from, to)] } else { Vec::new() };
        }
        let mut parts = Vec::new();
        let mut next = from;
        for (first, last) in group.lacks_of(sender, from, to) {
            if first > next {
                parts.push((next, first - 1));
            }
            match last.checked_add(1) {
                Some(after) => next = after,
                None => return parts,
            }
        }
        if next <= to {
            parts.push((next, to));
        }
        parts
    }
}

impl Hand {
    /// One number, and so many above it, are answered.
    fn pass(&mut self, above: u64) {
        self.covered = self.covered.saturating_add(above).saturating_add(1);
    }
}
