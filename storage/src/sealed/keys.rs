//! Keys of a sealed store, and what seals its values and blinds its keys.
//!
//! ```text
//! data key   = 32 random bytes, wrapped in the seal file (header.rs)
//! value key  = HKDF-SHA256(data key, "waku-groupchat/1 store values")
//! blind key  = HKDF-SHA256(data key, "waku-groupchat/1 store keys")
//! value      = nonce (24, random) ‖ XChaCha20-Poly1305(value key, u16 length of key ‖ key ‖ value)
//!              associated data: the key as it is on disk
//! token      = HMAC-SHA256(blind key, u8 place ‖ the key up to the end of the part), 16 bytes
//! ```

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use waku_groupchat_core::Pair;
use waku_groupchat_core::layout::{Field, Shape, shape};
use zeroize::{ZeroizeOnDrop, Zeroizing};

const NONCE: usize = 24;
const TAG: usize = 16;
/// Bytes of a blinded part of a key.
const TOKEN: usize = 16;
/// The place of what comes behind all fields.
const REST: u8 = u8::MAX;

/// The key under which all of a store lies.
#[derive(ZeroizeOnDrop)]
pub(super) struct DataKey(pub(super) [u8; 32]);

impl DataKey {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self([0; 32]);
        getrandom::fill(&mut key.0)?;
        Ok(key)
    }
}

/// 32 bytes of HKDF-SHA256 (RFC 5869).
pub(super) fn derive(secret: &[u8], salt: &[u8], label: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(label.as_bytes(), &mut *out)
        .expect("32 bytes are less than HKDF gives");
    out
}

/// What works on records. `clone`s of the MAC's state save hashing its key at each use.
pub(super) struct Sealer {
    values: XChaCha20Poly1305,
    keys: Hmac<Sha256>,
}

/// A value that does not open: damaged, or not from this store, or not from this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record does not open: it is damaged or was put in from elsewhere")]
pub struct DamagedRecord;

/// How far a prefix of keys reaches on disk.
pub(super) struct Reach {
    /// What all of its keys begin with there.
    pub(super) prefix: Vec<u8>,
    /// So many bytes of a key, behind those of the prefix, are on disk as they are.
    pub(super) clear: usize,
}

impl Sealer {
    pub(super) fn new(key: &DataKey) -> Self {
        let values = derive(&key.0, b"", "waku-groupchat/1 store values");
        let keys = derive(&key.0, b"", "waku-groupchat/1 store keys");
        Self {
            values: XChaCha20Poly1305::new((&*values).into()),
            keys: Hmac::new_from_slice(&*keys).expect("HMAC takes keys of any length"),
        }
    }

    /// A key as it is on disk.
    pub(super) fn blind(&self, key: &[u8]) -> Vec<u8> {
        let Shape { word, fields } = shape(key);
        let mut blind = key[..word].to_vec();
        let mut at = word;
        for (place, field) in (0..REST).zip(fields) {
            match *field {
                Field::Clear(length) => {
                    let end = key.len().min(at + length);
                    blind.extend_from_slice(&key[at..end]);
                    at = end;
                }
                Field::Blind(length) if at < key.len() => {
                    at = key.len().min(at + length);
                    blind.extend_from_slice(&self.token(place, &key[..at]));
                }
                Field::Blind(_) => {}
            }
        }
        if at < key.len() {
            blind.extend_from_slice(&self.token(REST, key));
        }
        blind
    }

    /// Where the keys with a prefix are.
    pub(super) fn reach(&self, prefix: &[u8]) -> Reach {
        let Shape { word, fields } = shape(prefix);
        let mut reach = Reach { prefix: prefix[..word].to_vec(), clear: 0 };
        if !prefix[..word].ends_with(b"/") {
            // of any kind that begins so
            return reach;
        }
        let mut at = word;
        for (place, field) in (0..REST).zip(fields) {
            let left = prefix.len() - at;
            match *field {
                Field::Clear(length) if left == 0 => reach.clear += length,
                Field::Clear(length) => {
                    let taken = left.min(length);
                    reach.prefix.extend_from_slice(&prefix[at..at + taken]);
                    reach.clear = length - taken;
                    at += taken;
                }
                Field::Blind(length) if left >= length && left > 0 => {
                    at += length;
                    reach.prefix.extend_from_slice(&self.token(place, &prefix[..at]));
                }
                Field::Blind(_) => return reach,
            }
        }
        reach
    }

    fn token(&self, place: u8, part: &[u8]) -> [u8; TOKEN] {
        let mut mac = self.keys.clone();
        mac.update(&[place]);
        mac.update(part);
        let mut token = [0; TOKEN];
        token.copy_from_slice(&mac.finalize().into_bytes()[..TOKEN]);
        token
    }

    /// A record as it is on disk.
    pub(super) fn seal(&self, key: &[u8], value: &[u8], nonce: &[u8; NONCE]) -> Pair {
        let on_disk = self.blind(key);
        let length = u16::try_from(key.len()).expect("keys are shorter than 64 KiB");
        let mut sealed = Vec::with_capacity(NONCE + 2 + key.len() + value.len() + TAG);
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(&length.to_be_bytes());
        sealed.extend_from_slice(key);
        sealed.extend_from_slice(value);
        let tag = self
            .values
            .encrypt_inout_detached(nonce.into(), &on_disk, (&mut sealed[NONCE..]).into())
            .expect("records are shorter than 256 GiB");
        sealed.extend_from_slice(&tag);
        (on_disk, sealed)
    }

    /// Key and value of a record that is on disk like this.
    pub(super) fn open(&self, on_disk: &[u8], sealed: &[u8]) -> Result<Pair, DamagedRecord> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(DamagedRecord)?;
        let (rest, tag) = rest.split_last_chunk::<TAG>().ok_or(DamagedRecord)?;
        let mut plain = rest.to_vec();
        let (nonce, tag): (&XNonce, &Tag) = (nonce.into(), tag.into());
        self.values
            .decrypt_inout_detached(nonce, on_disk, plain.as_mut_slice().into(), tag)
            .map_err(|_| DamagedRecord)?;
        let (length, rest) = plain.split_first_chunk::<2>().ok_or(DamagedRecord)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let key = rest.get(..length).ok_or(DamagedRecord)?.to_vec();
        let value = rest[length..].to_vec();
        Ok((key, value))
    }
}

/// Fresh nonces, from one call of the system.
pub(super) fn nonces(count: usize) -> Result<Vec<[u8; NONCE]>, getrandom::Error> {
    let mut nonces = vec![[0; NONCE]; count];
    getrandom::fill(nonces.as_flattened_mut())?;
    Ok(nonces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(n: u8) -> Sealer {
        Sealer::new(&DataKey([n; 32]))
    }

    fn message(group: u8, time: u64) -> Vec<u8> {
        let (time, number) = (time.to_be_bytes(), 3_u64.to_be_bytes());
        [b"message/".as_slice(), &[group; 16], &time, &[9; 32], &number].concat()
    }

    #[test]
    fn a_record_opens_where_it_is_and_as_it_was() {
        let sealer = sealer(1);
        let (on_disk, sealed) = sealer.seal(b"group/0123456789abcdef", b"value", &[5; NONCE]);
        let opened = sealer.open(&on_disk, &sealed);
        assert_eq!(opened, Ok((b"group/0123456789abcdef".to_vec(), b"value".to_vec())));
        let elsewhere = sealer.blind(b"group/0123456789abcdeg");
        assert_eq!(sealer.open(&elsewhere, &sealed), Err(DamagedRecord));
        assert_eq!(self::sealer(2).open(&on_disk, &sealed), Err(DamagedRecord));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open(&on_disk, &changed), Err(DamagedRecord), "byte {at}");
            assert_eq!(sealer.open(&on_disk, &sealed[..at]), Err(DamagedRecord), "{at} bytes");
        }
    }

    #[test]
    fn names_are_hidden_and_times_stay_in_order() {
        let sealer = sealer(1);
        let keys = [1, 2, 3].map(|time| sealer.blind(&message(7, time)));
        assert!(keys.is_sorted());
        for key in &keys {
            assert!(key.starts_with(b"message/"));
            assert_eq!(key.len(), 8 + TOKEN + 8 + TOKEN + 8);
            assert!(!key.windows(4).any(|part| part == [7; 4] || part == [9; 4]));
        }
        assert_ne!(keys[0], self::sealer(2).blind(&message(7, 1)));
        // one name gives another token in another kind of record, and in another group
        let group = |key: &[u8], word: usize| key[word..word + TOKEN].to_vec();
        let sent = sealer.blind(&[b"send/".as_slice(), &[7; 16]].concat());
        assert_ne!(group(&keys[0], 8), group(&sent, 5));
        assert_ne!(keys[0][32..48], sealer.blind(&message(8, 1))[32..48]);
    }

    #[test]
    fn a_prefix_reaches_all_its_keys() {
        let sealer = sealer(1);
        let key = message(7, 1);
        let on_disk = sealer.blind(&key);
        for end in 0..=key.len() {
            let reach = sealer.reach(&key[..end]);
            assert!(on_disk.starts_with(&reach.prefix), "{end} bytes");
        }
        let clear = |end: usize| sealer.reach(&key[..end]).clear;
        assert_eq!([7, 8, 23, 24, 27, 32, 63, 64, 68].map(clear), [0, 0, 0, 8, 5, 0, 0, 8, 4]);
        assert_eq!(sealer.reach(b"event/").clear, 8);
    }
}
