//! Messages of before: what an installation was not there for, the account's others hand over to it.
//!
//! The new one asks, and keeps what is to be kept; who answers keeps nothing, so either may stop and
//! start anew at any point, and another may take over. For a few groups at a time, and with one
//! installation after the other, it asks which numbers that one holds ([`list`]), and then for those
//! that are not here, until none is left ([`ask`], [`give`]). All of it are notes of the account's own
//! group, with a random pause between two questions. What comes is known by its sender's signature and
//! by the account log that its group has of the sender ([`take`]).
//!
//! | module | what |
//! |---|---|
//! | [`ask`] | what this installation asks for, of whom, and when |
//! | [`give`] | when it answers others, and with which messages |
//! | [`list`] | which numbers it holds, and which it lacks |
//! | [`take`] | checking and keeping what was handed over |

mod ask;
mod give;
mod list;
mod take;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use self::ask::{Page, Pending};
use self::list::Piece;
use super::records::{OutgoingKind, key, read, write};
use super::{Core, Fault, Inner, Stop, Tx};
use crate::api::views::{HistoryState, HistoryView};
use crate::api::{Answer, CommandError, Event};
use crate::group::tracker::Ranges;
use crate::proto::group as pb;
use crate::store::{Overlay, Store};
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// Where [`HandoverRecord`] is.
const KEY: &[u8] = b"handover";

/// What was handed over of one sender, of before this installation joined: it concerns the group's
/// members no more than what they do not hold, so nothing is said of it there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::core) struct PastRecord {
    pub(in crate::core) account: AccountId,
    pub(in crate::core) held: Ranges,
}

/// What is asked for, and how far that is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::core) struct HandoverRecord {
    /// Groups whose messages are asked for.
    todo: BTreeSet<GroupId>,
    /// Somebody asked, or it was asked for by itself.
    asked: bool,
    /// Not wanted.
    declined: bool,
    /// Messages that were handed over.
    taken: u64,
    /// Who answered last,
    from: Option<InstallationId>,
    /// and of how many groups and messages that one knows.
    all_groups: u64,
    all_messages: u64,
    /// How often in a row nobody answered.
    failures: u32,
}

/// Both sides of handing over.
#[derive(Debug, Default)]
pub(in crate::core) struct Handover {
    record: HandoverRecord,
    // not kept:
    /// When the next question is due, or the answer to the last one is late.
    due: Option<Timestamp>,
    /// Who is asked.
    holder: Option<InstallationId>,
    /// Who was asked for all of these groups and has no more.
    finished: BTreeSet<InstallationId>,
    /// Who did not answer.
    silent: BTreeSet<InstallationId>,
    page: Page,
    /// What is to be asked for, in this order.
    plan: VecDeque<Piece>,
    pending: Option<Pending>,
    /// What somebody lacks, and nobody had yet.
    missing: BTreeMap<(GroupId, InstallationId, u64), take::Missing>,
    /// What others ask, the newest of each.
    questions: BTreeMap<InstallationId, (Timestamp, pb::HistoryAsk)>,
    answered_at: Timestamp,
}

impl Handover {
    pub(in crate::core) fn load(overlay: &Overlay<'_>) -> Result<Self, Fault> {
        Ok(Self { record: read(overlay, KEY)?.unwrap_or_default(), ..Self::default() })
    }

    fn save(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        Ok(write(tx.overlay, KEY.to_vec(), &self.record)?)
    }

    /// Begins anew with whoever is there.
    fn begin(&mut self) {
        self.holder = None;
        self.finished.clear();
        self.silent.clear();
        self.leave_holder();
    }

    /// Nothing more is waited for from who was asked.
    fn leave_holder(&mut self) {
        self.holder = None;
        self.page = Page::default();
        self.plan.clear();
        self.pending = None;
    }

    fn state(&self) -> HistoryState {
        let record = &self.record;
        match () {
            () if record.declined => HistoryState::Declined,
            () if !record.asked => HistoryState::None,
            () if record.todo.is_empty() => HistoryState::Done,
            () if record.from.is_some() && record.failures == 0 => HistoryState::Receiving,
            () => HistoryState::Waiting,
        }
    }

    /// Whether an answer is waited for.
    #[cfg(test)]
    pub(in crate::core) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// Parts of numbers to be asked for, others' questions, and numbers that nobody had yet.
    #[cfg(test)]
    pub(in crate::core) fn waits_for(&self) -> (usize, usize, usize) {
        (self.plan.len(), self.questions.len(), self.missing.len())
    }
}

impl<S: Store> Core<S> {
    /// How far this installation is with asking the account's others for messages of before.
    pub fn history(&self) -> Result<HistoryView, Fault> {
        Ok(self.inner.history_view())
    }
}

impl Inner {
    fn history_view(&self) -> HistoryView {
        let record = &self.handover.record;
        let inside = self.groups.iter().filter(|(id, group)| {
            group.line.is_some() && !self.is_own_group(id) && !record.todo.contains(id)
        });
        let groups = inside.count() as u64;
        let messages = self.messages_here();
        HistoryView {
            state: self.handover.state(),
            from: record.from,
            groups,
            all_groups: groups + record.todo.len() as u64,
            messages,
            all_messages: messages.max(record.all_messages),
            handed_over: record.taken,
        }
    }

    fn tell_history(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let history = self.history_view();
        self.emit(tx, Event::History { history })
    }

    /// Asks for the messages of all groups.
    pub(in crate::core) fn ask_history(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        self.own()?;
        if self.own_live().len() < 2 {
            return Err(Stop::Command(CommandError::Alone));
        }
        let inside = self.groups.iter().filter(|(id, g)| g.stays() && !self.is_own_group(id));
        let groups: Vec<GroupId> = inside.map(|(id, _)| *id).collect();
        let record = &mut self.handover.record;
        (record.asked, record.declined, record.failures) = (true, false, 0);
        record.todo.extend(groups);
        self.handover.begin();
        self.handover.save(tx)?;
        self.handover.due = Some(self.next_question(tx.now));
        self.tell_history(tx)?;
        Ok(Answer::Done)
    }

    /// Asks for nothing more.
    pub(in crate::core) fn decline_history(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        let record = &mut self.handover.record;
        record.declined = true;
        record.todo.clear();
        self.handover.begin();
        self.handover.due = None;
        self.handover.save(tx)?;
        self.tell_history(tx)?;
        Ok(Answer::Done)
    }

    /// Another installation of the account brought this one into a group: what was said there before
    /// is asked for, unless nobody wants it.
    pub(in crate::core) fn history_offered(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<(), Fault> {
        let record = &self.handover.record;
        if record.declined || !(self.config.history || record.asked) || self.is_own_group(&id) {
            return Ok(());
        }
        let record = &mut self.handover.record;
        record.asked = true;
        record.todo.insert(id);
        self.handover.save(tx)?;
        if self.handover.due.is_none() {
            self.handover.due = Some(self.next_question(tx.now));
        }
        Ok(())
    }

    /// A random pause from now on.
    fn next_question(&self, now: Timestamp) -> Timestamp {
        let pause = self.config.history_pause;
        now + pause / 2 + self.rng.duration_below(pause)
    }

    /// After a start: goes on asking.
    pub(in crate::core) fn resume_handover(&mut self, tx: &Tx<'_>) {
        if !self.handover.record.todo.is_empty() && self.handover.due.is_none() {
            self.handover.due = Some(self.next_question(tx.now));
        }
    }

    /// New peers, or another time: what waits for long need not.
    pub(in crate::core) fn hurry_handover(&mut self, now: Timestamp) {
        if let Some(due) = self.handover.due {
            self.handover.due = Some(due.min(self.next_question(now)));
        }
    }

    pub(in crate::core) fn next_handover(&self) -> Option<Timestamp> {
        let questions = self.handover.questions.values().map(|(at, _)| *at);
        questions.chain(self.handover.due).min()
    }

    /// Answers and asks what is due.
    pub(in crate::core) fn handover_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.history_answers_due(tx)?;
        self.history_questions_due(tx)
    }

    /// A note about messages of before. `false` for one that does not belong where it came.
    pub(in crate::core) fn history_note(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        from: InstallationId,
        note: pb::note::Body,
    ) -> Result<bool, Fault> {
        if !self.is_own_group(&id) {
            return Ok(false);
        }
        let Some(own) = self.account.as_ref().map(|own| own.installation) else { return Ok(false) };
        let for_this = |to: &[u8]| InstallationId::from_slice(to) == Some(own);
        if from == own || self.own_group() != Some(id) || !self.own_live().contains(&from) {
            return Ok(true);
        }
        match note {
            pb::note::Body::HistoryAsk(ask) if for_this(&ask.to) => {
                self.history_asked(tx, from, ask);
            }
            pb::note::Body::HistoryList(list) if for_this(&list.to) => {
                self.history_listed(tx, from, list)?;
            }
            pb::note::Body::HistoryHand(hand) if for_this(&hand.to) => {
                self.history_handed(tx, from, hand)?;
            }
            // another one is meant
            _ => {}
        }
        Ok(true)
    }

    /// Says something about messages of before, once, in the account's own group. `false` if it cannot
    /// be said now.
    fn send_history(&mut self, tx: &mut Tx<'_>, note: pb::note::Body) -> Result<bool, Fault> {
        let Some(id) = self.own_group() else { return Ok(false) };
        let Some(group) = self.groups.get(&id) else { return Ok(false) };
        if self.hold().is_some() || group.unsettled() {
            return Ok(false);
        }
        let Some(state) = group.open_tip().map(|tip| tip.id) else { return Ok(false) };
        let application = pb::Application {
            note: Some(pb::Note { body: Some(note) }),
            passed_over: self.passed_over(id),
            ..Default::default()
        };
        let content = self.encrypt_frame(tx, id, None, state, &application)?;
        self.enqueue(tx, OutgoingKind::History { group: id, state }, content, tx.now)?;
        Ok(true)
    }

    /// Takes any note as if it was waited for, and answers any question, without a group of the
    /// account's own; whether something came of it.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(in crate::core) fn take_history_note(
        &mut self,
        tx: &mut Tx<'_>,
        from: InstallationId,
        note: pb::note::Body,
    ) -> Result<bool, Fault> {
        self.handover.record.asked = true;
        self.handover.record.todo.extend(self.groups.keys().copied());
        self.handover.save(tx)?;
        match note {
            pb::note::Body::HistoryAsk(ask) => match ask.what {
                Some(pb::history_ask::What::List(which)) => {
                    self.list_for(&from, ask.nonce, &which);
                    Ok(true)
                }
                Some(pb::history_ask::What::Wanted(wanted)) => {
                    let hand = self.hand_to(tx, &from, ask.nonce, &wanted)?;
                    Ok(hand.covered > 0)
                }
                None => Ok(false),
            },
            pb::note::Body::HistoryList(list) => {
                self.await_answer(from, list.nonce);
                self.history_listed(tx, from, list)?;
                self.note_missing(tx)?;
                Ok(!self.wanted().groups.is_empty())
            }
            pb::note::Body::HistoryHand(hand) => {
                self.await_answer(from, hand.nonce);
                let before = self.handover.record.taken;
                self.history_handed(tx, from, hand)?;
                Ok(self.handover.record.taken > before)
            }
            _ => Ok(false),
        }
    }

    /// The account's other installations that are in its own group.
    fn holders(&self) -> Vec<InstallationId> {
        let Some(own) = self.account.as_ref().map(|own| own.installation) else {
            return Vec::new();
        };
        let Some(group) = self.own_group().and_then(|id| self.groups.get(&id)) else {
            return Vec::new();
        };
        let inside = |i: &InstallationId| *i != own && group.account_of(i).is_some();
        self.own_live().into_iter().filter(inside).collect()
    }

    fn save_past(
        &self,
        tx: &Tx<'_>,
        id: &GroupId,
        installation: &InstallationId,
    ) -> Result<(), Fault> {
        let past = self.groups.get(id).and_then(|group| group.past.get(installation));
        if let Some(past) = past {
            let at = key("handed/", &[id.as_bytes(), installation.as_bytes()]);
            write(tx.overlay, at, past)?;
        }
        Ok(())
    }
}
