//! What can be read. Nothing here changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::group::Group;
use super::records::{self, MessageRecord, Sending, key};
use super::{Core, Fault, Inner};
use crate::account::Log;
use crate::api::views::{
    AccountView, GapView, GroupState, GroupView, InvitationView, MemberView, MessageCursor,
    MessageKind, MessageView,
};
use crate::api::{EventRecord, Hold};
use crate::group::message::{Content, SignedCore};
use crate::order::roles::Role;
use crate::store::{Store, StoreError};
use crate::{AccountId, GroupId, InstallationId, MessageId};

impl<S: Store> Core<S> {
    /// The own account, once there is one.
    pub fn account(&self) -> Result<Option<AccountView>, Fault> {
        let Some(account) = &self.inner.account else { return Ok(None) };
        Ok(Some(AccountView {
            account: account.account,
            installation: account.installation,
            card: account.card().to_string(),
            registered_day: account.registered,
            returning: self.inner.returns.len(),
        }))
    }

    /// Why nothing is published, if that is so.
    pub fn hold(&self) -> Option<Hold> {
        self.inner.hold()
    }

    /// How many seconds the own clock is ahead of what peers' messages show; negative: behind.
    /// `None` as long as too few were heard to tell.
    pub fn clock_ahead(&self) -> Option<i64> {
        self.inner.clock_ahead()
    }

    /// All groups, those one is invited to among them.
    pub fn groups(&self) -> Result<Vec<GroupView>, Fault> {
        let shown = self.inner.groups.iter().filter(|(id, _)| !self.inner.is_own_group(id));
        Ok(shown.map(|(id, group)| self.inner.group_view(*id, group)).collect())
    }

    /// One group.
    pub fn group(&self, id: GroupId) -> Result<Option<GroupView>, Fault> {
        Ok(self.inner.groups.get(&id).map(|group| self.inner.group_view(id, group)))
    }

    /// The name by which members call the state that a group stands in: the same exactly where they
    /// stand in the same state. A secret of its members. `None` where this installation is not in
    /// the group.
    pub fn tip_name(&self, id: GroupId) -> Option<[u8; 32]> {
        let tip = self.inner.groups.get(&id)?.tip()?;
        tip.keys.as_ref().map(|keys| keys.name)
    }

    /// The accounts of a group; `None` for an unknown one.
    pub fn members(&self, id: GroupId) -> Result<Option<Vec<MemberView>>, Fault> {
        let Some(group) = self.inner.groups.get(&id) else { return Ok(None) };
        let mut accounts: BTreeMap<AccountId, Vec<InstallationId>> = BTreeMap::new();
        for (installation, account) in group.members() {
            accounts.entry(account).or_default().push(installation);
        }
        let authority = group.agreed().map(|agreed| &agreed.authority);
        let members = accounts
            .into_iter()
            .map(|(account, installations)| MemberView {
                account,
                role: authority.map_or(Role::Member, |authority| authority.role(account)),
                installations,
            })
            .collect();
        Ok(Some(members))
    }

    /// Messages of a group in causal order, those behind `after` (`None`: from the first), at most
    /// `limit`; `None` for an unknown group. A message that comes late takes its causal place,
    /// which may be before a page that was read.
    pub fn messages(
        &self,
        id: GroupId,
        after: Option<MessageCursor>,
        limit: usize,
    ) -> Result<Option<Vec<MessageView>>, Fault> {
        if !self.inner.groups.contains_key(&id) {
            return Ok(None);
        }
        let prefix = key("message/", &[id.as_bytes()]);
        let from = after.map(|cursor| {
            let time = cursor.time.as_nanos().to_be_bytes();
            let number = cursor.number.to_be_bytes();
            // the first key behind it
            key("", &[&prefix, &time, cursor.installation.as_bytes(), &number, &[0]])
        });
        let all = self.store.scan_from(&prefix, from.as_deref().unwrap_or(&prefix), limit)?;
        let views = all
            .into_iter()
            .map(|(_, value)| self.message_view(&value))
            .collect::<Result<_, _>>()?;
        Ok(Some(views))
    }

    fn message_view(&self, value: &[u8]) -> Result<MessageView, Fault> {
        let mut view = message_view(value)?;
        view.blocked = self.inner.guard.is_blocked(&view.account);
        Ok(view)
    }

    /// One message.
    pub fn message(&self, id: MessageId) -> Result<Option<MessageView>, Fault> {
        let place = key(
            "place/",
            &[id.group.as_bytes(), id.installation.as_bytes(), &id.number.to_be_bytes()],
        );
        let Some(time) = self.store.get(&place)? else { return Ok(None) };
        let at = key(
            "message/",
            &[id.group.as_bytes(), &time, id.installation.as_bytes(), &id.number.to_be_bytes()],
        );
        let Some(value) = self.store.get(&at)? else { return Ok(None) };
        self.message_view(&value).map(Some)
    }

    /// Reported gaps, of one group or of all, whatever became of them.
    pub fn gaps(&self, id: Option<GroupId>) -> Result<Vec<GapView>, Fault> {
        Ok(self
            .inner
            .groups
            .iter()
            .filter(|(group, _)| id.is_none_or(|id| id == **group))
            .filter(|(group, _)| !self.inner.is_own_group(group))
            .flat_map(|(group, g)| {
                g.gaps.iter().filter_map(|(&(i, n), gap)| gap.view(*group, i, n))
            })
            .collect())
    }

    /// Invitations that wait for an answer.
    pub fn invitations(&self) -> Result<Vec<InvitationView>, Fault> {
        Ok(self
            .inner
            .groups
            .iter()
            .filter(|(id, _)| !self.inner.is_own_group(id))
            .filter_map(|(id, group)| {
                group.open_invitation().map(|invitation| InvitationView {
                    group: *id,
                    name: invitation.agreed.name.clone(),
                    description: invitation.agreed.description.clone(),
                    from: invitation.from,
                })
            })
            .collect())
    }

    /// The cursors of the events that are kept; empty before the first one.
    pub fn event_cursors(&self) -> RangeInclusive<u64> {
        let newest = self.inner.event_cursor;
        newest.saturating_sub(crate::limits::KEPT_EVENTS) + 1..=newest
    }

    /// Kept events with a cursor above `cursor`, in order, at most `limit`. Those older than
    /// [`crate::limits::KEPT_EVENTS`] are gone.
    pub fn events_after(&self, cursor: u64, limit: usize) -> Result<Vec<EventRecord>, Fault> {
        let (oldest, newest) = self.event_cursors().into_inner();
        let mut events = Vec::new();
        for cursor in oldest.max(cursor.saturating_add(1))..=newest {
            if events.len() >= limit {
                break;
            }
            if let Some(json) = self.store.get(&key("event/", &[&cursor.to_be_bytes()]))? {
                let event = serde_json::from_slice(&json)
                    .map_err(|e| StoreError::new("decoding an event", e))?;
                events.push(event);
            }
        }
        Ok(events)
    }
}

impl Inner {
    /// The own account's log.
    pub(super) fn own_log(&self) -> Result<Log, Fault> {
        let account = self.account.as_ref().ok_or(Fault::Bug("a log without an account"))?;
        Log::from_entries(account.account, &account.log)
            .map_err(|_| Fault::Bug("the own account log does not hold"))
    }

    fn group_view(&self, id: GroupId, group: &Group) -> GroupView {
        let record = &group.record;
        let members = group.members();
        let installations = members.len();
        let accounts: BTreeSet<AccountId> =
            members.into_iter().map(|(_, account)| account).collect();
        let agreed = group.agreed();
        GroupView {
            group: id,
            name: agreed.map_or_else(String::new, |agreed| agreed.name.clone()),
            description: agreed.map_or_else(String::new, |agreed| agreed.description.clone()),
            state: group_state(group),
            epoch: group.tip().map_or(record.joined, |s| s.epoch),
            accounts: accounts.len(),
            installations,
            creator: record.creator,
            policy: agreed.map(|agreed| agreed.authority.policy).unwrap_or_default(),
            unread: self.shared.unread(&id),
            read_upto: self.shared.read_upto(&id),
        }
    }
}

pub(super) fn group_state(group: &Group) -> GroupState {
    let inside = group.open_tip().is_some();
    match (&group.record.invitation, inside) {
        (Some(_), _) => GroupState::Invited,
        (None, true) if group.is_over() => GroupState::Removed,
        (None, true) if group.record.leaving => GroupState::Leaving,
        (None, _) if group.ask.waiting => GroupState::Waiting,
        (None, true) => GroupState::Joined,
        (None, false) => GroupState::Removed,
    }
}

fn message_view(value: &[u8]) -> Result<MessageView, Fault> {
    let record: MessageRecord = records::decode(value)?;
    let core = SignedCore::from_parts(record.core, &record.signature)
        .and_then(|signed| signed.decode())
        .ok_or(Fault::Bug("a stored message that does not parse"))?;
    Ok(MessageView {
        id: MessageId { group: core.group, installation: core.installation, number: core.number },
        account: record.account,
        kind: match &core.content {
            Content::Leave(_) => MessageKind::Left,
            Content::Card(_) => MessageKind::Card,
            Content::Text(_) | Content::Own(_) => MessageKind::Text,
        },
        text: core.text().unwrap_or_default().to_owned(),
        time: core.time,
        waku_hash: record.waku_hash.to_string(),
        blocked: false,
        sending: record.sending.and_then(Sending::state),
        handed_by: record.sending.and_then(Sending::handed_by),
    })
}
