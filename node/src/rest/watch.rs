//! What is done around every request: counted, and ended in time.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, debug, debug_span};
use waku_groupchat_metrics::{Label, Metrics, Resource, StatusClass};

use super::error::RestError;

/// How long a handler may take, with its body: longer than another node's Store may.
const DEADLINE: Duration = Duration::from_secs(30);

/// Counts the answer by resource, and logs it. Paths stay out of the log: they name topics.
pub(super) async fn count(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let resource = Resource::of_path(request.uri().path());
    let span = debug_span!("http", method = %request.method(), resource = resource.as_str());
    async {
        let begin = Instant::now();
        let response = next.run(request).await;
        let (status, took) = (response.status().as_u16(), begin.elapsed());
        metrics.http().answered(resource, StatusClass::of_code(status), took);
        debug!(status, ?took, "answered");
        response
    }
    .instrument(span)
    .await
}

/// Ends a request that takes too long.
pub(super) async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => RestError::Deadline.into_response(),
    }
}
