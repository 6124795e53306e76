//! OpenMLS's records in an [`Overlay`]: reading, writing, and whole states at once.
//!
//! [`super::storage_trait`] maps OpenMLS's calls to these.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StorageError;
use super::keys::{self, Namespace, StateId, Tag};
use crate::GroupId;
use crate::store::{Overlay, StoreError};

pub(super) type Result<T, E = StorageError> = std::result::Result<T, E>;

/// OpenMLS's records: a group's under the namespace, all others in the global part.
pub(crate) struct MlsStorage<'o> {
    overlay: &'o Overlay<'o>,
    namespace: Namespace,
}

/// Makes `to` what `from` is. What `to` held before is gone.
pub(crate) fn copy_state(
    overlay: &Overlay<'_>,
    group: GroupId,
    from: StateId,
    to: StateId,
) -> Result<(), StoreError> {
    delete_state(overlay, group, to)?;
    let (from, to) = (keys::state_prefix(&group, &from), keys::state_prefix(&group, &to));
    for (key, value) in overlay.scan(&from)? {
        overlay.put([to.as_slice(), &key[from.len()..]].concat(), value);
    }
    Ok(())
}

/// Deletes all of a state.
pub(crate) fn delete_state(
    overlay: &Overlay<'_>,
    group: GroupId,
    state: StateId,
) -> Result<(), StoreError> {
    for (key, _) in overlay.scan(&keys::state_prefix(&group, &state))? {
        overlay.delete(key);
    }
    Ok(())
}

impl<'o> MlsStorage<'o> {
    pub(super) fn new(overlay: &'o Overlay<'o>, namespace: Namespace) -> Self {
        Self { overlay, namespace }
    }

    pub(super) fn namespace(&self) -> Namespace {
        self.namespace
    }

    pub(super) fn write(
        &self,
        tag: Tag,
        entity: &impl Serialize,
        value: &impl Serialize,
    ) -> Result<()> {
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
        if let Some(key) = self.key(tag, entity)? {
            self.overlay.delete(key);
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
        let key = self.key(tag, entity)?.ok_or(StorageError::NoState(tag))?;
        self.overlay.put(key, value);
        Ok(())
    }

    fn get(&self, tag: Tag, entity: &impl Serialize) -> Result<Option<Vec<u8>>> {
        match self.key(tag, entity)? {
            Some(key) => Ok(self.overlay.get(&key)?),
            None => Ok(None),
        }
    }

    /// `None` for a group's record where the namespace is no state.
    fn key(&self, tag: Tag, entity: &impl Serialize) -> Result<Option<Vec<u8>>> {
        let entity = encode(tag, entity)?;
        if tag.is_global() {
            return Ok(Some(keys::global(tag, &entity)));
        }
        Ok(match self.namespace {
            Namespace::Global => None,
            Namespace::State { group, state } => Some(keys::scoped(&group, &state, tag, &entity)),
        })
    }
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
