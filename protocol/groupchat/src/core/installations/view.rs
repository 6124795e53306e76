//! All installations of the own account.

use crate::account::Ended;
use crate::api::views::{InstallationState, InstallationView};
use crate::core::{Core, Fault, Inner};
use crate::store::Store;
use crate::{InstallationId, Timestamp};

impl<S: Store> Core<S> {
    /// All installations that the own account has or had, those that are live first.
    pub fn installations(&self) -> Result<Vec<InstallationView>, Fault> {
        let Some(own) = &self.inner.account else { return Ok(Vec::new()) };
        let history = self.inner.own_log()?.history();
        let live = |id: &InstallationId| history.get(id).is_some_and(|h| h.ended.is_none());
        let mut all: Vec<InstallationView> = history
            .iter()
            .map(|(id, history)| InstallationView {
                installation: *id,
                label: self.inner.shared.label(id),
                added_at: history.added_at,
                added_by: history.added_by,
                this: *id == own.installation,
                state: match history.ended {
                    None => InstallationState::Live,
                    Some((Ended::Removed, _)) => InstallationState::Removed,
                    Some((Ended::Revoked { .. }, _)) => InstallationState::Revoked,
                },
                ended_at: history.ended.and_then(|(_, at)| at),
                ended_by: match history.ended {
                    Some((Ended::Revoked { by }, _)) => by,
                    _ => None,
                },
                added: history.added.iter().filter(|id| live(id)).copied().collect(),
                last_seen: self.inner.last_seen(id),
            })
            .collect();
        all.sort_by_key(|view| (view.state, view.added_at, view.installation));
        Ok(all)
    }
}

impl Inner {
    /// When an installation last said something that was read here.
    fn last_seen(&self, installation: &InstallationId) -> Option<Timestamp> {
        let senders = self.groups.values().filter_map(|group| group.senders.get(installation));
        let said = senders.filter(|sender| sender.tracker.max_held() > 0);
        said.map(|sender| sender.last_time).max()
    }
}
