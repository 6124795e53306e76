//! Names of accounts, installations, groups and messages.
//!
//! Each is 32 bytes (16 for a group), shown as lower-case hex, with a short form of the first four
//! bytes for logs. In text formats (JSON) they serialise as hex, in binary ones as bytes.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not the hex form of an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} must be {expected} hex digits, got {got} characters or a character that is not hex"
)]
pub struct ParseIdError {
    kind: &'static str,
    expected: usize,
    got: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// From a slice of exactly [`Self::LEN`] bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first four bytes as hex, for logs.
            pub fn short(&self) -> String {
                HEXLOWER_PERMISSIVE.encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|b| Self::from_slice(&b))
                    .ok_or(ParseIdError { kind: $kind, expected: $len * 2, got: text.len() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.collect_str(self)
                } else {
                    self.0.serialize(s)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $len]>::deserialize(d).map(Self)
                }
            }
        }
    };
}

id! {
    /// An account: the root's Ed25519 public key (RFC 8032).
    AccountId, 32, "an account id"
}
id! {
    /// An installation: its Ed25519 public key (RFC 8032), which is also its MLS signature key.
    InstallationId, 32, "an installation id"
}
id! {
    /// A group: 16 random bytes, the MLS group id (RFC 9420, section 8.1).
    GroupId, 16, "a group id"
}
id! {
    /// An entry of an account log: SHA-256 over its body (`docs/spec`, account log).
    EntryHash, 32, "a log entry hash"
}
id! {
    /// A message core: SHA-256 over its signed bytes (`docs/spec`, message core).
    CoreHash, 32, "a core hash"
}

/// A message of a group, by its sender and that sender's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// The group it was sent in.
    pub group: GroupId,
    /// The installation that sent it.
    pub installation: InstallationId,
    /// The sender's number for it in this group, from 1.
    pub number: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let id = GroupId::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse::<GroupId>(), Ok(id));
        assert_eq!(id.short(), "30313233");
        assert!("30".parse::<GroupId>().is_err());
        let bytes = postcard::to_stdvec(&id).expect("16 bytes");
        assert_eq!(bytes.len(), 16);
        assert_eq!(postcard::from_bytes::<GroupId>(&bytes), Ok(id));
    }
}
