//! What this installation asks for, of whom, and when.

use super::list::Piece;
use crate::core::{Fault, Inner, Tx};
use crate::limits::{HISTORY_GROUPS, HISTORY_WANTED};
use crate::proto::group as pb;
use crate::{GroupId, InstallationId, Timestamp};

/// An answer is waited for this many pauses.
const PATIENCE: u32 = 4;
/// A question that nobody answers is put this often, and then to somebody else.
const TRIES: u32 = 3;
/// If nobody answers at all, it begins anew after so many pauses, and later each time.
const WAIT: u32 = 40;

/// How far the lists of who is asked are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Where the next list begins: behind this sender of this group.
    after: Option<(GroupId, InstallationId)>,
    /// There is no next list.
    last: bool,
}

/// A question whose answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    nonce: u64,
    tries: u32,
}

impl Inner {
    /// Asks what is due, or once more what was not answered.
    pub(super) fn history_questions_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.handover.due.is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        self.handover.due = None;
        let tries = self.handover.pending.take().map_or(0, |pending| pending.tries);
        if tries >= TRIES
            && let Some(holder) = self.handover.holder
        {
            self.handover.silent.insert(holder);
            self.handover.leave_holder();
        }
        while let Some(batch) = self.batch() {
            let Some(holder) = self.choose_holder() else {
                if self.handover.finished.is_empty() {
                    return self.nobody_answers(tx);
                }
                self.batch_done(tx, &batch)?;
                continue;
            };
            let what = if !self.handover.plan.is_empty() {
                pb::history_ask::What::Wanted(self.wanted())
            } else if self.handover.page.last {
                self.handover.finished.insert(holder);
                self.handover.leave_holder();
                continue;
            } else {
                pb::history_ask::What::List(from(&batch, self.handover.page))
            };
            let tries = if tries >= TRIES { 0 } else { tries };
            return self.put_question(tx, holder, what, tries + 1);
        }
        Ok(())
    }

    fn put_question(
        &mut self,
        tx: &mut Tx<'_>,
        holder: InstallationId,
        what: pb::history_ask::What,
        tries: u32,
    ) -> Result<(), Fault> {
        let mut nonce = [0; 8];
        self.rng.fill(&mut nonce);
        let nonce = u64::from_be_bytes(nonce);
        let ask = pb::HistoryAsk { to: holder.as_bytes().to_vec(), nonce, what: Some(what) };
        self.send_history(tx, pb::note::Body::HistoryAsk(ask))?;
        self.handover.pending = Some(Pending { nonce, tries });
        let patience = self.config.history_pause * PATIENCE;
        self.handover.due = Some(tx.now + patience + self.rng.duration_below(patience / 4));
        Ok(())
    }

    /// The groups that are asked for together.
    fn batch(&self) -> Option<Vec<GroupId>> {
        let todo = self.handover.record.todo.iter().copied();
        let batch: Vec<GroupId> = todo.take(HISTORY_GROUPS).collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// Who is asked: who brought this installation into the account first, then the others.
    fn choose_holder(&mut self) -> Option<InstallationId> {
        let holders = self.holders();
        if let Some(holder) = self.handover.holder.filter(|holder| holders.contains(holder)) {
            return Some(holder);
        }
        self.handover.leave_holder();
        let own = self.account.as_ref()?.installation;
        let bringer = self.own_log().ok()?.live().get(&own).and_then(|info| info.added_by);
        let (finished, silent) = (&self.handover.finished, &self.handover.silent);
        let left = holders.into_iter().filter(|i| !finished.contains(i) && !silent.contains(i));
        self.handover.holder = left.min_by_key(|i| (Some(*i) != bringer, *i));
        self.handover.holder
    }

    /// Everybody who is there was asked for all that it holds of these groups.
    fn batch_done(&mut self, tx: &mut Tx<'_>, batch: &[GroupId]) -> Result<(), Fault> {
        for id in batch {
            self.handover.record.todo.remove(id);
        }
        self.handover.finished.clear();
        self.handover.leave_holder();
        if self.handover.record.todo.is_empty() {
            self.handover.silent.clear();
        }
        self.handover.record.failures = 0;
        self.handover.save(tx)?;
        self.note_missing(tx)?;
        self.tell_history(tx)
    }

    /// Nobody is there, or nobody answers: all of it is tried again later.
    fn nobody_answers(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.own_group().is_none() {
            // it comes before long
            self.handover.due = Some(self.next_question(tx.now));
            return Ok(());
        }
        let failures = self.handover.record.failures;
        let wait = self.backoff(self.config.history_pause * WAIT, failures);
        self.handover.begin();
        self.handover.record.failures = failures.saturating_add(1);
        self.handover.save(tx)?;
        self.handover.due = Some(tx.now + wait);
        if failures == 0 { self.tell_history(tx) } else { Ok(()) }
    }

    /// The first of what is to be asked for, group by group.
    pub(super) fn wanted(&self) -> pb::HistoryWanted {
        let mut groups: Vec<pb::WantedGroup> = Vec::new();
        for piece in self.handover.plan.iter().take(HISTORY_WANTED) {
            let Piece { group, sender, from, to } = *piece;
            let range = pb::WantedRange {
                sender: sender.as_bytes().to_vec(),
                numbers: Some(pb::NumberRange { from, to }),
            };
            match groups.last_mut().filter(|last| last.group == group.as_bytes()) {
                Some(last) => last.ranges.push(range),
                None => {
                    let group = group.as_bytes().to_vec();
                    groups.push(pb::WantedGroup { group, ranges: vec![range] });
                }
            }
        }
        pb::HistoryWanted { groups }
    }

    /// This answer is waited for.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn await_answer(&mut self, from: InstallationId, nonce: u64) {
        self.handover.holder = Some(from);
        self.handover.pending = Some(Pending { nonce, tries: 1 });
    }

    /// Whether this answers what was asked; then nothing is waited for any more.
    fn answers_question(&mut self, now: Timestamp, from: InstallationId, nonce: u64) -> bool {
        let waited = self.handover.pending.is_some_and(|pending| pending.nonce == nonce);
        if !waited || self.handover.holder != Some(from) {
            return false;
        }
        self.handover.pending = None;
        self.handover.due = Some(self.next_question(now));
        true
    }

    /// Another says what it holds.
    pub(super) fn history_listed(
        &mut self,
        tx: &mut Tx<'_>,
        from: InstallationId,
        list: pb::HistoryList,
    ) -> Result<(), Fault> {
        if !self.answers_question(tx.now, from, list.nonce) {
            return Ok(());
        }
        let last = list.groups.last().and_then(|group| {
            let sender = InstallationId::from_slice(&group.senders.last()?.installation)?;
            Some((GroupId::from_slice(&group.group)?, sender))
        });
        // one that does not go on would come for ever
        let goes_on = last.filter(|last| list.more && Some(*last) > self.handover.page.after);
        self.handover.page = Page { after: goes_on, last: goes_on.is_none() };
        self.plan_for(tx, &list);
        let record = &mut self.handover.record;
        record.from = Some(from);
        record.failures = 0;
        (record.all_groups, record.all_messages) = (list.all_groups, list.all_messages);
        self.handover.save(tx)?;
        self.tell_history(tx)
    }

    /// Another hands messages over. They are taken also if they were asked for before a start.
    pub(super) fn history_handed(
        &mut self,
        tx: &mut Tx<'_>,
        from: InstallationId,
        hand: pb::HistoryHand,
    ) -> Result<(), Fault> {
        if self.handover.record.declined || !self.handover.record.asked {
            return Ok(());
        }
        if self.answers_question(tx.now, from, hand.nonce) {
            self.pass_over(hand.covered.max(1));
        }
        let taken = self.take_messages(tx, from, hand.senders)?;
        let record = &mut self.handover.record;
        record.taken = record.taken.saturating_add(taken);
        record.from = Some(from);
        self.handover.save(tx)?;
        self.tell_history(tx)
    }

    /// So many of the numbers that were asked for are answered.
    fn pass_over(&mut self, mut covered: u64) {
        while covered > 0 {
            let Some(piece) = self.handover.plan.front_mut() else { return };
            if covered < piece.len() {
                piece.to -= covered;
                return;
            }
            covered -= piece.len();
            self.handover.plan.pop_front();
        }
    }
}

/// The question which messages of these groups somebody holds.
fn from(batch: &[GroupId], page: Page) -> pb::HistoryFrom {
    let (after_group, after_sender) = match page.after {
        Some((group, sender)) => (group.as_bytes().to_vec(), sender.as_bytes().to_vec()),
        None => (Vec::new(), Vec::new()),
    };
    let groups = batch.iter().map(|id| id.as_bytes().to_vec()).collect();
    pb::HistoryFrom { groups, after_group, after_sender }
}
