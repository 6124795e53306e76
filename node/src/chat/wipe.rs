//! Removing all chat data of this installation while the node runs on.
//!
//! The core gives way to one in memory, so that its database is closed; the database is removed
//! (`waku_groupchat_storage::sealed::wipe`), a new one is made, and a new core begins on it, without
//! an account. What was handed to executors before is finished there; its results are not told to
//! the new core, which knows nothing of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waku_groupchat_core::api::{Config, FetchId, PublishId};
use waku_groupchat_core::{Core, MemoryStore, Store};
use waku_groupchat_storage::sealed::{self, ChatKey, ChatStore, Cost, Protection, SealError};

use super::handle::{ChatCore, Database, Status, chain};
use super::{ChatStartError, now};

/// Where the core's database is, and how it is opened and removed.
pub(super) trait Ground: Send {
    /// Opens it, or makes a new one.
    fn open(&self) -> Result<(Box<dyn Store>, Protection), ChatStartError>;

    /// Removes it; it is closed.
    fn wipe(&self) -> Result<(), ChatStartError>;
}

/// A database in a folder.
pub(super) struct Folder {
    path: PathBuf,
    key: Option<Arc<ChatKey>>,
}

impl Folder {
    pub(super) fn new(path: &Path, key: Option<Arc<ChatKey>>) -> Self {
        Self { path: path.to_owned(), key }
    }
}

impl Ground for Folder {
    fn open(&self) -> Result<(Box<dyn Store>, Protection), ChatStartError> {
        let store = match ChatStore::open(&self.path, self.key.as_deref(), Cost::RECOMMENDED) {
            Err(error @ SealError::Needed { .. }) => return Err(ChatStartError::Locked(error)),
            opened => opened?,
        };
        let protection = store.protection();
        Ok((Box::new(store), protection))
    }

    fn wipe(&self) -> Result<(), ChatStartError> {
        Ok(sealed::wipe(&self.path)?)
    }
}

/// Opens the core on its database.
pub(super) fn open_core(
    ground: &dyn Ground,
    config: Config,
    status: &Arc<Status>,
) -> Result<ChatCore, ChatStartError> {
    let (database, protection) = ground.open()?;
    status.is_protected_by(protection);
    begin(database, config, status)
}

/// What stands in for the core while there is no database.
pub(super) fn stand_in(config: Config, status: &Arc<Status>) -> Result<ChatCore, ChatStartError> {
    begin(Box::new(MemoryStore::new()), config, status)
}

fn begin(
    store: Box<dyn Store>,
    config: Config,
    status: &Arc<Status>,
) -> Result<ChatCore, ChatStartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let database = Database::new(store, Arc::clone(status));
    Ok(Core::open(database, config, seed, now())?)
}

/// What executors were handed and have not answered, in the core's names.
#[derive(Debug, Default)]
pub(super) struct Handed {
    publishes: BTreeSet<PublishId>,
    fetches: BTreeSet<FetchId>,
    /// By a core that is gone.
    gone: (BTreeSet<PublishId>, BTreeSet<FetchId>),
}

impl Handed {
    pub(super) fn publish(&mut self, id: PublishId) {
        self.publishes.insert(id);
    }

    pub(super) fn fetch(&mut self, id: FetchId) {
        self.fetches.insert(id);
    }

    /// Whether a result is one for this core.
    pub(super) fn is_published(&mut self, id: PublishId) -> bool {
        if self.gone.0.remove(&id) {
            return false;
        }
        self.publishes.remove(&id);
        true
    }

    /// Whether a result is one for this core.
    pub(super) fn is_fetched(&mut self, id: FetchId) -> bool {
        if self.gone.1.remove(&id) {
            return false;
        }
        self.fetches.remove(&id);
        true
    }

    /// Another core begins.
    pub(super) fn renew(&mut self) {
        self.gone.0.append(&mut self.publishes);
        self.gone.1.append(&mut self.fetches);
    }
}

/// What a failed wipe says.
pub(super) fn unfinished(error: &ChatStartError) -> String {
    format!("{}; start the node again: it finishes the wipe first", chain(error))
}
