//! The seal around every payload: XChaCha20-Poly1305, padded to a size class.
//!
//! ```text
//! payload    = nonce (24, random) ‖ AEAD(padded) ‖ tag (16)          exactly a size class
//! padded     = u32 big-endian length ‖ content ‖ zeros
//! associated = u16 big-endian length of the content topic ‖ content topic
//!              ‖ i64 big-endian Waku timestamp in nanoseconds
//! ```
//!
//! A payload therefore opens under its own topic and timestamp alone. The seal hides; it proves
//! only that its maker had the key, so what is inside carries signatures of its own. The AEAD does
//! not commit to its key, and nothing here relies on that.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand::CryptoRng;
use waku_groupchat_waku::{ContentTopic, WakuMessage};
use zeroize::Zeroizing;

use crate::Timestamp;
pub use crate::kdf::SealKey;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;
/// Bytes of the authentication tag.
pub const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;
/// What a seal costs besides padding: nonce, tag and length.
pub const OVERHEAD: usize = NONCE_BYTES + TAG_BYTES + LENGTH_BYTES;

/// The size of a whole payload: a power of two from 1 KiB to 128 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SizeClass {
    /// 1 KiB.
    K1,
    /// 2 KiB.
    K2,
    /// 4 KiB.
    K4,
    /// 8 KiB.
    K8,
    /// 16 KiB.
    K16,
    /// 32 KiB.
    K32,
    /// 64 KiB.
    K64,
    /// 128 KiB.
    K128,
}

impl SizeClass {
    /// All classes, ascending.
    pub const ALL: [Self; 8] =
        [Self::K1, Self::K2, Self::K4, Self::K8, Self::K16, Self::K32, Self::K64, Self::K128];

    /// Bytes of the whole payload.
    pub const fn bytes(self) -> usize {
        1024 << self as usize
    }

    /// Most bytes of content.
    pub const fn capacity(self) -> usize {
        self.bytes() - OVERHEAD
    }

    /// The smallest class that holds `content` bytes; none over 128 KiB.
    pub fn fitting(content: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|class| content <= class.capacity())
    }

    /// The class of a payload of `bytes` bytes, if there is one.
    pub fn of_payload(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.bytes() == bytes)
    }
}

/// Why something cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More content than the class holds.
    #[error("content of {got} bytes does not fit {max} bytes")]
    TooLong {
        /// Bytes of content.
        got: usize,
        /// Most bytes that the class, or the largest one, holds.
        max: usize,
    },
    /// A content topic whose length does not fit 16 bits.
    #[error("content topic of {0} bytes")]
    Topic(usize),
}

/// Why a payload does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its size is none of the classes, or not the one that was asked for.
    #[error("payload of {0} bytes is not of the expected size class")]
    Size(usize),
    /// Another key, topic or timestamp, or changed bytes.
    #[error("the seal does not open")]
    Seal,
    /// The holder of the key padded it wrongly: bad length, or padding that is not zeros.
    #[error("the padding is wrong")]
    Padding,
}

/// Seals `content` for one message. `timestamp` is the message's own, in nanoseconds; `nonce` must
/// be fresh and random.
pub fn seal(
    key: &SealKey,
    topic: &ContentTopic,
    timestamp: i64,
    content: &[u8],
    class: SizeClass,
    nonce: &[u8; NONCE_BYTES],
) -> Result<Vec<u8>, SealError> {
    let too_long = || SealError::TooLong { got: content.len(), max: class.capacity() };
    if content.len() > class.capacity() {
        return Err(too_long());
    }
    let length = u32::try_from(content.len()).map_err(|_| too_long())?;
    let associated =
        associated_data(topic, timestamp).ok_or(SealError::Topic(topic.as_str().len()))?;
    let mut payload = Vec::with_capacity(class.bytes());
    payload.extend_from_slice(nonce);
    payload.extend_from_slice(&length.to_be_bytes());
    payload.extend_from_slice(content);
    payload.resize(class.bytes() - TAG_BYTES, 0);
    let tag = XChaCha20Poly1305::new(key.as_bytes().into())
        .encrypt_inout_detached(nonce.into(), &associated, (&mut payload[NONCE_BYTES..]).into())
        .map_err(|_| too_long())?;
    payload.extend_from_slice(&tag);
    Ok(payload)
}

/// Opens what [`seal()`] made, of any size class. The size is checked before anything is allocated.
pub fn open(
    key: &SealKey,
    topic: &ContentTopic,
    timestamp: i64,
    payload: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let class = SizeClass::of_payload(payload.len()).ok_or(OpenError::Size(payload.len()))?;
    let (nonce, rest) = payload.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Seal)?;
    let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Seal)?;
    let associated = associated_data(topic, timestamp).ok_or(OpenError::Seal)?;
    let mut padded = Zeroizing::new(sealed.to_vec());
    XChaCha20Poly1305::new(key.as_bytes().into())
        .decrypt_inout_detached(nonce.into(), &associated, padded.as_mut_slice().into(), tag.into())
        .map_err(|_| OpenError::Seal)?;
    unpad(&mut padded, class)?;
    Ok(padded)
}

/// [`seal()`] into a whole message, under a fresh nonce.
pub fn seal_message(
    key: &SealKey,
    topic: ContentTopic,
    timestamp: Timestamp,
    content: &[u8],
    class: SizeClass,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<WakuMessage, SealError> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let payload = seal(key, &topic, timestamp.as_waku(), content, class, &nonce)?;
    Ok(WakuMessage::new(topic, payload, timestamp.as_waku()))
}

/// [`open`] of a whole message; one without a timestamp does not open.
pub fn open_message(key: &SealKey, message: &WakuMessage) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let timestamp = message.timestamp.ok_or(OpenError::Seal)?;
    open(key, &message.content_topic, timestamp, &message.payload)
}

/// [`open_message`] of one fixed class.
pub fn open_message_of(
    class: SizeClass,
    key: &SealKey,
    message: &WakuMessage,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    if message.payload.len() != class.bytes() {
        return Err(OpenError::Size(message.payload.len()));
    }
    open_message(key, message)
}

/// A seal around padded bytes that may be padded wrongly, as a hostile holder of the key makes it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn seal_padded(
    key: &SealKey,
    topic: &ContentTopic,
    timestamp: i64,
    padded: &[u8],
    nonce: &[u8; NONCE_BYTES],
) -> Vec<u8> {
    let associated = associated_data(topic, timestamp).expect("a short topic");
    let mut payload = [nonce, padded].concat();
    let tag = XChaCha20Poly1305::new(key.as_bytes().into())
        .encrypt_inout_detached(nonce.into(), &associated, (&mut payload[NONCE_BYTES..]).into())
        .expect("a message's size");
    payload.extend_from_slice(&tag);
    payload
}

fn associated_data(topic: &ContentTopic, timestamp: i64) -> Option<Vec<u8>> {
    let topic = topic.as_str().as_bytes();
    let length = u16::try_from(topic.len()).ok()?;
    Some([&length.to_be_bytes(), topic, &timestamp.to_be_bytes()].concat())
}

/// Leaves the content alone in `padded`.
fn unpad(padded: &mut Vec<u8>, class: SizeClass) -> Result<(), OpenError> {
    let length = padded.first_chunk::<LENGTH_BYTES>().ok_or(OpenError::Padding)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > class.capacity() || padded[LENGTH_BYTES + length..].iter().any(|b| *b != 0) {
        return Err(OpenError::Padding);
    }
    padded.drain(..LENGTH_BYTES);
    padded.truncate(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::{Index, select};

    use super::*;
    use crate::kdf::topic_name;

    fn key() -> SealKey {
        SealKey::from_bytes([7; 32])
    }

    /// As a peer with the key could make it.
    fn seal_padded(padded: &[u8]) -> Vec<u8> {
        super::seal_padded(&key(), &topic_name(&[1; 16]), 5, padded, &[9; NONCE_BYTES])
    }

    #[test]
    fn classes_are_powers_of_two() {
        let sizes = SizeClass::ALL.map(SizeClass::bytes);
        assert_eq!(sizes, [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_072]);
        assert_eq!(SizeClass::fitting(0), Some(SizeClass::K1));
        assert_eq!(SizeClass::fitting(980), Some(SizeClass::K1));
        assert_eq!(SizeClass::fitting(981), Some(SizeClass::K2));
        assert_eq!(SizeClass::fitting(131_028), Some(SizeClass::K128));
        assert_eq!(SizeClass::fitting(131_029), None);
        assert_eq!(SizeClass::of_payload(1023), None);
    }

    #[test]
    fn wrong_padding_is_refused() {
        let topic = topic_name(&[1; 16]);
        let mut padded = vec![0; 984];
        padded[3] = 2;
        padded[4..6].copy_from_slice(b"ok");
        let opened = open(&key(), &topic, 5, &seal_padded(&padded)).expect("well padded");
        assert_eq!(&opened[..], b"ok");
        padded[983] = 1;
        let refused = open(&key(), &topic, 5, &seal_padded(&padded)).expect_err("not zeros");
        assert_eq!(refused, OpenError::Padding);
        let mut long = vec![0; 984];
        long[..4].copy_from_slice(&981_u32.to_be_bytes());
        let refused = open(&key(), &topic, 5, &seal_padded(&long)).expect_err("too long");
        assert_eq!(refused, OpenError::Padding);
        let refused = open(&key(), &topic, 5, &[0; 1000]).expect_err("no class");
        assert_eq!(refused, OpenError::Size(1000));
    }

    proptest! {
        #[test]
        fn opens_what_was_sealed_and_nothing_else(
            content in proptest::collection::vec(any::<u8>(), 0..4000),
            timestamp: i64,
            nonce: [u8; NONCE_BYTES],
            name: [u8; 16],
            larger in select(vec![SizeClass::K4, SizeClass::K8]),
            at: Index,
            bit in 0..8_u32,
        ) {
            let topic = topic_name(&name);
            let class = SizeClass::fitting(content.len()).expect("short").max(larger);
            let mut payload =
                seal(&key(), &topic, timestamp, &content, class, &nonce).expect("fits");
            prop_assert_eq!(payload.len(), class.bytes());
            let opened = open(&key(), &topic, timestamp, &payload).expect("ours");
            prop_assert_eq!(&opened[..], &content[..]);
            prop_assert!(open(&key(), &topic, timestamp ^ 1, &payload).is_err());
            prop_assert!(open(&key(), &topic_name(&[0; 16]), timestamp, &payload).is_err());
            prop_assert!(
                open(&SealKey::from_bytes([8; 32]), &topic, timestamp, &payload).is_err()
            );
            payload[at.index(class.bytes())] ^= 1 << bit;
            prop_assert_eq!(
                open(&key(), &topic, timestamp, &payload).expect_err("changed"),
                OpenError::Seal
            );
        }

        #[test]
        fn what_does_not_fit_is_not_sealed(over in 1..5000_usize) {
            let class = SizeClass::K2;
            let content = vec![0; class.capacity() + over];
            let sealed = seal(&key(), &topic_name(&[1; 16]), 0, &content, class, &[0; 24]);
            prop_assert_eq!(
                sealed,
                Err(SealError::TooLong { got: content.len(), max: class.capacity() })
            );
        }
    }
}
