//! The way out of the node: a publish goes to the relay, then to the own archive and REST cache.
//!
//! REST and the extensions share one [`Publisher`], so that the archive of a store node holds what
//! the node itself has sent, and each publish is counted once. Nothing is logged here: whoever
//! publishes knows what it was and says so.

use std::fmt;
use std::sync::Arc;

use waku_groupchat_waku::{PubsubTopic, WakuMessage};

use crate::engine::{Engine, PublishError, Published};
use crate::node::Intake;

/// Publishes Waku messages and keeps them. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    engine: Arc<dyn Engine>,
    intake: Arc<Intake>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Publisher {
    pub(crate) fn new(engine: Arc<dyn Engine>, intake: Arc<Intake>) -> Self {
        Self { engine, intake }
    }

    /// Publishes and, once a peer was handed the message, archives it. What reached nobody is not
    /// archived. A fault of the archive is logged and counted, but does not undo the publish.
    pub async fn publish(
        &self,
        topic: PubsubTopic,
        message: WakuMessage,
    ) -> Result<Published, PublishError> {
        let published = self.engine.publish(topic, message.clone()).await?;
        self.intake.keep_own(topic, published.hash, message).await;
        Ok(published)
    }

    /// As [`Self::publish`], and hands the message to the extensions as well, as if it had come
    /// from the network: for what others publish through this node.
    pub async fn publish_for_others(
        &self,
        topic: PubsubTopic,
        message: WakuMessage,
    ) -> Result<Published, PublishError> {
        let published = self.engine.publish(topic, message.clone()).await?;
        self.intake.take_own(topic, published.hash, message).await;
        Ok(published)
    }
}
