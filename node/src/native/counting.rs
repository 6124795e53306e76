//! What is counted below the protocols: bytes on the wire, open streams, and relay messages before
//! gossipsub drops those it has seen.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::gossipsub::{DataTransform, IdentityTransform, Message, RawMessage, TopicHash};
use parking_lot::RwLock;
use waku_groupchat_waku::PubsubTopic;

use super::forward::{forward_ends, forward_read, forward_write};
use super::recorder::{Observed, Recorder};

/// A connection of the transport whose bytes are counted.
pub(super) struct CountedBytes<T> {
    inner: T,
    recorder: Arc<dyn Recorder>,
}

impl<T> CountedBytes<T> {
    pub(super) fn new(inner: T, recorder: Arc<dyn Recorder>) -> Self {
        Self { inner, recorder }
    }

    fn written(&self, written: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = written {
            self.recorder.record(Observed::Written(bytes));
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for CountedBytes<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if let Ok(bytes) = read {
            self.recorder.record(Observed::Read(bytes));
        }
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CountedBytes<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        Poll::Ready(self.written(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs));
        Poll::Ready(self.written(written))
    }

    forward_ends!();
}

/// A muxer whose streams are counted from the moment they are opened until they are dropped.
pub(super) struct CountedStreams<M> {
    inner: M,
    recorder: Arc<dyn Recorder>,
}

impl<M> CountedStreams<M> {
    pub(super) fn new(inner: M, recorder: Arc<dyn Recorder>) -> Self {
        Self { inner, recorder }
    }

    fn opened<S>(&self, stream: S, outbound: bool) -> CountedStream<S> {
        self.recorder.record(Observed::StreamOpened { outbound });
        CountedStream { inner: stream, outbound, recorder: Arc::clone(&self.recorder) }
    }
}

impl<M> StreamMuxer for CountedStreams<M>
where
    M: StreamMuxer + Unpin,
    M::Substream: Unpin,
{
    type Substream = CountedStream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, M::Error>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx))?;
        Poll::Ready(Ok(self.opened(stream, false)))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, M::Error>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_outbound(cx))?;
        Poll::Ready(Ok(self.opened(stream, true)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// A stream that is counted as open until it is dropped.
pub(super) struct CountedStream<S> {
    inner: S,
    outbound: bool,
    recorder: Arc<dyn Recorder>,
}

impl<S> Drop for CountedStream<S> {
    fn drop(&mut self) {
        self.recorder.record(Observed::StreamClosed { outbound: self.outbound });
    }
}

forward_read!(CountedStream);
forward_write!(CountedStream);

/// The subscribed topics, shared with [`CountedMessages`].
pub(super) type Subscribed = Arc<RwLock<BTreeSet<PubsubTopic>>>;

/// Leaves messages as they are, and counts those of subscribed topics: gossipsub passes each one
/// through here before it looks whether it has seen it. Peers may send on topics of their own
/// making; those are not counted, so that their number stays bounded.
pub(super) struct CountedMessages {
    subscribed: Subscribed,
    recorder: Arc<dyn Recorder>,
}

impl CountedMessages {
    pub(super) fn new(subscribed: Subscribed, recorder: Arc<dyn Recorder>) -> Self {
        Self { subscribed, recorder }
    }
}

impl DataTransform for CountedMessages {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        if let Ok(topic) = raw.topic.as_str().parse::<PubsubTopic>()
            && self.subscribed.read().contains(&topic)
        {
            let bytes = message_bytes(&raw.topic, &raw.data);
            self.recorder.record(Observed::RelayGross { topic, bytes });
        }
        IdentityTransform.inbound_transform(raw)
    }

    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        IdentityTransform.outbound_transform(topic, data)
    }
}

/// What nwaku counts of a message: its data and the name of its topic.
pub(super) fn message_bytes(topic: &TopicHash, data: &[u8]) -> usize {
    data.len() + topic.as_str().len()
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;
    use futures::{AsyncReadExt, AsyncWriteExt};
    use parking_lot::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Facts(Mutex<Vec<Observed>>);

    impl Recorder for Facts {
        fn record(&self, observed: Observed) {
            self.0.lock().push(observed);
        }
    }

    #[tokio::test]
    async fn bytes_are_counted_in_both_directions() {
        let facts = Arc::new(Facts::default());
        let mut wire = CountedBytes::new(Cursor::new(vec![0; 5]), facts.clone());
        wire.write_all(&[1, 2, 3]).await.unwrap();
        let mut rest = [0; 9];
        assert_eq!(wire.read(&mut rest).await.unwrap(), 2);
        assert_eq!(*facts.0.lock(), [Observed::Written(3), Observed::Read(2)]);
    }

    #[test]
    fn only_messages_of_subscribed_topics_are_counted() {
        let facts = Arc::new(Facts::default());
        let topic = PubsubTopic::new(1, 2);
        let subscribed = Subscribed::default();
        subscribed.write().insert(topic);
        let counted = CountedMessages::new(subscribed, facts.clone());
        for name in ["/waku/2/rs/1/2", "/waku/2/rs/1/3", "something", "/waku/2/rs/1/2"] {
            let raw = RawMessage {
                source: None,
                data: vec![0; 10],
                sequence_number: None,
                topic: TopicHash::from_raw(name),
                signature: None,
                key: None,
                validated: false,
            };
            assert_eq!(counted.inbound_transform(raw).unwrap().data.len(), 10);
        }
        assert_eq!(*facts.0.lock(), [Observed::RelayGross { topic, bytes: 24 }; 2]);
    }
}
