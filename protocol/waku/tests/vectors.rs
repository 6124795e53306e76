//! Fixed bytes. The message hash vectors are those of 14/WAKU2-MESSAGE, section "Test vectors"
//! (vacp2p/rfc-index, waku/standards/core/14/message.md); nwaku
//! (tests/waku_core/message/test_digest.nim) and js-waku (packages/message-hash) test the same.

use data_encoding::HEXLOWER;
use waku_groupchat_waku::store::{StoreEntry, StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{
    ContentTopic, DecodeError, MessageHash, PubsubTopic, WakuMessage, gossip_message_id,
};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hex")
}

#[test]
fn a_message_in_bytes() {
    let mut message =
        WakuMessage::new(ContentTopic::from_wire("/app/1/n/proto"), b"hi".to_vec(), 1);
    let short = "0a026869 120e2f6170702f312f6e2f70726f746f 5002".replace(' ', "");
    assert_eq!(HEXLOWER.encode(&message.encode()), short);
    message.version = 2;
    message.meta = vec![0xaa];
    message.rate_limit_proof = vec![0xbb];
    message.ephemeral = true;
    let long = "0a026869 120e2f6170702f312f6e2f70726f746f 1802 5002 5a01aa aa0101bb f80101";
    assert_eq!(HEXLOWER.encode(&message.encode()), long.replace(' ', ""));
    assert_eq!(WakuMessage::decode(&message.encode()), Ok(message));
}

/// nwaku writes every field, also at its default, and go-waku some of them.
#[test]
fn defaults_may_be_written() {
    let bytes = hex("0a0012012f180050005a00aa0100f80100");
    let message = WakuMessage::decode(&bytes).expect("all fields at their default");
    assert_eq!(message.timestamp, Some(0));
    assert_eq!((message.version, message.ephemeral), (0, false));
    assert!(message.payload.is_empty() && message.meta.is_empty());
}

#[test]
fn messages_that_are_refused() {
    assert_eq!(WakuMessage::decode(&hex("0a0100")), Err(DecodeError::Missing("content_topic")));
    let mut message = WakuMessage::new(ContentTopic::from_wire("/"), Vec::new(), 0);
    message.meta = vec![0; 65];
    assert_eq!(
        WakuMessage::decode(&message.encode()),
        Err(DecodeError::TooLarge { what: "meta", len: 65, max: 64 })
    );
    message.meta.clear();
    message.payload = vec![0; WakuMessage::MAX_ENCODED_LEN];
    assert!(matches!(
        WakuMessage::decode(&message.encode()),
        Err(DecodeError::TooLarge { what: "message", .. })
    ));
    assert!(matches!(WakuMessage::decode(&hex("1201ff")), Err(DecodeError::Protobuf(_))));
}

#[test]
fn a_hash_on_a_shard() {
    let message = WakuMessage::new(
        ContentTopic::from_wire("/waku/2/default-content/proto"),
        hex("010203045445535405060708"),
        0x1757_89bf_a23f_8400,
    );
    let hash = message.hash(&PubsubTopic::new(0, 1));
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(hash.to_string()[2..].parse(), Ok(hash));
    assert!("0x00".parse::<MessageHash>().is_err());
    assert_ne!(hash, message.hash(&PubsubTopic::new(0, 2)));
    let unstamped = WakuMessage { timestamp: None, ..message.clone() };
    let zero = WakuMessage { timestamp: Some(0), ..message };
    let topic = PubsubTopic::new(0, 1);
    assert_eq!(unstamped.hash(&topic), zero.hash(&topic));
}

/// SHA-256 of the empty string and of "abc": FIPS 180-4 examples.
#[test]
fn gossip_ids() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(HEXLOWER.encode(&gossip_message_id(b"abc")), abc);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(HEXLOWER.encode(&gossip_message_id(b"")), empty);
}

/// A request with every field; numbers from 13/WAKU2-STORE.
#[test]
fn a_store_request_in_bytes() {
    let request = StoreQueryRequest {
        request_id: "r".into(),
        include_data: true,
        pubsub_topic: Some(PubsubTopic::new(1, 2)),
        content_topics: vec![ContentTopic::from_wire("/a")],
        time_start: Some(1),
        time_end: Some(-1),
        hashes: vec![MessageHash::from_bytes([0x11; 32])],
        cursor: Some(MessageHash::from_bytes([0x22; 32])),
        forward: true,
        limit: Some(20),
    };
    let bytes = [
        "0a0172",
        "1001",
        "520e2f77616b752f322f72732f312f32",
        "5a022f61",
        "6002",
        "6801",
        "a20120",
        &"11".repeat(32),
        "9a0320",
        &"22".repeat(32),
        "a00301",
        "a80314",
    ]
    .concat();
    assert_eq!(HEXLOWER.encode(&request.encode()), bytes);
    assert_eq!(StoreQueryRequest::decode(&hex(&bytes)), Ok(request));
    let least = StoreQueryRequest::default();
    assert_eq!(HEXLOWER.encode(&least.encode()), "0a00a00300", "id and direction are present");
    assert_eq!(StoreQueryRequest::decode(&[]), Ok(least));
}

#[test]
fn a_store_response_in_bytes() {
    let response = StoreQueryResponse {
        request_id: "r".into(),
        status_code: 200,
        status_desc: String::new(),
        messages: vec![
            StoreEntry {
                hash: MessageHash::from_bytes([0x11; 32]),
                message: Some(WakuMessage::new(ContentTopic::from_wire("/"), Vec::new(), 0)),
                pubsub_topic: Some(PubsubTopic::new(1, 2)),
            },
            StoreEntry {
                hash: MessageHash::from_bytes([0x33; 32]),
                message: None,
                pubsub_topic: None,
            },
        ],
        cursor: Some(MessageHash::from_bytes([0x22; 32])),
    };
    let bytes = [
        "0a0172",
        "50c801",
        "5a00",
        "a2013b0a20",
        &"11".repeat(32),
        "12070a0012012f5000",
        "1a0e2f77616b752f322f72732f312f32",
        "a201220a20",
        &"33".repeat(32),
        "9a0320",
        &"22".repeat(32),
    ]
    .concat();
    assert_eq!(HEXLOWER.encode(&response.encode()), bytes);
    assert_eq!(StoreQueryResponse::decode(&hex(&bytes)), Ok(response));
}

#[test]
fn store_responses_that_are_refused() {
    let entries = hex("a20100").repeat(101);
    assert_eq!(
        StoreQueryResponse::decode(&entries),
        Err(DecodeError::TooMany { what: "store entries", len: 101, max: 100 })
    );
    assert_eq!(StoreQueryResponse::decode(&[]), Err(DecodeError::Missing("status_code")));
    let short_hash = hex("50c801a201030a0100");
    assert_eq!(StoreQueryResponse::decode(&short_hash), Err(DecodeError::HashLength(1)));
}
