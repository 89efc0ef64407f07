//! Jobs: booking, reading, moving, cancelling.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared_events::schedule::{Job, rfc3339_seconds};
use shared_events::service::{Caller, Problem, ProblemDocument};
use uuid::Uuid;

use super::Api;
use super::answer::Answer;
use super::body::{JsonBody, MergePatchBody, checked};
use super::change::{Target, Write, change};
use super::idempotency::IdempotencyKey;
use super::job_move::{Move, move_job};
use super::path::{ContractorId, JobId};
use super::precondition::{IfMatch, IfNoneMatch};
use super::query::NoParameters;
use super::refusals::{ReadRefusals, WriteRefusals};
use crate::domain::command::{put_job, remove_job};
use crate::error::{busy, etag, from_store, invalid, no_contractor, no_job};
use crate::request::job::JobPatch;
use crate::request::{JobBody, JobPatchBody};
use crate::store::jobs::find;

/// A job with the contractor that it is booked with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobDocument<'a> {
    /// Whose job it is.
    contractor_id: Uuid,
    /// Identifies the job, also after it has moved to another contractor.
    id: Uuid,
    /// What is to be done, for people.
    title: &'a str,
    /// When the work starts.
    #[serde(with = "rfc3339_seconds")]
    start: DateTime<Utc>,
    /// When the work has ended, exclusive.
    #[serde(with = "rfc3339_seconds")]
    end: DateTime<Utc>,
    /// Minutes before `start` that are blocked too.
    buffer_before_minutes: u32,
    /// Minutes after `end` that are blocked too.
    buffer_after_minutes: u32,
}

impl<'a> JobDocument<'a> {
    fn of(contractor_id: Uuid, job: &'a Job) -> Self {
        Self {
            contractor_id,
            id: job.id,
            title: &job.title,
            start: job.start,
            end: job.end,
            buffer_before_minutes: job.buffer_before_minutes,
            buffer_after_minutes: job.buffer_after_minutes,
        }
    }
}

fn document(
    status: StatusCode,
    contractor_id: Uuid,
    version: i64,
    job: &Job,
) -> Result<Answer, Problem> {
    Ok(Answer::json(status, &JobDocument::of(contractor_id, job))?.version(version))
}

/// Books a job
///
/// Two jobs of one contractor never overlap: 409 with `conflictingJobId`. The buffers, where left
/// out, are those of the contractor's booking rules at this time.
#[utoipa::path(
    post, path = "/contractors/{id}/jobs", tag = "jobs", operation_id = "bookJob",
    security(("token" = ["write"])),
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    request_body = JobBody,
    responses(
        (status = 201, description = "Booked", body = JobDocument, headers(
            ("ETag" = String, description = "The schedule's version, in quotes"),
            ("Location" = String, description = "The job"),
        )),
        (status = 409, description = "The contractor has another job then: `conflictingJobId`",
         body = ProblemDocument, content_type = "application/problem+json"),
        WriteRefusals,
    ),
)]
pub(super) async fn book(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    ContractorId(id): ContractorId,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: JsonBody,
) -> Result<Answer, Problem> {
    let terms = checked(body.read::<JobBody>()?.into_terms())?;
    let key = key.with_body(&caller, &body.0);
    let write = Write {
        api: &api,
        caller: &caller,
        which: Target::Contractor(id),
        missing: no_contractor(id),
        if_match: &if_match,
        key: key.as_ref(),
        jobs_since: None,
    };
    change(
        write,
        |schedule, now| {
            let job = terms
                .clone()
                .into_job(Uuid::now_v7(), &schedule.booking_rules);
            put_job(schedule, job.clone(), now).map_err(|errors| invalid(&errors))?;
            Ok(job)
        },
        |job, schedule| {
            let path = format!("/v1/jobs/{}", job.id);
            Ok(document(StatusCode::CREATED, id, schedule.version, job)?.location(&path))
        },
    )
    .await
}

/// Reads a job
#[utoipa::path(
    get, path = "/jobs/{jobId}", tag = "jobs", operation_id = "getJob",
    security(("token" = ["read"])),
    params(
        ("jobId" = Uuid, Path, description = "The job"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what is known already"),
    ),
    responses(
        (status = 200, description = "The job", body = JobDocument,
         headers(("ETag" = String, description = "The schedule's version, in quotes"))),
        (status = 304, description = "Not modified"),
        ReadRefusals,
    ),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    JobId(id): JobId,
    if_none_match: IfNoneMatch,
    _: NoParameters,
) -> Result<Response, Problem> {
    let mut connection = api.connection().await?;
    let found = find(&mut connection, id).await.map_err(from_store)?;
    let found = found
        .filter(|found| caller.sees(&found.territory))
        .ok_or_else(|| no_job(id))?;
    let tag = [(ETAG, etag(found.version))];
    if if_none_match.has(found.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let document = JobDocument::of(found.contractor_id, &found.job);
    Ok((tag, Json(document)).into_response())
}

/// Changes a job, or moves it to another contractor
///
/// A merge patch (RFC 7396). With another `contractorId` the job leaves one schedule and joins the
/// other in one transaction; `If-Match` is about the schedule that it leaves, the ETag of the answer
/// about the one that it joins.
#[utoipa::path(
    patch, path = "/jobs/{jobId}", tag = "jobs", operation_id = "patchJob",
    security(("token" = ["write"])),
    params(
        ("jobId" = Uuid, Path, description = "The job"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    request_body(content((JobPatchBody = "application/merge-patch+json"), (JobPatchBody = "application/json"))),
    responses(
        (status = 200, description = "The job after the patch", body = JobDocument,
         headers(("ETag" = String, description = "The schedule's version, in quotes"))),
        (status = 409, description = "The contractor has another job then: `conflictingJobId`",
         body = ProblemDocument, content_type = "application/problem+json"),
        WriteRefusals,
    ),
)]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    JobId(id): JobId,
    if_match: IfMatch,
    body: MergePatchBody,
) -> Result<Answer, Problem> {
    let patch = checked(JobPatch::parse(body.value()?))?;
    if let Some(target) = patch.contractor_id() {
        let answer =
            |contractor, version, job: &Job| document(StatusCode::OK, contractor, version, job);
        let asked = Move {
            api: &api,
            caller: &caller,
            id,
            target,
            patch: &patch,
            if_match: &if_match,
        };
        if let Some(answer) = move_job(asked, answer).await? {
            return Ok(answer);
        }
    }
    change(
        write(&api, &caller, id, &if_match),
        |schedule, now| {
            let job = remove_job(schedule, id).ok_or_else(|| no_job(id))?;
            let patched = patch.clone().apply(schedule.contractor_id, &job);
            let (contractor, terms) = patched.map_err(|errors| invalid(&errors))?;
            if contractor != schedule.contractor_id {
                // Somebody else moved it just now.
                return Err(busy());
            }
            let job = terms.into_job(id, &schedule.booking_rules);
            put_job(schedule, job.clone(), now).map_err(|errors| invalid(&errors))?;
            Ok(job)
        },
        |job, schedule| {
            document(
                StatusCode::OK,
                schedule.contractor_id,
                schedule.version,
                job,
            )
        },
    )
    .await
}

/// Cancels a job
#[utoipa::path(
    delete, path = "/jobs/{jobId}", tag = "jobs", operation_id = "cancelJob",
    security(("token" = ["write"])),
    params(
        ("jobId" = Uuid, Path, description = "The job"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    responses(
        (status = 204, description = "Cancelled",
         headers(("ETag" = String, description = "The schedule's version, in quotes"))),
        WriteRefusals,
    ),
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    JobId(id): JobId,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    change(
        write(&api, &caller, id, &if_match),
        |schedule, _| remove_job(schedule, id).ok_or_else(|| no_job(id)),
        |_, schedule| Ok(Answer::empty(StatusCode::NO_CONTENT).version(schedule.version)),
    )
    .await
}

fn write<'a>(api: &'a Api, caller: &'a Caller, job: Uuid, if_match: &'a IfMatch) -> Write<'a> {
    Write {
        api,
        caller,
        which: Target::HolderOf(job),
        missing: no_job(job),
        if_match,
        key: None,
        jobs_since: None,
    }
}
