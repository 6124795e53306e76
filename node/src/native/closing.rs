//! Connections that close in time.
//!
//! A muxer writes what it still holds before it closes. On a link that takes no more bytes that
//! never ends, and libp2p counts the peer as connected until it does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use tokio::time::Sleep;

/// How long a muxer may take to close.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// A muxer that gives up closing after a while; whoever holds it then drops it.
pub(super) struct ClosesInTime {
    inner: StreamMuxerBox,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl ClosesInTime {
    pub(super) fn new(inner: StreamMuxerBox, timeout: Duration) -> Self {
        Self { inner, timeout, deadline: None }
    }
}

impl StreamMuxer for ClosesInTime {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.inner).poll_inbound(cx)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.inner).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.inner).poll_close(cx) {
            return Poll::Ready(closed);
        }
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::muxing::StreamMuxerExt;

    use super::*;

    /// Never does anything.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = SubstreamBox;
        type Error = io::Error;

        fn poll_inbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<SubstreamBox>> {
            Poll::Pending
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<SubstreamBox>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_muxer_that_is_stuck_is_given_up() {
        let muxer = ClosesInTime::new(StreamMuxerBox::new(Stuck), Duration::from_millis(10));
        let error = muxer.close().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
