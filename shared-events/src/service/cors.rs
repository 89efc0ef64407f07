//! Which pages of other origins may call, with the cookie, and read the answers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The methods that any route takes.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What a page may send beside what browsers send by themselves.
const REQUEST_HEADERS: &str = "authorization, cache-control, content-type, idempotency-key, if-match, \
                               if-none-match, last-event-id, traceparent, tracestate, x-request-id";

/// What a page may read beside what browsers show by themselves.
const RESPONSE_HEADERS: &str =
    "ETag, Idempotency-Replayed, Location, Retry-After, WWW-Authenticate, X-Request-Id";

/// Seconds for which a browser remembers the answer to a preflight.
const MAX_AGE: &str = "600";

/// The origins whose pages may call, as browsers write them in `Origin`.
#[derive(Debug, Clone, Default)]
pub struct Origins(Arc<[HeaderValue]>);

impl Origins {
    /// These, each checked by `parse_origin`.
    #[must_use]
    pub fn new(allowed: &[HeaderValue]) -> Self {
        Self(allowed.into())
    }

    /// The origin of a request's page, if it is one of these.
    fn listed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        origin_of(headers).filter(|origin| self.0.contains(origin))
    }

    /// Whether a request comes from a page of one of these or of this service itself.
    #[must_use]
    pub fn trust(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        self.listed(headers).is_some() || is_own(uri, headers)
    }
}

/// The origin of the page that a browser sends a request for. None where there is none, and where
/// there are several.
#[must_use]
pub fn origin_of(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(ORIGIN).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Whether the page came from where the request goes. A proxy may speak TLS for us, so the scheme is
/// not looked at.
fn is_own(uri: &Uri, headers: &HeaderMap) -> bool {
    let origin = origin_of(headers).and_then(|origin| origin.to_str().ok());
    let page = origin.and_then(|origin| {
        origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"))
    });
    page.is_some_and(|page| asked_host(uri, headers) == Some(page))
}

/// The host, with its port, that a request was sent to: by HTTP/2 it is part of the URI.
#[must_use]
pub fn asked_host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let line = headers.get(HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(Authority::as_str).or(line)
}

/// Reads an origin such as `https://board.example.com`.
pub(super) fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_origin =
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '*', '@', ' ']));
    if !is_origin {
        return Err("not an origin, such as https://board.example.com".to_owned());
    }
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}

/// Answers preflights of the listed origins and marks all answers to them, refusals too, so that a
/// page sees why. For others nothing changes, and their browsers keep the answer from the page.
pub(super) async fn allow(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    if origins.0.is_empty() {
        return next.run(request).await;
    }
    let origin = origins.listed(request.headers()).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if is_preflight => preflight(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    // Caches must not give one origin's answer to another.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        let shown = HeaderValue::from_static(RESPONSE_HEADERS);
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, Uri};

    use super::{Origins, parse_origin};

    #[test]
    fn a_listed_origin_and_the_own_one_are_trusted_and_no_other() {
        let board = parse_origin("https://board.example.com").expect("an origin");
        let origins = Origins::new(&[board]);
        for (host, sent, trusted) in [
            ("a:80", &["https://board.example.com"][..], true),
            ("a:80", &["http://a:80"], true),
            ("a:80", &["https://a:80"], true),
            ("a:80", &["http://a"], false),
            ("a:80", &["http://board.example.com"], false),
            ("a:80", &["https://board.example.com.evil.example"], false),
            ("a:80", &["null"], false),
            ("a:80", &["http://a:80", "http://a:80"], false),
            ("a:80", &["a:80"], false),
            ("a:80", &[], false),
        ] {
            let mut request = Request::builder().header("host", host);
            for origin in sent {
                request = request.header("origin", *origin);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            assert_eq!(
                origins.trust(&parts.uri, &parts.headers),
                trusted,
                "{sent:?}"
            );
        }
        // As HTTP/2 has it.
        let headers = [(
            axum::http::header::ORIGIN,
            "https://a".parse().expect("a value"),
        )];
        let headers = headers.into_iter().collect();
        assert!(origins.trust(&Uri::from_static("https://a/v1"), &headers));
        assert!(!origins.trust(&Uri::from_static("https://b/v1"), &headers));
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for text in ["http://localhost:5173", "https://a.example", "http://[::1]"] {
            assert!(parse_origin(text).is_ok(), "{text}");
        }
        for text in [
            "*",
            "",
            "a.example",
            "https://a/b",
            "https://",
            "http://u@a",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }
}
