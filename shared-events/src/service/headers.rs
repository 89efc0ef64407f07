//! Headers that every answer has.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::middleware::Next;
use axum::response::Response;

/// Nothing is taken for another type than it says, shown in a frame, or named to other sites; what is
/// under `/v1`, which is of people, is kept by no cache unless the route says otherwise.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let is_of_people = request.uri().path().starts_with("/v1/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in set {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if is_of_people {
        let kept_by_none = HeaderValue::from_static("no-store");
        headers.entry(CACHE_CONTROL).or_insert(kept_by_none);
    }
    response
}
