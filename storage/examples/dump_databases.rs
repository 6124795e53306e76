//! Writes small databases as text, as the code of today lays them out: the fixtures that later
//! versions have to open. `cargo run -p waku-groupchat-storage --example dump_databases -- <folder>`.
//!
//! A line is `family key value`, key and value in hexadecimal.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rocksdb::{DB, IteratorMode, Options};
use waku_groupchat_core::Store as _;
use waku_groupchat_storage::{Archive, ArchivedMessage, KvStore, RetentionPolicy, RocksArchive};
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    std::fs::create_dir_all(&folder)?;
    let made = tempfile::tempdir()?;
    let (archive, kv) = (made.path().join("archive"), made.path().join("kv"));
    let messages: Vec<_> = (0..6).map(message).collect();
    RocksArchive::open(&archive, RetentionPolicy::default())?.insert(&messages)?;
    let pairs = [("one", "1"), ("two", "2")];
    let put = |(key, value): (&str, &str)| (key.into(), Some(value.into()));
    KvStore::open(&kv)?.commit(pairs.into_iter().map(put).collect())?;
    for (path, name) in [(archive, "archive.txt"), (kv, "kv.txt")] {
        std::fs::write(folder.join(name), dump(&path)?)?;
    }
    Ok(())
}

/// The `n`-th message: two shards, three topics, two messages of one time, one from before 1970.
fn message(n: u8) -> ArchivedMessage {
    let topic = PubsubTopic::new(1, u16::from(n % 2));
    let content = ContentTopic::from_wire(format!("/app/1/name-{}/proto", n % 3));
    let timestamp = [-5, 0, 1_700_000_000_000_000_000, 1_700_000_000_000_000_000, 7, 8];
    let payload = vec![n; 10 * usize::from(n)];
    ArchivedMessage::new(topic, WakuMessage::new(content, payload, timestamp[usize::from(n)]))
}

fn dump(path: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let families = DB::list_cf(&Options::default(), path)?;
    let db = DB::open_cf_for_read_only(&Options::default(), path, &families, false)?;
    let mut text = String::new();
    for name in &families {
        let family = db.cf_handle(name).ok_or("a family that was listed")?;
        for pair in db.iterator_cf(family, IteratorMode::Start) {
            let (key, value) = pair?;
            writeln!(text, "{name} {} {}", hex(&key), hex(&value))?;
        }
    }
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
