//! An own message for which no peer's queue had room.
//!
//! Gossipsub says so, but counts the message as published: tried again, it would be refused as a
//! duplicate. So the task holds the answer, refuses further publishes for a moment in which the
//! queues drain, and then hands the message to the mesh as if it had just been validated.

use std::time::Duration;

use libp2p::gossipsub::{MessageAcceptance, MessageId};
use tokio::time::Instant;
use waku_groupchat_waku::PubsubTopic;

use super::command::Answer;
use super::recorder::Observed;
use super::relay;
use super::task::Task;
use crate::engine::PublishError;

/// How long the queues get to drain. They hold some hundred messages, which a peer that reads
/// takes in a fraction of that; gossipsub keeps the message for seconds.
const PAUSE: Duration = Duration::from_millis(50);

/// A message that waits for room, and whoever waits with it.
#[derive(Debug)]
pub(super) struct Held {
    topic: PubsubTopic,
    id: MessageId,
    /// What a peer is sent, as the relay's traffic counts it.
    bytes: usize,
    answer: Answer<Result<usize, PublishError>>,
    /// When it is handed to the mesh.
    pub(super) until: Instant,
}

impl Held {
    pub(super) fn new(
        topic: PubsubTopic,
        id: MessageId,
        bytes: usize,
        answer: Answer<Result<usize, PublishError>>,
    ) -> Self {
        Self { topic, id, bytes, answer, until: Instant::now() + PAUSE }
    }
}

impl Task {
    /// Hands the held message to the mesh. Whether there was room this time, gossipsub does not
    /// say; if not, it counts as dropped at those peers.
    pub(super) fn release_held(&mut self) {
        let Some(Held { topic, id, bytes, answer, .. }) = self.held.take() else { return };
        let own = *self.swarm.local_peer_id();
        let gossip = &mut self.swarm.behaviour_mut().relay;
        let mesh = gossip.mesh_peers(&relay::topic(topic).hash()).count();
        let handed = mesh > 0
            && gossip.report_message_validation_result(&id, &own, MessageAcceptance::Accept);
        if handed {
            self.recorder.record(Observed::RelaySent { topic, bytes: bytes * mesh });
        }
        let published = if handed { Ok(mesh) } else { Err(PublishError::NoPeers(topic)) };
        self.answer_publish(topic, answer, published);
    }
}
