//! The own Store, for peers (13/WAKU2-STORE): queries run beside the network's task, few at once.

use std::collections::HashMap;
use std::sync::Arc;

use libp2p::PeerId;
use libp2p::request_response::{InboundRequestId, ResponseChannel};
use tokio::task::JoinSet;
use tokio::time::Instant;
use waku_groupchat_storage::{Archive, ArchiveError, ArchiveQuery};
use waku_groupchat_waku::store::{
    MAX_RESPONSE_LEN, StoreEntry, StoreQueryRequest, StoreQueryResponse, status,
};

use super::recorder::{Observed, Recorder};

/// What a response has besides its entries: request id, status, cursor.
const ENVELOPE_LEN: usize = 64 * 1024;

/// What an entry has besides payload, topics and the message's byte fields.
const ENTRY_ENVELOPE_LEN: usize = 256;

/// Answers queries of peers. A query counts as being served until its response has been sent, so
/// that slow readers do not pile up responses.
pub(super) struct StoreServer {
    archive: Option<Arc<dyn Archive>>,
    limit: usize,
    limit_per_peer: usize,
    serving: HashMap<InboundRequestId, PeerId>,
    tasks: JoinSet<Answer>,
    recorder: Arc<dyn Recorder>,
}

/// An encoded response and where it goes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) channel: ResponseChannel<Vec<u8>>,
    pub(super) response: Vec<u8>,
}

impl StoreServer {
    /// Serves at most `limit` queries at once, a quarter of them (at least one) for one peer.
    pub(super) fn new(
        archive: Option<Arc<dyn Archive>>,
        limit: usize,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let limit_per_peer = (limit / 4).max(1);
        let (serving, tasks) = (HashMap::new(), JoinSet::new());
        Self { archive, limit, limit_per_peer, serving, tasks, recorder }
    }

    /// Begins to answer a query, or gives the answer that refuses it.
    pub(super) fn serve(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        request: Vec<u8>,
        channel: ResponseChannel<Vec<u8>>,
    ) -> Option<Answer> {
        // Without an archive the protocol is not offered.
        let archive = self.archive.clone()?;
        let of_peer = self.serving.values().filter(|served| **served == peer).count();
        if self.serving.len() >= self.limit || of_peer >= self.limit_per_peer {
            self.recorder.record(Observed::StoreRefused);
            tracing::debug!(%peer, "store query refused: too many at once");
            let refused = refusal(status::TOO_MANY_REQUESTS, "too many queries at once".to_owned());
            return Some(Answer { channel, response: refused.encode() });
        }
        self.recorder.record(Observed::StoreQuery);
        self.serving.insert(id, peer);
        let recorder = self.recorder.clone();
        self.tasks.spawn_blocking(move || {
            let response = answer(&*archive, &request, &*recorder);
            tracing::debug!(
                %peer,
                request_id = response.request_id,
                status = response.status_code,
                messages = response.messages.len(),
                "store query"
            );
            Answer { channel, response: response.encode() }
        });
        None
    }

    /// The next answer that is ready; `None` while nothing is being looked up. A query that
    /// panicked has dropped its channel, which the peer sees as a closed stream.
    pub(super) async fn answered(&mut self) -> Option<Answer> {
        loop {
            match self.tasks.join_next().await? {
                Ok(answer) => return Some(answer),
                Err(error) => tracing::error!(%error, "store query"),
            }
        }
    }

    /// The response was sent, or cannot be any more.
    pub(super) fn finished(&mut self, id: &InboundRequestId) {
        self.serving.remove(id);
    }

    /// Waits until no query runs; drops the answers.
    pub(super) async fn close(&mut self) {
        while self.answered().await.is_some() {}
    }
}

/// Looks up one page. Blocks.
fn answer(archive: &dyn Archive, request: &[u8], recorder: &dyn Recorder) -> StoreQueryResponse {
    let request = match StoreQueryRequest::decode(request) {
        Ok(request) => request,
        Err(error) => return refusal(status::BAD_REQUEST, error.to_string()),
    };
    let started = Instant::now();
    let mut response = match archive.query(&ArchiveQuery::from(&request)) {
        Ok(page) => {
            recorder.record(Observed::StoreAnswered(started.elapsed()));
            let mut response = StoreQueryResponse {
                status_code: status::OK,
                status_desc: "OK".to_owned(),
                messages: page.messages,
                cursor: page.cursor,
                ..StoreQueryResponse::default()
            };
            fit(&mut response, request.forward, MAX_RESPONSE_LEN - ENVELOPE_LEN);
            response
        }
        Err(error @ (ArchiveError::InvalidQuery(_) | ArchiveError::UnknownCursor(_))) => {
            refusal(status::BAD_REQUEST, error.to_string())
        }
        Err(error) => {
            tracing::error!(%error, "archive");
            recorder.record(Observed::StoreFailed);
            refusal(status::SERVICE_UNAVAILABLE, "the archive cannot answer now".to_owned())
        }
    };
    response.request_id = request.request_id;
    response
}

/// Ends a page early if its messages are more than a peer reads: from the near end on, as many as
/// fit, and the cursor at the last of them.
fn fit(response: &mut StoreQueryResponse, forward: bool, max: usize) {
    let mut size = 0;
    let mut fits = |entry: &&StoreEntry| {
        size += encoded_len(entry);
        size <= max
    };
    let entries = &mut response.messages;
    let taken = if forward {
        entries.iter().take_while(&mut fits).count()
    } else {
        entries.iter().rev().take_while(&mut fits).count()
    };
    if taken == entries.len() {
        return;
    }
    let last = if forward {
        entries.truncate(taken);
        entries.last()
    } else {
        entries.drain(..entries.len() - taken);
        entries.first()
    };
    response.cursor = last.map(|entry| entry.hash);
}

/// An upper bound of an entry's encoded length in bytes.
fn encoded_len(entry: &StoreEntry) -> usize {
    let message = entry.message.as_ref().map_or(0, |message| {
        message.payload.len()
            + message.content_topic.as_str().len()
            + message.meta.len()
            + message.rate_limit_proof.len()
    });
    message + ENTRY_ENVELOPE_LEN
}

fn refusal(status_code: u32, status_desc: String) -> StoreQueryResponse {
    StoreQueryResponse { status_code, status_desc, ..StoreQueryResponse::default() }
}

#[cfg(test)]
mod tests {
    use waku_groupchat_storage::{ArchivedMessage, MemoryArchive};
    use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

    use super::super::recorder::NoRecorder;
    use super::*;

    fn archive(messages: i64, payload: usize) -> MemoryArchive {
        let topic = PubsubTopic::new(1, 0);
        let content: ContentTopic = "/app/1/chat/proto".parse().unwrap();
        let archive = MemoryArchive::new();
        let message = |at| WakuMessage::new(content.clone(), vec![1; payload], at);
        let batch: Vec<_> =
            (1..=messages).map(|at| ArchivedMessage::new(topic, message(at))).collect();
        archive.insert(&batch).unwrap();
        archive
    }

    fn ask(archive: &MemoryArchive, request: &StoreQueryRequest) -> StoreQueryResponse {
        answer(archive, &request.encode(), &NoRecorder)
    }

    fn times(response: &StoreQueryResponse) -> Vec<i64> {
        let time = |entry: &StoreEntry| entry.message.as_ref().and_then(|m| m.timestamp).unwrap();
        response.messages.iter().map(time).collect()
    }

    #[test]
    fn wrong_requests_are_answered_with_the_reason() {
        let archive = archive(1, 1);
        let topics = vec!["/app/1/chat/proto".parse().unwrap()];
        let alone = StoreQueryRequest { content_topics: topics, ..Default::default() };
        let cursor = Some(MessageHash::from_bytes([9; 32]));
        let unknown = StoreQueryRequest { cursor, ..Default::default() };
        for (mut request, reason) in
            [(alone, "content topics need a pubsub topic"), (unknown, "no message 0x0909")]
        {
            request.request_id = "7".to_owned();
            let response = ask(&archive, &request);
            assert_eq!((response.status_code, response.request_id.as_str()), (400, "7"));
            assert!(response.status_desc.starts_with(reason), "{}", response.status_desc);
        }
        assert_eq!(answer(&archive, &[0xff], &NoRecorder).status_code, 400);
    }

    #[test]
    fn pages_are_clamped() {
        let archive = archive(120, 1);
        let page = |limit| {
            let request = StoreQueryRequest { limit, forward: true, ..Default::default() };
            let response = ask(&archive, &request);
            assert_eq!(response.status_code, 200);
            response.messages.len()
        };
        assert_eq!([page(None), page(Some(0)), page(Some(7)), page(Some(500))], [20, 20, 7, 100]);
    }

    #[test]
    fn pages_that_a_peer_would_not_read_end_early() {
        let archive = archive(7, 1000);
        for forward in [true, false] {
            let mut request =
                StoreQueryRequest { include_data: true, forward, ..StoreQueryRequest::default() };
            let mut seen = Vec::new();
            loop {
                let mut response = ask(&archive, &request);
                fit(&mut response, forward, 3 * (1000 + 17 + ENTRY_ENVELOPE_LEN));
                let mut page = times(&response);
                assert!(page.is_sorted() && page.len() <= 3, "{page:?}");
                if !forward {
                    page.reverse();
                }
                seen.extend(page);
                request.cursor = response.cursor;
                if request.cursor.is_none() {
                    break;
                }
            }
            if !forward {
                seen.reverse();
            }
            assert_eq!(seen, (1..=7).collect::<Vec<_>>());
        }
    }
}
