//! Two pages for people, complete in themselves.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse};

/// Nothing is loaded, and nothing but this origin is asked.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'";

fn page(text: &'static str) -> impl IntoResponse {
    (
        [
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-cache"),
        ],
        Html(text),
    )
}

/// Says what this is, where there is no board.
pub(super) fn index() -> impl IntoResponse {
    page(include_str!("../../pages/index.html"))
}

/// Shows live frames.
pub(super) async fn debug_stream() -> impl IntoResponse {
    page(include_str!("../../pages/stream.html"))
}
