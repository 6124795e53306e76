//! Listening: addresses are checked to be free first, and known before the engine is.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm};

use super::behaviour::{Behaviour, root_kind};
use super::config::StartError;

/// How long the system may take to name the addresses of a listener.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Listeners that have not named an address yet.
#[derive(Debug)]
pub(super) struct Waiting(HashMap<ListenerId, Multiaddr>);

/// Listens on each address.
pub(super) fn listen(
    swarm: &mut Swarm<Behaviour>,
    addresses: &[Multiaddr],
) -> Result<Waiting, StartError> {
    for address in addresses {
        check_free(address)?;
    }
    let mut waiting = HashMap::new();
    for address in addresses {
        let listener = swarm.listen_on(address.clone()).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(address) => StartError::ListenAddress(address),
            TransportError::Other(source) => failed(address, source),
        })?;
        waiting.insert(listener, address.clone());
    }
    Ok(Waiting(waiting))
}

/// libp2p lets two processes of one user listen on one port, which then share its connections. A
/// socket without that option fails instead.
fn check_free(address: &Multiaddr) -> Result<(), StartError> {
    let socket =
        socket_address(address).ok_or_else(|| StartError::ListenAddress(address.clone()))?;
    TcpListener::bind(socket).map(drop).map_err(|error| failed(address, error))
}

fn failed(address: &Multiaddr, source: io::Error) -> StartError {
    let address = address.clone();
    match root_kind(&source) {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen { address, source },
    }
}

fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

impl Waiting {
    pub(super) fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note of a listener's first address, or of its end.
    pub(super) fn observe<E>(&mut self, event: &SwarmEvent<E>) -> Result<(), StartError> {
        match event {
            SwarmEvent::NewListenAddr { listener_id, .. } => {
                self.0.remove(listener_id);
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                if let Some(address) = self.0.get(listener_id) {
                    let reason = match reason {
                        Ok(()) => io::ErrorKind::ConnectionAborted.into(),
                        Err(error) => io::Error::new(error.kind(), error.to_string()),
                    };
                    return Err(failed(address, reason));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn timed_out(&self) -> StartError {
        match self.0.values().next() {
            Some(address) => failed(address, io::ErrorKind::TimedOut.into()),
            None => StartError::ListenAddress(Multiaddr::empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_tcp_addresses_are_listened_on() {
        let socket = |text: &str| socket_address(&text.parse().unwrap());
        assert_eq!(socket("/ip4/0.0.0.0/tcp/60000"), Some("0.0.0.0:60000".parse().unwrap()));
        assert_eq!(socket("/ip6/::1/tcp/0"), Some("[::1]:0".parse().unwrap()));
        for other in
            ["/dns4/localhost/tcp/1", "/ip4/0.0.0.0/udp/1", "/ip4/0.0.0.0/tcp/1/ws", "/ip4/0.0.0.0"]
        {
            assert_eq!(socket(other), None, "{other}");
        }
    }
}
