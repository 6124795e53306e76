//! An HTTP server on a listener that is bound already.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::{Instrument, error, info_span};

/// Connections of one server at a time; further ones wait in the system's backlog.
const MAX_CONNECTIONS: usize = 256;

/// How long requests that are under way when the server ends may still take.
const GRACE: Duration = Duration::from_secs(3);

/// How long a peer may take nothing of what is written to it, a stream of events above all.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the answers to those that took longer may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// No more requests.
    stop: CancellationToken,
    /// Requests under way get 503.
    refuse: CancellationToken,
    /// Connections fail.
    cut: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves from now on. `name` is for the log.
    pub(crate) fn start(name: &'static str, listener: TcpListener, router: Router) -> Self {
        Self::start_with(name, listener, router, PATIENCE)
    }

    fn start_with(
        name: &'static str,
        listener: TcpListener,
        router: Router,
        patience: Duration,
    ) -> Self {
        let [stop, refuse, cut] = std::array::from_fn(|_| CancellationToken::new());
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let listener = Bounded { listener, places, cut: cut.clone(), patience };
        let router = router.layer(from_fn_with_state(refuse.clone(), until_refused));
        let stopped = stop.clone().cancelled_owned();
        let serve = async move {
            // It only returns once it is stopped.
            let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
            if let Err(error) = served {
                error!(%error, "the server ended");
            }
        };
        let task = tokio::spawn(serve.instrument(info_span!("server", name)));
        Self { stop, refuse, cut, task }
    }

    /// Takes no more requests, waits a short while for those under way, then cuts what is left.
    pub(crate) async fn shutdown(mut self) {
        self.stop.cancel();
        let mut ended = tokio::time::timeout(GRACE, &mut self.task).await;
        if ended.is_err() {
            self.refuse.cancel();
            ended = tokio::time::timeout(FLUSH, &mut self.task).await;
        }
        let ended = match ended {
            Ok(ended) => ended,
            Err(_) => {
                self.cut.cancel();
                self.task.await
            }
        };
        if let Err(error) = ended {
            error!(%error, "a server panicked");
        }
    }
}

/// Ends requests that go on too long after the server was stopped, long polls above all.
async fn until_refused(
    State(refuse): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = refuse.cancelled() => {
            (StatusCode::SERVICE_UNAVAILABLE, "the node is shutting down").into_response()
        }
    }
}

/// A listener that takes no more connections than it has places.
struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    cut: CancellationToken,
    patience: Duration,
}

impl Listener for Bounded {
    type Io = Held;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Held, SocketAddr) {
        // Never closed: without a place there would just be no limit.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let cut = Box::pin(self.cut.clone().cancelled_owned());
        let patience = self.patience;
        (Held { stream, cut, patience, stalled: None, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection in its place. Once it is cut, what would wait for the peer fails instead: a peer
/// that has sent half a request, or does not read, keeps the server no longer. One that does not
/// read for long loses its place before.
struct Held {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    patience: Duration,
    /// Runs while something that is written waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// What `poll` of the stream says, unless it waits and the connection is cut.
    fn unless_cut<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match poll(Pin::new(&mut self.stream), cx) {
            Poll::Pending => {
                self.cut.as_mut().poll(cx).map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
            }
            ready => ready,
        }
    }
}

impl Held {
    /// What `poll` says, unless it has waited for the peer for too long.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = self.unless_cut(cx, poll);
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_stalled(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_stalled(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures::StreamExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_does_not_read_loses_its_place() {
        let (dropped, is_dropped) = oneshot::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(Some(dropped)));
        let endless = get(move || async move {
            let dropped = held.lock().expect("no panic").take();
            let chunk = Bytes::from(vec![0; 1 << 16]);
            Body::from_stream(futures::stream::repeat(chunk).map(move |chunk| {
                let _ = &dropped;
                Ok::<_, Infallible>(chunk)
            }))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/", endless);
        let server = Server::start_with("test", listener, router, Duration::from_millis(100));
        let mut peer = TcpStream::connect(address).await.expect("it listens");
        peer.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        // The body is dropped with the connection, while the peer still holds its end.
        let ended = tokio::time::timeout(Duration::from_secs(20), is_dropped).await;
        assert!(ended.expect("in time").is_err(), "dropped without a word");
        server.shutdown().await;
        drop(peer);
    }
}
