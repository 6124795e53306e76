//! OpenMLS's records in an [`Overlay`]: which part of which state a call reads and writes.
//!
//! [`super::storage_trait`] maps OpenMLS's calls to these.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::chunks;
use super::error::StorageError;
use super::keys::{self, Name, Part, StateId, Tag};
use crate::GroupId;
use crate::store::Overlay;

pub(super) type Result<T, E = StorageError> = std::result::Result<T, E>;

/// What of a group OpenMLS sees, and what becomes of what it writes. What belongs to no group
/// (keys, key packages) it sees in every view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// No group: reading a group's record finds nothing, writing one is an error.
    Global,
    /// A state as it is now. Writes change what it is now, never how it began.
    Live(GroupId, StateId),
    /// A state as it is now; nothing is written.
    Reading(GroupId, StateId),
    /// A state as it began; nothing is written.
    Base(GroupId, StateId),
    /// A new state. It begins as `parent` began, or from nothing; writes wait for
    /// [`MlsStorage::keep`], and are lost without it.
    Child {
        /// The group of both.
        group: GroupId,
        /// The state before it.
        parent: Option<StateId>,
        /// The new one.
        child: StateId,
    },
}

impl View {
    pub(crate) fn group(self) -> Option<GroupId> {
        match self {
            Self::Global => None,
            Self::Live(group, _) | Self::Reading(group, _) | Self::Base(group, _) => Some(group),
            Self::Child { group, .. } => Some(group),
        }
    }

    fn forgets(self) -> bool {
        matches!(self, Self::Reading(..) | Self::Base(..))
    }
}

/// OpenMLS's records, as a view shows them.
pub(crate) struct MlsStorage<'o> {
    overlay: &'o Overlay<'o>,
    view: View,
    /// What was written to a new state, and deleted in it.
    child: RefCell<BTreeMap<Name, Option<Vec<u8>>>>,
}

impl<'o> MlsStorage<'o> {
    pub(super) fn new(overlay: &'o Overlay<'o>, view: View) -> Self {
        Self { overlay, view, child: RefCell::default() }
    }

    pub(super) fn overlay(&self) -> &'o Overlay<'o> {
        self.overlay
    }

    pub(super) fn view(&self) -> View {
        self.view
    }

    /// Makes the new state of a [`View::Child`] one of its own: with all that was written to it,
    /// and what OpenMLS left as it was in the parent, which it needs no more. What was there by
    /// this name before is gone.
    pub(super) fn keep(&self) -> Result<()> {
        let View::Child { group, parent, child } = self.view else {
            return Err(StorageError::NoChild);
        };
        chunks::delete_states(self.overlay, group, &[child])?;
        let changes = self.child.take();
        if let Some(parent) = parent {
            self.inherit(&group, &parent, &child, &changes)?;
        }
        for (name, change) in changes {
            match change {
                _ if name.tag().is_global() => match change {
                    Some(value) => self.overlay.put(name.global(), value),
                    None => self.overlay.delete(name.global()),
                },
                Some(value) => {
                    let rest = name.rest();
                    put_base(self.overlay, &group, parent.as_ref(), &child, rest, value)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Copies what the child has of its parent and did not change.
    fn inherit(
        &self,
        group: &GroupId,
        parent: &StateId,
        child: &StateId,
        changes: &BTreeMap<Name, Option<Vec<u8>>>,
    ) -> Result<()> {
        for part in [Part::Base, Part::Manifests] {
            let prefix = keys::under(part, group, parent, &[]);
            for (key, value) in self.overlay.scan(&prefix)? {
                let rest = &key[prefix.len()..];
                if !changes.keys().any(|name| name.rest() == rest) {
                    self.overlay.put(keys::under(part, group, child, rest), value);
                }
            }
        }
        Ok(())
    }

    /// How many own messages were sealed since the state's secrets were written.
    pub(super) fn sealed(&self) -> Result<u32> {
        let (View::Live(group, state) | View::Reading(group, state)) = self.view else {
            return Ok(0);
        };
        let Some(count) = self.overlay.get(&sealed_key(&group, &state))? else { return Ok(0) };
        let count = count.try_into().map(u32::from_be_bytes);
        count.map_err(|_| StorageError::Count)
    }

    /// Notes how many were, instead of writing the secrets, which are as long as the group is large.
    pub(super) fn note_sealed(&self, count: u32) -> Result<()> {
        let (View::Live(group, state) | View::Reading(group, state)) = self.view else {
            return Err(StorageError::NoState(Tag::Sealed));
        };
        self.overlay.put(sealed_key(&group, &state), count.to_be_bytes().to_vec());
        Ok(())
    }

    fn base(&self, group: &GroupId, state: &StateId, name: &Name) -> Result<Option<Vec<u8>>> {
        if name.tag() == Tag::Tree
            && let Some(manifest) = self.overlay.get(&name.of(Part::Manifests, group, state))?
        {
            return chunks::get(self.overlay, group, &manifest).map(Some);
        }
        Ok(self.overlay.get(&name.of(Part::Base, group, state))?)
    }

    pub(super) fn write(
        &self,
        tag: Tag,
        entity: &impl Serialize,
        value: &impl Serialize,
    ) -> Result<()> {
        if self.view.forgets() {
            return Ok(());
        }
        self.put(tag, entity, encode(tag, value)?)
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        tag: Tag,
        entity: &impl Serialize,
    ) -> Result<Option<T>> {
        self.get(tag, entity)?.map(|bytes| decode(tag, &bytes)).transpose()
    }

    pub(super) fn write_json(
        &self,
        tag: Tag,
        entity: &impl Serialize,
        value: &impl Serialize,
    ) -> Result<()> {
        let json = serde_json::to_vec(value).map_err(codec(tag))?;
        self.put(tag, entity, json)
    }

    pub(super) fn read_json<T: DeserializeOwned>(
        &self,
        tag: Tag,
        entity: &impl Serialize,
    ) -> Result<Option<T>> {
        self.get(tag, entity)?
            .map(|bytes| serde_json::from_slice(&bytes).map_err(codec(tag)))
            .transpose()
    }

    pub(super) fn delete(&self, tag: Tag, entity: &impl Serialize) -> Result<()> {
        let name = name(tag, entity)?;
        match self.view {
            View::Reading(..) | View::Base(..) => {}
            View::Child { .. } => {
                self.child.borrow_mut().insert(name, None);
            }
            _ if tag.is_global() => self.overlay.delete(name.global()),
            View::Global => {}
            View::Live(group, state) => {
                let live = name.of(Part::Live, &group, &state);
                match self.base(&group, &state, &name)? {
                    Some(_) => self.overlay.put(live, Vec::new()),
                    None => self.overlay.delete(live),
                }
            }
        }
        Ok(())
    }

    /// Appends to a list. Its items are encoded each, so that one can be found by its bytes.
    pub(super) fn append(
        &self,
        tag: Tag,
        entity: &impl Serialize,
        item: &impl Serialize,
    ) -> Result<()> {
        let mut items = self.items(tag, entity)?;
        items.push(encode(tag, item)?);
        self.write(tag, entity, &items)
    }

    /// Takes an item out of a list.
    pub(super) fn remove(
        &self,
        tag: Tag,
        entity: &impl Serialize,
        item: &impl Serialize,
    ) -> Result<()> {
        let (mut items, gone) = (self.items(tag, entity)?, encode(tag, item)?);
        items.retain(|item| *item != gone);
        self.write(tag, entity, &items)
    }

    /// A list, empty if there is none.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        tag: Tag,
        entity: &impl Serialize,
    ) -> Result<Vec<T>> {
        self.items(tag, entity)?.iter().map(|item| decode(tag, item)).collect()
    }

    fn items(&self, tag: Tag, entity: &impl Serialize) -> Result<Vec<Vec<u8>>> {
        Ok(self.read(tag, entity)?.unwrap_or_default())
    }

    fn put(&self, tag: Tag, entity: &impl Serialize, value: Vec<u8>) -> Result<()> {
        let name = name(tag, entity)?;
        match self.view {
            View::Reading(..) | View::Base(..) => {}
            View::Child { .. } => {
                self.child.borrow_mut().insert(name, Some(value));
            }
            _ if tag.is_global() => self.overlay.put(name.global(), value),
            View::Global => return Err(StorageError::NoState(tag)),
            View::Live(group, state) => {
                self.overlay.put(name.of(Part::Live, &group, &state), value);
                if tag == Tag::MessageSecrets {
                    self.overlay.delete(sealed_key(&group, &state));
                }
            }
        }
        Ok(())
    }

    fn get(&self, tag: Tag, entity: &impl Serialize) -> Result<Option<Vec<u8>>> {
        let name = name(tag, entity)?;
        if let Some(change) = self.child.borrow().get(&name) {
            return Ok(change.clone());
        }
        if tag.is_global() {
            return Ok(self.overlay.get(&name.global())?);
        }
        match self.view {
            View::Global | View::Child { parent: None, .. } => Ok(None),
            View::Live(group, state) | View::Reading(group, state) => {
                match self.overlay.get(&name.of(Part::Live, &group, &state))? {
                    Some(value) => Ok(Some(value).filter(|value| !value.is_empty())),
                    None => self.base(&group, &state, &name),
                }
            }
            View::Base(group, state) | View::Child { group, parent: Some(state), .. } => {
                self.base(&group, &state, &name)
            }
        }
    }
}

/// Writes a record of a state as it begins; a big one shares chunks with the parent's.
pub(super) fn put_base(
    overlay: &Overlay<'_>,
    group: &GroupId,
    parent: Option<&StateId>,
    state: &StateId,
    rest: &[u8],
    value: Vec<u8>,
) -> Result<()> {
    if rest.first() != Some(&(Tag::Tree as u8)) || value.len() < chunks::CUT_FROM {
        overlay.put(keys::under(Part::Base, group, state, rest), value);
        return Ok(());
    }
    let known = match parent {
        Some(parent) => overlay.get(&keys::under(Part::Manifests, group, parent, rest))?,
        None => None,
    };
    let manifest = chunks::put(overlay, group, &value, &known.unwrap_or_default())?;
    overlay.put(keys::under(Part::Manifests, group, state, rest), manifest);
    Ok(())
}

fn sealed_key(group: &GroupId, state: &StateId) -> Vec<u8> {
    keys::under(Part::Live, group, state, &[Tag::Sealed as u8])
}

fn name(tag: Tag, entity: &impl Serialize) -> Result<Name> {
    Ok(Name::new(tag, &encode(tag, entity)?))
}

fn encode(tag: Tag, value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(codec(tag))
}

fn decode<T: DeserializeOwned>(tag: Tag, bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(codec(tag))
}

fn codec<E>(tag: Tag) -> impl FnOnce(E) -> StorageError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| StorageError::Codec { tag, source: Box::new(source) }
}
