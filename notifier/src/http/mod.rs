//! The HTTP side: the stream, and two small pages.

mod cors;
mod direct;
mod events;
mod listed;
pub(crate) mod listener;
mod openapi;
mod pages;

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware;
use axum::routing::get;
use shared_events::service::{Clock, Shutdown};

use crate::subscriptions::Subscriptions;

pub use openapi::document;

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The time.
    pub clock: Clock,
    /// Opens streams.
    pub subscriptions: Subscriptions,
    /// No stream is opened once this has begun.
    pub shutdown: Shutdown,
    /// See [`ClientSettings`](crate::config::ClientSettings).
    pub max_filter_values: usize,
}

/// The notifier's own routes.
pub fn routes(state: AppState, allowed_origins: Vec<HeaderValue>) -> Router {
    let origins = cors::Origins::new(allowed_origins);
    Router::new()
        .route(
            "/v1/events",
            get(events::stream)
                .head(events::head)
                .options(events::options),
        )
        .route("/v1/subscriptions", get(listed::list))
        .route_layer(middleware::from_fn_with_state(origins, cors::allow))
        .route("/", get(pages::index))
        .route("/debug/stream", get(pages::debug_stream))
        .with_state(state)
}
