//! W3C trace context, carried from the request that caused a change to the last frame about it.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The two W3C trace context headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceHeaders {
    /// `traceparent`: trace id, span id and flags.
    pub traceparent: Option<String>,
    /// `tracestate`: what other tracing systems add.
    pub tracestate: Option<String>,
}

impl TraceHeaders {
    /// The context of the current span. Empty where no telemetry is installed.
    #[must_use]
    pub fn current() -> Self {
        let mut headers = Self::default();
        let context = tracing::Span::current().context();
        TraceContextPropagator::new().inject_context(&context, &mut headers);
        headers
    }

    /// Makes `span` a child of this context, if it is a valid one.
    pub fn set_parent_of(&self, span: &tracing::Span) {
        if self.traceparent.is_some() {
            // A span that is filtered out, or has begun already, keeps the parent it has.
            let _ = span.set_parent(TraceContextPropagator::new().extract(self));
        }
    }
}

impl Injector for TraceHeaders {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return;
        }
        match key {
            "traceparent" => self.traceparent = Some(value),
            "tracestate" => self.tracestate = Some(value),
            _ => {}
        }
    }
}

impl Extractor for TraceHeaders {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent.as_deref(),
            "tracestate" => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
