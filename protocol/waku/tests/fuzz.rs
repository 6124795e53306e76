//! The fuzz targets of Waku's types (`fuzz/src/waku.rs`) without a fuzzer: committed seeds, and
//! mutations of them. `WRITE_SEEDS=1` makes the seeds anew.

#[path = "../../../fuzz/src/replay.rs"]
#[allow(unreachable_pub, reason = "another package's file")]
mod replay;
#[path = "../../../fuzz/src/waku.rs"]
#[allow(unreachable_pub, reason = "another package's file")]
mod waku;

use std::{env, fs};

use waku_groupchat_waku::metadata::WakuMetadata;
use waku_groupchat_waku::store::{StoreEntry, StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage, framing};

#[test]
fn seeds_and_mutations_of_them() {
    if env::var_os("WRITE_SEEDS").is_some() {
        for (target, name, bytes) in good_values() {
            let folder = replay::seeds_of(target);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), bytes).expect("written");
        }
    }
    replay::replay(waku::TARGETS, 5_000);
}

fn content_topic() -> ContentTopic {
    "/toychat/2/huilong/proto".parse().expect("a content topic")
}

fn messages() -> [WakuMessage; 2] {
    let mut full = WakuMessage::new(content_topic(), b"payload".to_vec(), 1_700_000_000 << 30);
    full.version = 2;
    full.meta = vec![7; WakuMessage::MAX_META_LEN];
    full.rate_limit_proof = vec![8; 20];
    full.ephemeral = true;
    let mut bare = WakuMessage::new(ContentTopic::from_wire(""), Vec::new(), -1);
    bare.timestamp = None;
    [full, bare]
}

fn requests() -> [StoreQueryRequest; 3] {
    let hash = MessageHash::from_bytes([9; 32]);
    let by_topic = StoreQueryRequest {
        request_id: "0a1b".to_owned(),
        include_data: true,
        pubsub_topic: Some(PubsubTopic::new(16, 32)),
        content_topics: vec![content_topic(), content_topic()],
        time_start: Some(-1),
        time_end: Some(i64::MAX),
        cursor: Some(hash),
        forward: true,
        limit: Some(100),
        ..StoreQueryRequest::default()
    };
    let by_hash = StoreQueryRequest { hashes: vec![hash; 3], ..StoreQueryRequest::default() };
    [by_topic, by_hash, StoreQueryRequest::default()]
}

fn responses() -> [StoreQueryResponse; 2] {
    let hash = MessageHash::from_bytes([9; 32]);
    let entry = |message| StoreEntry { hash, message, pubsub_topic: Some(PubsubTopic::new(1, 0)) };
    let page = StoreQueryResponse {
        request_id: "0a1b".to_owned(),
        status_code: 200,
        status_desc: "OK".to_owned(),
        messages: messages().into_iter().map(Some).chain([None]).map(entry).collect(),
        cursor: Some(hash),
    };
    let refusal = StoreQueryResponse { status_code: 429, ..StoreQueryResponse::default() };
    [page, refusal]
}

/// Target, file, content.
fn good_values() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |target, values: Vec<Vec<u8>>| {
        for (index, bytes) in values.into_iter().enumerate() {
            all.push((target, format!("good-{index}"), bytes));
        }
    };
    add("waku_message", messages().iter().map(WakuMessage::encode).collect());
    add("waku_store_request", requests().iter().map(StoreQueryRequest::encode).collect());
    add("waku_store_response", responses().iter().map(StoreQueryResponse::encode).collect());
    let metadata = WakuMetadata { cluster_id: Some(16), shards: vec![0, 1, 300] };
    add("waku_metadata", vec![metadata.encode(), WakuMetadata::default().encode()]);
    let frames: [&[u8]; 3] = [b"", b"payload", &[7; 300]];
    add("waku_frame", frames.into_iter().map(framing::encode_frame).collect());
    let topics = ["/toychat/2/huilong/proto", "/0/app/20/topic/encoding", "/waku/2/rs/16/32"];
    add("waku_topics", topics.iter().map(|t| t.as_bytes().to_vec()).collect());
    let text = MessageHash::from_bytes([0xab; 32]).to_string();
    let upper = text.trim_start_matches("0x").to_uppercase();
    add("waku_hash", vec![text.into_bytes(), upper.into_bytes(), vec![7; 32]]);
    all
}
