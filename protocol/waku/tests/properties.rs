//! What is encoded comes back; what is not ours gives an error, never a panic.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use waku_groupchat_waku::metadata::WakuMetadata;
use waku_groupchat_waku::store::{StoreEntry, StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage, framing};

fn content_topic() -> impl Strategy<Value = ContentTopic> {
    prop_oneof![".{0,40}", "/[a-z]{1,8}/[0-9]/[a-z0-9]{1,26}/proto"]
        .prop_map(ContentTopic::from_wire)
}

fn pubsub_topic() -> impl Strategy<Value = PubsubTopic> {
    any::<(u16, u16)>().prop_map(|(cluster, shard)| PubsubTopic::new(cluster, shard))
}

fn hash() -> impl Strategy<Value = MessageHash> {
    any::<[u8; 32]>().prop_map(MessageHash::from_bytes)
}

fn message() -> impl Strategy<Value = WakuMessage> {
    (
        vec(any::<u8>(), 0..200),
        content_topic(),
        any::<u32>(),
        of(any::<i64>()),
        vec(any::<u8>(), 0..=WakuMessage::MAX_META_LEN),
        vec(any::<u8>(), 0..100),
        any::<bool>(),
    )
        .prop_map(
            |(payload, content_topic, version, timestamp, meta, rate_limit_proof, ephemeral)| {
                WakuMessage {
                    payload,
                    content_topic,
                    version,
                    timestamp,
                    meta,
                    rate_limit_proof,
                    ephemeral,
                }
            },
        )
}

fn request() -> impl Strategy<Value = StoreQueryRequest> {
    let filter =
        (of(pubsub_topic()), vec(content_topic(), 0..4), of(any::<i64>()), of(any::<i64>()));
    let page = (vec(hash(), 0..4), of(hash()), any::<bool>(), of(any::<u64>()));
    (".{0,20}", any::<bool>(), filter, page).prop_map(|(request_id, include_data, f, p)| {
        StoreQueryRequest {
            request_id,
            include_data,
            pubsub_topic: f.0,
            content_topics: f.1,
            time_start: f.2,
            time_end: f.3,
            hashes: p.0,
            cursor: p.1,
            forward: p.2,
            limit: p.3,
        }
    })
}

fn entry() -> impl Strategy<Value = StoreEntry> {
    (hash(), of(message()), of(pubsub_topic()))
        .prop_map(|(hash, message, pubsub_topic)| StoreEntry { hash, message, pubsub_topic })
}

fn response() -> impl Strategy<Value = StoreQueryResponse> {
    (".{0,20}", any::<u32>(), ".{0,20}", vec(entry(), 0..5), of(hash())).prop_map(
        |(request_id, status_code, status_desc, messages, cursor)| StoreQueryResponse {
            request_id,
            status_code,
            status_desc,
            messages,
            cursor,
        },
    )
}

/// Random bytes, and encodings with some bytes changed or cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let encoded = prop_oneof![
        message().prop_map(|m| m.encode()),
        request().prop_map(|r| r.encode()),
        response().prop_map(|r| r.encode()),
        vec(any::<u8>(), 0..300),
        Just(Vec::new()),
    ];
    (encoded, vec(any::<(proptest::sample::Index, u8)>(), 0..4), any::<proptest::sample::Index>())
        .prop_map(|(mut bytes, changes, cut)| {
            for (index, value) in changes {
                if !bytes.is_empty() {
                    let at = index.index(bytes.len());
                    bytes[at] = value;
                }
            }
            let len = cut.index(bytes.len() + 1);
            if len % 2 == 0 {
                bytes.truncate(len);
            }
            bytes
        })
}

proptest! {
    #[test]
    fn messages_round_trip(message in message()) {
        prop_assert_eq!(WakuMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn store_requests_round_trip(request in request()) {
        prop_assert_eq!(StoreQueryRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn store_responses_round_trip(response in response()) {
        prop_assert_eq!(StoreQueryResponse::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn metadata_round_trips(cluster_id in of(any::<u32>()), shards in vec(any::<u32>(), 0..50)) {
        let metadata = WakuMetadata { cluster_id, shards };
        prop_assert_eq!(WakuMetadata::decode(&metadata.encode()), Ok(metadata));
    }

    #[test]
    fn frames_round_trip(payload in vec(any::<u8>(), 0..1000), rest in vec(any::<u8>(), 0..10)) {
        let mut bytes = framing::encode_frame(&payload);
        let len = bytes.len();
        bytes.extend(rest);
        prop_assert_eq!(framing::decode_frame(&bytes, 1000), Ok(Some((&payload[..], len))));
    }

    #[test]
    fn texts_round_trip(topic in pubsub_topic(), hash in hash()) {
        prop_assert_eq!(topic.to_string().parse(), Ok(topic));
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn decoders_never_panic(bytes in damaged()) {
        let _ = WakuMessage::decode(&bytes);
        let _ = StoreQueryRequest::decode(&bytes);
        let _ = StoreQueryResponse::decode(&bytes);
        let _ = WakuMetadata::decode(&bytes);
        let _ = framing::decode_frame(&bytes, 100);
    }
}
