//! What stands in for the network and the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use waku_groupchat_core::{Batch, Store, StoreError};
use waku_groupchat_storage::KvStore;
use waku_groupchat_waku::store::{StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use crate::engine::{
    Engine, EngineError, EngineInfo, PeerInfo, PeerName, PublishError, Published, QueryError,
};

type StoreAnswer = Result<StoreQueryResponse, QueryError>;
type StoreFn = Box<dyn FnMut(&PeerName, &StoreQueryRequest) -> StoreAnswer + Send>;

/// An engine that hands what is published to nobody but the test.
#[derive(Default)]
pub(super) struct FakeEngine {
    /// While this is locked, publishes wait.
    pub(super) gate: tokio::sync::Mutex<()>,
    /// Names and answers of store peers.
    store: Mutex<Option<(Vec<PeerName>, StoreFn)>>,
}

impl std::fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeEngine")
    }
}

impl FakeEngine {
    /// Gives it store peers.
    pub(super) fn serve(
        &self,
        peers: &[&str],
        answer: impl FnMut(&PeerName, &StoreQueryRequest) -> StoreAnswer + Send + 'static,
    ) {
        let peers = peers.iter().copied().map(PeerName::new).collect();
        *self.store.lock() = Some((peers, Box::new(answer)));
    }
}

#[async_trait]
impl Engine for FakeEngine {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn subscribe(&self, _: PubsubTopic) -> Result<(), EngineError> {
        Ok(())
    }

    async fn unsubscribe(&self, _: PubsubTopic) -> Result<(), EngineError> {
        Ok(())
    }

    async fn publish(
        &self,
        topic: PubsubTopic,
        message: WakuMessage,
    ) -> Result<Published, PublishError> {
        let _open = self.gate.lock().await;
        Ok(Published { hash: message.hash(&topic), peers: 1 })
    }

    async fn store_query(&self, peer: &PeerName, request: StoreQueryRequest) -> StoreAnswer {
        match &mut *self.store.lock() {
            Some((_, answer)) => answer(peer, &request),
            None => Err(QueryError::Unreachable(peer.clone())),
        }
    }

    async fn store_peers(&self) -> Result<Vec<PeerName>, EngineError> {
        Ok(self.store.lock().as_ref().map(|(peers, _)| peers.clone()).unwrap_or_default())
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, EngineError> {
        Ok(Vec::new())
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        Err(EngineError::Closed)
    }

    async fn shutdown(&self) {}
}

/// A database that fails to write while the test says so.
pub(super) struct Breakable {
    pub(super) store: KvStore,
    pub(super) broken: Arc<AtomicBool>,
}

impl Store for Breakable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.store.scan(prefix)
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.store.scan_from(prefix, from, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::new("writing a batch", io::Error::other("no space")));
        }
        self.store.commit(batch)
    }
}
