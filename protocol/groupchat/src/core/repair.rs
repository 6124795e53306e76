//! Repair inside the group: asking for what archives do not have, and handing it over.
//!
//! A core is signed by who wrote it, so it can be handed over by anybody who holds it. Only who was
//! in the group when it was first sealed gets it.

use std::time::Duration;

use waku_groupchat_waku::MessageHash;

use super::outbox::message_key;
use super::reading::Handed;
use super::records::{MessageRecord, read};
use super::{Fault, Inner, Tx};
use crate::group::frontier::short;
use crate::group::message::SignedCore;
use crate::limits::TIME_AHEAD;
use crate::order::mutation::{Mutation, is_active};
use crate::proto::group as pb;
use crate::{GroupId, InstallationId, MessageId};

/// Most messages that are asked for at once, and that wait to be handed over.
const MOST_ASKED: usize = 64;

/// How long something waits to be handed over by who has said too much.
const HANDED_LATER: Duration = Duration::from_secs(20 * 60);

impl Inner {
    /// Asks the members for what an archive answered without.
    pub(super) fn ask_members(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        wanted: &[(InstallationId, u64)],
    ) -> Result<bool, Fault> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(false) };
        let mut ask = pb::Ask { wanted: Vec::new() };
        for &(installation, number) in wanted.iter().take(MOST_ASKED) {
            group.exchange.asked.insert((installation, number), tx.now);
            let name = short(&installation);
            match ask.wanted.iter_mut().find(|wanted| wanted.installation == name) {
                Some(wanted) => wanted.numbers.push(number),
                None => {
                    ask.wanted.push(pb::Wanted { installation: name, numbers: vec![number] });
                }
            }
        }
        while group.exchange.asked.len() > MOST_ASKED * 4 {
            group.exchange.asked.pop_first();
        }
        if ask.wanted.is_empty() {
            return Ok(false);
        }
        self.send_note(tx, id, pb::note::Body::Ask(ask), Vec::new())
    }

    /// Another asks: what is held here, and what it may have, is handed over after a while.
    pub(super) fn asked(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        from: InstallationId,
        ask: &pb::Ask,
    ) -> Result<bool, Fault> {
        let Some(own) = self.account.as_ref().map(|a| a.installation) else { return Ok(true) };
        let since = self.in_group_since(id, from);
        let mut wanted = Vec::new();
        for entry in &ask.wanted {
            let Some(group) = self.groups.get(&id) else { return Ok(true) };
            let installation = match entry.installation {
                name if name == short(&own) => Some(own),
                name => group.sender_by_short(name).map(|(sender, _)| sender),
            };
            let Some(installation) = installation else { continue };
            wanted.extend(entry.numbers.iter().map(|number| (installation, *number)));
        }
        for (installation, number) in wanted.into_iter().take(MOST_ASKED) {
            let message = MessageId { group: id, installation, number };
            let held = self.core_at(tx, message)?.and_then(|signed| signed.decode());
            // one that was written while the clock was far ahead is not taken before its time
            let early = |time| time > tx.now + TIME_AHEAD;
            if held.is_none_or(|core| core.epoch < since || early(core.time)) {
                continue;
            }
            let at = self.answer_at(tx.now, id);
            if let Some(group) = self.groups.get_mut(&id)
                && group.exchange.hands.len() < MOST_ASKED
            {
                group.exchange.hands.entry((installation, number)).or_insert(at);
            }
        }
        Ok(true)
    }

    /// The epoch from which on a member has been in a group, as far as it is known here.
    fn in_group_since(&self, id: GroupId, member: InstallationId) -> u64 {
        if let Some(epoch) = self.swapped_since(id, member) {
            return epoch;
        }
        let Some(line) = self.groups.get(&id).and_then(|g| g.line.as_ref()) else {
            return u64::MAX;
        };
        let root = line.states.get(&line.graph.root()).map_or(u64::MAX, |root| root.epoch);
        match line.graph.leaf(line.tip, member) {
            None => u64::MAX,
            // it was here before this installation was
            Some(leaf) => match leaf.since {
                None => 0,
                Some(state) => line.states.get(&state).map_or(root, |state| state.epoch),
            },
        }
    }

    /// The same of a member whose leaf was swapped: it was in the group before. `None` of others.
    fn swapped_since(&self, id: GroupId, member: InstallationId) -> Option<u64> {
        let group = self.groups.get(&id)?;
        group.account_of(&member)?;
        let (mut swapped, mut oldest) = (false, 0);
        for record in self.path_names(id).iter().filter_map(|name| group.rejoin.get(name)) {
            oldest = record.epoch;
            let came = record.adds.iter().any(|(i, _)| *i == member);
            let went = record.removes.iter().any(|(i, _)| *i == member);
            match (came, went) {
                (true, true) => swapped = true,
                (true, false) => return swapped.then_some(record.epoch),
                (false, _) => {}
            }
        }
        swapped.then_some(oldest)
    }

    /// Hands over what is due.
    pub(super) fn hands_due(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        loop {
            let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
            let due = group.exchange.hands.iter().find(|(_, at)| **at <= tx.now);
            let Some((&(installation, number), _)) = due else { return Ok(()) };
            group.exchange.hands.remove(&(installation, number));
            if is_active(Mutation::NothingResent) {
                continue;
            }
            let message = MessageId { group: id, installation, number };
            let Some(at) = message_key(tx, message)? else { continue };
            let Some(record) = read::<MessageRecord>(tx.overlay, &at)? else { continue };
            let hand = pb::Hand { core: record.core, signature: record.signature };
            if !self.send_note(tx, id, pb::note::Body::Hand(hand), Vec::new())? {
                self.put_off_hands(tx, id, (installation, number));
            }
        }
    }

    /// What is due is handed over later, unless another member is quicker: too much was said in this hour.
    fn put_off_hands(&mut self, tx: &Tx<'_>, id: GroupId, first: (InstallationId, u64)) {
        if !self.can_say(id) {
            return;
        }
        let at = tx.now + HANDED_LATER + self.rng.duration_below(HANDED_LATER);
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.exchange.hands.insert(first, at);
        for due in group.exchange.hands.values_mut().filter(|due| **due <= tx.now) {
            *due = at;
        }
    }

    /// Another hands over somebody's message. `false` if that did not write it, or is not known.
    pub(super) fn handed(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        hand: pb::Hand,
        hash: MessageHash,
    ) -> Result<bool, Fault> {
        let signed = SignedCore::from_parts(hand.core, &hand.signature);
        let Some((core, signed)) = signed.and_then(|signed| Some((signed.verify()?, signed)))
        else {
            return Ok(false);
        };
        let Some(group) = self.groups.get_mut(&id) else { return Ok(true) };
        group.exchange.hands.remove(&(core.installation, core.number));
        let wanted = group.exchange.asked.remove(&(core.installation, core.number)).is_some()
            || group.gaps.contains_key(&(core.installation, core.number));
        if core.group != id {
            return Ok(false);
        }
        let sender = group.sender_by_short(short(&core.installation));
        let account = sender.filter(|(i, _)| *i == core.installation).map(|(_, account)| account);
        match account {
            // nobody asked here: it is for another
            _ if !wanted => Ok(true),
            Some(account) => {
                self.read_handed(tx, Handed { group: id, account, core, signed, hash })?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
