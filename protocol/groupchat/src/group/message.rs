//! The message core: numbered, signed by its installation, the same in every repeat.

use prost::Message as _;

use super::tracker::Place;
use crate::account::{InstallationKey, verify};
use crate::kdf::{self, label};
use crate::proto::group as pb;
use crate::{CoreHash, GroupId, InstallationId, Timestamp};

/// The signed, unchanging part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageCore {
    pub(crate) group: GroupId,
    pub(crate) installation: InstallationId,
    pub(crate) number: u64,
    /// Hash of the previous core, and the epoch in which that was first sealed.
    pub(crate) previous: Option<(CoreHash, u64)>,
    pub(crate) epoch: u64,
    pub(crate) time: Timestamp,
    pub(crate) content: Content,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text(String),
    /// The sender leaves the group; with the HPKE key of the leaf that goes.
    Leave(Vec<u8>),
    /// In an account's own group: an encoded update.
    Own(Vec<u8>),
    /// The sender's account has another card: an encoded update for who has the former one.
    Card(Vec<u8>),
}

impl MessageCore {
    /// The leaf's key, if the sender leaves.
    pub(crate) fn leave(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Leave(key) => Some(key),
            Content::Text(_) | Content::Own(_) | Content::Card(_) => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Leave(_) | Content::Own(_) | Content::Card(_) => None,
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            number: self.number,
            epoch: self.epoch,
            previous_epoch: self.previous.map(|(_, epoch)| epoch),
        }
    }

    fn encode(&self) -> Vec<u8> {
        pb::Core {
            group: self.group.as_bytes().to_vec(),
            installation: self.installation.as_bytes().to_vec(),
            number: self.number,
            previous: self.previous.map_or_else(Vec::new, |(hash, _)| hash.as_bytes().to_vec()),
            epoch: self.epoch,
            previous_epoch: self.previous.map(|(_, epoch)| epoch),
            time: self.time.as_nanos(),
            content: Some(match &self.content {
                Content::Text(body) => pb::core::Content::Text(pb::Text { body: body.clone() }),
                Content::Leave(key) => {
                    pb::core::Content::Leave(pb::Leave { leaf_key: key.clone() })
                }
                Content::Own(update) => pb::core::Content::Own(update.clone()),
                Content::Card(update) => pb::core::Content::Card(update.clone()),
            }),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let core = pb::Core::decode(bytes).ok()?;
        let previous = match (core.number, core.previous_epoch) {
            (0, _) => return None,
            (1, None) if core.previous.is_empty() => None,
            // on another branch the epochs may have gone further
            (2.., Some(epoch)) if epoch <= core.epoch.saturating_add(WINDOW) => {
                Some((CoreHash::from_slice(&core.previous)?, epoch))
            }
            _ => return None,
        };
        let content = match core.content? {
            pb::core::Content::Text(text) => Content::Text(text.body),
            pb::core::Content::Leave(leave) => Content::Leave(leave.leaf_key),
            pb::core::Content::Own(update) => Content::Own(update),
            pb::core::Content::Card(update) => Content::Card(update),
        };
        Some(Self {
            group: GroupId::from_slice(&core.group)?,
            installation: InstallationId::from_slice(&core.installation)?,
            number: core.number,
            previous,
            epoch: core.epoch,
            time: Timestamp::from_nanos(core.time),
            content,
        })
    }
}

/// Most epochs by which one branch can be ahead of another that comes to stand.
pub(crate) const WINDOW: u64 = crate::limits::KEPT_STATES_MOST as u64;

/// A core with its signature, as it stands on disk and inside MLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedCore {
    bytes: Vec<u8>,
    signature: [u8; 64],
}

impl SignedCore {
    pub(crate) fn sign(core: &MessageCore, key: &InstallationKey) -> Self {
        let bytes = core.encode();
        let signature = key.sign(label::MESSAGE_CORE, &bytes);
        Self { bytes, signature }
    }

    pub(crate) fn from_parts(bytes: Vec<u8>, signature: &[u8]) -> Option<Self> {
        Some(Self { bytes, signature: signature.try_into().ok()? })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    pub(crate) fn hash(&self) -> CoreHash {
        CoreHash::from_bytes(kdf::hash(label::MESSAGE_CORE_HASH, &[&self.bytes]))
    }

    /// The core of what was verified before.
    pub(crate) fn decode(&self) -> Option<MessageCore> {
        MessageCore::decode(&self.bytes)
    }

    /// The core, if it parses and its installation signed it (RFC 8032, strict).
    pub(crate) fn verify(&self) -> Option<MessageCore> {
        let core = self.decode()?;
        let signer = core.installation.as_bytes();
        verify(signer, label::MESSAGE_CORE, &self.bytes, &self.signature).then_some(core)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(number: u64) -> (MessageCore, InstallationKey) {
        let key = InstallationKey::from_bytes(&[7; 32]);
        let core = MessageCore {
            group: GroupId::from_bytes([1; 16]),
            installation: key.id(),
            number,
            previous: (number > 1).then_some((CoreHash::from_bytes([2; 32]), 3)),
            epoch: 4,
            time: Timestamp::from_secs(1_700_000_000),
            content: Content::Text("Grüezi 👋".to_owned()),
        };
        (core, key)
    }

    #[test]
    fn signed_cores_round_trip() {
        for number in [1, 2, u64::MAX] {
            let (core, key) = core(number);
            let signed = SignedCore::sign(&core, &key);
            let again = SignedCore::from_parts(signed.bytes().to_vec(), signed.signature());
            assert_eq!(again.and_then(|s| s.verify()), Some(core));
        }
    }

    #[test]
    fn any_changed_bit_is_refused() {
        let (core, key) = core(2);
        let signed = SignedCore::sign(&core, &key);
        for bit in 0..signed.bytes.len() * 8 {
            let mut bytes = signed.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let forged = SignedCore::from_parts(bytes, &signed.signature).expect("64 bytes");
            assert_eq!(forged.verify(), None, "bit {bit}");
            assert_ne!(forged.hash(), signed.hash());
        }
    }

    #[test]
    fn fields_must_fit_each_other() {
        let bad: [fn(&mut MessageCore); 3] =
            [|c| c.number = 0, |c| c.number = 1, |c| c.previous = None];
        for (i, spoil) in bad.into_iter().enumerate() {
            let (mut core, key) = core(2);
            spoil(&mut core);
            assert_eq!(SignedCore::sign(&core, &key).verify(), None, "case {i}");
        }
        let (mut core, key) = core(2);
        core.previous = Some((CoreHash::from_bytes([2; 32]), core.epoch + WINDOW + 1));
        assert_eq!(SignedCore::sign(&core, &key).verify(), None, "beyond any branch");
        core.previous = Some((CoreHash::from_bytes([2; 32]), core.epoch + 1));
        assert!(SignedCore::sign(&core, &key).verify().is_some(), "of another branch");
    }
}
