//! Files with secrets: only their owner can read them, and a crash leaves the old one or the new
//! one, never half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a file with secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnerFileError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something else than a file.
    #[error("{path}: is not a file; move it away and have a new one made")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others than the owner may read or write it.
    #[error("{path}: mode {mode:03o} lets others in, it must be 600 (chmod 600 {path})")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// What the file holds, at most `limit` bytes of it; `None` if there is no such file.
///
/// # Errors
///
/// [`OwnerFileError`] if others can read or write it, or if it cannot be read.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Zeroizing<String>>, OwnerFileError> {
    let bytes = read_bytes(path, limit)?;
    // whoever reads it says what has to be in it
    Ok(bytes.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
}

/// [`read`], of a file that is no text.
pub(super) fn read_bytes(
    path: &Path,
    limit: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, OwnerFileError> {
    let io = |source| OwnerFileError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io(source)),
    };
    let about = file.metadata().map_err(io)?;
    if !about.is_file() {
        return Err(OwnerFileError::NotAFile { path: path.to_owned() });
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(OwnerFileError::Mode { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(limit).read_to_end(&mut bytes).map_err(io)?;
    Ok(Some(bytes))
}

/// Writes beside the file, then renames; once it returns, the file survives a crash of the machine.
///
/// # Errors
///
/// [`OwnerFileError::Io`]; the file is as it was then.
pub(super) fn write(path: &Path, text: &str) -> Result<(), OwnerFileError> {
    let io = |source| OwnerFileError::Io { path: path.to_owned(), source };
    let beside = path.with_added_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&beside, path).map_err(io)?;
    // The rename itself is in the folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_replaced_whole_and_only_for_the_owner() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secret");
        assert!(read(&path, 10).expect("no file yet").is_none());
        for text in ["one", "two"] {
            write(&path, text).expect("own folder");
            assert_eq!(read(&path, 10).expect("own file").expect("written").as_str(), text);
        }
        let mode = fs::metadata(&path).expect("written").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
        assert_eq!(read(&path, 2).expect("own file").expect("written").as_str(), "tw");
    }

    #[test]
    fn is_refused_where_others_can_read_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secret");
        write(&path, "one").expect("own folder");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
            let refused = read(&path, 10).err();
            assert!(matches!(refused, Some(OwnerFileError::Mode { mode: m, .. }) if m == mode));
        }
    }
}
