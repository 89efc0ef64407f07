//! The dispatcher board, as the build has put it into the binary.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HOST, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Serialize;
use shared_events::service::Problem;

use super::pages;

/// Empty where the board was not built.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/board"]
struct Files;

/// Their names hold a hash of what they say.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// How the board gets access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SignInWay {
    /// The board asks the notifier for a token of its own.
    Automatic,
    /// A person gives a token.
    Token,
    /// Access is not controlled.
    None,
}

/// Where the board finds the other services, and how it gets access.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BoardDocument {
    /// The write side, as a browser reaches it.
    pub schedule_service_url: String,
    /// The read side of availability, as a browser reaches it.
    pub availability_url: String,
    /// How access is had.
    pub sign_in: SignInWay,
}

/// What the pages of the board are answered from.
#[derive(Debug, Clone)]
pub struct Board(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    document: BoardDocument,
    policy: HeaderValue,
}

impl Board {
    /// A board that may call the services of `document` and nobody else.
    pub fn new(document: BoardDocument) -> anyhow::Result<Self> {
        let policy = format!(
            "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
             connect-src 'self' {} {}; img-src 'self' data:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'self'",
            document.schedule_service_url, document.availability_url
        );
        Ok(Self(Arc::new(Parts {
            policy: HeaderValue::from_str(&policy)?,
            document,
        })))
    }
}

/// Where the board finds the services: it takes no token and tells no secret.
pub(super) async fn document(State(board): State<Board>) -> Response {
    let headers = [(CACHE_CONTROL, ASK_AGAIN), nosniff()];
    (headers, Json(board.0.document.clone())).into_response()
}

/// The page itself, or a word that this build has none.
pub(super) async fn index(State(board): State<Board>, headers: HeaderMap) -> Response {
    if let Some(address) = same_host(&headers, &board.0.document.schedule_service_url) {
        return Redirect::temporary(&address).into_response();
    }
    let Some((file, encoding)) = find("index.html", &headers) else {
        return pages::index().into_response();
    };
    let tag = etag(&file);
    let policies = [
        (CONTENT_SECURITY_POLICY, board.0.policy.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (ETAG, tag.clone()),
    ];
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| *known == tag)
    {
        return (StatusCode::NOT_MODIFIED, policies).into_response();
    }
    (policies, answer(file, "index.html", encoding, ASK_AGAIN)).into_response()
}

/// Where the board is under the name of this machine by which it calls the services, if it was asked for
/// under another one: cookies belong to a name, so its sign-in would not reach them.
fn same_host(headers: &HeaderMap, service_url: &str) -> Option<String> {
    let asked: Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    let service: Uri = service_url.parse().ok()?;
    let wanted = service.host()?;
    let are_this_machine = is_loopback(asked.host()) && is_loopback(wanted);
    (are_this_machine && asked.host() != wanted).then(|| {
        let port = asked.port_u16().map(|port| format!(":{port}"));
        format!("http://{wanted}{}/", port.unwrap_or_default())
    })
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A script, a style or a picture of the page.
pub(super) async fn asset(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = format!("assets/{name}");
    let (file, encoding) = find(&path, &headers)
        .ok_or_else(|| Problem::not_found(format!("there is nothing at /{path}")))?;
    Ok(answer(file, &path, encoding, FOR_EVER))
}

/// The file, compressed where the client takes that.
fn find(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let takes = |wanted: &str| {
        accepted.unwrap_or_default().split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some(wanted) && parts.next() != Some("q=0")
        })
    };
    [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| takes(coding))
        .find_map(|(coding, ending)| Some((Files::get(&format!("{path}.{ending}"))?, Some(coding))))
        .or_else(|| Some((Files::get(path)?, None)))
}

fn answer(
    file: EmbeddedFile,
    path: &str,
    encoding: Option<&'static str>,
    cache: HeaderValue,
) -> Response {
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let body = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => bytes.into(),
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, cache),
        (VARY, HeaderValue::from_static("accept-encoding")),
        nosniff(),
    ];
    let mut response = (headers, body).into_response();
    if let Some(encoding) = encoding {
        let encoding = HeaderValue::from_static(encoding);
        response.headers_mut().insert(CONTENT_ENCODING, encoding);
    }
    response
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let short = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    HeaderValue::from_str(&format!("\"{}\"", short.collect::<String>()))
        .unwrap_or(HeaderValue::from_static("\"0\""))
}

fn nosniff() -> (axum::http::HeaderName, HeaderValue) {
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::IntoResponse;

    use super::{HOST, HeaderMap, HeaderValue, pages, same_host};

    #[tokio::test]
    async fn a_build_without_the_board_says_so_and_how_to_have_it() {
        let page = pages::index().into_response();
        assert_eq!(page.status(), 200);
        let body = to_bytes(page.into_body(), usize::MAX)
            .await
            .expect("a body");
        let text = String::from_utf8_lossy(&body);
        for told in [
            "without the dispatcher board",
            "NOTIFIER_BOARD=require",
            "/debug/stream",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }

    fn asked_at(host: &'static str, service_url: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        same_host(&headers, service_url)
    }

    #[test]
    fn the_board_goes_to_the_name_by_which_it_calls_the_services_on_this_machine() {
        let services = "http://127.0.0.1:8080";
        let there = Some("http://127.0.0.1:8082/".to_owned());
        assert_eq!(asked_at("localhost:8082", services), there);
        assert_eq!(asked_at("[::1]:8082", services), there);
        assert_eq!(asked_at("127.0.0.1:8082", services), None);
        assert_eq!(
            asked_at("127.0.0.1", "http://localhost:8080"),
            Some("http://localhost/".to_owned())
        );
    }

    #[test]
    fn other_machines_are_left_as_they_are() {
        assert_eq!(
            asked_at("board.example:8082", "http://127.0.0.1:8080"),
            None
        );
        assert_eq!(
            asked_at("localhost:8082", "https://schedules.example"),
            None
        );
        assert_eq!(asked_at("localhost:8082", "not a url"), None);
        assert_eq!(
            super::same_host(&HeaderMap::new(), "http://127.0.0.1:8080"),
            None
        );
    }
}
