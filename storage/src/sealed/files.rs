//! The files around a chat database: its seal, and what a change of it or a wipe leaves if it is
//! cut off.
//!
//! | path | what |
//! |---|---|
//! | `chat/` | the database |
//! | `chat/seal` | its seal file, if it is encrypted |
//! | `chat.next/` | a copy under another key, being made; with `complete` in it, it is whole |
//! | `chat.old/` | what a whole copy took the place of, until it is removed |
//! | `chat.wipe` | the database is being removed, and nothing of it may be opened any more |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::header::LENGTH;
use super::{Hook, SealError};

/// Paths of one chat database.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) database: PathBuf,
    pub(super) next: PathBuf,
    pub(super) old: PathBuf,
    wipe: PathBuf,
}

/// In a copy: all of it is there.
const COMPLETE: &str = "complete";

impl Files {
    pub(super) fn of(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            next: database.with_added_extension("next"),
            old: database.with_added_extension("old"),
            wipe: database.with_added_extension("wipe"),
        }
    }

    /// Finishes, or undoes, what was cut off: afterwards there is the database or nothing.
    pub(super) fn recover(&self) -> Result<(), SealError> {
        if exists(&self.wipe)? {
            self.finish_wipe(&mut |_| Ok(()))?;
        }
        let whole = exists(&self.next.join(COMPLETE))?;
        if !exists(&self.database)? {
            if whole {
                rename(&self.next, &self.database)?;
            } else if exists(&self.old)? {
                rename(&self.old, &self.database)?;
            }
        }
        for left in [&self.next, &self.old] {
            if exists(left)? {
                destroy(left)?;
            }
        }
        remove_file(&self.database.join(COMPLETE))
    }

    /// The folder that is the database once [`Self::recover`] was called, if one is.
    pub(super) fn standing(&self) -> Result<Option<PathBuf>, SealError> {
        let folder = if exists(&self.wipe)? {
            return Ok(None);
        } else if exists(&self.database)? {
            &self.database
        } else if exists(&self.next.join(COMPLETE))? {
            &self.next
        } else {
            &self.old
        };
        Ok(exists(folder)?.then(|| folder.clone()))
    }

    /// Puts a copy in the database's place.
    pub(super) fn swap(&self, hook: Hook<'_>) -> Result<(), SealError> {
        write_new(&self.next.join(COMPLETE), b"")?;
        hook("complete")?;
        rename(&self.database, &self.old)?;
        hook("moved away")?;
        rename(&self.next, &self.database)?;
        hook("moved in")?;
        destroy(&self.old)?;
        hook("removed")?;
        remove_file(&self.database.join(COMPLETE))
    }

    /// Removes the database and all that belongs to it. Once the note of it is on disk, nothing
    /// opens it any more.
    pub(super) fn wipe(&self, hook: Hook<'_>) -> Result<(), SealError> {
        remove_file(&self.wipe)?;
        write_new(&self.wipe, b"")?;
        hook("noted")?;
        self.finish_wipe(hook)
    }

    fn finish_wipe(&self, hook: Hook<'_>) -> Result<(), SealError> {
        for folder in [&self.database, &self.next, &self.old] {
            if exists(folder)? {
                destroy(folder)?;
            }
            hook("removed")?;
        }
        remove_file(&self.wipe)
    }
}

pub(super) fn seal_file(database: &Path) -> PathBuf {
    database.join("seal")
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::Io { path, source }
}

fn exists(path: &Path) -> Result<bool, SealError> {
    path.try_exists().map_err(io_at(path))
}

/// Makes a folder for its owner alone.
pub(super) fn make_folder(path: &Path) -> Result<(), SealError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_at(path))
}

/// What a small file holds; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, SealError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_at(path)(source)),
    };
    let mut bytes = Vec::new();
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes).map_err(io_at(path))?;
    Ok(Some(bytes))
}

/// Writes a file for its owner alone, beside the one that is there, and then in its place: a crash
/// leaves the one or the other. What was there is overwritten where it lay.
pub(super) fn replace(path: &Path, bytes: &[u8], hook: Hook<'_>) -> Result<(), SealError> {
    let beside = path.with_added_extension("new");
    remove_file(&beside)?;
    write_new(&beside, bytes)?;
    hook("written")?;
    let before = match OpenOptions::new().write(true).open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(source) => return Err(io_at(path)(source)),
    };
    rename(&beside, path)?;
    hook("replaced")?;
    before.map_or(Ok(()), overwrite).map_err(io_at(path))
}

/// A new file, on disk when it returns.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), SealError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        sync_folder_of(path)
    };
    write().map_err(io_at(path))
}

/// Removes a database's folder; its seal file first, overwritten where it lies.
fn destroy(folder: &Path) -> Result<(), SealError> {
    let seal = seal_file(folder);
    match OpenOptions::new().write(true).open(&seal) {
        Ok(file) => {
            overwrite(file).map_err(io_at(&seal))?;
            remove_file(&seal)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(io_at(&seal)(source)),
    }
    fs::remove_dir_all(folder).and_then(|()| sync_folder_of(folder)).map_err(io_at(folder))
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

/// Removes a file, if it is there.
fn remove_file(path: &Path) -> Result<(), SealError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder_of(path)).map_err(io_at(path)),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), SealError> {
    fs::rename(from, to).and_then(|()| sync_folder_of(to)).map_err(io_at(from))
}

/// Names are in folders: they survive a crash of the machine once those are synced.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
