//! The seal file: the data key, wrapped under what its owner has.
//!
//! ```text
//!   0  "wgc seal"
//!   8  u8 version, 1
//!   9  u8 what opens it: 1 a passphrase, 2 a key file
//!  10  u32 KiB of memory, u32 passes, u32 lanes of Argon2id; zeros for a key file
//!  22  salt, 32 random bytes
//!  54  id of the store, 16 random bytes: the same ones stand in its database
//!  70  nonce, 24 random bytes
//!  94  XChaCha20-Poly1305(wrapping key, data key), 48; associated data: all that is before
//! 142  SHA-256 of all that is before
//! ```
//!
//! Numbers are big-endian. The wrapping key is Argon2id (RFC 9106, version 0x13) of the passphrase
//! and the salt, or HKDF-SHA256 (RFC 5869) of the key file and the salt with the label
//! `waku-groupchat/1 store wrap`. As the checksum holds without any key, a wrong passphrase and a
//! damaged file are told apart.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::keys::{DataKey, derive};
use super::{ChatKey, Cost, Protection};

/// Bytes of a seal file.
pub(super) const LENGTH: usize = 174;
const MAGIC: &[u8; 8] = b"wgc seal";
const VERSION: u8 = 1;
const PASSPHRASE: u8 = 1;
const KEY_FILE: u8 = 2;
/// Where the wrapped key, its tag and the checksum begin.
const WRAPPED: usize = 94;
const WRAP_TAG: usize = 126;
const CHECKSUM: usize = 142;
const NONCE: usize = 70;
/// What Argon2 may ask for at most: files that say more were not made here.
const MOST_KIB: u32 = 4 * 1024 * 1024;
const MOST_PASSES: u32 = 1024;
const MOST_LANES: u32 = 64;

/// Names a store, in its seal file and in its database.
pub(super) type SealId = [u8; 16];

/// Why a seal file gives no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// It is damaged, or no seal file.
    Damaged,
    /// Of a newer version.
    Newer(u8),
    /// What is given is of the other kind.
    Kind,
    /// What is given does not open it.
    Wrong,
    /// Argon2 cannot do what the file or the settings ask for.
    Cost,
    /// The system has no random bytes to give.
    Random(getrandom::Error),
}

/// What is in a seal file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    bytes: [u8; LENGTH],
}

impl Header {
    /// Wraps a key.
    pub(super) fn wrap(
        data: &DataKey,
        id: &SealId,
        key: &ChatKey,
        cost: Cost,
    ) -> Result<Self, HeaderError> {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        match key {
            ChatKey::Passphrase(_) => {
                bytes[9] = PASSPHRASE;
                let numbers = [cost.memory_kib, cost.passes, cost.lanes].map(u32::to_be_bytes);
                bytes[10..22].copy_from_slice(numbers.as_flattened());
            }
            ChatKey::File(_) => bytes[9] = KEY_FILE,
        }
        getrandom::fill(&mut bytes[22..54]).map_err(HeaderError::Random)?;
        bytes[54..70].copy_from_slice(id);
        getrandom::fill(&mut bytes[NONCE..WRAPPED]).map_err(HeaderError::Random)?;
        let mut header = Self { bytes };
        let cipher = header.cipher(key)?;
        let (before, rest) = header.bytes.split_at_mut(WRAPPED);
        rest[..32].copy_from_slice(&data.0);
        let nonce = XNonce::try_from(&before[NONCE..]).expect("24 bytes");
        let tag = cipher
            .encrypt_inout_detached(&nonce, before, (&mut rest[..32]).into())
            .expect("32 bytes are not too long");
        rest[32..48].copy_from_slice(&tag);
        let checksum = Sha256::digest(&header.bytes[..CHECKSUM]);
        header.bytes[CHECKSUM..].copy_from_slice(&checksum);
        Ok(header)
    }

    /// Reads a file; whether it opens is not tried.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() < 9 || bytes[..8] != MAGIC[..] {
            return Err(HeaderError::Damaged);
        }
        if bytes[8] > VERSION {
            return Err(HeaderError::Newer(bytes[8]));
        }
        let bytes = bytes.try_into().map_err(|_| HeaderError::Damaged)?;
        let header = Self { bytes };
        let whole = Sha256::digest(&header.bytes[..CHECKSUM])[..] == header.bytes[CHECKSUM..];
        let known = [PASSPHRASE, KEY_FILE].contains(&header.bytes[9]);
        if whole && known && header.bytes[8] == VERSION {
            Ok(header)
        } else {
            Err(HeaderError::Damaged)
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn id(&self) -> SealId {
        self.bytes[54..70].try_into().expect("16 bytes")
    }

    /// What opens it.
    pub(super) fn protection(&self) -> Protection {
        if self.bytes[9] == PASSPHRASE { Protection::Passphrase } else { Protection::KeyFile }
    }

    /// Gives the data key.
    pub(super) fn unwrap(&self, key: &ChatKey) -> Result<DataKey, HeaderError> {
        if key.protection() != self.protection() {
            return Err(HeaderError::Kind);
        }
        let cipher = self.cipher(key)?;
        let mut data = DataKey([0; 32]);
        data.0.copy_from_slice(&self.bytes[WRAPPED..WRAP_TAG]);
        let nonce = XNonce::try_from(&self.bytes[NONCE..WRAPPED]).expect("24 bytes");
        let tag = Tag::try_from(&self.bytes[WRAP_TAG..CHECKSUM]).expect("16 bytes");
        cipher
            .decrypt_inout_detached(&nonce, &self.bytes[..WRAPPED], (&mut data.0[..]).into(), &tag)
            .map_err(|_| HeaderError::Wrong)?;
        Ok(data)
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes[at..at + 4].try_into().expect("4 bytes"))
    }

    fn cipher(&self, key: &ChatKey) -> Result<XChaCha20Poly1305, HeaderError> {
        let salt = &self.bytes[22..54];
        let wrapping = match key {
            ChatKey::Passphrase(passphrase) => {
                let [memory, passes, lanes] = [10, 14, 18].map(|at| self.number(at));
                if memory > MOST_KIB || passes > MOST_PASSES || lanes > MOST_LANES {
                    return Err(HeaderError::Cost);
                }
                stretch(passphrase, salt, Cost { memory_kib: memory, passes, lanes })?
            }
            ChatKey::File(secret) => derive(secret, salt, "waku-groupchat/1 store wrap"),
        };
        Ok(XChaCha20Poly1305::new((&*wrapping).into()))
    }
}

fn stretch(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, HeaderError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|_| HeaderError::Cost)?;
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, &mut *out)
        .map_err(|_| HeaderError::Cost)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(key: &ChatKey) -> Header {
        Header::wrap(&DataKey([3; 32]), &[4; 16], key, Cost::LEAST).expect("wrapped")
    }

    #[test]
    fn only_the_right_secret_opens_it() {
        let keys = [
            ChatKey::passphrase("correct horse").expect("long enough"),
            ChatKey::passphrase("correct horsf").expect("long enough"),
            ChatKey::file(&[7; 32]).expect("long enough"),
            ChatKey::file(&[8; 32]).expect("long enough"),
        ];
        for (n, key) in keys.iter().enumerate() {
            let header = Header::read(header(key).bytes()).expect("whole");
            assert_eq!((header.id(), header.protection()), ([4; 16], key.protection()));
            for (m, other) in keys.iter().enumerate() {
                let data = header.unwrap(other).map(|data| data.0);
                let expected = match (n == m, n / 2 == m / 2) {
                    (true, _) => Ok([3; 32]),
                    (false, true) => Err(HeaderError::Wrong),
                    (false, false) => Err(HeaderError::Kind),
                };
                assert_eq!(data, expected);
            }
        }
    }

    #[test]
    fn damage_is_told_from_a_wrong_secret() {
        let key = ChatKey::file(&[7; 32]).expect("long enough");
        let header = header(&key);
        for at in 0..LENGTH {
            let mut bytes = header.bytes;
            bytes[at] ^= 0x80;
            let expected = if at == 8 { HeaderError::Newer(129) } else { HeaderError::Damaged };
            assert_eq!(Header::read(&bytes).err(), Some(expected), "byte {at}");
            assert!(Header::read(&header.bytes[..at]).is_err(), "{at} bytes");
        }
        // whoever changes it and the checksum as well does not get it opened
        let mut bytes = header.bytes;
        bytes[60] ^= 1;
        let checksum = Sha256::digest(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..].copy_from_slice(&checksum);
        let changed = Header::read(&bytes).expect("whole");
        assert_eq!(changed.unwrap(&key).err(), Some(HeaderError::Wrong));
    }

    #[test]
    fn no_two_files_are_alike() {
        let key = ChatKey::file(&[7; 32]).expect("long enough");
        assert!(header(&key) != header(&key));
    }

    /// RFC 9106, section 5.3: Argon2id with secret and associated data shows the library to be one.
    #[test]
    fn the_library_gives_the_vector_of_the_rfc() {
        let params = argon2::ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&[4; 12]).expect("short"))
            .build()
            .expect("as in the RFC");
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
            .expect("a short secret");
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).expect("hashed");
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(tag, expected);
    }
}
