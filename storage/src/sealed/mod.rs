//! The chat's database under a passphrase or a key file (`docs/secrets-at-rest.md`).
//!
//! [`ChatStore::open`] opens a database as it is; [`change_key`] encrypts, decrypts, or changes what
//! opens it; [`wipe`] removes it. All of it is in [`SealedStore`], which stands before any other
//! store.
//!
//! | module | what |
//! |---|---|
//! | `keys` | how records are sealed and keys of records blinded |
//! | `store` | the store over a store |
//! | `header` | the seal file: the data key, wrapped |
//! | `files` | the files, and what a crash leaves of them |
//! | `open`, `change` | what can be done with a database |

mod change;
mod files;
mod header;
mod keys;
mod open;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use waku_groupchat_core::StoreError;
use zeroize::Zeroizing;

pub use self::change::change_key;
use self::header::HeaderError;
pub use self::keys::DamagedRecord;
pub use self::open::{ChatStore, protection, wipe};
pub use self::store::SealedStore;
use crate::OpenError;

/// Called between steps; an error ends what is being done, as a crash there would.
type Hook<'h> = &'h mut dyn FnMut(&'static str) -> Result<(), SealError>;

/// What opens an encrypted database. Wiped when dropped, never shown.
pub enum ChatKey {
    /// A passphrase, as UTF-8.
    Passphrase(Zeroizing<Vec<u8>>),
    /// The bytes of a key file.
    File(Zeroizing<Vec<u8>>),
}

/// A passphrase or a key file that is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// A passphrase under eight characters.
    #[error("a passphrase has at least {} characters", ChatKey::SHORTEST_PASSPHRASE)]
    Passphrase,
    /// A key file under 32 bytes, or over 4 KiB.
    #[error("a key file has {} to {} bytes", ChatKey::SHORTEST_FILE, ChatKey::LONGEST_FILE)]
    File,
    /// A passphrase over 4 KiB.
    #[error("a passphrase has at most {} bytes", ChatKey::LONGEST_FILE)]
    LongPassphrase,
}

impl ChatKey {
    /// Fewest characters of a passphrase.
    pub const SHORTEST_PASSPHRASE: usize = 8;
    /// Fewest bytes of a key file. They have to be random: they are not stretched.
    pub const SHORTEST_FILE: usize = 32;
    /// Most bytes of either.
    pub const LONGEST_FILE: usize = 4096;

    /// A passphrase, as it was written: no character is changed.
    ///
    /// # Errors
    ///
    /// [`WeakKey`] if it is too short or too long.
    pub fn passphrase(text: &str) -> Result<Self, WeakKey> {
        if text.chars().count() < Self::SHORTEST_PASSPHRASE {
            return Err(WeakKey::Passphrase);
        }
        if text.len() > Self::LONGEST_FILE {
            return Err(WeakKey::LongPassphrase);
        }
        Ok(Self::Passphrase(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// What a key file holds.
    ///
    /// # Errors
    ///
    /// [`WeakKey::File`] if it is too short or too long.
    pub fn file(bytes: &[u8]) -> Result<Self, WeakKey> {
        if !(Self::SHORTEST_FILE..=Self::LONGEST_FILE).contains(&bytes.len()) {
            return Err(WeakKey::File);
        }
        Ok(Self::File(Zeroizing::new(bytes.to_vec())))
    }

    /// What kind it is.
    pub fn protection(&self) -> Protection {
        match self {
            Self::Passphrase(_) => Protection::Passphrase,
            Self::File(_) => Protection::KeyFile,
        }
    }
}

impl fmt::Debug for ChatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChatKey({:?})", self.protection())
    }
}

/// What keeps others from reading a chat database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Permissions of its files, and nothing else.
    Permissions,
    /// It is encrypted, and a passphrase opens it.
    Passphrase,
    /// It is encrypted, and a key file opens it.
    KeyFile,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permissions => "file permissions alone",
            Self::Passphrase => "a passphrase",
            Self::KeyFile => "a key file",
        })
    }
}

/// What a guess of a passphrase costs: the parameters of Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106, section 4, second recommended option: 64 MiB, three passes, four lanes. The first
    /// one takes 2 GiB, which small machines do not have.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
    /// Next to nothing, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

/// Why a chat database does not open, or its key cannot be changed. Each names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The database itself.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A read or a write of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or a folder beside it.
    #[error("{path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was given does not open it.
    #[error("{path} is not opened by this {}", what(.protection))]
    Wrong {
        /// The seal file.
        path: PathBuf,
        /// What opens it.
        protection: Protection,
    },
    /// It is encrypted, and nothing was given to open it with.
    #[error("database {path} is encrypted: it takes {protection} to open it")]
    Needed {
        /// The database.
        path: PathBuf,
        /// What opens it.
        protection: Protection,
    },
    /// A passphrase was given for a key file, or the other way round.
    #[error("{path} is opened by {protection}, and something else was given")]
    Kind {
        /// The seal file.
        path: PathBuf,
        /// What opens it.
        protection: Protection,
    },
    /// It is not encrypted, and something to open it with was given.
    #[error(
        "database {path} is not encrypted, though it is to be: `waku-groupchat chat-key set` \
         encrypts it"
    )]
    NotEncrypted {
        /// The database.
        path: PathBuf,
    },
    /// There is no database.
    #[error("there is no chat database at {path}")]
    NoDatabase {
        /// Where.
        path: PathBuf,
    },
    /// An encrypted database without its seal file.
    #[error(
        "database {path} is encrypted, and its file `seal` is missing: put it back; nothing opens \
         the database without it"
    )]
    Lost {
        /// The database.
        path: PathBuf,
    },
    /// Seal file and database do not belong together.
    #[error("the file `seal` in database {path} is not the one of this database")]
    Another {
        /// The database.
        path: PathBuf,
    },
    /// The seal file is damaged.
    #[error("{path} is damaged: put back a copy of it; nothing opens the database without it")]
    Damaged {
        /// The seal file.
        path: PathBuf,
    },
    /// A newer version of this software wrote the seal file.
    #[error("{path} was written by a newer version of this software: start the newer one again")]
    Newer {
        /// The seal file.
        path: PathBuf,
    },
    /// Argon2id cannot be done with these parameters, or not on this machine.
    #[error("{path}: Argon2id cannot be done with these parameters")]
    Cost {
        /// The seal file.
        path: PathBuf,
    },
    /// The system has no random bytes to give.
    #[error("no random bytes for the chat's database: {0}")]
    Random(getrandom::Error),
}

impl SealError {
    fn of(error: HeaderError, seal: &Path, protection: Protection) -> Self {
        let path = seal.to_owned();
        match error {
            HeaderError::Damaged => Self::Damaged { path },
            HeaderError::Newer(_) => Self::Newer { path },
            HeaderError::Kind => Self::Kind { path, protection },
            HeaderError::Wrong => Self::Wrong { path, protection },
            HeaderError::Cost => Self::Cost { path },
            HeaderError::Random(error) => Self::Random(error),
        }
    }
}

fn what(protection: &Protection) -> &'static str {
    match protection {
        Protection::Permissions => "key",
        Protection::Passphrase => "passphrase",
        Protection::KeyFile => "key file",
    }
}
