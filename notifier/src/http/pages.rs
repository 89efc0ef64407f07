//! Two pages for people, with their styles and script.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing but this origin is asked, and nothing runs that is written into a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the pages need, and the one that shows live frames.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/debug/stream",
            get(async || page(HTML, include_str!("../../pages/stream.html"))),
        )
        .route(
            "/debug/stream.css",
            get(async || page(CSS, include_str!("../../pages/stream.css"))),
        )
        .route(
            "/debug/stream.js",
            get(async || page(JAVASCRIPT, include_str!("../../pages/stream.js"))),
        )
        .route(
            "/debug/index.css",
            get(async || page(CSS, include_str!("../../pages/index.css"))),
        )
}

/// Says what this is, where there is no board.
pub(super) fn index() -> impl IntoResponse {
    page(HTML, include_str!("../../pages/index.html"))
}

fn page(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (
        headers.map(|(name, value)| (name, HeaderValue::from_static(value))),
        text,
    )
}
