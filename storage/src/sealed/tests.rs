//! Opening, changing and removing encrypted databases, also where a crash comes between.

use std::fs;
use std::io;
use std::path::Path;

use waku_groupchat_core::{Batch, Pair, Store};

use super::change::change_key_hooked;
use super::files::{Files, seal_file};
use super::{ChatKey, ChatStore, Cost, Protection, SealError, change_key, protection, wipe};
use crate::KvStore;

fn passphrase(text: &str) -> ChatKey {
    ChatKey::passphrase(text).expect("long enough")
}

fn file(byte: u8) -> ChatKey {
    ChatKey::file(&[byte; 32]).expect("long enough")
}

fn open(path: &Path, key: Option<&ChatKey>) -> Result<ChatStore, SealError> {
    ChatStore::open(path, key, Cost::LEAST)
}

/// Over one batch of a copy, in keys of several kinds.
fn records() -> Vec<Pair> {
    (0..700_u64)
        .map(|n| {
            let number = n.to_be_bytes();
            let key = match n % 3 {
                0 => [b"event/".as_slice(), &number].concat(),
                1 => [b"message/".as_slice(), &[7; 16], &number, &[1; 32], &number].concat(),
                _ => [b"other/".as_slice(), &number].concat(),
            };
            (key, format!("secret text {n}").into_bytes())
        })
        .collect()
}

fn filled(path: &Path, key: Option<&ChatKey>) {
    let batch: Batch = records().into_iter().map(|(key, value)| (key, Some(value))).collect();
    open(path, key).expect("new").commit(batch).expect("written");
}

fn all(store: &ChatStore) -> Vec<Pair> {
    store.scan(b"").expect("read")
}

fn sorted() -> Vec<Pair> {
    let mut records = records();
    records.sort();
    records
}

/// Whether some file below has these bytes in it.
fn on_disk(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => on_disk(&path, bytes),
            false => fs::read(&path).expect("a file").windows(bytes.len()).any(|w| w == bytes),
        }
    })
}

#[test]
fn opens_only_with_what_it_was_made_with() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("chat");
    assert_eq!(protection(&path).expect("nothing"), None);
    let right = passphrase("correct horse");
    filled(&path, Some(&right));
    assert_eq!(protection(&path).expect("there"), Some(Protection::Passphrase));
    let store = open(&path, Some(&right)).expect("the right one");
    assert_eq!((store.protection(), all(&store)), (Protection::Passphrase, sorted()));
    drop(store);
    let wrong = open(&path, Some(&passphrase("correct horsf"))).expect_err("a wrong one");
    assert!(matches!(wrong, SealError::Wrong { .. }), "{wrong:?}");
    assert!(wrong.to_string().ends_with("is not opened by this passphrase"), "{wrong}");
    let none = open(&path, None).expect_err("encrypted");
    assert!(matches!(none, SealError::Needed { .. }), "{none:?}");
    let other = open(&path, Some(&file(1))).expect_err("the other kind");
    assert!(matches!(other, SealError::Kind { .. }), "{other:?}");
    assert!(open(&path, Some(&right)).is_ok(), "and it is as it was");
}

#[test]
fn one_that_is_not_encrypted_is_not_taken_for_one_that_is() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("chat");
    filled(&path, None);
    assert_eq!(protection(&path).expect("there"), Some(Protection::Permissions));
    let error = open(&path, Some(&file(1))).expect_err("not encrypted");
    assert!(matches!(error, SealError::NotEncrypted { .. }), "{error:?}");
    assert_eq!(all(&open(&path, None).expect("as it was")), sorted());
}

#[test]
fn seal_files_that_are_lost_damaged_or_anothers_are_told() {
    let root = tempfile::tempdir().expect("a folder");
    let (path, another) = (root.path().join("chat"), root.path().join("another"));
    filled(&path, Some(&file(1)));
    filled(&another, Some(&file(1)));
    let seal = fs::read(seal_file(&path)).expect("a seal file");
    fs::copy(seal_file(&another), seal_file(&path)).expect("copied");
    let error = open(&path, Some(&file(1))).expect_err("another's");
    assert!(matches!(error, SealError::Another { .. }), "{error:?}");
    fs::write(seal_file(&path), &seal[..100]).expect("cut");
    let error = open(&path, Some(&file(1))).expect_err("damaged");
    assert!(matches!(error, SealError::Damaged { .. }), "{error:?}");
    fs::remove_file(seal_file(&path)).expect("removed");
    for key in [None, Some(&file(1))] {
        let error = open(&path, key).expect_err("lost");
        assert!(matches!(error, SealError::Lost { .. }), "{error:?}");
    }
    fs::write(seal_file(&path), seal).expect("put back");
    assert_eq!(all(&open(&path, Some(&file(1))).expect("as it was")), sorted());
}

#[test]
fn a_damaged_record_is_a_fault_of_the_store() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("chat");
    filled(&path, Some(&file(1)));
    let mut below = KvStore::open(&path).expect("below");
    let (key, mut value) = below.scan_from(b"event/", b"event/", 1).expect("read").remove(0);
    value[30] ^= 1;
    below.commit([(key, Some(value))].into_iter().collect()).expect("written");
    drop(below);
    let store = open(&path, Some(&file(1))).expect("opens");
    assert!(store.scan(b"event/").is_err());
    assert!(store.get(&records()[0].0).is_err());
    assert!(store.get(&records()[3].0).is_ok());
}

#[test]
fn a_new_passphrase_wraps_the_same_records() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("chat");
    let (old, new) = (passphrase("correct horse"), passphrase("battery staple"));
    filled(&path, Some(&old));
    let raw = |path: &Path| KvStore::open(path).expect("below").scan(b"").expect("read");
    let (before, wrapped) = (raw(&path), fs::read(seal_file(&path)).expect("a seal"));
    change_key(&path, Some(&old), Some(&new), Cost::LEAST).expect("changed");
    assert_eq!(raw(&path), before);
    assert!(!on_disk(&path, &wrapped), "the old one is not in any file");
    let error = open(&path, Some(&old)).expect_err("the old one");
    assert!(matches!(error, SealError::Wrong { .. }), "{error:?}");
    assert_eq!(all(&open(&path, Some(&new)).expect("the new one")), sorted());
    let error = change_key(&path, Some(&old), Some(&old), Cost::LEAST).expect_err("wrong");
    assert!(matches!(error, SealError::Wrong { .. }), "{error:?}");
}

/// Ends a change of the key at each of its steps; the database has to be whole each time.
fn cut_off_everywhere(from: Option<ChatKey>, to: Option<ChatKey>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    for last in 0.. {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("chat");
        filled(&path, from);
        let mut steps = 0;
        let done = change_key_hooked(&path, from, to, Cost::LEAST, &mut |_| {
            steps += 1;
            if steps > last { Err(cut_off(&path)) } else { Ok(()) }
        });
        // what the file says before it is opened holds afterwards
        let said = protection(&path).expect("readable");
        let store = match open(&path, to) {
            Ok(store) => store,
            Err(_) => open(&path, from).expect("as it was before"),
        };
        assert_eq!(all(&store), sorted(), "cut off after {last} steps");
        assert_eq!(said, Some(store.protection()), "cut off after {last} steps");
        let left: Vec<_> =
            fs::read_dir(root.path()).expect("a folder").map(|e| e.expect("one").path()).collect();
        assert_eq!(left, [path.as_path()], "nothing is left over");
        drop(store);
        if done.is_ok() {
            assert!(last >= 2, "{last} steps");
            assert_eq!(all(&open(&path, to).expect("changed")), sorted());
            if to.is_some() {
                assert!(!on_disk(root.path(), b"secret text"));
            }
            return;
        }
    }
}

fn cut_off(path: &Path) -> SealError {
    SealError::Io { path: path.to_owned(), source: io::Error::other("cut off") }
}

#[test]
fn encrypting_is_safe_at_any_point() {
    cut_off_everywhere(None, Some(file(1)));
}

#[test]
fn decrypting_is_safe_at_any_point() {
    cut_off_everywhere(Some(file(1)), None);
}

#[test]
fn changing_what_opens_it_is_safe_at_any_point() {
    cut_off_everywhere(Some(passphrase("correct horse")), Some(file(2)));
}

#[test]
fn a_wipe_that_is_cut_off_is_finished() {
    for last in 0..4 {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("chat");
        filled(&path, Some(&file(1)));
        let seal = fs::read(seal_file(&path)).expect("a seal");
        let mut steps = 0;
        let done = Files::of(&path).wipe(&mut |_| {
            steps += 1;
            if steps > last { Err(cut_off(&path)) } else { Ok(()) }
        });
        assert!(done.is_err(), "after {last} of four steps");
        assert_eq!(protection(&path).expect("looked at"), None, "cut off after {last} steps");
        let store = open(&path, Some(&file(1))).expect("a new one");
        assert_eq!(all(&store), []);
        assert!(!on_disk(root.path(), &seal));
    }
}

#[test]
fn a_wiped_database_is_gone_and_another_can_be_made() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("chat");
    for key in [None, Some(file(1))] {
        filled(&path, key.as_ref());
        wipe(&path).expect("removed");
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 0);
    }
    wipe(&path).expect("there is nothing to remove");
    let error = change_key(&path, None, Some(&file(1)), Cost::LEAST).expect_err("nothing there");
    assert!(matches!(error, SealError::NoDatabase { .. }), "{error:?}");
}

/// A copy that was not finished is not taken for the database, even where that was moved away.
#[test]
fn half_a_copy_is_never_opened() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("chat");
    filled(&path, None);
    let mut copied = 0;
    change_key_hooked(&path, None, Some(&file(1)), Cost::LEAST, &mut |step| {
        copied += u32::from(step == "copied");
        if copied > 0 { Err(cut_off(&path)) } else { Ok(()) }
    })
    .expect_err("cut off");
    fs::rename(&path, root.path().join("elsewhere")).expect("moved away");
    assert_eq!(all(&open(&path, Some(&file(1))).expect("a new one")), []);
}
