//! The data directory: for its owner only, and for one node at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// An open data directory. It stays locked until this is dropped.
///
/// | path | what |
/// |---|---|
/// | `keys/nodekey` | the node's secp256k1 key |
/// | `archive/` | the message archive |
/// | `chat/` | the chat's database; `chat.next`, `chat.old`, `chat.wipe` while it is changed |
/// | `api-token` | the first bearer token of the chat API |
/// | `api-tokens.json` | the tokens that were made with it, by their hashes |
/// | `lock` | held by the node that runs |
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, read or locked.
    #[error("data directory {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may change what is in it.
    #[error(
        "data directory {}: others than its owner can write to it (mode {mode:03o}); chmod go-w it",
        path.display()
    )]
    Writable {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another node runs on it.
    #[error("data directory {} is in use by another node", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl DataDir {
    /// Opens it, and makes it with its folders where they are missing.
    ///
    /// # Errors
    ///
    /// [`DataDirError`]. A folder that others can read is taken, because all that is in it is for
    /// the owner only.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        make(path)?;
        let mode = fs::metadata(path).map_err(io(path))?.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(DataDirError::Writable { path: path.to_owned(), mode });
        }
        let lock = path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .map_err(io(&lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(DataDirError::Io { path: lock, source });
            }
        }
        let keys = path.join("keys");
        make(&keys)?;
        Ok(Self { path: path.to_owned(), _lock: file })
    }

    /// The file of the node key.
    pub fn node_key(&self) -> PathBuf {
        self.path.join("keys").join("nodekey")
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder and those above it for the owner only; one that is there stays as it is.
fn make(path: &Path) -> Result<(), DataDirError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn is_made_for_its_owner() {
        let above = tempfile::tempdir().expect("a folder");
        let path = above.path().join("a/b");
        let dir = DataDir::open(&path).expect("made");
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(dir.node_key().parent().expect("keys")), 0o700);
        assert_eq!(mode(&path.join("lock")), 0o600);
    }

    #[test]
    fn is_for_one_node_at_a_time() {
        let path = tempfile::tempdir().expect("a folder");
        let first = DataDir::open(path.path()).expect("free");
        assert!(matches!(DataDir::open(path.path()), Err(DataDirError::InUse { .. })));
        drop(first);
        DataDir::open(path.path()).expect("free again");
    }

    #[test]
    fn is_refused_where_others_can_write() {
        let path = tempfile::tempdir().expect("a folder");
        fs::set_permissions(path.path(), fs::Permissions::from_mode(0o770)).expect("own");
        let refused = DataDir::open(path.path());
        assert!(matches!(refused, Err(DataDirError::Writable { mode: 0o770, .. })));
        fs::set_permissions(path.path(), fs::Permissions::from_mode(0o755)).expect("own");
        DataDir::open(path.path()).expect("readable is fine");
    }
}
