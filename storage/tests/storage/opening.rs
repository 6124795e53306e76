//! Opening databases: directories, locks, formats, damage.

use std::error::Error;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Process, message, own_directory, report};
use rocksdb::{DB, Options};
use waku_groupchat_core::{Batch, Store};
use waku_groupchat_storage::{
    Archive, ArchiveError, ArchiveQuery, KvStore, OpenError, RetentionPolicy, RocksArchive,
};
use waku_groupchat_waku::PubsubTopic;

fn archive(path: &Path) -> Result<RocksArchive, OpenError> {
    RocksArchive::open(path, RetentionPolicy::default())
}

fn put(key: &str, value: &str) -> Batch {
    [(key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))].into_iter().collect()
}

/// An error with all its sources.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Files of a database whose name ends so, oldest first.
fn files(path: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    files
}

fn flip_a_byte(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("a file");
    bytes[at] ^= 0xff;
    fs::write(file, bytes).expect("written");
}

#[test]
fn directories_are_for_their_owner() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("data").join("kv");
    KvStore::open(&path).expect("opens");
    for made in [path.as_path(), path.parent().expect("a parent")] {
        let mode = fs::metadata(made).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", made.display());
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join("file");
    fs::write(&file, "text").expect("written");
    let error = KvStore::open(&file).expect_err("a file is there");
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn contents_outlive_the_process() {
    let root = tempfile::tempdir().expect("a directory");
    let (kv, messages) = (root.path().join("kv"), root.path().join("archive"));
    let sent = message(PubsubTopic::new(1, 0), "/a/1/b/proto", 5, b"text");
    KvStore::open(&kv).expect("opens").commit(put("key", "value")).expect("commit");
    archive(&messages).expect("opens").insert(std::slice::from_ref(&sent)).expect("insert");
    let store = KvStore::open(&kv).expect("opens again");
    assert_eq!(store.get(b"key").expect("get").as_deref(), Some(b"value".as_slice()));
    let archive = archive(&messages).expect("opens again");
    assert_eq!((archive.len(), archive.contains(&[sent.hash]).expect("contains")), (1, vec![true]));
}

/// Runs as a process of its own: holds both databases open until its input ends.
#[test]
fn holder_process() {
    let Some(root) = own_directory() else { return };
    let _kv = KvStore::open(root.join("kv")).expect("opens");
    let _archive = archive(&root.join("archive")).expect("opens");
    report(0);
    std::io::stdin().read_to_end(&mut Vec::new()).expect("input ends");
}

#[test]
fn one_process_at_a_time() {
    let root = tempfile::tempdir().expect("a directory");
    let (kv, messages) = (root.path().join("kv"), root.path().join("archive"));
    let mut holder = Process::start("opening::holder_process", root.path());
    assert_eq!(holder.next_report(), Some(0));
    for (error, path) in [
        (KvStore::open(&kv).expect_err("in use"), &kv),
        (archive(&messages).expect_err("in use"), &messages),
    ] {
        assert!(matches!(&error, OpenError::DatabaseInUse { path: p } if p == path), "{error:?}");
    }
    holder.finish();
    let _first = KvStore::open(&kv).expect("free again");
    let error = KvStore::open(&kv).expect_err("in use by this process");
    assert!(matches!(error, OpenError::DatabaseInUse { .. }), "{error:?}");
}

#[test]
fn a_newer_format_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("archive");
    drop(archive(&path).expect("opens"));
    let mut families = DB::list_cf(&Options::default(), &path).expect("it is a database");
    let mut options = Options::default();
    options.create_missing_column_families(true);
    families.push("of-a-newer-format".to_owned());
    DB::open_cf(&options, &path, &families)
        .expect("opens")
        .put(b"format", b"archive 2")
        .expect("written");
    let error = archive(&path).expect_err("a newer format");
    assert!(matches!(error, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{error:?}");
}

#[test]
fn other_databases_are_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("kv");
    drop(KvStore::open(&path).expect("opens"));
    let error = archive(&path).expect_err("a key-value store");
    assert!(matches!(error, OpenError::Foreign { expected: "archive", .. }), "{error:?}");
    let path = root.path().join("other");
    DB::open_default(&path).expect("opens").put(b"key", b"value").expect("written");
    let error = KvStore::open(&path).expect_err("another program's");
    assert!(matches!(error, OpenError::Foreign { expected: "kv", .. }), "{error:?}");
}

#[test]
fn a_torn_end_of_the_log_loses_only_what_was_not_confirmed() {
    let root = tempfile::tempdir().expect("a directory");
    let mut store = KvStore::open(root.path()).expect("opens");
    for key in ["first", "second", "third"] {
        store.commit(put(key, "value")).expect("commit");
    }
    drop(store);
    let log = files(root.path(), "log").pop().expect("a log");
    let length = fs::metadata(&log).expect("it is there").len();
    fs::File::options().write(true).open(&log).and_then(|f| f.set_len(length - 3)).expect("cut");
    let store = KvStore::open(root.path()).expect("opens");
    let keys: Vec<_> = store.scan(b"").expect("scan").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [b"first".to_vec(), b"second".to_vec()]);
}

#[test]
fn a_damaged_log_stops_the_start_of_the_store() {
    let root = tempfile::tempdir().expect("a directory");
    let mut store = KvStore::open(root.path()).expect("opens");
    for n in 0..100 {
        store.commit(put(&format!("key {n}"), "value")).expect("commit");
    }
    drop(store);
    let log = files(root.path(), "log").pop().expect("a log");
    let length = fs::metadata(&log).expect("it is there").len() as usize;
    flip_a_byte(&log, length / 2);
    let error = KvStore::open(root.path()).expect_err("corrupt");
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains(&root.path().display().to_string()), "{error}");
}

#[test]
fn a_damaged_file_list_is_an_error() {
    let root = tempfile::tempdir().expect("a directory");
    drop(archive(root.path()).expect("opens"));
    let list = fs::read_dir(root.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .find(|file| file.to_string_lossy().contains("MANIFEST"))
        .expect("a list of files");
    flip_a_byte(&list, 20);
    let error = archive(root.path()).expect_err("corrupt");
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[test]
fn damaged_tables_are_errors_that_name_the_database() {
    let root = tempfile::tempdir().expect("a directory");
    let (kv, messages) = (root.path().join("kv"), root.path().join("archive"));
    let sent = message(PubsubTopic::new(1, 0), "/a/1/b/proto", 5, &[7; 500]);
    KvStore::open(&kv).expect("opens").commit(put("key", "value")).expect("commit");
    archive(&messages).expect("opens").insert(&[sent]).expect("insert");
    // Opening moves what the log holds into tables.
    drop(KvStore::open(&kv).expect("opens"));
    drop(archive(&messages).expect("opens"));
    for file in [files(&kv, "sst"), files(&messages, "sst")].concat() {
        flip_a_byte(&file, 5);
    }
    let in_store = match KvStore::open(&kv) {
        Ok(store) => text(&store.get(b"key").expect_err("corrupt")),
        Err(error) => text(&error),
    };
    assert!(in_store.contains(&kv.display().to_string()), "{in_store}");
    let in_archive = match archive(&messages) {
        Ok(archive) => {
            let error = archive.query(&ArchiveQuery::default()).expect_err("corrupt");
            assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error:?}");
            text(&error)
        }
        Err(error) => text(&error),
    };
    assert!(in_archive.contains(&messages.display().to_string()), "{in_archive}");
}
