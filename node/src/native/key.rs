//! The node's secp256k1 key: its identity on the network.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use libp2p::PeerId;
use libp2p::identity::{Keypair, secp256k1};
use zeroize::Zeroizing;

/// Most bytes of a key file: 64 hex digits and a line's end.
const MAX_FILE_LEN: u64 = 80;

/// A node's secp256k1 key. Its `Debug` shows the peer id, never the key.
#[derive(Clone)]
pub struct NodeKey(secp256k1::Keypair);

/// Why there is no node key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hex digits, or not a key of the curve.
    #[error("a node key is 64 hex digits that are a valid secp256k1 key")]
    Malformed,
    /// The file holds something else.
    #[error(
        "{} does not hold a node key, which is 64 hex digits of a valid secp256k1 key: put the right \
         file back, or move this one away and have a new key made, and with it a new peer id",
        .0.display()
    )]
    MalformedFile(PathBuf),
    /// There is something else than a file.
    #[error("{} is not a file: move it away and have a new node key made", .0.display())]
    NotAFile(PathBuf),
    /// Others than its owner can reach the file.
    #[error("{} must be for its owner alone (chmod 600); its mode is {mode:o}", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file cannot be read or made.
    #[error("node key file {}: whoever runs the node must be able to read it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl NodeKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self(secp256k1::Keypair::generate())
    }

    /// From 64 hex digits of either case, with `0x` before them or not (option `nodekey`).
    ///
    /// # Errors
    ///
    /// [`KeyError::Malformed`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new(
            HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| KeyError::Malformed)?,
        );
        let secret = secp256k1::SecretKey::try_from_bytes(&mut bytes[..])
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self(secret.into()))
    }

    /// From a file of hex digits that only its owner can reach; where there is none, a new key is
    /// made and written there first, whole or not at all.
    ///
    /// # Errors
    ///
    /// Any of [`KeyError`]; an existing file is never changed.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        match File::open(path) {
            Ok(file) => Self::load(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate();
                key.store(path).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn load(path: &Path, file: File) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(KeyError::NotAFile(path.to_owned()));
        }
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Permissions { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_LEN as usize));
        match file.take(MAX_FILE_LEN).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(KeyError::MalformedFile(path.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        }
        Self::from_hex(text.trim_end()).map_err(|_| KeyError::MalformedFile(path.to_owned()))
    }

    fn store(&self, path: &Path) -> io::Result<()> {
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let unfinished = parent.join(name);
        // One that a crash left.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let secret = Zeroizing::new(self.0.secret().to_bytes());
        let text = Zeroizing::new(HEXLOWER.encode(&secret[..]));
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(parent)?.sync_all()
    }

    /// The peer id that the key gives.
    pub fn peer_id(&self) -> PeerId {
        self.keypair().public().to_peer_id()
    }

    pub(super) fn keypair(&self) -> Keypair {
        self.0.clone().into()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.peer_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn hex_in_any_form_gives_one_key() {
        let key = NodeKey::from_hex(HEX).unwrap();
        assert_eq!(
            NodeKey::from_hex(&format!("0x{}", HEX.to_uppercase())).unwrap().peer_id(),
            key.peer_id()
        );
        for bad in ["", "0x", &HEX[1..], &"0".repeat(64), &"f".repeat(64), &"g".repeat(64)] {
            assert!(matches!(NodeKey::from_hex(bad), Err(KeyError::Malformed)), "{bad}");
        }
        assert!(!format!("{key:?}").contains("0123"));
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/node.key");
        let made = NodeKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&path).unwrap();
        assert_eq!(NodeKey::load_or_create(&path).unwrap().peer_id(), made.peer_id());
        assert_eq!(fs::read(&path).unwrap(), before);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing left over");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        fs::write(&path, HEX).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = NodeKey::load_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyError::Permissions { mode: 0o640, .. }), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            NodeKey::load_or_create(&path).unwrap().peer_id(),
            NodeKey::from_hex(HEX).unwrap().peer_id()
        );
    }

    #[test]
    fn a_key_file_with_something_else_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        for content in [&b"not a key"[..], &[0xff; 20], &[b'0'; 200]] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = NodeKey::load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyError::MalformedFile(_)), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
}
