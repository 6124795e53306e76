//! The HTTP server.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::label::{Label, label};
use crate::register::{RegisterError, SECONDS, add, counter};

label! {
    /// What a request was for: the first part of its path, never the path itself.
    pub enum Resource, "resource" {
        /// `/health`.
        Health = "health",
        /// `/info`, `/version` and their `/debug/v1` forms.
        Info = "info",
        /// `/relay/v1`.
        Relay = "relay",
        /// `/store/v3`.
        Store = "store",
        /// `/metrics`.
        Metrics = "metrics",
        /// `/chat/v1`.
        Chat = "chat",
        /// Anything else.
        Other = "other",
    }
}

impl Resource {
    /// What a request's path is for.
    pub fn of_path(path: &str) -> Self {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        match parts.next() {
            Some("health") => Self::Health,
            Some("info" | "version" | "debug") => Self::Info,
            Some("relay") => Self::Relay,
            Some("store") => Self::Store,
            Some("metrics") => Self::Metrics,
            Some("chat") => Self::Chat,
            _ => Self::Other,
        }
    }
}

label! {
    /// The class of an answer's status. The two that say "full, try later" stand alone.
    pub enum StatusClass, "status" {
        /// 100 to 399.
        Success = "2xx",
        /// 400 to 499, less 429.
        Client = "4xx",
        /// 429: too many requests.
        TooMany = "429",
        /// 500 and over, less 503.
        Server = "5xx",
        /// 503: unavailable.
        Unavailable = "503",
    }
}

impl StatusClass {
    /// The class of a status code.
    pub const fn of_code(code: u16) -> Self {
        match code {
            429 => Self::TooMany,
            503 => Self::Unavailable,
            400..500 => Self::Client,
            500.. => Self::Server,
            _ => Self::Success,
        }
    }
}

/// Recorder of the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    cache_dropped: IntCounter,
}

impl HttpMetrics {
    /// Registers `waku_groupchat_http_requests_total`,
    /// `waku_groupchat_http_request_duration_seconds` and
    /// `waku_groupchat_rest_cache_dropped_total`.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the registry holds one of them already.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let requests = "waku_groupchat_http_requests_total";
        let duration = "waku_groupchat_http_request_duration_seconds";
        let metrics = Self {
            requests: add(
                registry,
                requests,
                IntCounterVec::new(
                    Opts::new(requests, "HTTP requests answered"),
                    &[Resource::NAME, StatusClass::NAME],
                ),
            )?,
            duration: add(
                registry,
                duration,
                HistogramVec::new(
                    HistogramOpts::new(duration, "Time until an HTTP answer began")
                        .buckets(SECONDS.to_vec()),
                    &[Resource::NAME],
                ),
            )?,
            cache_dropped: counter(
                registry,
                "waku_groupchat_rest_cache_dropped_total",
                "Messages that left the REST relay cache unread, to make room",
            )?,
        };
        for resource in Resource::ALL {
            metrics.duration.with_label_values(&[resource.as_str()]);
            for status in StatusClass::ALL {
                metrics.requests.with_label_values(&[resource.as_str(), status.as_str()]);
            }
        }
        Ok(metrics)
    }

    /// Counts a request that was answered.
    pub fn answered(&self, resource: Resource, status: StatusClass, took: Duration) {
        self.requests.with_label_values(&[resource.as_str(), status.as_str()]).inc();
        self.duration.with_label_values(&[resource.as_str()]).observe(took.as_secs_f64());
    }

    /// Counts a message that left the relay cache unread, because the cache was full.
    pub fn relay_cache_dropped(&self) {
        self.cache_dropped.inc();
    }
}
