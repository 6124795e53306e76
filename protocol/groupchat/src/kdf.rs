//! The one scheme by which keys, topic names, hashes and signatures are told apart.
//!
//! Every use has a [`Label`] of its own in [`label`]; `docs/spec/README.md` opens with the same
//! table, and a test holds the two together. A label enters in one of three ways:
//!
//! - a key: HKDF-SHA256 (RFC 5869), [`derive()`];
//! - a hash: SHA-256 over the label's prefix and the content, [`hash()`];
//! - a signature: Ed25519 over the label's prefix and the content
//!   ([`crate::account::InstallationKey::sign`]).
//!
//! The prefix is one length byte, `waku-groupchat/1`, a space and the label, so no content of one
//! kind can be taken for another, nor for what MLS signs with the same key (RFC 9420, section
//! 5.1.2: its content opens with the length of a label that starts with `MLS 1.0`).

use std::fmt;

use data_encoding::BASE32_NOPAD;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use waku_groupchat_waku::ContentTopic;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The HKDF salt, and what the prefix of every hash and signature starts with.
pub const PROTOCOL: &str = "waku-groupchat/1";

/// What a key, a hash or a signature is for. All of them stand in [`label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(&'static str);

impl Label {
    /// The label as it enters the bytes.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// What hashes and signatures put before the content: one length byte, [`PROTOCOL`], a space
    /// and the label.
    pub fn prefix(self) -> Vec<u8> {
        let length = PROTOCOL.len() + 1 + self.0.len();
        let mut prefix = Vec::with_capacity(1 + length);
        // Labels are short: a test holds them under 64 bytes.
        prefix.push(length as u8);
        prefix.extend_from_slice(PROTOCOL.as_bytes());
        prefix.push(b' ');
        prefix.extend_from_slice(self.0.as_bytes());
        prefix
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Every label there is.
        pub mod label {
            use super::Label;
            $($(#[$doc])* pub const $name: Label = Label($text);)*
            /// All of them, in the order of the specification's table.
            pub const ALL: &[Label] = &[$($name),*];
        }
    };
}

labels! {
    /// Key: root seed, from the phrase's entropy.
    ACCOUNT_ROOT = "account root";
    /// Key: recovery secret, from the phrase's entropy.
    RECOVERY_SECRET = "recovery secret";
    /// Key: input of HPKE's DeriveKeyPair, from the phrase's entropy.
    RECOVERY_HPKE = "recovery hpke";
    /// Key: topic name of a record's part, from the registration secret; day and part.
    REGISTRATION_TOPIC = "registration topic";
    /// Key: seal of a record's part, from the registration secret; day and part.
    REGISTRATION_KEY = "registration key";
    /// Key: topic name of a recovery record's part, from the recovery secret; day and part.
    RECOVERY_TOPIC = "recovery topic";
    /// Key: seal of a recovery record's part, from the recovery secret; day and part.
    RECOVERY_KEY = "recovery key";
    /// Key: topic name of an inbox, from the registration secret; day.
    INBOX_TOPIC = "inbox topic";
    /// Key: seal of what comes to an inbox, from the registration secret; day.
    INBOX_KEY = "inbox key";
    /// Key: topic name of a link step's part, from the request's secret; step and part.
    LINK_TOPIC = "link topic";
    /// Key: seal of a link step's part, from the request's secret; step and part.
    LINK_KEY = "link key";
    /// Key: topic name of a group, from the state's exported secret; period.
    GROUP_TOPIC = "group topic";
    /// Key: seal in a group, from the state's exported secret; period.
    GROUP_KEY = "group key";
    /// Key: topic name of an invitation's shared part, from its content key.
    INVITATION_TOPIC = "invitation topic";
    /// Key: seal of an invitation's shared part, from its content key.
    INVITATION_KEY = "invitation key";
    /// Hash: name of a log entry, over its body.
    LOG_ENTRY_HASH = "log entry hash";
    /// Signature: a log entry's body, by its signer.
    LOG_ENTRY = "log entry";
    /// Signature: an add or create entry's body, by the installation that comes in.
    LOG_ENTRY_JOIN = "log entry join";
    /// Hash: what a rotate entry says of the new registration secret.
    CARD_COMMITMENT = "card commitment";
    /// Key: hides a new registration secret from who had no former one; the new one's commitment.
    CARD_UPDATE = "card update";
    /// Hash: a chunk of something that travels in parts.
    CHUNK_HASH = "chunk hash";
    /// Hash: name of something that travels in parts, over its chunks' hashes.
    PARCEL_HASH = "parcel hash";
    /// Hash: one segment's share of something that travels in segments.
    SEGMENT_HASH = "segment hash";
    /// Hash: name of something that travels in segments.
    WHOLE_HASH = "whole hash";
    /// Signature: a registration record's body.
    REGISTRATION_RECORD = "registration record";
    /// Signature: a recovery record's body.
    RECOVERY_RECORD = "recovery record";
    /// Signature: that an account comes back into a group with another installation.
    ACCOUNT_RETURN = "account return";
    /// Hash: transcript of a linking.
    LINK_TRANSCRIPT = "link transcript";
    /// Hash: what the accepting side of a linking commits to.
    LINK_COMMITMENT = "link commitment";
    /// Hash: the digits that both sides of a linking show.
    LINK_DIGITS = "link digits";
    /// Signature: a link step's body.
    LINK_STEP = "link step";
    /// Key: mark of an own message in a group, from the installation key; hash of the MLS message.
    OWN_MARK = "own mark";
    /// Hash: nonce of an account's own group, over the account, its root entry and the creator.
    OWN_GROUP = "own group";
    /// Key: when an account's record leaves, from the registration secret; period.
    REGISTRATION_TIME = "registration time";
    /// Key: in which order its installations would publish it; period and installation.
    REGISTRATION_ORDER = "registration order";
    /// Hash: name of a group, over its creator and a nonce.
    GROUP_ID = "group id";
    /// Hash: an attached log entry, in a group's log digest.
    ATTACHED_ENTRY = "attached entry";
    /// Hash: a group's log digest, over the ascending hashes of its attached entries.
    ATTACHED_LOG = "attached log";
    /// Hash: decides between commits that leave one state, over its exported secret and the commit.
    COMMIT_TIE = "commit tie";
    /// Hash: the words and requests that a commit brings.
    COMMIT_EVIDENCE = "commit evidence";
    /// Key: topic name for who cannot follow a group, from the state's exported secret; UTC day.
    REJOIN_TOPIC = "rejoin topic";
    /// Key: seal of what is said there, from the state's exported secret; UTC day.
    REJOIN_KEY = "rejoin key";
    /// Signature: a request for a way back into a group.
    REJOIN_REQUEST = "rejoin request";
    /// Signature: an answer to one.
    REJOIN_ANSWER = "rejoin answer";
    /// Hash: a commit, where two sides of a group compare theirs.
    FORK_COMMIT = "fork commit";
    /// Signature: on which side of a long split an installation stands.
    FORK_STATEMENT = "fork statement";
    /// Hash: name of a message core.
    MESSAGE_CORE_HASH = "message core hash";
    /// Signature: a message core.
    MESSAGE_CORE = "message core";
}

/// HKDF-SHA256 with the project's labels: `Expand(Extract(salt = PROTOCOL, secret), info, N)` with
/// `info` = one byte length of the label ‖ label ‖ `context`.
///
/// `N` is at most 8,160 bytes (RFC 5869, section 2.3); more does not compile.
pub fn derive<const N: usize>(secret: &[u8], label: Label, context: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 gives at most 255 blocks") };
    let mut out = Zeroizing::new([0; N]);
    let length = [label.0.len() as u8];
    let info = [length.as_slice(), label.0.as_bytes(), context];
    Hkdf::<Sha256>::new(Some(PROTOCOL.as_bytes()), secret)
        .expand_multi_info(&info, out.as_mut_slice())
        .expect("the length is the only thing that can fail, and is checked when compiled");
    out
}

/// A key for [`crate::seal`], by [`derive()`].
pub fn derive_key(secret: &[u8], label: Label, context: &[u8]) -> SealKey {
    SealKey(*derive(secret, label, context))
}

/// A content topic by [`derive()`] and [`topic_name`].
pub fn derive_topic(secret: &[u8], label: Label, context: &[u8]) -> ContentTopic {
    topic_name(&derive(secret, label, context))
}

/// SHA-256 over the label's prefix and then `content`, which the caller keeps unambiguous.
pub fn hash(label: Label, content: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(label.prefix());
    for part in content {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The content topic of 16 derived bytes: `/wgc/1/<26 characters>/proto`, the bytes in lower-case
/// base32 without padding (RFC 4648, section 6).
pub fn topic_name(bytes: &[u8; 16]) -> ContentTopic {
    let name = BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
    ContentTopic::from_wire(format!("/wgc/1/{name}/proto"))
}

/// A key for [`crate::seal`]: 32 bytes, wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_differ_and_none_is_a_prefix_of_another_use() {
        let texts: BTreeSet<_> = label::ALL.iter().map(|l| l.prefix()).collect();
        assert_eq!(texts.len(), label::ALL.len());
        assert!(label::ALL.iter().all(|l| l.as_str().len() < 64 && l.as_str().is_ascii()));
    }

    #[test]
    fn label_and_context_do_not_run_into_each_other() {
        let a = derive::<32>(b"secret", label::LINK_KEY, b"x");
        let b = derive::<32>(b"secret", label::LINK_KEY, b"y");
        let c = derive::<32>(b"secret", label::LINK_TOPIC, b"x");
        assert!(a != b && a != c && b != c);
        // A shorter output is a prefix of a longer one; each label therefore has one length.
        assert_eq!(derive::<16>(b"secret", label::LINK_KEY, b"x")[..], a[..16]);
    }

    #[test]
    fn topic_names_have_one_form() {
        let topic = topic_name(&[0xff; 16]);
        assert_eq!(topic.as_str(), "/wgc/1/77777777777777777777777774/proto");
        assert_eq!(topic_name(&[0; 16]).as_str(), "/wgc/1/aaaaaaaaaaaaaaaaaaaaaaaaaa/proto");
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", SealKey::from_bytes([7; 32])), "SealKey(..)");
    }
}
