//! The message archive and the Store server on it.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, Opts, Registry};

use crate::label::{Label, label};
use crate::node::Protocol;
use crate::register::{GaugeBy, RegisterError, SECONDS, add, counter, gauge_by, histogram};

label! {
    /// Which messages of the archive are counted. One value, as nwaku has it.
    enum Archived, "type" {
        /// All that it holds.
        Stored = "stored",
    }
}

label! {
    /// What became of a request to a service. nwaku's texts.
    pub enum ServiceState, "state" {
        /// It was taken, whatever the answer.
        Served = "served",
        /// There were too many at once.
        Rejected = "rejected",
    }
}

/// Recorder of the archive and the Store server.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    messages: GaugeBy<Archived>,
    insert: Histogram,
    query: Histogram,
    queries: IntCounter,
    requests: IntCounterVec,
}

impl StoreMetrics {
    /// Registers `waku_archive_messages`, `waku_archive_insert_duration_seconds`,
    /// `waku_archive_query_duration_seconds`, `waku_store_queries_total` and
    /// `waku_service_requests_total`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let requests = "waku_service_requests_total";
        let opts = Opts::new(requests, "Requests of peers to a service");
        let metrics = Self {
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
            requests: add(
                registry,
                requests,
                IntCounterVec::new(opts, &["service", ServiceState::NAME]),
            )?,
        };
        for state in ServiceState::ALL {
            metrics.store_requests(*state);
        }
        Ok(metrics)
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
    pub fn query_received(&self, state: ServiceState) {
        self.store_requests(state).inc();
        // As in nwaku: what is refused before it is looked at is no query.
        if state == ServiceState::Served {
            self.queries.inc();
        }
    }

    fn store_requests(&self, state: ServiceState) -> IntCounter {
        self.requests.with_label_values(&[Protocol::Store.as_str(), state.as_str()])
    }
}
