//! How fast is read what peers send.
//!
//! What comes in costs work and memory for as long as gossipsub remembers it, whether it is of use
//! or not. So there is a budget for all connections together. Each pays for its bytes, and for each
//! message that is new; one that has spent more than its share is not read from until the share has
//! grown to that. Nothing is dropped: its sender waits. Shares are equal among those that want more
//! than theirs, so that a connection on which little comes never waits (max-min fairness).
//!
//! The budget's clock runs as fast as time while one connection is in debt, half as fast for each of
//! two, and so on; a debt is a time on that clock.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::AsyncRead;
use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::forward::forward_write;

/// Bytes that may come for each message of the budget.
const BYTES_PER_MESSAGE: f64 = 4096.0;

/// How much of the budget, in seconds of it, a connection may take at once.
const BURST: f64 = 0.25;

/// The shortest wait: less is not worth a timer.
const LEAST_WAIT: Duration = Duration::from_millis(2);

/// The budget of all connections, and what each has spent.
pub(super) struct Paces {
    /// Messages a second; 0 for no limit.
    rate: f64,
    state: Mutex<State>,
}

struct State {
    /// The budget's clock in seconds, and when it was last set.
    clock: f64,
    set: Instant,
    last_id: u64,
    accounts: HashMap<u64, Account>,
}

struct Account {
    /// Until when, on the budget's clock, everything is paid for.
    spent: f64,
    point: ConnectedPoint,
    /// Once the handshake said so.
    peer: Option<PeerId>,
}

impl State {
    /// Sets the clock; how many connections are in debt, at least one.
    fn advance(&mut self, now: Instant) -> f64 {
        let indebted = self.accounts.values().filter(|account| account.spent > self.clock).count();
        let sharing = indebted.max(1) as f64;
        self.clock += now.saturating_duration_since(self.set).as_secs_f64() / sharing;
        self.set = now;
        sharing
    }
}

impl Paces {
    /// A budget of this many messages a second, and of 4 KiB for each; 0 for no limit.
    pub(super) fn new(messages: u32) -> Arc<Self> {
        let state = State { clock: 0.0, set: Instant::now(), last_id: 0, accounts: HashMap::new() };
        Arc::new(Self { rate: messages.into(), state: Mutex::new(state) })
    }

    /// Opens a connection's account.
    pub(super) fn pace<T>(self: &Arc<Self>, inner: T, point: ConnectedPoint) -> Paced<T> {
        let mut state = self.state.lock();
        state.last_id += 1;
        let (id, spent) = (state.last_id, state.clock);
        state.accounts.insert(id, Account { spent, point, peer: None });
        drop(state);
        Paced { inner, id, paces: Arc::clone(self), waits: None }
    }

    /// The connection at this point is a peer's.
    pub(super) fn name(&self, point: &ConnectedPoint, peer: PeerId) {
        let mut state = self.state.lock();
        let unnamed = |account: &&mut Account| account.peer.is_none() && account.point == *point;
        if let Some(account) = state.accounts.values_mut().find(unnamed) {
            account.peer = Some(peer);
        }
    }

    /// A peer sent a message that is new.
    pub(super) fn message(&self, peer: &PeerId) {
        self.charge(Instant::now(), 1.0, |_, account| account.peer.as_ref() == Some(peer));
    }

    /// Whether a peer is not read from now, so that nothing follows from what it does not answer.
    pub(super) fn waits(&self, peer: &PeerId) -> bool {
        let mut state = self.state.lock();
        state.advance(Instant::now());
        let free = state.clock + BURST;
        let mut of_peer = state.accounts.values().filter(|a| a.peer.as_ref() == Some(peer));
        of_peer.any(|account| account.spent > free)
    }

    fn bytes(&self, id: u64, bytes: usize) {
        self.charge(Instant::now(), bytes as f64 / BYTES_PER_MESSAGE, |other, _| other == id);
    }

    fn charge(&self, now: Instant, messages: f64, of: impl Fn(u64, &Account) -> bool) {
        if self.rate == 0.0 {
            return;
        }
        let mut state = self.state.lock();
        state.advance(now);
        let clock = state.clock;
        for (id, account) in &mut state.accounts {
            if of(*id, account) {
                account.spent = account.spent.max(clock) + messages / self.rate;
            }
        }
    }

    /// How long this connection has to wait before it is read from; not exactly, since others may
    /// want their share, or no longer.
    fn wait(&self, now: Instant, id: u64) -> Option<Duration> {
        let mut state = self.state.lock();
        let sharing = state.advance(now);
        let over = state.accounts.get(&id)?.spent - state.clock - BURST;
        (over > 0.0).then(|| Duration::from_secs_f64(over * sharing).max(LEAST_WAIT))
    }
}

/// A connection of the transport that is read from as fast as the budget allows.
pub(super) struct Paced<T> {
    inner: T,
    id: u64,
    paces: Arc<Paces>,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<T> Drop for Paced<T> {
    fn drop(&mut self) {
        self.paces.state.lock().accounts.remove(&self.id);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(waits) = &mut self.waits {
                ready!(waits.as_mut().poll(cx));
                self.waits = None;
            }
            let Some(wait) = self.paces.wait(Instant::now(), self.id) else { break };
            self.waits = Some(Box::pin(tokio::time::sleep(wait)));
        }
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if let Ok(bytes) = read {
            self.paces.bytes(self.id, bytes);
        }
        Poll::Ready(read)
    }
}

forward_write!(Paced);

#[cfg(test)]
mod tests {
    use futures::AsyncReadExt;
    use futures::io::Cursor;
    use libp2p::Multiaddr;

    use super::*;

    fn point(port: u16) -> ConnectedPoint {
        let address = |port| -> Multiaddr { format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap() };
        ConnectedPoint::Listener { local_addr: address(1), send_back_addr: address(port) }
    }

    /// A connection on which 768 KiB come, and whose it is.
    fn open(paces: &Arc<Paces>, port: u16) -> (Paced<Cursor<Vec<u8>>>, PeerId) {
        let (bytes, peer) = (Cursor::new(vec![0; 768 * 1024]), PeerId::random());
        let paced = paces.pace(bytes, point(port));
        paces.name(&point(port), peer);
        (paced, peer)
    }

    #[test]
    fn those_that_want_more_share_and_others_do_not_wait() {
        let paces = Paces::new(100);
        let start = paces.state.lock().set;
        let after = |millis| start + Duration::from_millis(millis);
        let near = |millis, of: &Paced<_>, seconds: f64| {
            let wait = paces.wait(after(millis), of.id).map_or(0.0, |wait| wait.as_secs_f64());
            assert!((wait - seconds).abs() < 0.001, "{wait} s instead of {seconds} s");
        };
        let ((a, loud), (b, louder), (c, quiet)) =
            (open(&paces, 2), open(&paces, 3), open(&paces, 4));
        let send = |peer, messages| {
            paces.charge(start, messages, |_, account| account.peer == Some(peer));
        };
        // A second of the budget, of which a quarter is free.
        send(loud, 100.0);
        near(0, &a, 0.75);
        assert!(paces.waits(&loud) && !paces.waits(&louder));
        // Two share: each waits twice as long.
        send(louder, 200.0);
        near(0, &a, 1.5);
        near(0, &b, 3.5);
        send(quiet, 25.0);
        near(0, &c, 0.0);
        // All three have shared for a while, and the quiet one's debt is paid.
        near(750, &c, 0.0);
        near(750, &a, 1.0);
        // Who is gone takes no share.
        drop(b);
        near(750, &a, 0.5);
        near(1250, &a, 0.0);
    }

    #[tokio::test]
    async fn a_connection_is_read_at_the_budgets_speed() {
        let start = Instant::now();
        let paces = Paces::new(256);
        let (mut paced, _) = open(&paces, 2);
        let mut read = Vec::new();
        // Three quarters of a second of the budget.
        paced.read_to_end(&mut read).await.unwrap();
        assert!(read.len() == 768 * 1024 && start.elapsed() >= Duration::from_millis(400));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let paces = Paces::new(0);
        let (paced, peer) = open(&paces, 2);
        (0..1_000_000).for_each(|_| paces.message(&peer));
        assert!(!paces.waits(&peer));
        paces.bytes(paced.id, usize::MAX);
        assert_eq!(paces.wait(Instant::now(), paced.id), None);
        drop(paced);
        assert!(paces.state.lock().accounts.is_empty());
    }
}
