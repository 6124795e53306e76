//! Peers to stay connected to: when to dial them again. Without IO; the time comes as an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::config::StartError;

/// Longest pause before the first dial after a connection is lost. Each failure doubles it, up to
/// the configured cap.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The static peers and where each stands.
#[derive(Debug)]
pub(super) struct StaticPeers {
    peers: BTreeMap<PeerId, StaticPeer>,
    max_pause: Duration,
}

#[derive(Debug)]
struct StaticPeer {
    addresses: Vec<Multiaddr>,
    state: State,
    /// Dials that failed, and connections that ended before they were confirmed, since the last
    /// one that was.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be dialled then.
    Waiting(Instant),
    Dialing,
    Connected,
}

/// The peer id at the end of an address.
pub(super) fn peer_id(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}

impl StaticPeers {
    /// All due at once, except `own`.
    pub(super) fn new(
        addresses: &[Multiaddr],
        own: PeerId,
        now: Instant,
        max_pause: Duration,
    ) -> Result<Self, StartError> {
        let mut peers = BTreeMap::new();
        for address in addresses {
            let peer = peer_id(address).ok_or_else(|| StartError::StaticPeer(address.clone()))?;
            if peer == own {
                continue;
            }
            let entry = peers.entry(peer).or_insert_with(|| StaticPeer {
                addresses: Vec::new(),
                state: State::Waiting(now),
                failures: 0,
            });
            if !entry.addresses.contains(address) {
                entry.addresses.push(address.clone());
            }
        }
        Ok(Self { peers, max_pause })
    }

    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.peers.keys().copied()
    }

    /// Where a static peer may be reached; empty for others.
    pub(super) fn addresses(&self, peer: &PeerId) -> &[Multiaddr] {
        self.peers.get(peer).map_or(&[], |peer| &peer.addresses)
    }

    /// When [`Self::due`] has something next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |peer: &StaticPeer| match peer.state {
            State::Waiting(at) => Some(at),
            State::Dialing | State::Connected => None,
        };
        self.peers.values().filter_map(due).min()
    }

    /// The peers to dial now; each then counts as being dialled.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (id, peer) in &mut self.peers {
            if matches!(peer.state, State::Waiting(at) if at <= now) {
                peer.state = State::Dialing;
                due.push((*id, peer.addresses.clone()));
            }
        }
        due
    }

    /// A connection stands, whoever opened it.
    pub(super) fn connected(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.state = State::Connected;
        }
    }

    /// The peer turned out to be one to stay with: the next loss is the first again.
    pub(super) fn confirmed(&mut self, peer: &PeerId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.failures = 0;
        }
    }

    /// A dial failed, or the last connection is gone. Gives the pause until the next dial for a
    /// static peer; `jitter` is in 0..1.
    pub(super) fn lost(&mut self, id: &PeerId, now: Instant, jitter: f64) -> Option<Duration> {
        let peer = self.peers.get_mut(id)?;
        let pause = pause(peer.failures, self.max_pause, jitter);
        peer.failures = peer.failures.saturating_add(1);
        peer.state = State::Waiting(now + pause);
        Some(pause)
    }
}

/// Half to all of the doubled first pause, so that nodes that lost each other at once do not meet
/// again and again.
fn pause(failures: u32, max: Duration, jitter: f64) -> Duration {
    let full = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures)).min(max);
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: PeerId, port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse().unwrap()
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let max = Duration::from_secs(30);
        assert_eq!(pause(0, max, 0.0), Duration::from_millis(250));
        assert_eq!(pause(0, max, 1.0), FIRST_RETRY);
        assert_eq!(pause(3, max, 1.0), Duration::from_secs(4));
        assert_eq!(pause(6, max, 1.0), max);
        assert_eq!(pause(u32::MAX, max, 0.0), max / 2);
        assert_eq!(pause(9, Duration::from_millis(100), 1.0), Duration::from_millis(100));
    }

    #[test]
    fn a_lost_peer_is_dialled_for_good() {
        let (own, peer) = (PeerId::random(), PeerId::random());
        let mut now = Instant::now();
        let listed = [address(peer, 1), address(peer, 2), address(peer, 1), address(own, 3)];
        let mut peers = StaticPeers::new(&listed, own, now, Duration::from_secs(8)).unwrap();
        assert_eq!(peers.ids().collect::<Vec<_>>(), [peer]);
        assert_eq!(peers.due(now), [(peer, vec![address(peer, 1), address(peer, 2)])]);
        assert_eq!(peers.next_due(), None, "while it is dialled");

        let mut pauses = Vec::new();
        for _ in 0..10 {
            pauses.push(peers.lost(&peer, now, 1.0).unwrap().as_millis());
            assert!(peers.due(now).is_empty());
            now = peers.next_due().unwrap();
            assert_eq!(peers.due(now).len(), 1);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000]);

        peers.connected(&peer);
        assert_eq!(peers.next_due(), None);
        // Dropped at once, as a peer of another cluster is: the pause stays long.
        assert_eq!(peers.lost(&peer, now, 1.0), Some(Duration::from_secs(8)));
        peers.connected(&peer);
        peers.confirmed(&peer);
        assert_eq!(peers.lost(&peer, now, 1.0), Some(FIRST_RETRY));
        assert_eq!(peers.lost(&own, now, 1.0), None);
    }

    #[test]
    fn a_static_peer_names_its_id() {
        let bare: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let error = StaticPeers::new(&[bare], PeerId::random(), Instant::now(), FIRST_RETRY);
        assert!(matches!(error, Err(StartError::StaticPeer(_))));
    }
}
