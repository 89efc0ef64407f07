//! `GET /v1/availability/{contractorId}/explain`: why a contractor is or is not free.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use shared_events::service::{Caller, Problem, ProblemDocument};
use uuid::Uuid;

use super::contractor_id::ContractorId;
use super::parameters::Parameters;
use super::{ReadSide, must_see, problem_of};
use crate::engine;
use crate::readings::ReadError;
use crate::stamp::Stamp;

/// Why a contractor is or is not free at an instant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExplainedAvailability {
    /// The contractor.
    contractor_id: Uuid,
    /// The version of the schedule that was explained.
    version: i64,
    /// The minute that was explained.
    at: Stamp,
    /// Whether it lies in a free window.
    free: bool,
    /// Who and when, with the local time, for people.
    subject: String,
    /// Every reason, for people.
    reasons: Vec<String>,
}

/// Why a contractor is or is not free at an instant.
#[utoipa::path(
    get,
    path = "/v1/availability/{contractorId}/explain",
    operation_id = "explainAvailability",
    security(("token" = ["read"])),
    tag = "availability",
    params(
        ("contractorId" = Uuid, Path, description = "The contractor"),
        ("at" = Option<DateTime<Utc>>, Query, description = "The instant; now without it"),
    ),
    responses(
        (status = 200, body = ExplainedAvailability),
        (status = 404, description = "There is no such contractor", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Parameters that cannot be taken", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Not to be had for now; see Retry-After", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn explain(
    State(read_side): State<Arc<ReadSide>>,
    caller: Caller,
    ContractorId(id): ContractorId,
    RawQuery(query): RawQuery,
) -> Result<Json<ExplainedAvailability>, Problem> {
    let now = read_side.clock.now();
    let mut parameters = Parameters::read(query.as_deref(), &["at"]);
    let at = parameters.instant("at").unwrap_or(now);
    parameters.finish()?;
    let schedule = read_side
        .readings
        .schedule(id)
        .await
        .map_err(|e| problem_of(&e))?;
    must_see(&caller, id, &schedule.territory)?;
    let explanation = engine::explain(&schedule, at, now)
        .map_err(|e| problem_of(&ReadError::Unusable(e.to_string())))?;
    Ok(Json(ExplainedAvailability {
        contractor_id: id,
        version: schedule.version,
        at: Stamp(engine::minute_floor(at)),
        free: explanation.free,
        subject: explanation.subject,
        reasons: explanation.reasons,
    }))
}
