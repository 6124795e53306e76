//! Who may invite this account: nobody who is blocked, strangers only if that is wanted, and nobody
//! too often. An invitation that is turned away is counted, and told of now and then.
//!
//! It is this installation that blocks and chooses; it is not told to others, nor to the account's
//! other installations. Groups are agreed on by all members, so a blocked account's messages stay in
//! groups that are shared, and are marked where they are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::group::Group;
use super::records::{InvitationRecord, key, write};
use super::{Core, Fault, Inner, Stop, Tx};
use crate::api::views::{BlockedView, GuardView};
use crate::api::{Answer, CommandError, Event, TurnedAway};
use crate::limits::{
    BLOCKED_ACCOUNTS, OPEN_INVITATION_BYTES, OPEN_INVITATIONS, OPEN_INVITATIONS_OF_ONE,
    REFUSALS_TOLD_EVERY,
};
use crate::store::Store;
use crate::{AccountId, GroupId, Timestamp};

/// Where all of it is kept.
pub(super) const KEY: &[u8] = b"guard";

/// Who may invite.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GuardRecord {
    /// Only accounts that are known.
    contacts_only: bool,
    blocked: BTreeMap<AccountId, Blocked>,
    /// Invitations that were turned away, by reason.
    turned_away: BTreeMap<TurnedAway, u64>,
    /// When that was last told.
    told: BTreeMap<TurnedAway, Timestamp>,
}

/// An account that is blocked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Blocked {
    since: Timestamp,
    invitations: u64,
}

impl GuardRecord {
    pub(super) fn is_blocked(&self, account: &AccountId) -> bool {
        self.blocked.contains_key(account)
    }

    fn save(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        Ok(write(tx.overlay, KEY.to_vec(), self)?)
    }
}

impl Group {
    /// An invitation to it that waits, or that was kept beside.
    fn waiting(&self) -> Option<&InvitationRecord> {
        let again = self.again.as_ref().and_then(|again| again.record.invitation.as_ref());
        self.record.invitation.as_ref().or(again)
    }
}

impl Inner {
    /// Whether an account may have one more invitation wait here, with a tree of so many bytes. If
    /// not, that is counted and told.
    pub(super) fn admits(
        &mut self,
        tx: &mut Tx<'_>,
        from: AccountId,
        tree: usize,
    ) -> Result<bool, Fault> {
        let reason = if self.guard.is_blocked(&from) {
            TurnedAway::Blocked
        } else if self.guard.contacts_only && !self.knows(&from) {
            TurnedAway::Stranger
        } else if self.has_no_room(from, tree) {
            TurnedAway::TooMany
        } else {
            return Ok(true);
        };
        self.turn_away(tx, from, reason)?;
        Ok(false)
    }

    /// Those that came first stay: later ones must not push them out.
    fn has_no_room(&self, from: AccountId, tree: usize) -> bool {
        let open = self.groups.values().filter_map(Group::waiting);
        open.filter(|open| open.from == from).count() >= OPEN_INVITATIONS_OF_ONE
            || self.is_full(tree)
    }

    /// Whether as many invitations wait here as there can be, of all accounts.
    pub(super) fn is_full(&self, tree: usize) -> bool {
        let open = self.groups.values().filter_map(Group::waiting);
        let (all, bytes) = open.fold((0, tree), |(n, sum), open| (n + 1, sum + open.tree.len()));
        all >= OPEN_INVITATIONS || bytes > OPEN_INVITATION_BYTES
    }

    /// An account that shares a group with this one, or that this one has asked into one.
    fn knows(&self, account: &AccountId) -> bool {
        let shared = self.groups.values().filter(|group| group.record.invitation.is_none());
        let mut members = shared.flat_map(|group| group.members());
        members.any(|(_, member)| member == *account)
            || self.intents.for_account(*account, self.groups.keys().copied()).next().is_some()
    }

    fn turn_away(
        &mut self,
        tx: &mut Tx<'_>,
        from: AccountId,
        reason: TurnedAway,
    ) -> Result<(), Fault> {
        if let Some(blocked) = self.guard.blocked.get_mut(&from) {
            blocked.invitations += 1;
        }
        let count = self.guard.turned_away.entry(reason).or_default();
        *count += 1;
        let count = *count;
        let told = self.guard.told.get(&reason).copied();
        let due = told.is_none_or(|told| tx.now.since(told) >= REFUSALS_TOLD_EVERY);
        if due {
            self.guard.told.insert(reason, tx.now);
        }
        self.guard.save(tx)?;
        if due {
            self.emit(tx, Event::InvitationTurnedAway { from, reason, count })?;
        }
        Ok(())
    }

    pub(super) fn block(&mut self, tx: &mut Tx<'_>, account: AccountId) -> Result<Answer, Stop> {
        if self.own()?.account == account {
            return Err(Stop::Command(CommandError::OwnAccount));
        }
        if self.guard.is_blocked(&account) {
            return Ok(Answer::Done);
        }
        if self.guard.blocked.len() >= BLOCKED_ACCOUNTS {
            return Err(Stop::Command(CommandError::TooManyBlocked { max: BLOCKED_ACCOUNTS }));
        }
        self.guard.blocked.insert(account, Blocked { since: tx.now, invitations: 0 });
        self.guard.save(tx)?;
        self.count_unread_of(tx, account)?;
        let waiting = |group: &Group| group.waiting().is_some_and(|open| open.from == account);
        let waiting = self.groups.iter().filter(|(_, group)| waiting(group)).map(|(id, _)| *id);
        for id in waiting.collect::<Vec<GroupId>>() {
            if self.groups.get(&id).is_some_and(|group| group.record.invitation.is_some()) {
                self.groups.remove(&id);
                tx.overlay.delete(key("group/", &[id.as_bytes()]));
            } else {
                self.keep_again(tx, id, None)?;
            }
            self.topics.clear();
            self.turn_away(tx, account, TurnedAway::Blocked)?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn unblock(&mut self, tx: &mut Tx<'_>, account: AccountId) -> Result<Answer, Stop> {
        if self.guard.blocked.remove(&account).is_none() {
            return Err(Stop::Command(CommandError::NotBlocked(account)));
        }
        self.guard.save(tx)?;
        self.count_unread_of(tx, account)?;
        Ok(Answer::Done)
    }

    pub(super) fn set_contacts_only(
        &mut self,
        tx: &mut Tx<'_>,
        contacts_only: bool,
    ) -> Result<Answer, Stop> {
        self.own()?;
        self.guard.contacts_only = contacts_only;
        self.guard.save(tx)?;
        Ok(Answer::Done)
    }
}

impl<S: Store> Core<S> {
    /// Who may invite this account, and how often somebody was turned away.
    pub fn guard(&self) -> Result<GuardView, Fault> {
        let guard = &self.inner.guard;
        let count = |reason| guard.turned_away.get(&reason).copied().unwrap_or_default();
        let blocked = guard.blocked.iter().map(|(account, blocked)| BlockedView {
            account: *account,
            since: blocked.since,
            invitations: blocked.invitations,
        });
        Ok(GuardView {
            contacts_only: guard.contacts_only,
            blocked: blocked.collect(),
            turned_away_blocked: count(TurnedAway::Blocked),
            turned_away_strangers: count(TurnedAway::Stranger),
            turned_away_too_many: count(TurnedAway::TooMany),
        })
    }
}
