//! A connection below libp2p's protocols: streams on which not even the protocol's name is said.

use std::future::poll_fn;
use std::task::Poll;

use futures::AsyncWriteExt;
use libp2p::core::connection::Endpoint;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, noise, tcp, yamux};

use crate::native_support::soon;

/// Connects and opens this many streams, with these bytes on each, and nothing after them. The
/// streams last as long as what is given back is polled.
pub(crate) async fn streams(
    address: &Multiaddr,
    count: usize,
    bytes: &[u8],
) -> impl Future<Output = ()> + Send + use<> {
    let mut muxer = connect(address).await;
    let mut open = Vec::new();
    while open.len() < count {
        // It may end the connection before.
        let Some(mut stream) = next(&mut muxer).await else { break };
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        open.push(stream);
    }
    async move {
        let _open = open;
        // Takes in what comes, until the connection ends.
        poll_fn(|cx| {
            while let Poll::Ready(event) = muxer.poll_unpin(cx) {
                if event.is_err() {
                    return Poll::Ready(());
                }
            }
            while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
                if stream.is_err() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }
}

async fn connect(address: &Multiaddr) -> StreamMuxerBox {
    let key = Keypair::generate_ed25519();
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&key).expect("a key"))
        .multiplex(yamux::Config::default())
        .boxed();
    let mut address = address.clone();
    address.pop();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dialled = transport.dial(address, options).expect("an address");
    soon("a bare connection", dialled).await.expect("connected").1
}

async fn next(muxer: &mut StreamMuxerBox) -> Option<SubstreamBox> {
    poll_fn(|cx| {
        if let Poll::Ready(stream) = muxer.poll_outbound_unpin(cx) {
            return Poll::Ready(stream.ok());
        }
        match muxer.poll_unpin(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await
}
