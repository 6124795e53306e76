//! A link between two nodes: a TCP relay on loopback that can be cut and healed.
//!
//! A link listens on a port of its own and forwards each connection to one target. Cut, it drops
//! the connections it carries and the system refuses new ones; healed, it listens on the same port
//! again. The nodes do not take part in it and notice only what a broken cable would show them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// Most connections a link carries at a time; further ones wait in the system's backlog.
const MAX_STREAMS: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// A link, up from the start. Dropped, it ends with all it carries.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    /// Bound and never listening: keeps the port ours while the link is cut.
    _reservation: TcpSocket,
    up: bool,
    commands: mpsc::Sender<Command>,
    _task: AbortOnDrop,
}

#[derive(Debug)]
enum Command {
    Heal(TcpListener),
    Cut(oneshot::Sender<()>),
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Listens on a free loopback port and forwards to `target`.
    pub fn open(target: SocketAddr) -> io::Result<Self> {
        let reservation = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reservation.local_addr()?;
        let listener = bind(address)?.listen(BACKLOG)?;
        let (commands, inbox) = mpsc::channel(1);
        let task = AbortOnDrop(tokio::spawn(run(target, listener, inbox)));
        Ok(Self { address, _reservation: reservation, up: true, commands, _task: task })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Drops what it carries and takes nothing more. Done when this returns.
    pub async fn cut(&mut self) {
        self.up = false;
        let (done, cut) = oneshot::channel();
        if self.commands.send(Command::Cut(done)).await.is_ok() {
            // Fails only if the task ended, and then the link is cut too.
            let _ = cut.await;
        }
    }

    /// Takes connections again; changes nothing where it is up.
    pub async fn heal(&mut self) -> io::Result<()> {
        if self.up {
            return Ok(());
        }
        let listener = bind(self.address)?.listen(BACKLOG)?;
        self.commands.send(Command::Heal(listener)).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.up = true;
        Ok(())
    }
}

/// `SO_REUSEPORT` lets the reservation and the listener share the port.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn run(target: SocketAddr, listener: TcpListener, mut inbox: mpsc::Receiver<Command>) {
    let mut listener = Some(listener);
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            command = inbox.recv() => match command {
                None => return,
                Some(Command::Heal(new)) => listener = Some(new),
                Some(Command::Cut(done)) => {
                    listener = None;
                    streams.shutdown().await;
                    // Nobody waits for it any more if this fails.
                    let _ = done.send(());
                }
            },
            Some(_) = streams.join_next(), if !streams.is_empty() => {}
            stream = accept(listener.as_ref()), if listener.is_some() && streams.len() < MAX_STREAMS => {
                if let Ok(stream) = stream {
                    streams.spawn(forward(stream, target));
                }
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

/// Ends when either side does; an error only means that the connection is over.
async fn forward(mut from: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut to = TcpStream::connect(target).await?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut from, &mut to).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets.
    async fn echo() -> (SocketAddr, AbortOnDrop) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        (address, AbortOnDrop(task))
    }

    async fn dial(link: &Link) -> io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", link.port())).await
    }

    async fn round_trip(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(word).await?;
        let mut back = vec![0; word.len()];
        timeout(DEADLINE, stream.read_exact(&mut back)).await.expect("in time")?;
        Ok(back)
    }

    #[tokio::test]
    async fn forwards_until_cut_and_again_once_healed() {
        let (target, _server) = echo().await;
        let mut link = Link::open(target).expect("a link");
        let mut stream = dial(&link).await.expect("up");
        assert_eq!(round_trip(&mut stream, b"before").await.expect("carried"), b"before");

        link.cut().await;
        let mut rest = Vec::new();
        let end = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("in time");
        assert!(matches!(end, Ok(0) | Err(_)), "the connection is over");
        let refused = dial(&link).await.expect_err("refused while cut");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

        link.heal().await.expect("the port is still ours");
        let mut stream = dial(&link).await.expect("up again");
        assert_eq!(round_trip(&mut stream, b"after").await.expect("carried"), b"after");
    }

    #[tokio::test]
    async fn cut_and_heal_twice_over() {
        let (target, _server) = echo().await;
        let mut link = Link::open(target).expect("a link");
        for round in 0..3 {
            link.cut().await;
            link.cut().await;
            assert!(dial(&link).await.is_err(), "round {round}");
            link.heal().await.expect("healed");
            link.heal().await.expect("healed twice");
            let mut stream = dial(&link).await.expect("up");
            assert_eq!(round_trip(&mut stream, b"x").await.expect("carried"), b"x");
        }
    }

    #[tokio::test]
    async fn a_target_that_is_down_ends_the_connection_only() {
        let gone = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let link = Link::open(gone.local_addr().expect("bound")).expect("a link");
        let mut stream = dial(&link).await.expect("the link itself is up");
        let mut rest = Vec::new();
        let end = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("in time");
        assert!(matches!(end, Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn ends_with_its_owner() {
        let (target, _server) = echo().await;
        let link = Link::open(target).expect("a link");
        let mut stream = dial(&link).await.expect("up");
        assert_eq!(round_trip(&mut stream, b"x").await.expect("carried"), b"x");
        drop(link);
        let mut rest = Vec::new();
        let end = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("in time");
        assert!(matches!(end, Ok(0) | Err(_)));
    }
}
