//! Ids and dates in paths.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use shared_events::service::Problem;
use uuid::Uuid;

use super::Api;
use crate::error::{no_contractor, no_job};
use crate::request::date_override::parse_date;

/// A contractor's id, `{id}`. What is no UUID names no contractor.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContractorId(pub(super) Uuid);

/// A job's id, `{jobId}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobId(pub(super) Uuid);

/// `{id}` and `{timeOffId}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeOffPath(pub(super) Uuid, pub(super) Uuid);

/// `{id}` and `{date}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct DatePath(pub(super) Uuid, pub(super) NaiveDate);

async fn parameters<T: DeserializeOwned + Send>(parts: &mut Parts) -> Result<T, Problem> {
    let path = Path::<T>::from_request_parts(parts, &()).await;
    path.map(|Path(path)| path)
        .map_err(|error: PathRejection| Problem::not_found(error.body_text()))
}

fn contractor(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| no_contractor(text))
}

impl FromRequestParts<Api> for ContractorId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        contractor(&parameters::<String>(parts).await?).map(Self)
    }
}

impl FromRequestParts<Api> for JobId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let text: String = parameters(parts).await?;
        text.parse().map(Self).map_err(|_| no_job(text))
    }
}

impl FromRequestParts<Api> for TimeOffPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let (id, time_off): (String, String) = parameters(parts).await?;
        let time_off = time_off
            .parse()
            .map_err(|_| Problem::not_found(format!("there is no time off {time_off}")));
        Ok(Self(contractor(&id)?, time_off?))
    }
}

impl FromRequestParts<Api> for DatePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let (id, date): (String, String) = parameters(parts).await?;
        let date = parse_date(&date).map_err(|reason| Problem::invalid().field("/date", reason));
        Ok(Self(contractor(&id)?, date?))
    }
}
