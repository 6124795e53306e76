//! The first layout, and taking over what was kept in it.
//!
//! ```text
//! mls/1/s/ group(16) namespace(32) tag entity
//! ```
//!
//! A state had two namespaces with a whole copy each: as OpenMLS worked on it, and as it began.

use super::error::StorageError;
use super::keys::{self, Part, StateId};
use super::storage::put_base;
use crate::GroupId;
use crate::store::{Overlay, StoreError};

const STATES: &[u8] = b"mls/1/s/";

/// Writes a state as it is kept now, under the name of its `live` namespace: as it began, and what
/// is not like that any more.
pub(crate) fn take_over(
    overlay: &Overlay<'_>,
    group: GroupId,
    live: StateId,
    base: StateId,
) -> Result<(), StorageError> {
    let prefix = |of: &StateId| [STATES, group.as_bytes(), of.as_bytes()].concat();
    let (began, now) = (prefix(&base), prefix(&live));
    for (key, value) in overlay.scan(&began)? {
        let rest = &key[began.len()..];
        match overlay.get(&[&now, rest].concat())? {
            Some(same) if same == value => {}
            changed => {
                let key = keys::under(Part::Live, &group, &live, rest);
                overlay.put(key, changed.unwrap_or_default());
            }
        }
        put_base(overlay, &group, None, &live, rest, value)?;
    }
    for (key, value) in overlay.scan(&now)? {
        let rest = &key[now.len()..];
        if overlay.get(&[&began, rest].concat())?.is_none() {
            overlay.put(keys::under(Part::Live, &group, &live, rest), value);
        }
    }
    Ok(())
}

/// Whether something of a group lies in the first layout.
pub(crate) fn holds(overlay: &Overlay<'_>, group: &GroupId) -> Result<bool, StoreError> {
    Ok(!overlay.scan(&[STATES, group.as_bytes()].concat())?.is_empty())
}

/// Deletes all of a group in the first layout.
pub(crate) fn delete(overlay: &Overlay<'_>, group: &GroupId) -> Result<(), StoreError> {
    for (key, _) in overlay.scan(&[STATES, group.as_bytes()].concat())? {
        overlay.delete(key);
    }
    Ok(())
}
