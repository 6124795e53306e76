//! The secret of the chat API, and the file that holds the first one.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::owner_file::{self, OwnerFileError};

/// What authorises requests to the chat API: 32 random bytes, shown as 64 hex digits. Wiped when
/// dropped, never shown by accident: no `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; Token::LEN]);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written, or others can.
    #[error("token file {0}")]
    File(#[from] OwnerFileError),
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

    /// The text form, for a file and for the request header.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(&self.0))
    }

    /// A fresh one.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut token = Self([0; Self::LEN]);
        getrandom::fill(&mut token.0)?;
        Ok(token)
    }

    /// SHA-256 of the bytes: what is kept of a token to know it again. The bytes are random, so
    /// nobody finds them from it.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Reads the token, or makes one and writes it if there is no file yet.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if the file can be read by others, holds something else, or cannot be read
    /// or written.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        // More than a token's length is read, so that a longer file is seen to be one.
        match owner_file::read(path, 4 * Self::LEN as u64)? {
            Some(text) => {
                Self::parse(&text).ok_or_else(|| TokenError::Malformed { path: path.to_owned() })
            }
            None => {
                let token = Self::generate()?;
                let line = Zeroizing::new(format!("{}\n", token.reveal().as_str()));
                owner_file::write(path, &line)?;
                Ok(token)
            }
        }
    }

    /// Writes the token into a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// If the file is there already, or cannot be written.
    pub fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", self.reveal().as_str())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("api-token");
        let made = Token::load_or_create(&path).expect("made");
        let again = Token::load_or_create(&path).expect("read");
        assert_eq!(made.hash(), again.hash());
        assert!(made.write_new(&path).is_err(), "a file that is there stays as it is");
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("api-token");
        let token = Token::load_or_create(&path).expect("made").reveal();
        for text in ["", "abc", &format!("{}00", token.as_str()), &"g".repeat(64)] {
            std::fs::write(&path, text).expect("own file");
            let refused = Token::load_or_create(&path).err();
            assert!(matches!(refused, Some(TokenError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn only_the_whole_text_is_a_token() {
        assert!(Token::parse(&format!(" {}\n", "0A".repeat(32))).is_some());
        for text in ["", "07", &"07".repeat(31), &"07".repeat(33), &"0g".repeat(32)] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
