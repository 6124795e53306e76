//! What is known of the connected peers.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::{Multiaddr, PeerId, StreamProtocol, identify};
use tokio::time::Instant;

use super::behaviour::DIAL_TIMEOUT;
use super::recorder::{Observed, Recorder, Spoken};
use crate::engine::PeerName;

/// Protocols kept of a peer's list; the rest is of no use here.
const MAX_PROTOCOLS: usize = 64;

/// Most characters of an agent string that are kept.
const MAX_AGENT_LEN: usize = 128;

/// How long dials of a peer to several addresses of this node may overlap.
const OVERLAP: Duration = Duration::from_secs(2);

/// The connected peers.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<PeerId, Peer>);

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its peer id as text, which every message of it comes with.
    name: PeerName,
    /// Where it was reached or came from.
    pub(super) address: Multiaddr,
    /// Whether this node opened the first connection.
    pub(super) outbound: bool,
    /// When the first connection stood.
    since: Instant,
    /// Its agent string, once identified.
    pub(super) agent: String,
    /// Waku protocols it serves, once identified.
    pub(super) protocols: Vec<String>,
    /// Its shards, once its metadata came.
    pub(super) shards: Vec<u16>,
}

impl Peers {
    pub(super) fn connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        self.0.entry(peer).or_insert_with(|| Peer {
            name: PeerName::new(peer.to_string()),
            address: endpoint.get_remote_address().clone(),
            outbound: endpoint.is_dialer(),
            since: Instant::now(),
            agent: String::new(),
            protocols: Vec::new(),
            shards: Vec::new(),
        });
    }

    /// Whether a further connection tells that the peer has lost the first one. A peer does not
    /// dial while it is connected, unless both sides dialled at once. Gossipsub tells a peer its
    /// topics on the first connection only, so a restarted peer would never learn them.
    pub(super) fn has_lost_us(&self, peer: &PeerId, further: &ConnectedPoint) -> bool {
        further.is_listener()
            && self.0.get(peer).is_some_and(|peer| {
                let overlap = if peer.outbound { DIAL_TIMEOUT } else { OVERLAP };
                peer.since.elapsed() > overlap
            })
    }

    pub(super) fn gone(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    pub(super) fn identified(&mut self, peer: &PeerId, info: identify::Info) {
        if let Some(peer) = self.0.get_mut(peer) {
            peer.agent = info.agent_version.chars().take(MAX_AGENT_LEN).collect();
            peer.protocols = waku_protocols(&info.protocols);
        }
    }

    pub(super) fn shards(&mut self, peer: &PeerId, shards: Vec<u16>) {
        if let Some(peer) = self.0.get_mut(peer) {
            peer.shards = shards;
        }
    }

    /// What others call it.
    pub(super) fn name(&self, peer: &PeerId) -> PeerName {
        let known = self.0.get(peer).map(|peer| peer.name.clone());
        known.unwrap_or_else(|| PeerName::new(peer.to_string()))
    }

    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.0.contains_key(peer)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.0.iter()
    }

    /// Those that speak a protocol.
    pub(super) fn speaking(&self, protocol: Spoken) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.0.iter().filter(move |(_, peer)| peer.speaks(protocol))
    }

    /// Reports how many there are, and of which kinds.
    pub(super) fn record(&self, recorder: &dyn Recorder) {
        recorder.record(Observed::Peers(self.0.len()));
        for protocol in Spoken::ALL {
            let (outbound, inbound): (Vec<_>, Vec<_>) =
                self.speaking(protocol).partition(|(_, peer)| peer.outbound);
            for (outbound, count) in [(true, outbound.len()), (false, inbound.len())] {
                recorder.record(Observed::Speakers { outbound, protocol, count });
            }
        }
    }
}

impl Peer {
    fn speaks(&self, protocol: Spoken) -> bool {
        self.protocols.iter().any(|id| id == protocol.id())
    }
}

fn waku_protocols(all: &[StreamProtocol]) -> Vec<String> {
    all.iter()
        .map(AsRef::as_ref)
        .filter(|id: &&str| id.starts_with("/vac/waku/"))
        .take(MAX_PROTOCOLS)
        .map(str::to_owned)
        .collect()
}
