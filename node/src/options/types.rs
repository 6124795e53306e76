//! Types of values that only options have.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tracing::level_filters::LevelFilter;
use waku_groupchat_storage::RetentionPolicy;
use waku_groupchat_waku::WakuMessage;

use super::value::Scalar;
use crate::native::NodeKey;

impl Scalar for NodeKey {
    const SECRET: bool = true;
    const EXPECTED: &'static str = "a secp256k1 private key as 64 hex digits";
    fn from_text(text: &str) -> Option<Self> {
        Self::from_hex(text).ok()
    }
}

/// A peer to dial: a multiaddress that ends in `/p2p/<peer id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress(Multiaddr);

impl PeerAddress {
    /// The whole address.
    pub fn multiaddr(&self) -> &Multiaddr {
        &self.0
    }
}

/// A text that is not the address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {}", PeerAddress::EXPECTED)]
pub struct ParsePeerAddressError;

impl FromStr for PeerAddress {
    type Err = ParsePeerAddressError;

    fn from_str(text: &str) -> Result<Self, ParsePeerAddressError> {
        Self::from_text(text).ok_or(ParsePeerAddressError)
    }
}

impl Scalar for PeerAddress {
    const EXPECTED: &'static str = "a multiaddress that ends in /p2p/<peer id>";
    fn from_text(text: &str) -> Option<Self> {
        let address: Multiaddr = text.parse().ok()?;
        let last = address.iter().last();
        (address.iter().count() > 1 && matches!(last, Some(Protocol::P2p(_))))
            .then_some(Self(address))
    }
}

/// A number of bytes that a message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageSize(usize);

impl MessageSize {
    const MIN: u64 = 1024;
    // The decoder takes no more.
    const MAX: u64 = WakuMessage::MAX_ENCODED_LEN as u64;

    /// In bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl Scalar for MessageSize {
    const EXPECTED: &'static str = "a size from 1KiB to 1MiB, in B, KB, KiB, MB or MiB";
    fn from_text(text: &str) -> Option<Self> {
        let bytes = with_unit(
            text,
            &[("KiB", 1024), ("MiB", 1 << 20), ("KB", 1000), ("MB", 1_000_000), ("B", 1)],
        )?;
        (Self::MIN..=Self::MAX).contains(&bytes).then(|| usize::try_from(bytes).ok().map(Self))?
    }
}

impl Scalar for Duration {
    const EXPECTED: &'static str =
        "a duration of at most 365d: a whole number and one of ms, s, m, h, d";
    fn from_text(text: &str) -> Option<Self> {
        const DAY: u64 = 24 * 3600 * 1000;
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", DAY)];
        let millis = with_unit(text, &units)?;
        (millis <= 365 * DAY).then_some(Self::from_millis(millis))
    }
}

/// `<digits><unit>`, the first unit that fits; white space between them is allowed.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (unit, scale) = units.iter().find(|(unit, _)| text.ends_with(unit))?;
    let digits = text.strip_suffix(unit)?.trim_end();
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(*scale))?
}

impl Scalar for RetentionPolicy {
    const EXPECTED: &'static str = "none, or time:<seconds>, capacity:<messages> and size:<n>GB \
                                    (or MB), each above zero and at most once, joined by `;`";
    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.parse().ok())?
    }
}

/// Where the archive is, if not in the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveUrl(PathBuf);

impl ArchiveUrl {
    /// The folder of the RocksDB database.
    pub fn path(&self) -> &PathBuf {
        &self.0
    }
}

impl Scalar for ArchiveUrl {
    const EXPECTED: &'static str =
        "rocksdb://<path>: no other database is carried out yet as an archive";
    fn from_text(text: &str) -> Option<Self> {
        let path = text.strip_prefix("rocksdb://")?;
        PathBuf::from_text(path).map(Self)
    }
}

/// An origin that may use the REST API from a browser; `*` stands for any characters, `?` for one
/// or none; without `http://` or `https://` both are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern(String);

impl OriginPattern {
    /// Whether any origin fits.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether `origin`, as a browser sends it, fits; case does not count.
    pub fn fits(&self, origin: &str) -> bool {
        let (pattern, origin) = (self.0.to_ascii_lowercase(), origin.to_ascii_lowercase());
        if self.is_any() || pattern.contains("://") {
            return glob(pattern.as_bytes(), origin.as_bytes());
        }
        ["http://", "https://"]
            .iter()
            .filter_map(|scheme| origin.strip_prefix(scheme))
            .any(|rest| glob(pattern.as_bytes(), rest.as_bytes()))
    }
}

/// `*` for any bytes, `?` for one or none. The table of what fits grows by one pattern byte a row,
/// so the time is the product of both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for &p in pattern {
        let mut next = vec![false; text.len() + 1];
        for i in 0..=text.len() {
            next[i] = match p {
                b'*' => fits[i] || (i > 0 && next[i - 1]),
                b'?' => fits[i] || (i > 0 && fits[i - 1]),
                _ => i > 0 && fits[i - 1] && text[i - 1] == p,
            };
        }
        fits = next;
    }
    fits[text.len()]
}

impl Scalar for OriginPattern {
    const EXPECTED: &'static str = "an origin, with `*` and `?` as wildcards";
    fn from_text(text: &str) -> Option<Self> {
        let fits = (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }
}

/// What is logged: this level and all that are graver. nwaku's `NOTICE` is `WARN` here, because
/// nothing is logged between `INFO` and `WARN`; its `FATAL` is `ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub LevelFilter);

impl Scalar for LogLevel {
    const EXPECTED: &'static str = "one of TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, FATAL";
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(match text.to_ascii_uppercase().as_str() {
            "TRACE" => LevelFilter::TRACE,
            "DEBUG" => LevelFilter::DEBUG,
            "INFO" => LevelFilter::INFO,
            "NOTICE" | "WARN" => LevelFilter::WARN,
            "ERROR" | "FATAL" => LevelFilter::ERROR,
            _ => return None,
        }))
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Scalar for LogFormat {
    const EXPECTED: &'static str = "TEXT or JSON";
    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "TEXT" => Some(Self::Text),
            "JSON" => Some(Self::Json),
            _ => None,
        }
    }
}
