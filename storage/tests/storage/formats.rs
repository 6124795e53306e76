//! Databases that older versions wrote: opened by today's code, read whole, and gone on with.
//!
//! A fixture is made by `cargo run -p waku-groupchat-storage --example dump_databases` with the
//! code that wrote the format, and never changes after that.

use std::path::Path;

use rocksdb::{DB, Options};
use waku_groupchat_core::Store;
use waku_groupchat_storage::{
    Archive, ArchiveQuery, ArchivedMessage, KvStore, RetentionPolicy, RocksArchive,
};
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

const ARCHIVE_1: &str = include_str!("../fixtures/format-1/archive.txt");
const KV_1: &str = include_str!("../fixtures/format-1/kv.txt");

/// Makes the database of a fixture.
fn restore(path: &Path, fixture: &str) {
    let rows: Vec<[&str; 3]> = fixture
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>().try_into().expect("three words"))
        .collect();
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let mut families: Vec<_> = rows.iter().map(|[family, ..]| *family).collect();
    families.dedup();
    let db = DB::open_cf(&options, path, &families).expect("a new database");
    for [family, key, value] in rows {
        let family = db.cf_handle(family).expect("just made");
        db.put_cf(family, bytes(key), bytes(value)).expect("written");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |n| u8::from_str_radix(&hex[n..n + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The messages of the fixture, as `examples/dump_databases.rs` made them.
fn messages() -> Vec<ArchivedMessage> {
    let timestamps = [-5, 0, 1_700_000_000_000_000_000, 1_700_000_000_000_000_000, 7, 8];
    (0..6)
        .map(|n: u8| {
            let topic = PubsubTopic::new(1, u16::from(n % 2));
            let content = ContentTopic::from_wire(format!("/app/1/name-{}/proto", n % 3));
            let payload = vec![n; 10 * usize::from(n)];
            let message = WakuMessage::new(content, payload, timestamps[usize::from(n)]);
            ArchivedMessage::new(topic, message)
        })
        .collect()
}

fn found(archive: &RocksArchive, query: ArchiveQuery) -> Vec<ArchivedMessage> {
    let query = ArchiveQuery { include_data: true, ..query };
    let page = archive.query(&query).expect("a page");
    page.messages
        .into_iter()
        .map(|entry| {
            let topic = entry.pubsub_topic.expect("with its topic");
            ArchivedMessage::new(topic, entry.message.expect("with its data"))
        })
        .collect()
}

#[test]
fn an_archive_of_the_first_format_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    restore(folder.path(), ARCHIVE_1);
    let mut all = messages();
    all.sort_by_key(|m| (m.message.timestamp, m.hash));
    for round in 0..2 {
        let policy = RetentionPolicy { max_messages: Some(7), ..RetentionPolicy::default() };
        let archive = RocksArchive::open(folder.path(), policy).expect("opens");
        assert_eq!(archive.len(), all.len());
        assert_eq!(found(&archive, ArchiveQuery::default()), all, "all, in order");
        let known = archive.contains(&all.iter().map(|m| m.hash).collect::<Vec<_>>());
        assert!(known.expect("a look-up").into_iter().all(|known| known));
        for topic in [0, 1].map(|shard| PubsubTopic::new(1, shard)) {
            let content = ContentTopic::from_wire("/app/1/name-1/proto");
            let query = ArchiveQuery {
                pubsub_topic: Some(topic),
                content_topics: vec![content.clone()],
                ..ArchiveQuery::default()
            };
            let of = |m: &&ArchivedMessage| {
                m.pubsub_topic == topic && m.message.content_topic == content
            };
            assert_eq!(found(&archive, query), all.iter().filter(of).cloned().collect::<Vec<_>>());
        }
        let content = ContentTopic::from_wire("/app/1/new/proto");
        let message = WakuMessage::new(content, vec![round], 1_800_000_000_000_000_000);
        let new = ArchivedMessage::new(PubsubTopic::new(1, 0), message);
        archive.insert(std::slice::from_ref(&new)).expect("inserted");
        all.push(new);
        all.sort_by_key(|m| (m.message.timestamp, m.hash));
        let removed = archive.prune(0).expect("pruned").removed;
        assert_eq!(removed, all.len().saturating_sub(7) as u64);
        all.drain(..removed as usize);
    }
}

#[test]
fn a_key_value_store_of_the_first_format_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    restore(folder.path(), KV_1);
    let mut store = KvStore::open(folder.path()).expect("opens");
    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(store.scan(b"").expect("all"), [pair("one", "1"), pair("two", "2")]);
    let new = [(b"three".to_vec(), Some(b"3".to_vec()))];
    store.commit(new.into_iter().collect()).expect("written");
    drop(store);
    let store = KvStore::open(folder.path()).expect("opens again");
    let all = [pair("one", "1"), pair("three", "3"), pair("two", "2")];
    assert_eq!(store.scan(b"").expect("all"), all);
}
