//! The bearer token of the chat API, in a file that only its owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What authorises requests to the chat API: 32 random bytes, shown as 64 hex digits. Compared in
/// constant time, wiped when dropped, never shown by accident: no `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; Token::LEN]);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("token file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("token file {path}: mode {mode:03o} lets others in, it must be 600 (chmod 600 {path})")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("token file {path}: must hold 64 hex digits (remove it to get a new token)")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system has no random bytes to give.
    #[error("no random bytes for a token: {0}")]
    Random(#[from] getrandom::Error),
}

impl Token {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// From its text form; white space around it does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok()?);
        bytes.as_slice().try_into().ok().map(Self)
    }

    /// The text form, for the file and for the request header.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(&self.0))
    }

    /// Whether `text` is this token, in time that does not depend on where they differ.
    pub fn is(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|other| self.0.ct_eq(&other.0).into())
    }

    /// Reads the token, or makes one and writes it if there is no file yet.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if the file can be read by others, holds something else, or cannot be read
    /// or written.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(TokenError::Io { path: path.to_owned(), source }),
        }
    }

    fn read(path: &Path, file: File) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.to_owned(), source };
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Mode { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        // More than a token's length is read, so that a longer file is seen to be one.
        file.take(4 * Self::LEN as u64).read_to_string(&mut text).map_err(io)?;
        Self::parse(&text).ok_or_else(|| TokenError::Malformed { path: path.to_owned() })
    }

    /// Writes beside and renames: a crash leaves no half token.
    fn create(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.to_owned(), source };
        let mut token = Self([0; Self::LEN]);
        getrandom::fill(&mut token.0)?;
        let beside = path.with_added_extension("new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .map_err(io)?;
        writeln!(file, "{}", token.reveal().as_str()).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&beside, path).map_err(io)?;
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_only_for_the_owner() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("chat-token");
        let made = Token::load_or_create(&path).expect("made");
        let mode = fs::metadata(&path).expect("written").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let again = Token::load_or_create(&path).expect("read");
        assert!(made.is(&again.reveal()));
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("chat-token");
        Token::load_or_create(&path).expect("made");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
            let refused = Token::load_or_create(&path).err();
            assert!(matches!(refused, Some(TokenError::Mode { mode: m, .. }) if m == mode));
        }
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("chat-token");
        let token = Token::load_or_create(&path).expect("made").reveal();
        for text in ["", "abc", &format!("{}00", token.as_str()), &"g".repeat(64)] {
            fs::write(&path, text).expect("own file");
            let refused = Token::load_or_create(&path).err();
            assert!(matches!(refused, Some(TokenError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn only_the_token_itself_is_it() {
        let token = Token([7; Token::LEN]);
        assert!(token.is(&"07".repeat(32)));
        for text in ["", "07", &"07".repeat(31), &"07".repeat(33), &"08".repeat(32)] {
            assert!(!token.is(text), "{text}");
        }
    }
}
