//! Answers that can be remembered: known whole before anything is committed.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use shared_events::service::Problem;

use crate::error::etag;
use crate::store::idempotency::Found;

/// Says that an answer is a remembered one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer to a write.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A JSON document.
    pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(document).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Problem::internal()
        })?;
        Ok(Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .header(&CONTENT_TYPE, "application/json"))
    }

    /// What a problem answers.
    pub(super) fn of_problem(problem: &Problem) -> Result<Self, Problem> {
        let response = problem.clone().into_response();
        let mut answer = Self::json(problem.status(), &problem.document())?;
        answer.headers.clear();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                answer = answer.header(name, value);
            }
        }
        Ok(answer)
    }

    /// An answer that was remembered.
    pub(super) fn replayed(found: Found) -> Self {
        let status = u16::try_from(found.status)
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok());
        Self {
            status: status.unwrap_or(StatusCode::OK),
            headers: found.headers.0,
            body: found.body.into(),
        }
        .header(&REPLAYED, "true")
    }

    /// With the version as its entity tag.
    pub(super) fn version(self, version: i64) -> Self {
        let tag = etag(version);
        self.header(&ETAG, tag.to_str().unwrap_or_default())
    }

    /// With the path of what was made.
    pub(super) fn location(self, path: &str) -> Self {
        self.header(&LOCATION, path)
    }

    fn header(mut self, name: &HeaderName, value: &str) -> Self {
        self.headers
            .push((name.as_str().to_owned(), value.to_owned()));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
