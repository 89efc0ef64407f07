//! Answers with an entity tag, and 304 where the client has that answer already.

use std::hash::{DefaultHasher, Hasher};
use std::io;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared_events::service::Problem;

/// Encodes `body` with a weak tag over its `substance`: what it says, but not when and how it was
/// found out. 304 if `If-None-Match` has that tag.
pub(super) fn tagged(
    body: &impl Serialize,
    substance: &impl Serialize,
    request: &HeaderMap,
) -> Response {
    let mut hashed = Hashed(DefaultHasher::new());
    let (Ok(json), Ok(())) = (
        serde_json::to_vec(body),
        serde_json::to_writer(&mut hashed, substance),
    ) else {
        return Problem::internal().into_response();
    };
    let tag = format!("W/\"{:016x}\"", hashed.0.finish());
    let known = request.get_all(IF_NONE_MATCH).iter().any(|value| {
        // Weak comparison: the tags are compared without their W/.
        value.to_str().is_ok_and(|list| {
            list.split(',')
                .map(str::trim)
                .any(|t| t == "*" || t == tag || format!("W/{t}") == tag)
        })
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (
            [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            json,
        )
            .into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Hashes what is written to it.
struct Hashed(DefaultHasher);

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
