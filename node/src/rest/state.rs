//! What the handlers share.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::watch;
use waku_groupchat_metrics::Metrics;
use waku_groupchat_storage::Archive;

use super::cache::RelayCache;
use crate::engine::Engine;
use crate::extension::Extension;
use crate::node::Subscriptions;
use crate::options::Options;
use crate::publisher::Publisher;

/// The parts of a node that the handlers use.
pub(crate) struct Parts {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) publisher: Publisher,
    /// Only if the node serves the Store.
    pub(crate) archive: Option<Arc<dyn Archive>>,
    /// Why the archive cannot be written; `None` while it can.
    pub(crate) archive_fault: watch::Receiver<Option<String>>,
    pub(crate) cache: Arc<RelayCache>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) extensions: Vec<Arc<dyn Extension>>,
    pub(crate) metrics: Metrics,
    pub(crate) options: Options,
}

/// [`Parts`], shared.
#[derive(Clone)]
pub(crate) struct State(Arc<Parts>);

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
