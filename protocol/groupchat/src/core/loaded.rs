//! MLS groups in memory: loading one reads all of its tree, so those used last are kept.

use openmls::group::MlsGroup;

use crate::GroupId;
use crate::mls::{StateId, View};

/// Most groups in memory; a big one takes some megabytes.
const LOADED_GROUPS: usize = 16;

/// A state of a group, as it is now or as it began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: GroupId,
    pub(super) state: StateId,
    /// For messages that come too late for the state as it is now.
    pub(super) base: bool,
}

impl Place {
    pub(super) fn now(group: GroupId, state: StateId) -> Self {
        Self { group, state, base: false }
    }

    pub(super) fn base(group: GroupId, state: StateId) -> Self {
        Self { group, state, base: true }
    }

    /// How a group of this place sees the store. How a state began is never written.
    pub(super) fn view(&self, writes: bool) -> View {
        match (self.base, writes) {
            (true, _) => View::Base(self.group, self.state),
            (false, true) => View::Live(self.group, self.state),
            (false, false) => View::Reading(self.group, self.state),
        }
    }
}

/// A group in memory.
pub(super) struct Loaded {
    pub(super) group: MlsGroup,
    /// How many messages it read that the store knows nothing of.
    pub(super) unwritten: u32,
}

impl Loaded {
    pub(super) fn new(group: MlsGroup) -> Self {
        Self { group, unwritten: 0 }
    }
}

/// Those used last, the newest at the end.
#[derive(Default)]
pub(super) struct LoadedGroups {
    groups: Vec<(Place, Loaded)>,
}

impl LoadedGroups {
    pub(super) fn take(&mut self, place: &Place) -> Option<Loaded> {
        let at = self.groups.iter().position(|(there, _)| there == place)?;
        Some(self.groups.remove(at).1)
    }

    pub(super) fn put(&mut self, place: Place, loaded: Loaded) {
        self.groups.retain(|(there, _)| *there != place);
        if self.groups.len() >= LOADED_GROUPS {
            self.groups.remove(0);
        }
        self.groups.push((place, loaded));
    }

    pub(super) fn get_mut(&mut self, place: &Place) -> Option<&mut Loaded> {
        self.groups.iter_mut().find(|(there, _)| there == place).map(|(_, loaded)| loaded)
    }

    pub(super) fn forget(&mut self, group: GroupId, states: &[StateId]) {
        self.groups.retain(|(place, _)| place.group != group || !states.contains(&place.state));
    }
}

impl std::fmt::Debug for LoadedGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoadedGroups({})", self.groups.len())
    }
}
