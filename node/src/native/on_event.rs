//! What the task does on events of the swarm.

use std::error::Error;
use std::io;

use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::TransportError;
use libp2p::gossipsub::{self, Message, MessageAcceptance, MessageId};
use libp2p::request_response::{self, Message as Exchange};
use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{identify, ping};
use tokio::time::Instant;

use super::behaviour::{BehaviourEvent, root_kind};
use super::counting::message_bytes;
use super::query;
use super::recorder::{Dial, Observed};
use super::relay;
use super::task::Task;
use crate::engine::EngineEvent;

/// A request, a response, or a failure of one of the request/response protocols.
pub(super) type ExchangeEvent = request_response::Event<Vec<u8>, Vec<u8>>;

impl Task {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_protocol_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, num_established, .. } => {
                if endpoint.is_dialer() {
                    self.recorder.record(Observed::Dialed(Dial::Connected));
                }
                if num_established.get() == 1 {
                    self.on_connected(peer_id, &endpoint);
                } else if self.peers.has_lost_us(&peer_id, &endpoint) {
                    tracing::info!(peer = %peer_id, "peer came back on a new connection; both are closed");
                    // An error says that it has just gone.
                    let _ = self.swarm.disconnect_peer_id(peer_id);
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                let cause = cause.map(|cause| cause.to_string());
                tracing::info!(peer = %peer_id, cause, "disconnected");
                self.peers.gone(&peer_id);
                self.redial(&peer_id);
                self.connectivity_changed = true;
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.on_dial_failed(peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(from = %send_back_addr, error = causes(&error), "connection refused");
            }
            SwarmEvent::NewListenAddr { address, .. } => tracing::info!(%address, "listening"),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "no longer listening");
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        tracing::info!(%peer, address = %endpoint.get_remote_address(), "connected");
        relay::credit(&mut self.swarm.behaviour_mut().relay, &peer);
        self.peers.connected(peer, endpoint);
        self.static_peers.connected(&peer);
        self.ask_metadata(&peer);
        self.connectivity_changed = true;
    }

    fn on_protocol_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Relay(event) => self.on_relay(event),
            BehaviourEvent::Metadata(event) => self.on_metadata(event),
            BehaviourEvent::Store(event) => self.on_store(event),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.peers.identified(&peer_id, info);
                self.connectivity_changed = true;
            }
            BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Ping(event) => self.on_ping(&event),
            BehaviourEvent::Limits(never) => match never {},
            BehaviourEvent::IpLimit(never) => match never {},
        }
    }

    fn on_relay(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, &message_id, &message);
            }
            gossipsub::Event::Subscribed { .. } | gossipsub::Event::Unsubscribed { .. } => {
                self.connectivity_changed = true;
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                let dropped = failed_messages.priority + failed_messages.non_priority;
                tracing::warn!(peer = %peer_id, dropped, "slow peer");
                self.recorder.record(Observed::Dropped(dropped));
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(peer = %peer_id, "peer does not relay");
            }
        }
    }

    /// Validates a message that gossipsub holds back until then, and passes it on.
    fn on_message(&mut self, from: PeerId, id: &MessageId, received: &Message) {
        self.paces.message(&from);
        let validated = relay::validate(received, self.max_message_size);
        let acceptance = match validated {
            Ok(_) => MessageAcceptance::Accept,
            Err(_) => MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().relay;
        let others = relay::forwarded_to(gossip, &received.topic, &from);
        gossip.report_message_validation_result(id, &from, acceptance);
        match validated {
            Ok((topic, message)) => {
                let bytes = message_bytes(&received.topic, &received.data);
                self.recorder.record(Observed::RelayNet { topic, bytes });
                self.recorder.record(Observed::RelaySent { topic, bytes: bytes * others });
                self.recorder.record(Observed::Received(message.payload.len()));
                let hash = message.hash(&topic);
                tracing::debug!(%hash, %topic, peer = %from, "received");
                let from = self.peers.name(&from);
                self.pending = Some(EngineEvent::Message { topic, hash, message, from });
            }
            Err(reason) => {
                self.recorder.record(Observed::Rejected);
                tracing::warn!(peer = %from, topic = %received.topic, %reason, "message refused");
            }
        }
    }

    fn on_ping(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(_) | Err(ping::Failure::Unsupported) => {}
            Err(error) if self.paces.waits(&event.peer) => {
                tracing::debug!(peer = %event.peer, %error, "no answer to pings yet: it is read from slowly");
            }
            Err(error) => {
                tracing::info!(peer = %event.peer, %error, "no answer to pings");
                self.recorder.record(Observed::KeepAliveFailed);
                self.swarm.close_connection(event.connection);
            }
        }
    }

    fn on_store(&mut self, event: ExchangeEvent) {
        match event {
            ExchangeEvent::Message { peer, message, .. } => match message {
                Exchange::Request { request_id, request, channel } => {
                    if let Some(refusal) = self.server.serve(peer, request_id, request, channel) {
                        let store = &mut self.swarm.behaviour_mut().store;
                        // An error says that the peer no longer waits.
                        let _ = store.send_response(refusal.channel, refusal.response);
                    }
                }
                Exchange::Response { request_id, response } => {
                    if let Some(query) = self.queries.remove(&request_id) {
                        // An error says that nobody waits for the answer any more.
                        let _ = query.answer.send(Ok(response));
                    }
                }
            },
            ExchangeEvent::OutboundFailure { request_id, error, .. } => {
                if let Some(query) = self.queries.remove(&request_id) {
                    let error = query::failure(error, query.peer, self.store_timeout);
                    let _ = query.answer.send(Err(error));
                }
            }
            ExchangeEvent::InboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "store query not answered");
                self.server.finished(&request_id);
            }
            ExchangeEvent::ResponseSent { request_id, .. } => self.server.finished(&request_id),
        }
    }

    /// A dial that the swarm began has failed.
    fn on_dial_failed(&mut self, peer: Option<PeerId>, error: &DialError) {
        let outcome = if timed_out(error) { Dial::TimedOut } else { Dial::Failed };
        self.recorder.record(Observed::Dialed(outcome));
        let Some(peer) = peer else { return };
        let error = causes(error);
        if self.static_peers.contains(&peer) {
            tracing::info!(%peer, error, "static peer cannot be reached");
        } else {
            tracing::debug!(%peer, error, "dial failed");
        }
        if !self.swarm.is_connected(&peer) {
            self.redial(&peer);
        }
    }

    /// The swarm did not begin to dial a static peer.
    pub(super) fn on_dial_refused(&mut self, peer: PeerId, error: &DialError) {
        match error {
            DialError::DialPeerConditionFalse(_) if self.swarm.is_connected(&peer) => {
                self.static_peers.connected(&peer);
            }
            // A query dials it already; its end is an event.
            DialError::DialPeerConditionFalse(_) => {}
            error => {
                tracing::info!(%peer, error = causes(error), "static peer is not dialled");
                self.redial(&peer);
            }
        }
    }

    /// Plans the next dial, if the peer is a static one.
    fn redial(&mut self, peer: &PeerId) {
        if let Some(pause) = self.static_peers.lost(peer, Instant::now(), rand::random()) {
            tracing::debug!(%peer, ?pause, "static peer will be dialled again");
        }
    }
}

/// An error with what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn timed_out(error: &DialError) -> bool {
    match error {
        DialError::Transport(tries) => tries.iter().any(|(_, error)| match error {
            TransportError::Other(error) => root_kind(error) == io::ErrorKind::TimedOut,
            TransportError::MultiaddrNotSupported(_) => false,
        }),
        _ => false,
    }
}
