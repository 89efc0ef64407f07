//! The HTTP side: the stream, signing in, the board, and small pages.

mod board;
mod direct;
mod events;
mod listed;
pub(crate) mod listener;
mod openapi;
mod pages;
mod session;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use shared_events::service::{Clock, Shutdown};

use crate::subscriptions::Subscriptions;

pub use board::{Board, BoardDocument, SignInWay};
pub use openapi::document;
pub use session::SignIn;

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
    /// Signs browsers in.
    pub sign_in: SignIn,
}

/// The notifier's own routes.
pub fn routes(state: AppState, board: Board) -> Router {
    Router::new()
        .route(
            "/v1/events",
            get(events::stream)
                .head(events::head)
                .options(events::options),
        )
        .route("/v1/subscriptions", get(listed::list))
        .route(
            "/v1/session",
            get(session::read)
                .post(session::open)
                .delete(session::close),
        )
        .route("/v1/session/automatic", post(session::open_automatically))
        .layer(DefaultBodyLimit::max(session::MAX_BODY_BYTES))
        .merge(pages::routes())
        .with_state(state)
        .merge(
            Router::new()
                .route("/", get(board::index))
                .route("/board.json", get(board::document))
                .route("/assets/{name}", get(board::asset))
                .with_state(board),
        )
}
