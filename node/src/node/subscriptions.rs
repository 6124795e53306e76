//! Who wants which pubsub topic: the engine leaves one once nobody does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use waku_groupchat_waku::{ContentTopic, PubsubTopic};

use crate::engine::{Engine, EngineError};

/// Content topics that REST clients can subscribe to at a time, all together.
pub(crate) const MAX_CONTENT_TOPICS: usize = 1000;

/// Pubsub topics that REST clients can subscribe to at a time, all together.
pub(crate) const MAX_PUBSUB_TOPICS: usize = 1024;

/// The topics of the engine, with what they are for.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    engine: Arc<dyn Engine>,
    wanted: Mutex<Wanted>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// Of extensions: REST cannot end them.
    pinned: BTreeSet<PubsubTopic>,
    /// Of the options and of REST.
    pubsub: BTreeSet<PubsubTopic>,
    /// Of REST, by content topic.
    content: BTreeMap<ContentTopic, PubsubTopic>,
}

impl Wanted {
    fn wants(&self, topic: PubsubTopic) -> bool {
        self.pinned.contains(&topic)
            || self.pubsub.contains(&topic)
            || self.content.values().any(|wanted| *wanted == topic)
    }
}

/// Why a subscription is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscribeError {
    /// The engine refuses the topic.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There are too many already.
    #[error("at most {0} topics can be subscribed to over REST; unsubscribe from some first")]
    TooMany(usize),
}

impl Subscriptions {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, wanted: Mutex::default() }
    }

    /// Subscribes for an extension.
    pub(crate) async fn pin(&self, topic: PubsubTopic) -> Result<(), EngineError> {
        let mut wanted = self.wanted.lock().await;
        self.engine.subscribe(topic).await?;
        wanted.pinned.insert(topic);
        Ok(())
    }

    /// Subscribes to pubsub topics for REST or the options; all of them or, but for a fault of the
    /// engine, none.
    pub(crate) async fn subscribe(&self, topics: &[PubsubTopic]) -> Result<(), SubscribeError> {
        let mut wanted = self.wanted.lock().await;
        let all: BTreeSet<_> = wanted.pubsub.iter().chain(topics).copied().collect();
        if all.len() > MAX_PUBSUB_TOPICS {
            return Err(SubscribeError::TooMany(MAX_PUBSUB_TOPICS));
        }
        for topic in topics {
            self.engine.subscribe(*topic).await?;
            wanted.pubsub.insert(*topic);
        }
        Ok(())
    }

    /// Ends subscriptions of REST or the options. Those that are not there are no error.
    pub(crate) async fn unsubscribe(&self, topics: &[PubsubTopic]) -> Result<(), EngineError> {
        let mut wanted = self.wanted.lock().await;
        for topic in topics {
            wanted.pubsub.remove(topic);
            self.leave_unless_wanted(&wanted, *topic).await?;
        }
        Ok(())
    }

    /// Subscribes to the shards of content topics for REST.
    pub(crate) async fn subscribe_content(
        &self,
        topics: &[(ContentTopic, PubsubTopic)],
    ) -> Result<(), SubscribeError> {
        let mut wanted = self.wanted.lock().await;
        let new: BTreeSet<_> =
            topics.iter().map(|(c, _)| c).filter(|c| !wanted.content.contains_key(*c)).collect();
        if wanted.content.len() + new.len() > MAX_CONTENT_TOPICS {
            return Err(SubscribeError::TooMany(MAX_CONTENT_TOPICS));
        }
        for (content, topic) in topics {
            self.engine.subscribe(*topic).await?;
            wanted.content.insert(content.clone(), *topic);
        }
        Ok(())
    }

    /// Ends subscriptions of content topics.
    pub(crate) async fn unsubscribe_content(
        &self,
        topics: &[ContentTopic],
    ) -> Result<(), EngineError> {
        let mut wanted = self.wanted.lock().await;
        for content in topics {
            if let Some(topic) = wanted.content.remove(content) {
                self.leave_unless_wanted(&wanted, topic).await?;
            }
        }
        Ok(())
    }

    async fn leave_unless_wanted(
        &self,
        wanted: &Wanted,
        topic: PubsubTopic,
    ) -> Result<(), EngineError> {
        if wanted.wants(topic) { Ok(()) } else { self.engine.unsubscribe(topic).await }
    }
}
