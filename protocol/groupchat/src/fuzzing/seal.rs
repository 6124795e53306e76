//! The seal around every payload.

use waku_groupchat_waku::ContentTopic;

use super::choose;
use crate::kdf::{SealKey, topic_name};
use crate::seal::{NONCE_BYTES, SizeClass, open, seal as seal_content, seal_padded};

const TIME: i64 = 5;

/// A payload as it comes; content to be sealed; or padded content as a hostile holder of the key
/// seals it.
pub(super) fn seal(data: &[u8]) -> bool {
    let (key, topic) = (SealKey::from_bytes([7; 32]), topic_name(&[1; 16]));
    match choose(data, 3) {
        (0, payload) => open(&key, &topic, TIME, payload).is_ok(),
        (1, content) => sealed(&key, &topic, content),
        (_, padded) => {
            let mut padded = padded.to_vec();
            let class = SizeClass::fitting(padded.len()).unwrap_or(SizeClass::K128);
            padded.resize(class.capacity() + 4, 0);
            let payload = seal_padded(&key, &topic, TIME, &padded, &[9; NONCE_BYTES]);
            let opened = open(&key, &topic, TIME, &payload);
            if let Ok(content) = &opened {
                assert_eq!(padded[..4], (content.len() as u32).to_be_bytes());
                assert_eq!(padded[4..4 + content.len()], **content);
            }
            opened.is_ok()
        }
    }
}

fn sealed(key: &SealKey, topic: &ContentTopic, content: &[u8]) -> bool {
    let Some(class) = SizeClass::fitting(content.len()) else { return false };
    let payload = seal_content(key, topic, TIME, content, class, &[9; NONCE_BYTES]);
    let mut payload = payload.expect("it fits");
    let opened = open(key, topic, TIME, &payload).expect("an own seal");
    assert_eq!(*opened, content);
    let at = content.len() % payload.len();
    payload[at] ^= 1;
    assert!(open(key, topic, TIME, &payload).is_err());
    true
}
