//! A limit on peers that connect from one IP address (nwaku's `ip-colocation-limit`), and on those
//! that are about to.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// Denies connections from an address from which enough other peers are connected already. Peers
/// that this node dials do not count, and some are exempt.
#[derive(Debug)]
pub(super) struct IpLimit {
    /// Most peers an address; 0 means no limit.
    limit: usize,
    exempt: HashSet<PeerId>,
    connections: HashMap<ConnectionId, (IpAddr, PeerId)>,
    /// Connections whose peer is not known yet. All addresses together have few places for those,
    /// and each is taken for seconds by whoever connects and says nothing.
    unknown: HashMap<ConnectionId, IpAddr>,
}

/// Connections from one address whose peer is not known yet, for each peer that may connect from
/// there: both sides of several peers may dial at once.
const UNKNOWN_PER_PEER: usize = 2;

/// Why a connection was denied.
#[derive(Debug, thiserror::Error)]
#[error("already {limit} peers from {ip}")]
pub(super) struct TooManyPeers {
    limit: usize,
    ip: IpAddr,
}

impl IpLimit {
    pub(super) fn new(limit: usize, exempt: impl IntoIterator<Item = PeerId>) -> Self {
        let (connections, unknown) = (HashMap::new(), HashMap::new());
        Self { limit, exempt: exempt.into_iter().collect(), connections, unknown }
    }

    fn admit_unknown(
        &mut self,
        connection: ConnectionId,
        from: &Multiaddr,
    ) -> Result<(), TooManyPeers> {
        let Some(ip) = ip(from) else { return Ok(()) };
        let limit = self.limit.saturating_mul(UNKNOWN_PER_PEER);
        if limit > 0 && self.unknown.values().filter(|other| **other == ip).count() >= limit {
            return Err(TooManyPeers { limit, ip });
        }
        self.unknown.insert(connection, ip);
        Ok(())
    }

    fn admit(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        from: &Multiaddr,
    ) -> Result<(), TooManyPeers> {
        let Some(ip) = ip(from) else { return Ok(()) };
        if self.limit == 0 || self.exempt.contains(&peer) {
            return Ok(());
        }
        let others: HashSet<_> = self
            .connections
            .values()
            .filter(|(other_ip, other)| *other_ip == ip && *other != peer)
            .map(|(_, other)| other)
            .collect();
        if others.len() >= self.limit {
            return Err(TooManyPeers { limit: self.limit, ip });
        }
        self.connections.insert(connection, (ip, peer));
        Ok(())
    }
}

/// The IP address at the start of a transport address.
pub(super) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

impl NetworkBehaviour for IpLimit {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.admit_unknown(connection, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.unknown.remove(&connection);
        self.admit(connection, peer, from).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.connections.remove(&closed.connection_id);
            }
            // The handshake failed, or another behaviour denied what this one let pass.
            FromSwarm::ListenFailure(failed) => {
                self.unknown.remove(&failed.connection_id);
                self.connections.remove(&failed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_an_address_are_counted_not_connections() {
        let exempt = PeerId::random();
        let mut limit = IpLimit::new(2, [exempt]);
        let here: Multiaddr = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let there: Multiaddr = "/ip4/10.0.0.2/tcp/1".parse().unwrap();
        let peers: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
        let id = ConnectionId::new_unchecked;
        limit.admit(id(0), peers[0], &here).unwrap();
        limit.admit(id(1), peers[0], &here).unwrap();
        limit.admit(id(2), peers[1], &here).unwrap();
        let error = limit.admit(id(3), peers[2], &here).unwrap_err();
        assert_eq!(error.to_string(), "already 2 peers from 10.0.0.1");
        limit.admit(id(4), peers[2], &there).unwrap();
        limit.admit(id(5), exempt, &here).unwrap();
        limit.admit(id(6), peers[1], &here).unwrap();
        limit.connections.remove(&id(2));
        assert!(limit.admit(id(7), peers[3], &here).is_err(), "its second connection still counts");
        limit.connections.remove(&id(6));
        limit.admit(id(8), peers[3], &here).unwrap();
    }

    #[test]
    fn those_who_say_nothing_keep_nobody_else_out() {
        let mut limit = IpLimit::new(2, []);
        let here: Multiaddr = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let there: Multiaddr = "/ip4/10.0.0.2/tcp/1".parse().unwrap();
        let id = ConnectionId::new_unchecked;
        (0..4).for_each(|n| limit.admit_unknown(id(n), &here).unwrap());
        limit.admit_unknown(id(4), &here).unwrap_err();
        limit.admit_unknown(id(5), &there).unwrap();
        let known =
            limit.handle_established_inbound_connection(id(0), PeerId::random(), &here, &here);
        assert!(known.is_ok());
        limit.admit_unknown(id(6), &here).unwrap();
        let mut none = IpLimit::new(0, []);
        (0..100).for_each(|n| none.admit_unknown(id(n), &here).unwrap());
    }
}
