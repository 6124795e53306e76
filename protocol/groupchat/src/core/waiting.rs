//! What was asked for in a group and does not stand for good yet, to be read.

use super::gaps::AWAITED;
use super::records::{Change, IntentRecord, Wish};
use super::{Core, Fault};
use crate::api::views::{AskedChange, ChangeState, ChangeView};
use crate::store::Store;
use crate::{GroupId, Timestamp};

impl<S: Store> Core<S> {
    /// What was asked for here in a group and does not stand for good yet; `None` for an unknown
    /// group. What others do of themselves, taking out who leaves, is not among it.
    pub fn changes(&self, id: GroupId) -> Result<Option<Vec<ChangeView>>, Fault> {
        let Some(group) = self.inner.groups.get(&id) else { return Ok(None) };
        let pending = group.record.pending.as_ref();
        let publishing: &[Wish] = pending.map_or(&[], |pending| &pending.next.fulfils);
        let state = |wish: Wish, done: bool| match () {
            () if publishing.contains(&wish) => ChangeState::Publishing,
            () if done => ChangeState::Made,
            () => ChangeState::Waiting,
        };
        let mut views = Vec::new();
        for (sequence, record) in &group.changes {
            let Some(change) = asked(&record.change) else { continue };
            let state = state(Wish::Change(*sequence), record.done.is_some());
            views.push(view(change, state, record.due));
        }
        for (account, intent) in self.inner.intents.of(id) {
            let IntentRecord { due, found, done, retry, .. } = intent;
            let (state, next) = match state(Wish::Add(account), done.is_some()) {
                ChangeState::Waiting if found.is_none() => (ChangeState::Searching, *due),
                state => (state, *retry),
            };
            views.push(view(AskedChange::Add { account }, state, next));
        }
        Ok(Some(views))
    }
}

fn view(change: AskedChange, state: ChangeState, next: Timestamp) -> ChangeView {
    let waits = matches!(state, ChangeState::Searching | ChangeState::Waiting);
    ChangeView { change, state, next: Some(next).filter(|next| waits && *next != AWAITED) }
}

fn asked(change: &Change) -> Option<AskedChange> {
    Some(match change {
        Change::Profile { name, description } => {
            AskedChange::Profile { name: name.clone(), description: description.clone() }
        }
        Change::Policy(_) => AskedChange::Policy,
        Change::Role { account, role } => AskedChange::Role { account: *account, role: *role },
        Change::Remove { installation } => AskedChange::Remove { installation: *installation },
        Change::Update => AskedChange::Keys,
        Change::Leave { .. } | Change::AddOwn { .. } => return None,
    })
}
