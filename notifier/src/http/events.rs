//! `GET /v1/events`.

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use shared_events::service::{self, Problem, ProblemDocument};

use super::AppState;
use crate::admission::Refused;
use crate::caller::Caller;
use crate::filter::Query;
use crate::position::{MAX_TEXT_LEN, Position};
use crate::subscriptions::Resume;

/// Follow the updates
///
/// A stream of server-sent events. `retry: 2000` and a `ready` event come first; then each change
/// as `schedule.updated` and `availability.updated`. Events of one contractor come with rising
/// versions. Every id works on every notifier: resume with it, and what was missed comes after
/// `ready`. Where that is not possible, one `reset` says that everything must be read again; live
/// events follow it. `schedule.updated` leaves out `schedule` and adds `territory`. An event too
/// long for a frame of 64 KiB says `"truncated":true`: read it over HTTP. Comments keep the stream
/// open, and a block with an `id` alone moves the id past what was filtered out.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    security(("token" = ["follow"])),
    params(
        ("territory" = Option<Vec<String>>, Query, style = Form, explode,
            description = "Slugs of territories; a contractor that moves is shown to both"),
        ("contractor" = Option<Vec<uuid::Uuid>>, Query, style = Form, explode,
            description = "Ids of contractors"),
        ("type" = Option<Vec<String>>, Query, style = Form, explode,
            description = "`schedule.updated` or `availability.updated`"),
        ("lastEventId" = Option<String>, Query,
            description = "Resume after this id, where the header cannot be set"),
        ("Last-Event-ID" = Option<String>, Header,
            description = "Resume after this id; it goes before the parameter"),
    ),
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 422, description = "A parameter is refused", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 429, description = "As many streams are open from this address, or for this \
            token's subject, as may be, or new ones come too fast; `Retry-After` says when to come \
            again", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 503, description = "As many streams are open as may be, or this notifier is \
            shutting down; `Retry-After` says when to come again", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream(
    State(state): State<AppState>,
    known: service::Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let query = read_query(&state, parts.uri.query())?;
    let filter = query.filter.within(&known)?;
    let resume = resume(&parts.headers, query.last_event_id.as_deref());
    if state.shutdown.soft().is_cancelled() {
        return Err(Problem::unavailable("this notifier is shutting down", 1));
    }
    let stream = state
        .subscriptions
        .open(Caller::of(&parts), filter, resume)
        .map_err(refusal)?;
    Ok((stream_headers(), Body::new(stream)).into_response())
}

fn refusal(refused: Refused) -> Problem {
    let seconds = refused.retry_after_seconds();
    let detail = match refused {
        Refused::Full => {
            return Problem::unavailable("as many streams are open as may be", seconds);
        }
        Refused::AddressFull => "as many streams are open from this address as may be",
        Refused::UserFull => "as many streams are open for this user as may be",
        Refused::TooFast { .. } => "new streams come too fast from this address",
    };
    Problem::too_many_requests(detail, seconds)
}

/// What `GET` would answer, without a stream.
pub(super) async fn head(
    State(state): State<AppState>,
    known: service::Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    read_query(&state, query.as_deref())?
        .filter
        .within(&known)?;
    Ok(stream_headers().into_response())
}

/// What can be asked here.
pub(super) async fn options() -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, "GET, HEAD, OPTIONS")]).into_response()
}

fn read_query(state: &AppState, query: Option<&str>) -> Result<Query, Problem> {
    Query::parse(query.unwrap_or_default(), state.max_filter_values).map_err(|faults| {
        faults
            .into_iter()
            .fold(Problem::invalid(), |problem, fault| {
                problem.field(format!("/{}", pointer_token(&fault.name)), fault.message)
            })
    })
}

/// Escaped as JSON pointers want it.
fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn stream_headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would collect frames before it passes them on.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ]
}

/// The header goes before the parameter: a browser that reconnects keeps the URL that it was given,
/// and says in the header how far it has come since.
fn resume(headers: &HeaderMap, parameter: Option<&str>) -> Resume {
    let header = headers
        .get("last-event-id")
        .map(HeaderValue::as_bytes)
        .filter(|id| !id.is_empty());
    let id = header
        .or_else(|| parameter.map(str::as_bytes))
        .unwrap_or_default();
    if id.is_empty() {
        return Resume::No;
    }
    std::str::from_utf8(id)
        .ok()
        .filter(|text| text.len() <= MAX_TEXT_LEN)
        .and_then(|text| text.parse::<Position>().ok())
        .map_or(Resume::Unreadable, Resume::After)
}

#[cfg(test)]
mod tests {
    use super::{pointer_token, resume};
    use crate::position::Position;
    use crate::subscriptions::Resume;
    use axum::http::{HeaderMap, HeaderValue};

    fn headers(id: &[u8]) -> HeaderMap {
        let value = HeaderValue::from_bytes(id).expect("a header's value");
        HeaderMap::from_iter([("last-event-id".parse().expect("a name"), value)])
    }

    #[test]
    fn the_header_goes_before_the_parameter_and_nothing_is_no_id() {
        let position = Position {
            offset: 5,
            fingerprint: 1,
        };
        let other = Position {
            offset: 6,
            fingerprint: 2,
        };
        let (id, other_id) = (position.to_string(), other.to_string());
        assert_eq!(
            resume(&headers(id.as_bytes()), Some(&other_id)),
            Resume::After(position)
        );
        assert_eq!(
            resume(&HeaderMap::new(), Some(&other_id)),
            Resume::After(other)
        );
        assert_eq!(resume(&headers(b""), Some("")), Resume::No);
        assert_eq!(resume(&HeaderMap::new(), None), Resume::No);
    }

    #[test]
    fn what_is_no_id_of_ours_is_unreadable() {
        for id in ["x".as_bytes(), &[b'9'; 4096], b"caf\xe9", b"5-0000000g"] {
            assert_eq!(resume(&headers(id), None), Resume::Unreadable);
        }
    }

    #[test]
    fn a_strange_parameter_makes_a_valid_pointer() {
        assert_eq!(pointer_token("a/b~c"), "a~1b~0c");
    }
}
