//! Content topics, pubsub topics and autosharding (23/WAKU2-TOPICS, 51/WAKU2-RELAY-SHARDING).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::TopicError;

/// A content topic.
///
/// It keeps whatever text a peer put on the wire ([`Self::from_wire`], and what serde reads);
/// [`Self::parsed`] tells whether it has the form of 23/WAKU2-TOPICS. [`FromStr`] takes that form
/// only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentTopic(String);

/// The parts of a content topic `/{application}/{version}/{name}/{encoding}`, none empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentTopicParts<'t> {
    /// The application's unique name.
    pub application: &'t str,
    /// The version of the application's protocol.
    pub version: &'t str,
    /// The topic's own name.
    pub name: &'t str,
    /// How the payload is encoded, for example `proto`.
    pub encoding: &'t str,
}

impl ContentTopic {
    /// Any text, as a peer sent it.
    pub fn from_wire(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Its parts, if it has the form `/{application}/{version}/{name}/{encoding}`, or that with
    /// the generation `/0` before it. Other generations are refused: there are none yet.
    pub fn parsed(&self) -> Result<ContentTopicParts<'_>, TopicError> {
        let rest = self.0.strip_prefix('/').ok_or(TopicError::LeadingSlash)?;
        let count = rest.split('/').count();
        let mut parts = rest.split('/');
        match count {
            4 => {}
            5 if parts.next() == Some("0") => {}
            5 => return Err(TopicError::Generation),
            _ => return Err(TopicError::Parts(count)),
        }
        let mut part = |name| match parts.next() {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(TopicError::EmptyPart(name)),
        };
        Ok(ContentTopicParts {
            application: part("application")?,
            version: part("version")?,
            name: part("name")?,
            encoding: part("encoding")?,
        })
    }
}

impl FromStr for ContentTopic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let topic = Self(text.to_owned());
        topic.parsed()?;
        Ok(topic)
    }
}

impl fmt::Display for ContentTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContentTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentTopic({:?})", self.0)
    }
}

impl Serialize for ContentTopic {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContentTopic {
    /// Takes any text, as [`ContentTopic::from_wire`] does.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(Self)
    }
}

/// A pubsub topic `/waku/2/rs/<cluster>/<shard>` (51/WAKU2-RELAY-SHARDING).
///
/// Orders by cluster, then shard, as numbers. Serialises as its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PubsubTopic {
    cluster: u16,
    shard: u16,
}

impl PubsubTopic {
    /// The topic of a shard of a cluster.
    pub const fn new(cluster: u16, shard: u16) -> Self {
        Self { cluster, shard }
    }

    /// Its cluster.
    pub const fn cluster(self) -> u16 {
        self.cluster
    }

    /// Its shard.
    pub const fn shard(self) -> u16 {
        self.shard
    }
}

impl FromStr for PubsubTopic {
    type Err = TopicError;

    /// Strict: decimal numbers without sign or leading zeros, so that each topic has one text.
    fn from_str(text: &str) -> Result<Self, TopicError> {
        let (cluster, shard) = text
            .strip_prefix("/waku/2/rs/")
            .and_then(|rest| rest.split_once('/'))
            .ok_or(TopicError::Pubsub)?;
        Ok(Self { cluster: number(cluster)?, shard: number(shard)? })
    }
}

/// A canonical decimal number below 65536.
fn number(text: &str) -> Result<u16, TopicError> {
    let canonical =
        text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if !canonical {
        return Err(TopicError::Pubsub);
    }
    text.parse().map_err(|_| TopicError::Pubsub)
}

impl fmt::Display for PubsubTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/waku/2/rs/{}/{}", self.cluster, self.shard)
    }
}

impl fmt::Debug for PubsubTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PubsubTopic {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PubsubTopic {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The shard of a content topic in a cluster that shards automatically
/// (51/WAKU2-RELAY-SHARDING, automatic sharding): SHA-256 over application and version, its last
/// 8 bytes as a big-endian integer, modulo the number of shards.
///
/// # Errors
///
/// [`TopicError`] if the content topic does not parse, or `shards` is zero.
pub fn autoshard(
    cluster: u16,
    shards: u16,
    content_topic: &ContentTopic,
) -> Result<PubsubTopic, TopicError> {
    let parts = content_topic.parsed()?;
    if shards == 0 {
        return Err(TopicError::NoShards);
    }
    let digest =
        Sha256::new().chain_update(parts.application).chain_update(parts.version).finalize();
    let tail = digest.iter().skip(24).fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
    let shard = u16::try_from(tail % u64::from(shards)).unwrap_or_default();
    Ok(PubsubTopic::new(cluster, shard))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: js-waku, packages/utils, tests of `contentTopicToShardIndex`; go-waku
    /// (`TestContentTopicAndSharding`) and the Waku interop tests use the same. Cluster 1, 8
    /// shards.
    const AUTOSHARDS: [(&str, u16); 5] = [
        ("/myapp/1/latest/proto", 0),
        ("/app/22/sometopic/someencoding", 2),
        ("/toychat/2/huilong/proto", 3),
        ("/statusim/1/community/cbor", 4),
        ("/app/20/sometopic/someencoding", 7),
    ];

    #[test]
    fn autosharding_vectors() {
        for (topic, shard) in AUTOSHARDS {
            let topic: ContentTopic = topic.parse().expect("a content topic");
            assert_eq!(autoshard(1, 8, &topic), Ok(PubsubTopic::new(1, shard)), "{topic}");
            let explicit = ContentTopic::from_wire(format!("/0{topic}"));
            assert_eq!(autoshard(1, 8, &explicit), Ok(PubsubTopic::new(1, shard)), "{topic}");
        }
        let topic = ContentTopic::from_wire("/myapp/1/latest/proto");
        assert_eq!(autoshard(1, 0, &topic), Err(TopicError::NoShards));
        assert_eq!(autoshard(7, 1, &topic), Ok(PubsubTopic::new(7, 0)));
    }

    #[test]
    fn content_topics_are_strict() {
        let topic: ContentTopic = "/0/app/1/name/proto".parse().expect("generation 0");
        let parts = topic.parsed().expect("parsed before");
        assert_eq!(
            (parts.application, parts.version, parts.name, parts.encoding),
            ("app", "1", "name", "proto")
        );
        for (text, error) in [
            ("", TopicError::LeadingSlash),
            ("app/1/name/proto", TopicError::LeadingSlash),
            ("/app/1/name", TopicError::Parts(3)),
            ("/0/app/1/name/proto/more", TopicError::Parts(6)),
            ("/1/app/1/name/proto", TopicError::Generation),
            ("/00/app/1/name/proto", TopicError::Generation),
            ("//1/name/proto", TopicError::EmptyPart("application")),
            ("/app//name/proto", TopicError::EmptyPart("version")),
            ("/app/1//proto", TopicError::EmptyPart("name")),
            ("/app/1/name/", TopicError::EmptyPart("encoding")),
        ] {
            assert_eq!(text.parse::<ContentTopic>(), Err(error), "{text}");
        }
    }

    #[test]
    fn pubsub_topics_have_one_text() {
        let topic = PubsubTopic::new(16, 65535);
        assert_eq!(topic.to_string(), "/waku/2/rs/16/65535");
        assert_eq!(topic.to_string().parse(), Ok(topic));
        for text in [
            "/waku/2/rs/16/65536",
            "/waku/2/rs/16/",
            "/waku/2/rs//1",
            "/waku/2/rs/1",
            "/waku/2/rs/01/1",
            "/waku/2/rs/+1/1",
            "/waku/2/rs/1/1/1",
            "/waku/2/rs/1/1 ",
            "waku/2/rs/1/1",
            "/waku/2/default-waku/proto",
        ] {
            assert_eq!(text.parse::<PubsubTopic>(), Err(TopicError::Pubsub), "{text}");
        }
        assert!(PubsubTopic::new(2, 9) < PubsubTopic::new(10, 1));
    }
}
