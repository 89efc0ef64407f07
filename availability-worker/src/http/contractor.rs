//! `GET /v1/availability/{contractorId}`: when one contractor is free.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shared_events::Conflict;
use shared_events::schedule::rfc3339_millis;
use shared_events::service::{Caller, Problem, ProblemDocument};
use uuid::Uuid;

use super::contractor_id::ContractorId;
use super::parameters::Parameters;
use super::tagged::tagged;
use super::{ReadSide, must_see, problem_to};
use crate::bounds::{Asked, MAX_DURATION, MAX_SLOT_INTERVAL};
use crate::cache::MAX_VERSION;
use crate::readings::Source;
use crate::stamp::{Span, Stamp};

/// When one contractor is free.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContractorAvailability {
    /// The contractor.
    contractor_id: Uuid,
    /// The contractor's territory.
    territory: String,
    /// IANA name of the contractor's time zone.
    time_zone: String,
    /// The version of the schedule that this was calculated from.
    version: i64,
    /// When it was calculated.
    #[serde(with = "rfc3339_millis")]
    calculated_at: DateTime<Utc>,
    /// `cache`, or `scheduleService` when it was calculated from what schedule-service has now, since
    /// the cache did not have the contractor or did not answer.
    source: Source,
    /// The start of the range, a whole minute.
    from: Stamp,
    /// The end of the range, a whole minute.
    to: Stamp,
    /// Free windows in the range, from now and the minimum notice on; merged, ascending.
    windows: Vec<Span>,
    /// Start times at which a job of `durationMinutes` fits; only with `durationMinutes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<Vec<Stamp>>,
    /// Jobs that have not ended and that the schedule no longer covers, whatever the range.
    conflicts: Vec<Conflict>,
}

/// The range without `to`, in days.
pub(super) const DEFAULT_RANGE_DAYS: i64 = 7;

/// When one contractor is free.
#[utoipa::path(
    get,
    path = "/v1/availability/{contractorId}",
    operation_id = "readAvailability",
    security(("token" = ["read"])),
    tag = "availability",
    params(
        ("contractorId" = Uuid, Path, description = "The contractor"),
        ("from" = Option<DateTime<Utc>>, Query, description = "Start of the range; now without it. Within a minute it means the next whole one"),
        ("to" = Option<DateTime<Utc>>, Query, description = "End of the range, at most 366 days after its start; 7 days after it without it. Within a minute it means the last whole one"),
        ("durationMinutes" = Option<i64>, Query, description = "Minutes that a job takes: asks for slots", minimum = 1, maximum = 44640),
        ("slotIntervalMinutes" = Option<i64>, Query, description = "Minutes between slots; the schedule's own without it", minimum = 1, maximum = 1440),
        ("minVersion" = Option<i64>, Query, description = "Answers with at least this version of the schedule, as a write of it answered, or 503 after a bounded wait", minimum = 1),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is held already"),
    ),
    responses(
        (status = 200, body = ContractorAvailability, headers(("ETag" = String, description = "Weak tag of what it says, whatever `calculatedAt` and `source`"))),
        (status = 304, description = "The answer is the one that is held already"),
        (status = 404, description = "There is no such contractor", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Parameters that cannot be taken", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Not to be had for now, or not yet of `minVersion`; see Retry-After", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn read(
    State(read_side): State<Arc<ReadSide>>,
    caller: Caller,
    ContractorId(id): ContractorId,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = read_side.clock.now();
    let known = [
        "from",
        "to",
        "durationMinutes",
        "slotIntervalMinutes",
        "minVersion",
    ];
    let mut parameters = Parameters::read(query.as_deref(), &known);
    let (from, to) = range(&mut parameters, now);
    let asked = Asked {
        from,
        to,
        now,
        duration: parameters.integer("durationMinutes", 1..=MAX_DURATION),
        slot_interval: parameters.integer("slotIntervalMinutes", 1..=MAX_SLOT_INTERVAL),
    };
    let min_version = parameters.integer("minVersion", 1..=MAX_VERSION);
    let query = checked(&asked, parameters)?;

    let reading = read_side
        .readings
        .read(id, &query, min_version, now)
        .await
        .map_err(|e| problem_to(&caller, id, &e))?;
    must_see(&caller, id, &reading.territory)?;
    let answer = ContractorAvailability {
        contractor_id: id,
        territory: reading.territory,
        time_zone: reading.time_zone,
        version: reading.version,
        calculated_at: reading.calculated_at,
        source: reading.source,
        from: Stamp(query.range.start),
        to: Stamp(query.range.end),
        windows: reading.windows.into_iter().map(Span::from).collect(),
        slots: reading
            .slots
            .map(|slots| slots.into_iter().map(Stamp).collect()),
        conflicts: reading.conflicts,
    };
    let substance = (
        (&answer.territory, &answer.time_zone, answer.version),
        (answer.from, answer.to),
        (&answer.windows, &answer.slots, &answer.conflicts),
    );
    Ok(tagged(&answer, &substance, &headers))
}

/// `from` and `to` with their defaults.
pub(super) fn range(
    parameters: &mut Parameters,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let from = parameters.instant("from").unwrap_or(now);
    let to = parameters.instant("to").unwrap_or_else(|| {
        from.checked_add_signed(TimeDelta::days(DEFAULT_RANGE_DAYS))
            .unwrap_or(from)
    });
    (from, to)
}

/// The query, or everything that is wrong with the parameters.
pub(super) fn checked(
    asked: &Asked,
    mut parameters: Parameters,
) -> Result<crate::engine::Query, Problem> {
    let checked = asked.check();
    for wrong in checked.as_ref().err().into_iter().flatten() {
        parameters.fault(wrong.name, &wrong.detail);
    }
    parameters.finish()?;
    checked.map_err(|_| Problem::invalid())
}
