//! Messages that wait to be read over REST: a ring for each topic that is subscribed to there.
//!
//! nwaku keeps one cache of `rest-relay-cache-capacity` messages over all topics; here each topic
//! has that many, so that a busy one does not push out what a quiet one holds. A read empties the
//! ring. When one is full, the oldest message goes, and is counted: REST clients read at their own
//! pace, and the network does not wait for them. What has to be complete is read from the Store.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use waku_groupchat_metrics::Metrics;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, WakuMessage};

type Ring = VecDeque<Arc<WakuMessage>>;

/// The rings of all topics.
#[derive(Debug)]
pub(crate) struct RelayCache {
    capacity: usize,
    rings: Mutex<Rings>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Rings {
    pubsub: BTreeMap<PubsubTopic, Ring>,
    content: BTreeMap<ContentTopic, Ring>,
}

impl RelayCache {
    /// Rings of `capacity` messages each.
    pub(crate) fn new(capacity: NonZeroU32, metrics: Metrics) -> Self {
        let capacity = usize::try_from(capacity.get()).unwrap_or(usize::MAX);
        Self { capacity, rings: Mutex::default(), metrics }
    }

    /// Keeps messages of a pubsub topic from now on.
    pub(crate) fn open_pubsub(&self, topic: PubsubTopic) {
        self.rings().pubsub.entry(topic).or_default();
    }

    /// Forgets a pubsub topic and its messages.
    pub(crate) fn close_pubsub(&self, topic: PubsubTopic) {
        self.rings().pubsub.remove(&topic);
    }

    /// Keeps messages of a content topic from now on.
    pub(crate) fn open_content(&self, topic: ContentTopic) {
        self.rings().content.entry(topic).or_default();
    }

    /// Forgets a content topic and its messages.
    pub(crate) fn close_content(&self, topic: &ContentTopic) {
        self.rings().content.remove(topic);
    }

    /// Takes the messages of a pubsub topic; `None` if they are not kept.
    pub(crate) fn take_pubsub(&self, topic: PubsubTopic) -> Option<Ring> {
        self.rings().pubsub.get_mut(&topic).map(std::mem::take)
    }

    /// Takes the messages of a content topic; `None` if they are not kept.
    pub(crate) fn take_content(&self, topic: &ContentTopic) -> Option<Ring> {
        self.rings().content.get_mut(topic).map(std::mem::take)
    }

    /// Adds a message to the rings of its topics, if there are any.
    pub(crate) fn add(&self, topic: PubsubTopic, message: &Arc<WakuMessage>) {
        let mut rings = self.rings();
        let Rings { pubsub, content } = &mut *rings;
        let rings = [pubsub.get_mut(&topic), content.get_mut(&message.content_topic)];
        for ring in rings.into_iter().flatten() {
            if ring.len() >= self.capacity {
                ring.pop_front();
                self.metrics.http().relay_cache_dropped();
            }
            ring.push_back(Arc::clone(message));
        }
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, Rings> {
        // Nothing panics while it holds the lock; each change is whole.
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> Arc<WakuMessage> {
        let topic = ContentTopic::from_wire(format!("/app/1/{name}/proto"));
        Arc::new(WakuMessage::new(topic, name.as_bytes().to_vec(), 1))
    }

    #[test]
    fn keeps_the_newest_and_counts_the_rest() {
        let metrics = Metrics::new("test").expect("metrics");
        let cache = RelayCache::new(NonZeroU32::MIN.saturating_add(1), metrics.clone());
        let topic = PubsubTopic::new(0, 0);
        cache.add(topic, &message("before"));
        assert!(cache.take_pubsub(topic).is_none());
        cache.open_pubsub(topic);
        for name in ["a", "b", "c"] {
            cache.add(topic, &message(name));
        }
        let taken = cache.take_pubsub(topic).expect("kept");
        assert_eq!(taken, [message("b"), message("c")]);
        let text = metrics.encode().expect("text");
        assert!(text.contains("waku_groupchat_rest_cache_dropped_total 1"));
        assert!(cache.take_pubsub(topic).expect("kept").is_empty());
        cache.close_pubsub(topic);
        assert!(cache.take_pubsub(topic).is_none());
    }

    #[test]
    fn content_topics_have_rings_of_their_own() {
        let metrics = Metrics::new("test").expect("metrics");
        let cache = RelayCache::new(NonZeroU32::MIN, metrics);
        let (a, b) = (message("a"), message("b"));
        cache.open_pubsub(PubsubTopic::new(0, 0));
        cache.open_content(a.content_topic.clone());
        cache.add(PubsubTopic::new(0, 0), &a);
        cache.add(PubsubTopic::new(0, 0), &b);
        assert_eq!(cache.take_content(&a.content_topic).expect("kept"), [Arc::clone(&a)]);
        assert!(cache.take_content(&b.content_topic).is_none());
        assert_eq!(cache.take_pubsub(PubsubTopic::new(0, 0)).expect("kept"), [b]);
    }
}
