//! An own message for which no peer's queue had room.
//!
//! Gossipsub says so, but counts the message as published: tried again, it would be refused as a
//! duplicate. So the task holds it, takes no other publish meanwhile, and hands it to the mesh again
//! and again, as if it had just been validated, until a peer has room: whoever publishes waits as
//! long as peers do not read.

use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use tokio::time::Instant;
use waku_groupchat_waku::PubsubTopic;

use super::command::Answer;
use super::recorder::Observed;
use super::relay;
use super::task::Task;
use crate::engine::PublishError;

/// Between two tries. The queues hold some hundred messages, which a peer that reads takes in a few
/// times that.
const PAUSE: Duration = Duration::from_millis(10);

/// How long peers may have no room until the publish fails. Gossipsub keeps the message a little
/// longer: for some heartbeats of a second each.
const PATIENCE: Duration = Duration::from_secs(3);

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
    /// When it is given up.
    deadline: Instant,
}

impl Held {
    pub(super) fn new(
        topic: PubsubTopic,
        id: MessageId,
        bytes: usize,
        answer: Answer<Result<usize, PublishError>>,
    ) -> Self {
        let now = Instant::now();
        Self { topic, id, bytes, answer, until: now + PAUSE, deadline: now + PATIENCE }
    }
}

impl Task {
    /// Hands the held message to the mesh, and holds it further where no peer has room.
    pub(super) fn release_held(&mut self) {
        let Some(held) = self.held.take() else { return };
        let (topic, own) = (held.topic, *self.swarm.local_peer_id());
        let gossip = &mut self.swarm.behaviour_mut().relay;
        let hash = relay::topic(topic).hash();
        let mesh: Vec<PeerId> = gossip.mesh_peers(&hash).copied().collect();
        let before = relay::scores(gossip, &mesh);
        let accept = MessageAcceptance::Accept;
        let known = gossip.report_message_validation_result(&held.id, &own, accept);
        let taken = mesh.len() - relay::missed(&before, &relay::scores(gossip, &mesh));
        if known && taken > 0 {
            self.recorder.record(Observed::RelaySent { topic, bytes: held.bytes * taken });
            self.answer_publish(topic, held.answer, Ok(taken));
        } else if known && held.until < held.deadline && !held.answer.is_closed() {
            // Without a mesh, as after a start, too: one forms at a heartbeat.
            self.held = Some(Held { until: Instant::now() + PAUSE, ..held });
        } else {
            tracing::warn!(%topic, peers = mesh.len(), "all relay peers are busy");
            self.answer_publish(topic, held.answer, Err(PublishError::Busy));
        }
    }
}
