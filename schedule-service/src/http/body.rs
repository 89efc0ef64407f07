//! Reading a body: its media type, its size, and JSON.

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared_events::service::Problem;

use super::Api;
use crate::error::{invalid, unreadable};
use crate::request;

/// A JSON body of at most `MAX_BODY_BYTES`.
#[derive(Debug)]
pub(super) struct JsonBody(pub(super) Bytes);

/// A JSON body that may also call itself a merge patch.
#[derive(Debug)]
pub(super) struct MergePatchBody(pub(super) Bytes);

impl JsonBody {
    /// The body as a type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        request::from_slice(&self.0).map_err(unreadable)
    }
}

impl MergePatchBody {
    /// The body as JSON.
    pub(super) fn value(&self) -> Result<Value, Problem> {
        request::parse(&self.0).map_err(unreadable)
    }
}

impl FromRequest<Api> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        expect_type(request.headers(), &["application/json"])?;
        read(request, api.settings().max_body_bytes())
            .await
            .map(Self)
    }
}

impl FromRequest<Api> for MergePatchBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        expect_type(
            request.headers(),
            &["application/merge-patch+json", "application/json"],
        )?;
        read(request, api.settings().max_body_bytes())
            .await
            .map(Self)
    }
}

fn expect_type(headers: &HeaderMap, known: &[&str]) -> Result<(), Problem> {
    let named = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = named.split(';').next().unwrap_or_default().trim();
    if known
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
    {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is of another media type",
    )
    .detail(format!("the Content-Type must be {}", known.join(" or "))))
}

async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
        )
        .detail(format!("the body must have at most {limit} bytes"))),
        Err(error) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "body-cut-off",
            "The body cannot be read",
        )
        .detail(error.to_string())),
    }
}

/// 422 for what a parser found.
pub(super) fn checked<T>(result: Result<T, crate::domain::FieldErrors>) -> Result<T, Problem> {
    result.map_err(|errors| invalid(&errors))
}
