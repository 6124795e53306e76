//! Processes that are killed while they write. What they confirmed is there, and no half of a batch.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Process, Random, message, own_directory, report, seed};
use waku_groupchat_core::{Batch, Store};
use waku_groupchat_storage::sealed::{ChatKey, ChatStore, Cost};
use waku_groupchat_storage::{
    Archive, ArchiveQuery, ArchivedMessage, KvStore, RetentionPolicy, RocksArchive,
};
use waku_groupchat_waku::PubsubTopic;

const ROUNDS: u64 = 5;

/// Starts a writer again and again, and kills it at random; `check` gets the last round that it
/// confirmed.
fn kill_repeatedly(writer: &str, directory: &Path, check: impl Fn(u64)) {
    let mut random = Random(seed());
    for _ in 0..ROUNDS {
        let mut process = Process::start(writer, directory);
        let mut confirmed = process.next_report().expect("it writes");
        for _ in 0..random.below(60) {
            confirmed = process.next_report().expect("it writes");
        }
        check(process.kill().unwrap_or(confirmed));
    }
}

fn keys(n: u64) -> [Vec<u8>; 2] {
    ["a", "b"].map(|part| [part.as_bytes(), &n.to_be_bytes()].concat())
}

/// Runs as a process of its own: writes batches of two keys until it is killed.
#[test]
fn store_writer_process() {
    let Some(directory) = own_directory() else { return };
    write(KvStore::open(directory).expect("opens"));
}

/// The same into an encrypted store.
#[test]
fn sealed_writer_process() {
    let Some(directory) = own_directory() else { return };
    write(sealed(&directory));
}

fn sealed(directory: &Path) -> ChatStore {
    let key = ChatKey::file(&[7; 32]).expect("long enough");
    ChatStore::open(directory, Some(&key), Cost::LEAST).expect("opens")
}

fn write(mut store: impl Store) {
    for n in store.scan(b"a").expect("scan").len() as u64.. {
        let value = vec![n as u8; 3000];
        let batch: Batch = keys(n).map(|key| (key, Some(value.clone()))).into_iter().collect();
        store.commit(batch).expect("commit");
        report(n);
    }
}

fn check_batches(store: &dyn Store, confirmed: u64) {
    let found: BTreeSet<_> = store.scan(b"").expect("scan").into_iter().map(|p| p.0).collect();
    let batches = found.len() as u64 / 2;
    assert!(batches > confirmed, "{confirmed} was confirmed, {batches} batches are there");
    let expected: BTreeSet<_> = (0..batches).flat_map(keys).collect();
    assert!(found == expected, "a batch is there in part");
}

#[test]
fn a_killed_store_keeps_what_it_confirmed() {
    let directory = tempfile::tempdir().expect("a directory");
    kill_repeatedly("crash::store_writer_process", directory.path(), |confirmed| {
        check_batches(&KvStore::open(directory.path()).expect("opens"), confirmed);
    });
}

#[test]
fn a_killed_sealed_store_keeps_what_it_confirmed() {
    let directory = tempfile::tempdir().expect("a directory");
    kill_repeatedly("crash::sealed_writer_process", directory.path(), |confirmed| {
        check_batches(&sealed(directory.path()), confirmed);
    });
}

/// Three messages of one time, on two shards.
fn batch(n: u64) -> Vec<ArchivedMessage> {
    let payload = |part: u64| [n.to_be_bytes(), part.to_be_bytes()].concat();
    (0..3)
        .map(|part| {
            let shard = PubsubTopic::new(1, (part % 2) as u16);
            let topic = format!("/crash/1/{}/proto", n % 5);
            message(shard, &topic, n as i64, &payload(part))
        })
        .collect()
}

fn archive(directory: &Path) -> RocksArchive {
    let policy = RetentionPolicy { max_messages: Some(150), ..RetentionPolicy::default() };
    RocksArchive::open(directory, policy).expect("opens")
}

/// Runs as a process of its own: inserts and prunes until it is killed.
#[test]
fn archive_writer_process() {
    let Some(directory) = own_directory() else { return };
    let archive = archive(&directory);
    let next = archive.newest().expect("newest").map_or(0, |newest| newest as u64 + 1);
    for n in next.. {
        archive.insert(&batch(n)).expect("insert");
        report(n);
        if n % 7 == 0 {
            archive.prune(0).expect("prune");
        }
    }
}

#[test]
fn a_killed_archive_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    kill_repeatedly("crash::archive_writer_process", directory.path(), |confirmed| {
        let archive = archive(directory.path());
        let newest = archive.newest().expect("newest").expect("not empty") as u64;
        assert!(newest >= confirmed, "{confirmed} was confirmed, {newest} is the newest");
        // Retention removes from the old end, one message at a time.
        let mut expected: Vec<_> = (0..=newest).flat_map(batch).collect();
        expected.sort_by_key(|m| (m.message.timestamp, m.hash));
        let expected = &expected[expected.len() - archive.len()..];
        assert!(expected.len() >= 150.min(3 * newest as usize + 3));
        check_indexes(&archive, expected);
    });
}

/// That each index holds exactly these messages.
fn check_indexes(archive: &RocksArchive, expected: &[ArchivedMessage]) {
    let select = |query: ArchiveQuery| -> Vec<_> {
        let page = archive.query(&ArchiveQuery { limit: usize::MAX, ..query }).expect("query");
        page.messages.into_iter().map(|entry| entry.hash).collect()
    };
    let hashes = |keep: &dyn Fn(&ArchivedMessage) -> bool| -> Vec<_> {
        expected.iter().filter(|m| keep(m)).map(|m| m.hash).collect()
    };
    let all = hashes(&|_| true);
    assert_eq!(select(ArchiveQuery::default()), all);
    assert_eq!(select(ArchiveQuery { hashes: all.clone(), ..ArchiveQuery::default() }), all);
    for shard in [0, 1].map(|shard| PubsubTopic::new(1, shard)) {
        let on_shard = ArchiveQuery { pubsub_topic: Some(shard), ..ArchiveQuery::default() };
        assert_eq!(select(on_shard.clone()), hashes(&|m| m.pubsub_topic == shard));
        let topics: BTreeSet<_> = expected.iter().map(|m| &m.message.content_topic).collect();
        for topic in topics {
            let query = ArchiveQuery { content_topics: vec![topic.clone()], ..on_shard.clone() };
            let expected =
                |m: &ArchivedMessage| m.pubsub_topic == shard && m.message.content_topic == *topic;
            assert_eq!(select(query), hashes(&expected));
        }
    }
}
