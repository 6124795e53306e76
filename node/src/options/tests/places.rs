//! Which place wins, and what each takes.

use std::time::Duration;

use tracing::level_filters::LevelFilter;
use waku_groupchat_storage::RetentionPolicy;
use waku_groupchat_waku::PubsubTopic;

use super::load;
use crate::options::{LogFormat, Options};

#[test]
fn command_line_over_environment_over_file_over_default() {
    let file = "tcp-port = 1\nrest-port = 1\nmetrics-server-port = 1\n";
    let environment = [("WAKU_GROUPCHAT_TCP_PORT", "2"), ("WAKU_GROUPCHAT_REST_PORT", "2")];
    let options = load(&["--tcp-port=3"], &environment, file).expect("good options");
    assert_eq!(options.transport.tcp_port, 3);
    assert_eq!(options.rest.port, 2);
    assert_eq!(options.metrics.port, 1);
    assert_eq!(options.transport.max_connections.get(), 50);
}

#[test]
fn a_list_is_taken_whole_from_the_place_that_wins() {
    let file = "num-shards-in-network = 8\nshard = [1, 2]\n";
    let shards = |arguments: &[&str], environment: &[(&str, &str)]| {
        load(arguments, environment, file).expect("good options").network.shards
    };
    assert_eq!(shards(&[], &[]), [1, 2]);
    assert_eq!(shards(&[], &[("WAKU_GROUPCHAT_SHARD", "3, 4")]), [3, 4]);
    assert_eq!(shards(&[], &[("WAKU_GROUPCHAT_SHARD", "")]), [0u16; 0]);
    assert_eq!(shards(&["--shard=5", "--shard", "6"], &[("WAKU_GROUPCHAT_SHARD", "3")]), [5, 6]);
}

#[test]
fn the_file_can_be_named_in_the_environment() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "store = true").expect("written");
    let name = file.path().to_str().expect("plain path");
    let options = load(&[], &[("WAKU_GROUPCHAT_CONFIG_FILE", name)], "").expect("good options");
    assert!(options.store.enabled);
}

#[test]
fn flags_take_a_value_or_none() {
    for arguments in [&["--store"][..], &["--store", "true"], &["--store=true"]] {
        assert!(load(arguments, &[], "").expect("good options").store.enabled);
    }
    let options = load(&["--store", "--metrics-server"], &[], "").expect("good options");
    assert!(options.store.enabled && options.metrics.enabled);
    let options = load(&["--store", "false", "--rest=false"], &[], "").expect("good options");
    assert!(!options.store.enabled && !options.rest.enabled);
}

#[test]
fn the_chat_has_one_name_a_place() {
    let file = "[group-chat]\ngap-grace = \"500ms\"\ngap-attempts = 7\nenabled = false\n";
    let environment = [("WAKU_GROUPCHAT_GROUP_CHAT_GAP_ATTEMPTS", "8")];
    let chat = load(&["--group-chat-enabled"], &environment, file).expect("good").group_chat;
    assert_eq!(chat.gap_grace, Duration::from_millis(500));
    assert_eq!(chat.gap_attempts.get(), 8);
    assert!(chat.enabled);
    let dotted = load(&[], &[], "group-chat.gap-grace = \"2m\"").expect("good").group_chat;
    assert_eq!(dotted.gap_grace, Duration::from_secs(120));
}

#[test]
fn values_of_every_kind() {
    let peer = "/ip4/127.0.0.1/tcp/60001/p2p/16Uiu2HAmVFXtAfSj4EiR7mL2KvL4EE2wztuQgUSBoj2Jx2KeXFLN";
    let file = format!(
        "cluster-id = 0x10\nlisten-address = \"::1\"\nstaticnode = [\"{peer}\"]\n\
         max-msg-size = \"1 MiB\"\nstore-message-db-url = \"rocksdb:///srv/archive\"\n\
         store-message-retention-policy = \"time:60; capacity:5;size:2GB\"\n\
         rest-allow-origin = [\"localhost:*\"]\nlog-level = \"notice\"\nlog-format = \"json\"\n\
         nodekey = \"{}\"\n",
        "01".repeat(32)
    );
    let options = load(&[], &[], &file).expect("good options");
    assert_eq!(options.network.cluster_id, 16);
    assert_eq!(options.transport.listen_address.to_string(), "::1");
    assert_eq!(options.network.static_nodes[0].multiaddr().to_string(), peer);
    assert_eq!(options.relay.max_msg_size.bytes(), 1 << 20);
    assert_eq!(options.archive_path().to_str(), Some("/srv/archive"));
    let retention = RetentionPolicy {
        max_age: Some(Duration::from_secs(60)),
        max_messages: Some(5),
        max_bytes: Some(2 << 30),
    };
    assert_eq!(options.store.retention, retention);
    assert_eq!(options.logging.level.0, LevelFilter::WARN);
    assert_eq!(options.logging.format, LogFormat::Json);
    assert!(options.network.nodekey.is_some());
    assert!(!format!("{options:?}").contains(&"01".repeat(32)));
}

#[test]
fn origins_match_as_nwaku_has_it() {
    let allowed = |pattern: &str, origin: &str| {
        let argument = format!("--rest-allow-origin={pattern}");
        let options = load(&[&argument], &[], "").expect("good options");
        options.rest.allow_origin[0].fits(origin)
    };
    assert!(allowed("*", "https://anything.example"));
    assert!(allowed("localhost:*", "http://localhost:3000"));
    assert!(allowed("localhost:*", "https://LOCALHOST:3000"));
    assert!(!allowed("localhost:*", "http://localhost.example"));
    assert!(allowed("https://*.example", "https://a.b.example"));
    assert!(!allowed("https://*.example", "http://a.example"));
    assert!(allowed("host?", "http://host1") && allowed("host?", "http://host"));
    assert!(!allowed("host?", "http://host12"));
}

#[test]
fn ports_are_shifted_but_zero_stays() {
    let arguments = ["--ports-shift=5", "--rest-port=0", "--tcp-port=60000"];
    let options = load(&arguments, &[], "").expect("good options");
    assert_eq!(options.transport.tcp_port, 60005);
    assert_eq!(options.rest.port, 0);
    assert_eq!(options.metrics.port, 8013);
}

#[test]
fn topics_to_subscribe_to() {
    let topics = |arguments: &[&str]| load(arguments, &[], "").expect("good").pubsub_topics();
    assert_eq!(topics(&[]), [PubsubTopic::new(0, 0)]);
    assert_eq!(
        topics(&["--cluster-id=16", "--num-shards-in-network=2"]),
        [PubsubTopic::new(16, 0), PubsubTopic::new(16, 1)]
    );
    assert_eq!(topics(&["--num-shards-in-network=8", "--shard=3"]), [PubsubTopic::new(0, 3)]);
    let none: [PubsubTopic; 0] = [];
    assert_eq!(topics(&["--num-shards-in-network=0", "--group-chat-enabled=false"]), none);
    assert_eq!(topics(&["--relay=false", "--group-chat-enabled=false"]), none);
}

#[test]
fn paths_follow_the_data_directory() {
    let options = load(&["--data-dir=/srv/node"], &[], "").expect("good options");
    assert_eq!(options.archive_path().to_str(), Some("/srv/node/archive"));
    assert_eq!(options.token_file().to_str(), Some("/srv/node/api-token"));
    assert_eq!(Options::default().token_file().to_str(), Some("waku-groupchat-data/api-token"));
}
