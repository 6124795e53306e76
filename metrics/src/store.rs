//! The message archive and the Store server on it.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, Registry};

use crate::label::label;
use crate::register::{GaugeBy, RegisterError, SECONDS, counter, gauge_by, histogram};

label! {
    /// Which messages of the archive are counted. One value, as nwaku has it.
    enum Archived, "type" {
        /// All that it holds.
        Stored = "stored",
    }
}

/// Recorder of the archive and the Store server.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    messages: GaugeBy<Archived>,
    insert: Histogram,
    query: Histogram,
    queries: IntCounter,
}

impl StoreMetrics {
    /// Registers `waku_archive_messages`, `waku_archive_insert_duration_seconds`,
    /// `waku_archive_query_duration_seconds` and `waku_store_queries_total`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            messages: gauge_by(registry, "waku_archive_messages", "Messages in the archive")?,
            insert: histogram(
                registry,
                "waku_archive_insert_duration_seconds",
                "Time that a batch took to insert",
                SECONDS,
            )?,
            query: histogram(
                registry,
                "waku_archive_query_duration_seconds",
                "Time that a page took to read",
                SECONDS,
            )?,
            queries: counter(
                registry,
                "waku_store_queries_total",
                "Store queries received from peers",
            )?,
        })
    }

    /// Sets how many messages the archive holds.
    pub fn archived(&self, messages: usize) {
        self.messages.set(Archived::Stored, messages);
    }

    /// Records how long a batch took to insert.
    pub fn inserted(&self, took: Duration) {
        self.insert.observe(took.as_secs_f64());
    }

    /// Records how long a page took to read.
    pub fn queried(&self, took: Duration) {
        self.query.observe(took.as_secs_f64());
    }

    /// Counts a query that a peer asked the Store.
    pub fn query_received(&self) {
        self.queries.inc();
    }
}
