//! What becomes of a message that the node has: archive, then REST cache, then extensions.

use std::sync::{Arc, OnceLock};

use tracing::{debug, error};
use waku_groupchat_storage::ArchivedMessage;
use waku_groupchat_waku::{MessageHash, PubsubTopic, WakuMessage};

use super::archiver::Archiver;
use super::archiving::Archiving;
use crate::extension::{Arrived, Extension, PeersAhead};
use crate::rest::RelayCache;

/// A message whose timestamp is further than this from the node's clock is not archived, as in
/// nwaku (`MaxMessageTimestampVariance`); it is still delivered. Nanoseconds.
const MAX_TIMESTAMP_VARIANCE: u64 = 20_000_000_000;

/// A message that the node has, with the topic it came on.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) topic: PubsubTopic,
    pub(crate) hash: MessageHash,
    pub(crate) message: Arc<WakuMessage>,
}

/// Where messages go, shared by the inbound task and the publisher.
pub(crate) struct Intake {
    archiver: Option<Archiver>,
    cache: Arc<RelayCache>,
    clock: PeersAhead,
    /// Set once, before the inbound task begins.
    extensions: OnceLock<Vec<Arc<dyn Extension>>>,
}

impl Intake {
    pub(crate) fn new(archiving: Option<Arc<Archiving>>, cache: Arc<RelayCache>) -> Self {
        let archiver = archiving.map(Archiver::new);
        let clock = PeersAhead::default();
        Self { archiver, cache, clock, extensions: OnceLock::new() }
    }

    /// Where an extension says how far peers' clocks are ahead.
    pub(crate) fn clock(&self) -> PeersAhead {
        self.clock.clone()
    }

    /// Names the extensions that messages are handed to. Once.
    pub(crate) fn set_extensions(&self, extensions: Vec<Arc<dyn Extension>>) {
        if self.extensions.set(extensions).is_err() {
            error!("extensions were set twice");
        }
    }

    /// Takes messages of the network: archive, cache, extensions.
    pub(crate) async fn take(&self, batch: Vec<Incoming>) {
        self.archive(&batch).await;
        for incoming in &batch {
            self.cache.add(incoming.topic, &incoming.message);
        }
        for extension in self.extensions.get().into_iter().flatten() {
            let topic = extension.pubsub_topic();
            let arrived: Vec<Arrived> = batch
                .iter()
                .filter(|incoming| incoming.topic == topic)
                .map(|i| Arrived { hash: i.hash, message: Arc::clone(&i.message) })
                .collect();
            if !arrived.is_empty() {
                extension.on_messages(&arrived).await;
            }
        }
    }

    /// Keeps what an extension has published: archive and cache.
    pub(crate) async fn keep_own(
        &self,
        topic: PubsubTopic,
        hash: MessageHash,
        message: WakuMessage,
    ) {
        let own = [Incoming { topic, hash, message: Arc::new(message) }];
        self.archive(&own).await;
        self.cache.add(topic, &own[0].message);
    }

    /// Takes what somebody has published through this node.
    pub(crate) async fn take_own(
        &self,
        topic: PubsubTopic,
        hash: MessageHash,
        message: WakuMessage,
    ) {
        self.take(vec![Incoming { topic, hash, message: Arc::new(message) }]).await;
    }

    async fn archive(&self, batch: &[Incoming]) {
        let Some(archiver) = &self.archiver else { return };
        let now = now_ns();
        let peers = now.saturating_add(self.clock.get().saturating_mul(1_000_000_000));
        let times = [now, peers];
        archiver.write(batch.iter().filter_map(|i| archived(i, times)).collect()).await;
    }
}

/// What the archive is to keep of a message; `None` if it is ephemeral or its time is off, by the
/// own clock and by peers'.
fn archived(incoming: &Incoming, times: [i64; 2]) -> Option<ArchivedMessage> {
    let message = &incoming.message;
    if message.ephemeral {
        return None;
    }
    let timestamp = message.timestamp.filter(|timestamp| *timestamp != 0);
    let off = |at: i64| times.iter().all(|now| at.abs_diff(*now) > MAX_TIMESTAMP_VARIANCE);
    if timestamp.is_some_and(off) {
        debug!(hash = %incoming.hash, "not archived: its timestamp is more than 20 s off");
        return None;
    }
    let mut message = WakuMessage::clone(message);
    // The archive's order needs one. The hash stays that of the message as it was sent.
    message.timestamp = timestamp.or(Some(times[0]));
    Some(ArchivedMessage { hash: incoming.hash, pubsub_topic: incoming.topic, message })
}

/// The node's clock, in nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> i64 {
    crate::clock::now().as_waku()
}

#[cfg(test)]
mod tests {
    use waku_groupchat_waku::ContentTopic;

    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn incoming(timestamp: Option<i64>, ephemeral: bool) -> Incoming {
        let topic = PubsubTopic::new(1, 2);
        let content = ContentTopic::from_wire("/app/1/name/proto");
        let mut message = WakuMessage::new(content, b"x".to_vec(), 0);
        message.timestamp = timestamp;
        message.ephemeral = ephemeral;
        Incoming { topic, hash: message.hash(&topic), message: Arc::new(message) }
    }

    #[test]
    fn only_messages_that_stay_and_are_on_time_are_archived() {
        let variance = MAX_TIMESTAMP_VARIANCE as i64;
        for (timestamp, kept) in [
            (NOW, true),
            (NOW + variance, true),
            (NOW - variance, true),
            (NOW + variance + 1, false),
            (NOW - variance - 1, false),
            (-1, false),
            (i64::MAX, false),
            (i64::MIN, false),
        ] {
            assert_eq!(archived(&incoming(Some(timestamp), false), [NOW; 2]).is_some(), kept);
            assert!(archived(&incoming(Some(timestamp), true), [NOW; 2]).is_none());
        }
    }

    #[test]
    fn what_fits_peers_clocks_is_archived_too() {
        let variance = MAX_TIMESTAMP_VARIANCE as i64;
        let times = [NOW, NOW + 30_000_000_000];
        for (timestamp, kept) in [
            (NOW - variance, true),
            (NOW - variance - 1, false),
            (times[1] + variance, true),
            (times[1] + variance + 1, false),
        ] {
            assert_eq!(archived(&incoming(Some(timestamp), false), times).is_some(), kept);
        }
    }

    #[test]
    fn a_message_without_time_gets_the_time_it_came() {
        for timestamp in [None, Some(0)] {
            let incoming = incoming(timestamp, false);
            let kept = archived(&incoming, [NOW; 2]).expect("archived");
            assert_eq!(kept.message.timestamp, Some(NOW));
            assert_eq!(kept.hash, incoming.message.hash(&incoming.topic));
        }
    }
}
