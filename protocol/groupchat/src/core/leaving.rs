//! Members that leave: the word of who goes, and what others make of it.

use std::time::Duration;

use super::group::Group;
use super::loaded::Place;
use super::own_group::Mark;
use super::records::{Change, ChangeRecord};
use super::{Fault, Inner, Stop, Tx};
use crate::api::{Answer, Event};
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::mls;
use crate::proto::group as pb;
use crate::{GroupId, InstallationId, MessageId};

/// Somebody who leaves is taken out by any member, each after a random part of this time.
const LEAVER_WITHIN: Duration = Duration::from_secs(30);

impl Group {
    /// Whether this installation said that it leaves, and nobody else is left who could take it out: it
    /// has left.
    pub(super) fn is_over(&self) -> bool {
        self.record.leaving && self.open_tip().is_some() && self.size() == 1
    }

    /// Whether all others in the tip have said that they leave, or are not live any more.
    fn others_go(&self, own: &InstallationId) -> bool {
        let said = |i: &InstallationId| {
            let is_it =
                |c: &Change| matches!(c, Change::Leave { installation, .. } if installation == i);
            self.changes.values().any(|c| is_it(&c.change))
        };
        let mut members = self.line.iter().flat_map(|line| line.members.keys());
        members.all(|i| i == own || self.departed.contains(i) || said(i))
    }

    /// Whether this installation, which leaves, has to take out others that leave too: nobody who stays
    /// is left to do it.
    pub(super) fn leaves_last(&self, own: &InstallationId) -> bool {
        self.record.leaving && self.size() > 1 && self.others_go(own)
    }
}

impl Inner {
    /// Says that this installation leaves, and lets the account's others leave too.
    pub(super) fn leave(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<Answer, Stop> {
        let answer = self.leave_here(tx, id)?;
        self.mark_group(tx, id, Mark::Left)?;
        Ok(answer)
    }

    /// Says that this installation leaves. What it said before is sent on; nothing follows it.
    pub(super) fn leave_here(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<Answer, Stop> {
        self.inside(id)?;
        let key = self.own_leaf_key(tx, id)?;
        let answer = self.say(tx, id, Content::Leave(key))?;
        self.set_leaving(tx, id, true)?;
        if self.groups.get(&id).is_some_and(Group::is_over) {
            // nobody else is there to take it out
            self.emit(tx, Event::Removed { group: id })?;
        }
        Ok(answer)
    }

    /// The word of who leaves names its leaf's key. Where that is another one in the state that the
    /// group stands in now, by an own commit or by the loss of one, the word is given again.
    pub(super) fn leave_again(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&id).filter(|group| group.record.leaving) else {
            return Ok(());
        };
        let inside = group.open_tip().is_some();
        let Some(own) = self.account.as_ref().filter(|_| inside) else { return Ok(()) };
        let last =
            MessageId { group: id, installation: own.installation, number: group.send.number };
        let word = self.core_at(tx, last)?.and_then(|core| core.decode());
        let key = match self.own_leaf_key(tx, id) {
            Ok(key) => key,
            Err(Stop::Fault(fault)) => return Err(fault),
            Err(Stop::Command(_)) => return Ok(()),
        };
        if word.as_ref().and_then(MessageCore::leave) == Some(key.as_slice()) {
            return Ok(());
        }
        self.set_leaving(tx, id, false)?;
        if let Err(Stop::Fault(fault)) = self.say(tx, id, Content::Leave(key)) {
            return Err(fault);
        }
        self.set_leaving(tx, id, true)
    }

    fn set_leaving(&mut self, tx: &Tx<'_>, id: GroupId, leaving: bool) -> Result<(), Fault> {
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        group.record.leaving = leaving;
        group.save(tx, &id)?;
        Ok(())
    }

    fn own_leaf_key(&mut self, tx: &Tx<'_>, id: GroupId) -> Result<Vec<u8>, Stop> {
        let own = self.own()?.installation;
        let tip = self.tip_of(id)?;
        let key = self.with_mls(tx, Place::now(id, tip), false, |group, _| {
            Ok(mls::group::leaf_key(group, &own))
        })?;
        Ok(key.ok_or(Fault::Bug("an own state without the own leaf"))?)
    }

    /// Whether a member's word that it leaves fits its leaf in the tip.
    pub(super) fn word_fits(
        &mut self,
        tx: &Tx<'_>,
        id: GroupId,
        change: &Change,
    ) -> Result<bool, Stop> {
        let Change::Leave { core, signature, .. } = change else { return Ok(true) };
        let word = pb::SignedWord { core: core.clone(), signature: signature.clone() };
        let tip = self.tip_of(id)?;
        Ok(self.with_mls(tx, Place::now(id, tip), false, |group, _| {
            Ok(super::received::leaver(id, &word, group).is_some())
        })?)
    }

    /// Another member's word that it leaves.
    pub(super) fn left(
        &mut self,
        tx: &Tx<'_>,
        core: &MessageCore,
        signed: &SignedCore,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get(&core.group) else { return Ok(()) };
        if group.account_of(&core.installation).is_none() {
            return Ok(());
        }
        // a later word takes the place of an earlier one: its leaf has another key meanwhile
        let earlier = |(_, c): &(&u64, &ChangeRecord)| matches!(&c.change, Change::Leave { installation, .. } if *installation == core.installation);
        let earlier: Vec<u64> = group.changes.iter().filter(earlier).map(|(s, _)| *s).collect();
        for sequence in earlier {
            self.forget_change(tx, core.group, sequence)?;
        }
        let change = Change::Leave {
            installation: core.installation,
            core: signed.bytes().to_vec(),
            signature: signed.signature().to_vec(),
        };
        let due = tx.now + self.rng.duration_below(LEAVER_WITHIN);
        self.keep_change(tx, core.group, change, due)
    }
}
