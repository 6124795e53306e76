//! The suites, on every backend.

use std::cell::Cell;

use waku_groupchat_core::MemoryStore;
use waku_groupchat_storage::sealed::{ChatKey, ChatStore, Cost, SealedStore};
use waku_groupchat_storage::testing::{Fault, FaultStore, archive_conformance, store_conformance};
use waku_groupchat_storage::{KvStore, MemoryArchive, RocksArchive};

/// Gives the names of directories that are not there yet.
struct Directories {
    root: tempfile::TempDir,
    next: Cell<u32>,
}

impl Directories {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory"), next: Cell::new(0) }
    }

    fn next(&self) -> std::path::PathBuf {
        self.next.set(self.next.get() + 1);
        self.root.path().join(self.next.get().to_string())
    }
}

#[test]
fn kv_store() {
    let directories = Directories::new();
    store_conformance(|| KvStore::open(directories.next()).expect("opens"));
}

#[test]
fn sealed_kv_store() {
    let directories = Directories::new();
    let key = ChatKey::file(&[7; 32]).expect("long enough");
    store_conformance(|| {
        ChatStore::open(&directories.next(), Some(&key), Cost::LEAST).expect("opens")
    });
}

#[test]
fn sealed_memory_store() {
    store_conformance(|| SealedStore::ephemeral(MemoryStore::new()).expect("random bytes"));
}

#[test]
fn sealed_fault_store_without_faults() {
    let faultless = || FaultStore::new(MemoryStore::new(), Fault::Never);
    store_conformance(|| SealedStore::ephemeral(faultless()).expect("random bytes"));
}

#[test]
fn memory_store() {
    store_conformance(MemoryStore::new);
}

#[test]
fn fault_store_without_faults() {
    store_conformance(|| FaultStore::new(MemoryStore::new(), Fault::Never));
}

#[test]
fn rocks_archive() {
    let directories = Directories::new();
    archive_conformance(|policy| RocksArchive::open(directories.next(), policy).expect("opens"));
}

#[test]
fn memory_archive() {
    archive_conformance(MemoryArchive::with_retention);
}
