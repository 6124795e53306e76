//! Store queries of this node to others, until they are answered.

use std::io;
use std::time::Duration;

use libp2p::request_response::OutboundFailure;
use libp2p::{Multiaddr, PeerId};

use super::command::Answer;
use super::static_peers;
use crate::engine::{PeerName, QueryError};

/// A query on its way.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) peer: PeerName,
    pub(super) answer: Answer<Result<Vec<u8>, QueryError>>,
}

/// The peer that a name means, and the address in it, if there is one.
pub(super) fn resolve(name: &PeerName) -> Option<(PeerId, Option<Multiaddr>)> {
    if let Ok(peer) = name.as_str().parse() {
        return Some((peer, None));
    }
    let address: Multiaddr = name.as_str().parse().ok()?;
    Some((static_peers::peer_id(&address)?, Some(address)))
}

/// What a failed query tells about the peer.
pub(super) fn failure(error: OutboundFailure, peer: PeerName, timeout: Duration) -> QueryError {
    match error {
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => {
            QueryError::Unreachable(peer)
        }
        OutboundFailure::Timeout => QueryError::Timeout(timeout),
        OutboundFailure::UnsupportedProtocols => QueryError::Unsupported(peer),
        OutboundFailure::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData => QueryError::Malformed(error.to_string()),
            io::ErrorKind::UnexpectedEof => {
                QueryError::Malformed("it closed the stream before the answer".to_owned())
            }
            _ => QueryError::Unreachable(peer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_named_by_id_or_address() {
        let peer = PeerId::random();
        let name = |text: String| resolve(&PeerName::new(text));
        assert_eq!(name(peer.to_string()), Some((peer, None)));
        let address = format!("/ip4/127.0.0.1/tcp/1/p2p/{peer}");
        assert_eq!(name(address.clone()), Some((peer, Some(address.parse().unwrap()))));
        for bad in ["", "nobody", "/ip4/127.0.0.1/tcp/1"] {
            assert_eq!(name(bad.to_owned()), None, "{bad}");
        }
    }
}
