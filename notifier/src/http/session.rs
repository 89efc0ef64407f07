//! `/v1/session`: a browser signs in, and its token is kept in a cookie that no script can read.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, Request, State};
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{SecondsFormat, TimeDelta};
use serde::{Deserialize, Serialize};
use shared_events::service::auth::{COOKIE, Minter, Role, Territories, foreign_page};
use shared_events::service::{Access, Caller, Clock, Problem, ProblemDocument, cors};

use super::AppState;

/// The largest body that is read.
pub(super) const MAX_BODY_BYTES: usize = 16 << 10;

/// Browsers keep no larger cookie (RFC 6265, section 6.1), its name and attributes included.
const MAX_COOKIE_TOKEN_BYTES: usize = 4096 - 160;

/// How long who has signed in automatically stays so.
const AUTOMATIC_LIFE: TimeDelta = TimeDelta::hours(8);

/// Who signs browsers in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Knows tokens.
    pub access: Arc<Access>,
    /// Makes them for whoever opens the board on this machine; none where that is not set.
    pub automatic: Option<Minter>,
    /// The time.
    pub clock: Clock,
}

/// What a browser signs in with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// The token.
    token: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// The token's subject.
    subject: String,
    /// What it may do.
    #[schema(value_type = Vec<String>, example = json!(["dispatcher"]))]
    roles: Vec<Role>,
    /// The territories that it has to do with; `*` stands for all.
    territories: Vec<String>,
    /// When the token ends; null where access is not checked.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Sign in
///
/// Checks the token and keeps it in the cookie `rosterwire_token` until it expires, where no script
/// can read it.
#[utoipa::path(
    post,
    path = "/v1/session",
    tag = "session",
    security(()),
    request_body = Credentials,
    responses(
        (status = 204, description = "The cookie is set",
            headers(("Set-Cookie" = String, description = "`rosterwire_token`"))),
        (status = 400, description = "The body is no JSON", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 401, description = "The token is not valid here", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 403, description = "The page is of an origin that is not allowed", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 415, description = "The body calls itself something else than JSON", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 422, description = "The body has other fields, or the token is too long for a cookie",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many tokens that are not valid come from this address; \
            `Retry-After` says when to come again", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 503, description = "Tokens cannot be checked for now", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, Problem> {
    let sign_in = &state.sign_in;
    refuse_foreign_page(sign_in, &uri, &headers)?;
    let Json(Credentials { token }) = body.map_err(|rejection| unreadable(&rejection))?;
    let caller = sign_in.access.caller_of(&token).await?;
    if token.len() > MAX_COOKIE_TOKEN_BYTES {
        let fault =
            format!("must have at most {MAX_COOKIE_TOKEN_BYTES} bytes to fit into a cookie");
        return Err(Problem::invalid().field("/token", fault));
    }
    // Where access is not checked there is nothing to keep.
    let Some(expires_at) = caller.expires_at() else {
        return Ok(answer(None));
    };
    let life = (expires_at - sign_in.clock.now()).num_seconds().max(1);
    Ok(answer(Some(&cookie(&token, life)?)))
}

/// Sign in without a token
///
/// For whoever opens the board on this very machine, where `BOARD_AUTOMATIC_SIGN_IN` is set: a
/// dispatcher of all territories for 8 hours.
#[utoipa::path(
    post,
    path = "/v1/session/automatic",
    tag = "session",
    security(()),
    responses(
        (status = 204, description = "The cookie is set",
            headers(("Set-Cookie" = String, description = "`rosterwire_token`"))),
        (status = 403, description = "It was not asked for by a page that was opened on this machine",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "It is not set", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn open_automatically(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    let SignIn {
        access,
        automatic: Some(minter),
        clock,
    } = &state.sign_in
    else {
        return Err(Problem::not_found("BOARD_AUTOMATIC_SIGN_IN is not set"));
    };
    // Neither what another site has a browser send, under whatever name of this machine, nor what a
    // proxy passes on from another one.
    if !access.origins().trust(uri, headers) || !is_here(uri, headers) {
        return Err(foreign_page());
    }
    let now = clock.now();
    let (roles, all) = ([Role::Dispatcher], ["*".to_owned()]);
    let token = minter.mint("dispatcher", &roles, &all, now, now + AUTOMATIC_LIFE);
    let token = token.map_err(|error| {
        tracing::error!(%error, "nobody can be signed in");
        Problem::internal()
    })?;
    Ok(answer(Some(&cookie(&token, AUTOMATIC_LIFE.num_seconds())?)))
}

/// Who is signed in
///
/// By the cookie or a header.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "session",
    security(("token" = [])),
    responses((status = 200, description = "Who it is", body = Session))
)]
pub(super) async fn read(caller: Caller) -> Response {
    let session = Session {
        subject: caller.subject().to_owned(),
        roles: caller.roles().iter().copied().collect(),
        territories: match caller.territories() {
            Territories::All => vec!["*".to_owned()],
            Territories::Only(these) => these.iter().cloned().collect(),
        },
        expires_at: caller
            .expires_at()
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
    };
    ([(CACHE_CONTROL, "no-store")], Json(session)).into_response()
}

/// Sign out
///
/// Clears the cookie. A token in other hands stays good until it expires.
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "session",
    security(()),
    responses(
        (status = 204, description = "The cookie is cleared"),
        (status = 403, description = "The page is of an origin that is not allowed", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn close(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    refuse_foreign_page(&state.sign_in, &uri, &headers)?;
    Ok(answer(Some(&cookie("", 0)?)))
}

/// A page of another site must not sign anybody in or out. What is no page sends no `Origin`.
fn refuse_foreign_page(sign_in: &SignIn, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let has_origin = headers.contains_key(axum::http::header::ORIGIN);
    if has_origin && !sign_in.access.origins().trust(uri, headers) {
        return Err(foreign_page());
    }
    Ok(())
}

/// Whether page and service were addressed as of this machine, by what a browser cannot be made to
/// say falsely.
fn is_here(uri: &Uri, headers: &HeaderMap) -> bool {
    let origin = cors::origin_of(headers).and_then(|origin| origin.to_str().ok());
    let origin = origin.and_then(|origin| origin.split_once("://"));
    let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    let hosts = [origin.map(|(_, host)| host), cors::asked_host(uri, headers)];
    hosts.iter().all(|host| host.is_some_and(is_loopback))
        && !passed_on.iter().any(|name| headers.contains_key(*name))
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else {
        return false;
    };
    let host = authority.host().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn cookie(token: &str, life: i64) -> Result<HeaderValue, Problem> {
    let text =
        format!("{COOKIE}={token}; Max-Age={life}; Path=/; HttpOnly; Secure; SameSite=Strict");
    let mut value = HeaderValue::from_str(&text).map_err(|_| Problem::internal())?;
    value.set_sensitive(true);
    Ok(value)
}

fn answer(cookie: Option<&HeaderValue>) -> Response {
    let mut response = (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie.clone());
    }
    response
}

/// What cannot be read must not be repeated: it may be a token.
fn unreadable(rejection: &JsonRejection) -> Problem {
    let status = rejection.status();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "body-too-large", "The body is too large")
                .detail(format!("the body must have at most {MAX_BODY_BYTES} bytes"))
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            status,
            "unsupported-media-type",
            "The body is of another media type",
        )
        .detail("the Content-Type must be application/json"),
        StatusCode::UNPROCESSABLE_ENTITY => {
            Problem::invalid().field("", "must be an object with `token` alone")
        }
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            "The body is not JSON",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn this_machine_is_known_by_its_addresses_and_its_one_name() {
        for host in ["127.0.0.1:8082", "127.9.9.9", "localhost:1", "[::1]:8082"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "board:8082",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
