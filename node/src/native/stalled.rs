//! Connections end whose other side takes nothing.
//!
//! A peer that asks into the mesh and then does not read lets its queue fill, and the memory that
//! lies there is lost for as long as the connection stands. libp2p's pings do not notice: they have
//! a stream of their own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::AsyncWrite;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use tokio::time::Sleep;

use super::forward::{forward_ends, forward_read};

/// How long a stream may take no byte while there are bytes to write.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A muxer that fails once one of its streams has stalled.
pub(super) struct EndsStalled<M> {
    inner: M,
    timeout: Duration,
    stalled: Arc<AtomicBool>,
}

impl<M> EndsStalled<M> {
    pub(super) fn new(inner: M, timeout: Duration) -> Self {
        Self { inner, timeout, stalled: Arc::default() }
    }

    fn opened<S>(&self, inner: S) -> Watched<S> {
        let stalled = Arc::clone(&self.stalled);
        Watched { inner, timeout: self.timeout, stalled, deadline: None }
    }
}

impl<M> StreamMuxer for EndsStalled<M>
where
    M: StreamMuxer<Error = io::Error> + Unpin,
    M::Substream: Unpin,
{
    type Substream = Watched<M::Substream>;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Self::Substream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx))?;
        Poll::Ready(Ok(self.opened(stream)))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Self::Substream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_outbound(cx))?;
        Poll::Ready(Ok(self.opened(stream)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        if self.stalled.load(Ordering::Relaxed) {
            let reason = "the peer takes nothing";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)));
        }
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// A stream that tells its muxer when it has stalled.
pub(super) struct Watched<S> {
    inner: S,
    timeout: Duration,
    stalled: Arc<AtomicBool>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// What a write came to; starts, ends or looks at the time.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<T>) -> Poll<T> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if deadline.as_mut().poll(cx).is_ready() {
            self.stalled.store(true, Ordering::Relaxed);
            // The muxer is polled on the same task.
            cx.waker().wake_by_ref();
        }
        written
    }
}

forward_read!(Watched);

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    forward_ends!();
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::{AsyncRead, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    /// Gives out one stream.
    struct One(Option<Gate>);

    impl StreamMuxer for One {
        type Substream = Gate;
        type Error = io::Error;

        fn poll_inbound(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Gate>> {
            self.0.take().map_or(Poll::Pending, |stream| Poll::Ready(Ok(stream)))
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Gate>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    /// Takes bytes while it is open.
    struct Gate(Arc<AtomicBool>);

    impl AsyncRead for Gate {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Gate {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.0.load(Ordering::Relaxed) { Poll::Ready(Ok(buf.len())) } else { Poll::Pending }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_connection_that_takes_nothing_ends() {
        let (open, timeout) = (Arc::new(AtomicBool::new(true)), Duration::from_millis(20));
        let mut muxer = EndsStalled::new(One(Some(Gate(open.clone()))), timeout);
        let stream = poll_fn(|cx| Pin::new(&mut muxer).poll_inbound(cx)).await;
        let mut stream = stream.expect("there is one");
        // What is taken, late or not, sets the time back.
        stream.write_all(&[1; 10]).await.expect("taken");
        open.store(false, Ordering::Relaxed);
        let waiting = poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_write(cx, &[2])));
        assert!(waiting.await.is_pending() && stream.deadline.is_some());
        open.store(true, Ordering::Relaxed);
        stream.write_all(&[2; 10]).await.expect("taken");
        assert!(stream.deadline.is_none());

        open.store(false, Ordering::Relaxed);
        let start = Instant::now();
        let ended = poll_fn(|cx| {
            assert!(Pin::new(&mut stream).poll_write(cx, &[3]).is_pending());
            Pin::new(&mut muxer).poll(cx)
        });
        let error = ended.await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= timeout);
    }
}
