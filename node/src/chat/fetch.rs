//! Carries out the core's fetches: the own archive, or every store peer, page after page.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use waku_groupchat_core::Timestamp;
use waku_groupchat_core::api::{
    FetchId, FetchRequest, FetchResult, FetchSource, FetchTry, FetchWhat,
};
use waku_groupchat_storage::{Archive, ArchiveError, ArchiveQuery, ArchivedMessage};
use waku_groupchat_waku::store::{MAX_PAGE_SIZE, StoreEntry, StoreQueryRequest};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

use super::handle::{CoreHandle, Message};
use crate::engine::{Engine, PeerName, QueryError};

/// The own archive's name in a fetch's result.
pub(super) const OWN_ARCHIVE: &str = "own archive";
/// What stands in a fetch's result where no store peer could be asked.
pub(super) const STORE_PEERS: &str = "store peers";

/// Fetches under way at once: a slow store peer does not hold up the own archive.
const CONCURRENT: usize = 2;
/// Messages of a page of the own archive.
const PAGE: usize = 100;
/// Most pages of one store peer for one fetch: a peer cannot keep us reading for ever.
const MAX_PAGES: usize = 10_000;

/// Waku timestamps from one, inclusive, up to another, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Range {
    /// Just this one.
    pub(super) fn of(at: Timestamp) -> Self {
        Self { from: at, to: Timestamp::from_nanos(at.as_nanos().saturating_add(1)) }
    }

    /// From the earlier beginning to the later end.
    pub(super) fn with(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    fn holds(self, message: &WakuMessage) -> bool {
        let at = message.timestamp.map_or(Timestamp::ZERO, Timestamp::from_waku);
        self.from <= at && at < self.to
    }
}

/// Why an archive did not answer for the whole range.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The own archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store peer gave no page.
    #[error(transparent)]
    Peer(#[from] QueryError),
    /// The store peer gave the same cursor again, or pages without end.
    #[error("its pages do not end")]
    Endless,
    /// The chat stops.
    #[error("the chat has stopped")]
    Stopped,
}

/// What came out of an archive so far.
#[derive(Debug, Default)]
struct Taken {
    count: u64,
    hashes: Vec<MessageHash>,
}

/// Carries out fetches.
#[derive(Clone)]
pub(super) struct Fetcher {
    pub(super) core: CoreHandle,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) archive: Arc<dyn Archive>,
    pub(super) topic: PubsubTopic,
}

impl Fetcher {
    /// Carries out what comes until the core's thread or `stop` ends it.
    pub(super) async fn run(
        self,
        mut jobs: mpsc::Receiver<(FetchId, FetchRequest)>,
        stop: CancellationToken,
    ) {
        let work = stream::poll_fn(move |cx| jobs.poll_recv(cx))
            .for_each_concurrent(CONCURRENT, |(id, request)| self.fetch(id, request));
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    async fn fetch(&self, id: FetchId, request: FetchRequest) {
        let range = Range { from: request.from, to: request.to };
        let mut tried = Vec::new();
        let mut hashes = BTreeSet::new();
        match request.source {
            FetchSource::OwnArchive(topics) => {
                let read = self.read_archive(topics, range, request.what).await;
                tried.push(try_of(OWN_ARCHIVE.to_owned(), read, &mut hashes));
            }
            FetchSource::StorePeers => {
                let peers = self.engine.store_peers().await.unwrap_or_default();
                if peers.is_empty() {
                    let outcome = Err("none is connected".to_owned());
                    tried.push(FetchTry { source: STORE_PEERS.to_owned(), outcome });
                }
                for peer in peers {
                    let read = self.read_peer(&peer, range, request.what).await;
                    tried.push(try_of(format!("store {peer}"), read, &mut hashes));
                }
            }
        }
        let answered = tried.iter().filter(|t| t.outcome.is_ok()).count();
        debug!(asked = tried.len(), answered, "fetched");
        let result = FetchResult { tried, hashes: hashes.into_iter().collect() };
        self.core.tell(Message::Fetched(id, result)).await;
    }

    async fn read_archive(
        &self,
        topics: Vec<ContentTopic>,
        range: Range,
        what: FetchWhat,
    ) -> Result<Taken, ReadError> {
        let query = archive_query(self.topic, topics, range, what);
        read_own(&self.core, &self.archive, query).await
    }

    /// Asks one store peer page after page, from the oldest on.
    async fn read_peer(
        &self,
        peer: &PeerName,
        range: Range,
        what: FetchWhat,
    ) -> Result<Taken, ReadError> {
        let mut taken = Taken::default();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let request = StoreQueryRequest {
                request_id: HEXLOWER.encode(&rand::random::<[u8; 16]>()),
                include_data: what == FetchWhat::Messages,
                pubsub_topic: Some(self.topic),
                time_start: Some(range.from.as_waku()),
                time_end: Some(range.to.as_waku()),
                cursor,
                forward: true,
                limit: Some(MAX_PAGE_SIZE),
                ..StoreQueryRequest::default()
            };
            let page = self.engine.store_query(peer, request).await?;
            match what {
                FetchWhat::Hashes => taken.add_hashes(&page.messages),
                FetchWhat::Messages => {
                    let messages = self.fitting(page.messages, range);
                    taken.count += messages.len() as u64;
                    self.keep(&messages).await?;
                    let messages = messages.into_iter().map(|m| m.message).collect();
                    if !self.core.feed(messages).await {
                        return Err(ReadError::Stopped);
                    }
                }
            }
            match page.cursor {
                None => return Ok(taken),
                again if again == cursor => return Err(ReadError::Endless),
                next => cursor = next,
            }
        }
        Err(ReadError::Endless)
    }

    /// What was asked for, under hashes of our own: a peer's word is not taken for them.
    fn fitting(&self, entries: Vec<StoreEntry>, range: Range) -> Vec<ArchivedMessage> {
        entries
            .into_iter()
            .filter(|entry| entry.pubsub_topic.is_none_or(|topic| topic == self.topic))
            .filter_map(|entry| entry.message)
            .filter(|message| !message.ephemeral && range.holds(message))
            .map(|message| ArchivedMessage::new(self.topic, message))
            .collect()
    }

    /// Puts what a store peer gave into the own archive, which is to hold the whole shard.
    async fn keep(&self, messages: &[ArchivedMessage]) -> Result<(), ReadError> {
        let (archive, messages) = (Arc::clone(&self.archive), messages.to_vec());
        blocking(move || archive.insert(&messages)).await?;
        Ok(())
    }
}

impl Taken {
    fn add_hashes(&mut self, entries: &[StoreEntry]) {
        self.count += entries.len() as u64;
        self.hashes.extend(entries.iter().map(|entry| entry.hash));
    }
}

/// Hands the core all messages of the own archive in a range, waiting for room.
pub(super) async fn from_archive(
    core: &CoreHandle,
    archive: &Arc<dyn Archive>,
    topic: PubsubTopic,
    range: Range,
) -> Result<u64, ReadError> {
    let query = archive_query(topic, Vec::new(), range, FetchWhat::Messages);
    Ok(read_own(core, archive, query).await?.count)
}

async fn read_own(
    core: &CoreHandle,
    archive: &Arc<dyn Archive>,
    mut query: ArchiveQuery,
) -> Result<Taken, ReadError> {
    let mut taken = Taken::default();
    loop {
        let (archive, asked) = (Arc::clone(archive), query.clone());
        let page = blocking(move || archive.query(&asked)).await?;
        if query.include_data {
            taken.count += page.messages.len() as u64;
            let messages = page.messages.into_iter().filter_map(|entry| entry.message).collect();
            if !core.feed(messages).await {
                return Err(ReadError::Stopped);
            }
        } else {
            taken.add_hashes(&page.messages);
        }
        if page.cursor.is_none() {
            return Ok(taken);
        }
        query.cursor = page.cursor;
    }
}

fn archive_query(
    topic: PubsubTopic,
    content_topics: Vec<ContentTopic>,
    range: Range,
    what: FetchWhat,
) -> ArchiveQuery {
    ArchiveQuery {
        include_data: what == FetchWhat::Messages,
        pubsub_topic: Some(topic),
        content_topics,
        time_start: Some(range.from.as_waku()),
        time_end: Some(range.to.as_waku()),
        limit: PAGE,
        ..ArchiveQuery::default()
    }
}

/// Runs a call to the archive where it may block.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ReadError> {
    // The call is only not run if the runtime stops.
    let done = tokio::task::spawn_blocking(call).await.map_err(|_| ReadError::Stopped)?;
    Ok(done?)
}

fn try_of(
    source: String,
    read: Result<Taken, ReadError>,
    hashes: &mut BTreeSet<MessageHash>,
) -> FetchTry {
    let outcome = match read {
        Ok(taken) => {
            hashes.extend(taken.hashes);
            Ok(taken.count)
        }
        Err(error) => Err(error.to_string()),
    };
    FetchTry { source, outcome }
}
