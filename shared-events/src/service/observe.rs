//! What happens around every request: a span with its name in the caller's trace, a time-out, a count, and a
//! problem document instead of a panic.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use metrics::Gauge;
use tracing::Instrument;

use super::problem::Problem;
use super::request_id::current_request_id;
use crate::trace::TraceHeaders;

pub(super) async fn observe(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "http.request",
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        request_id = current_request_id(),
        http.response.status_code = tracing::field::Empty,
    );
    trace_headers(request.headers()).set_parent_of(&span);

    let _active = Active::new(&route);
    let answer = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone());
    let response = match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let reason = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            span.in_scope(|| tracing::error!(route, reason, "a request handler panicked"));
            Problem::internal().into_response()
        }
        Err(_) => {
            span.in_scope(|| tracing::warn!(route, timeout_s = limit.as_secs(), "timed out"));
            Problem::unavailable("the request took too long", 1).into_response()
        }
    };

    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    let labels = [
        ("method", method.to_string()),
        ("route", route),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels)
        .record(started.elapsed().as_secs_f64());
    response
}

/// A request of a route that is not answered yet, in the gauge of those.
struct Active(Gauge);

impl Active {
    fn new(route: &str) -> Self {
        let gauge = metrics::gauge!("http_requests_active", "route" => route.to_owned());
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Active {
    /// Whoever asked may have gone: then nobody answers.
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn trace_headers(headers: &HeaderMap) -> TraceHeaders {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    TraceHeaders {
        traceparent: text("traceparent"),
        tracestate: text("tracestate"),
    }
}
