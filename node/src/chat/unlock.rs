//! Where the key of the chat's database comes from: a key file, a file with a passphrase, the
//! environment, or the terminal. Never the command line, which others on the machine can read.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use console::Term;
use waku_groupchat_storage::sealed::{self, ChatKey, Protection, SealError, WeakKey};
use zeroize::Zeroizing;

use super::owner_file::{self, OwnerFileError};
use crate::options::Options;

/// The variable that may hold the passphrase.
pub const PASSPHRASE: &str = "WAKU_GROUPCHAT_GROUP_CHAT_PASSPHRASE";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The file cannot be read, or others can read it too.
    #[error("key of the chat's database: {0}")]
    File(#[from] OwnerFileError),
    /// The file is not there.
    #[error("key of the chat's database: there is no file {path}")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// What is there makes no key.
    #[error("key of the chat's database, {place}: {reason}")]
    Weak {
        /// The file, or where else it stands.
        place: String,
        /// Why.
        reason: WeakKey,
    },
    /// The passphrase is not text.
    #[error("key of the chat's database, {place}: is not UTF-8")]
    Encoding {
        /// The file, or the variable.
        place: String,
    },
    /// Nobody can be asked for it.
    #[error("the passphrase cannot be read from the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// Two answers of a person that are not the same.
    #[error("the two passphrases differ: nothing was changed")]
    Differ,
    /// The database's seal cannot be looked at.
    #[error(transparent)]
    Database(#[from] SealError),
}

/// The key of a node's chat database: from the files that the options name, else the environment,
/// else, where the database takes a passphrase and somebody is at the terminal, from there. `None`:
/// there is none.
///
/// # Errors
///
/// [`UnlockError`]: a file, the variable or the terminal gives no key.
pub fn unlock(
    options: &Options,
    variable: Option<OsString>,
) -> Result<Option<ChatKey>, UnlockError> {
    if !options.group_chat.enabled {
        return Ok(None);
    }
    if let Some(path) = &options.group_chat.key_file {
        return key_file(path).map(Some);
    }
    if let Some(path) = &options.group_chat.passphrase_file {
        return passphrase_file(path).map(Some);
    }
    if let Some(key) = from_variable(variable)? {
        return Ok(Some(key));
    }
    let stored = sealed::protection(&options.chat_path())?;
    if stored == Some(Protection::Passphrase) && is_at_terminal() {
        return ask("Passphrase of the chat's database").map(Some);
    }
    Ok(None)
}

/// The key that a variable holds; an empty one holds none.
pub(crate) fn from_variable(variable: Option<OsString>) -> Result<Option<ChatKey>, UnlockError> {
    let Some(text) = variable.filter(|text| !text.is_empty()) else { return Ok(None) };
    let place = || PASSPHRASE.to_owned();
    let text = text.into_string().map_err(|_| UnlockError::Encoding { place: place() })?;
    let text = Zeroizing::new(text);
    let key = ChatKey::passphrase(&text);
    key.map(Some).map_err(|reason| UnlockError::Weak { place: place(), reason })
}

/// The key that a file is.
pub(crate) fn key_file(path: &Path) -> Result<ChatKey, UnlockError> {
    let bytes = read(path)?;
    let weak = |reason| UnlockError::Weak { place: path.display().to_string(), reason };
    ChatKey::file(&bytes).map_err(weak)
}

/// The passphrase in a file, without the end of its line.
pub(crate) fn passphrase_file(path: &Path) -> Result<ChatKey, UnlockError> {
    let bytes = read(path)?;
    let place = || path.display().to_string();
    let text = std::str::from_utf8(&bytes).map_err(|_| UnlockError::Encoding { place: place() })?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    ChatKey::passphrase(line).map_err(|reason| UnlockError::Weak { place: place(), reason })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, UnlockError> {
    // one more than there may be, so that a longer one is seen to be
    let limit = ChatKey::LONGEST_FILE as u64 + 3;
    let bytes = owner_file::read_bytes(path, limit)?;
    bytes.ok_or_else(|| UnlockError::Missing { path: path.to_owned() })
}

/// Whether somebody can be asked.
pub(crate) fn is_at_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks at the terminal; what is typed is not shown.
pub(crate) fn ask(question: &str) -> Result<ChatKey, UnlockError> {
    let terminal = Term::stderr();
    terminal.write_str(&format!("{question}: "))?;
    let text = Zeroizing::new(terminal.read_secure_line()?);
    let place = "the terminal".to_owned();
    ChatKey::passphrase(&text).map_err(|reason| UnlockError::Weak { place, reason })
}

/// Asks for a new one, twice.
pub(crate) fn ask_twice() -> Result<ChatKey, UnlockError> {
    let first = ask("New passphrase of the chat's database")?;
    match (&first, ask("The same again")?) {
        (ChatKey::Passphrase(one), ChatKey::Passphrase(other)) if **one == *other => Ok(first),
        _ => Err(UnlockError::Differ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn options(arguments: &[String]) -> Options {
        Options::load(arguments.iter().map(OsString::from), []).expect("good options")
    }

    fn write(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).expect("own folder");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("own file");
    }

    fn bytes(key: Option<ChatKey>) -> (Protection, Vec<u8>) {
        match key.expect("a key") {
            ChatKey::Passphrase(bytes) => (Protection::Passphrase, bytes.to_vec()),
            ChatKey::File(bytes) => (Protection::KeyFile, bytes.to_vec()),
        }
    }

    #[test]
    fn files_go_before_the_variable() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        let data = format!("--data-dir={}", dir.path().join("data").display());
        let option = |name: &str| [data.clone(), format!("--{name}={}", file.display())];
        let variable = Some(OsString::from("from the variable"));
        write(&file, b"from the file, a long passphrase\r\n");
        let key = unlock(&options(&option("group-chat-passphrase-file")), variable.clone());
        let line = b"from the file, a long passphrase".to_vec();
        assert_eq!(bytes(key.expect("readable")), (Protection::Passphrase, line));
        write(&file, &[0xff; 32]);
        let key = unlock(&options(&option("group-chat-key-file")), variable.clone());
        assert_eq!(bytes(key.expect("readable")), (Protection::KeyFile, vec![0xff; 32]));
        let key = unlock(&options(std::slice::from_ref(&data)), variable);
        let text = b"from the variable".to_vec();
        assert_eq!(bytes(key.expect("readable")), (Protection::Passphrase, text));
        let none = unlock(&options(&[data]), Some(OsString::new())).expect("nothing");
        assert!(none.is_none());
    }

    #[test]
    fn what_is_no_key_is_told_with_its_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        let name = file.display().to_string();
        assert!(matches!(key_file(&file), Err(UnlockError::Missing { .. })));
        for (content, mode, what) in [
            (vec![1; 31], 0o600, "a key file has 32 to 4096 bytes"),
            (vec![1; 4097], 0o600, "a key file has 32 to 4096 bytes"),
            (vec![1; 32], 0o640, "mode 640 lets others in"),
        ] {
            write(&file, &content);
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("own file");
            let text = key_file(&file).expect_err("no key").to_string();
            assert!(text.contains(what) && text.contains(&name), "{text}");
        }
        for (content, what) in [
            (b"short\n".as_slice(), "a passphrase has at least 8 characters"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", "is not UTF-8"),
        ] {
            write(&file, content);
            let text = passphrase_file(&file).expect_err("no passphrase").to_string();
            assert!(text.contains(what) && text.contains(&name), "{text}");
            assert!(!text.contains("short"), "{text}");
        }
        let weak = from_variable(Some("short".into())).expect_err("too short").to_string();
        assert!(weak.contains(PASSPHRASE) && !weak.contains("short"), "{weak}");
    }
}
