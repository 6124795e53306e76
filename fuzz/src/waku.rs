//! Targets for the decoders of Waku's types.

use std::str;

use waku_groupchat_waku::metadata::{self, WakuMetadata};
use waku_groupchat_waku::store::{
    MAX_REQUEST_LEN, MAX_RESPONSE_LEN, StoreQueryRequest, StoreQueryResponse,
};
use waku_groupchat_waku::{
    ContentTopic, DecodeError, MessageHash, PubsubTopic, WakuMessage, autoshard, framing,
};

use super::replay::Target;

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("waku_message", message),
    ("waku_store_request", store_request),
    ("waku_store_response", store_response),
    ("waku_metadata", metadata),
    ("waku_frame", frame),
    ("waku_topics", topics),
    ("waku_hash", hash),
];

/// A Waku message.
pub fn message(data: &[u8]) -> bool {
    let Ok(message) = WakuMessage::decode(data) else { return false };
    assert!(message.meta.len() <= WakuMessage::MAX_META_LEN);
    let bytes = message.encode();
    let again = again(WakuMessage::decode, &bytes, WakuMessage::MAX_ENCODED_LEN);
    if let Some(again) = again {
        assert_eq!(again, message);
        assert_eq!(again.encode(), bytes, "one encoding");
        let topic = PubsubTopic::new(1, 0);
        assert_eq!(again.hash(&topic), message.hash(&topic));
    }
    true
}

/// A Store query.
pub fn store_request(data: &[u8]) -> bool {
    let Ok(request) = StoreQueryRequest::decode(data) else { return false };
    // Whether it contradicts itself is for the server to say; it must be able to.
    let _ = request.check();
    assert!((1..=100).contains(&request.page_size()));
    let again = again(StoreQueryRequest::decode, &request.encode(), MAX_REQUEST_LEN);
    assert!(again.is_none_or(|again| again == request));
    true
}

/// A page of a Store.
pub fn store_response(data: &[u8]) -> bool {
    let Ok(response) = StoreQueryResponse::decode(data) else { return false };
    assert!(response.messages.len() <= 100);
    let again = again(StoreQueryResponse::decode, &response.encode(), MAX_RESPONSE_LEN);
    assert!(again.is_none_or(|again| again == response));
    true
}

/// What a peer says of its shards.
pub fn metadata(data: &[u8]) -> bool {
    let Ok(metadata) = WakuMetadata::decode(data) else { return false };
    let again = again(WakuMetadata::decode, &metadata.encode(), metadata::MAX_ENCODED_LEN);
    assert!(again.is_none_or(|again| again == metadata));
    true
}

/// A frame as it comes in: what is told of it must not change with the bytes that follow.
pub fn frame(data: &[u8]) -> bool {
    const MAX: usize = 300;
    let whole = framing::decode_frame(data, MAX);
    let prefix = framing::decode_prefix(data, MAX);
    for len in 0..data.len().min(framing::MAX_PREFIX_LEN) {
        let early = framing::decode_prefix(&data[..len], MAX);
        assert!(early == Ok(None) || early == prefix, "{early:?} became {prefix:?}");
    }
    let Ok(Some((payload, len))) = whole else { return false };
    assert!(payload.len() <= MAX && len <= data.len());
    assert_eq!(framing::encode_frame(payload), data[..len], "one encoding");
    assert_eq!(framing::decode_frame(&data[..len - 1], MAX), Ok(None));
    true
}

/// Content and pubsub topics from text.
pub fn topics(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    if let Ok(topic) = text.parse::<PubsubTopic>() {
        assert_eq!(topic.to_string(), text, "one text");
        return true;
    }
    let Ok(topic) = text.parse::<ContentTopic>() else { return false };
    assert_eq!(topic.as_str(), text);
    let parts = topic.parsed().expect("it was just parsed");
    let tail =
        format!("/{}/{}/{}/{}", parts.application, parts.version, parts.name, parts.encoding);
    assert!(text == tail || text == format!("/0{tail}"));
    let shard = autoshard(1, 8, &topic).expect("it parses");
    assert!(shard.cluster() == 1 && shard.shard() < 8);
    true
}

/// A message hash from text or from bytes.
pub fn hash(data: &[u8]) -> bool {
    if let Ok(hash) = MessageHash::from_slice(data) {
        assert_eq!(hash.as_bytes().as_slice(), data);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        return true;
    }
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(hash) = text.parse::<MessageHash>() else { return false };
    assert_eq!(hash.to_string().trim_start_matches("0x"), lower_digits(text));
    true
}

/// The digits of a hash as it shows them.
fn lower_digits(text: &str) -> String {
    text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase()
}

/// What was encoded, decoded again. `None` if it is over the limit: an encoding may be a few bytes
/// longer than what it was decoded from.
fn again<T>(
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    bytes: &[u8],
    max: usize,
) -> Option<T> {
    match decode(bytes) {
        Err(DecodeError::TooLarge { .. }) if bytes.len() > max => None,
        decoded => Some(decoded.expect("what is encoded decodes")),
    }
}
