//! Schedules: reading one, patching one, streaming all.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use shared_events::Schedule;
use shared_events::service::{Caller, Problem};
use uuid::Uuid;

use super::Api;
use super::answer::Answer;
use super::body::{MergePatchBody, checked};
use super::change::{Target, Write, change, upcoming_since};
use super::path::ContractorId;
use super::precondition::{IfNoneMatch, RequiredIfMatch};
use super::query::{NoParameters, Parameters};
use super::refusals::{ReadRefusals, WriteRefusals};
use crate::domain::command::{profile_of, set_profile};
use crate::domain::event::published;
use crate::error::{etag, from_store, invalid, no_contractor};
use crate::request::SchedulePatchBody;
use crate::request::schedule_patch::SchedulePatch;
use crate::store::schedules::{Which, ids_after, load};

/// How many schedules are read at once for the stream: what it holds in memory.
const STREAM_PAGE: i64 = 100;

/// The schedule as it is read: with what was over before `since` left out.
pub(super) fn shown(schedule: &Schedule, since: DateTime<Utc>) -> Schedule {
    let mut schedule = schedule.clone();
    schedule.jobs.retain(|job| job.end > since);
    schedule.time_off.retain(|time_off| time_off.end > since);
    schedule
}

/// Reads a schedule
///
/// Jobs and time off that were over more than 90 days ago (a setting) are left out.
#[utoipa::path(
    get, path = "/contractors/{id}/schedule", tag = "schedules", operation_id = "getSchedule",
    security(("token" = ["read"])),
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what is known already"),
    ),
    responses(
        (status = 200, description = "The schedule", body = Schedule,
         headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 304, description = "Not modified"),
        ReadRefusals,
    ),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    ContractorId(id): ContractorId,
    if_none_match: IfNoneMatch,
    _: NoParameters,
) -> Result<Response, Problem> {
    let since = api.now() - api.settings().schedule_past();
    let mut connection = api.connection().await?;
    let found = load(&mut connection, Which::Contractors(&[id]), since)
        .await
        .map_err(from_store)?;
    let found = found.into_iter().next();
    let schedule = found
        .filter(|schedule| caller.sees(&schedule.territory))
        .ok_or_else(|| no_contractor(id))?;
    let tag = [(ETAG, etag(schedule.version))];
    if if_none_match.has(schedule.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, Json(shown(&schedule, since))).into_response())
}

/// Patches a schedule
///
/// A merge patch (RFC 7396). Date overrides, time off and jobs have routes of their own.
#[utoipa::path(
    patch, path = "/contractors/{id}/schedule", tag = "schedules", operation_id = "patchSchedule",
    security(("token" = ["write"])),
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("If-Match" = String, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    request_body(content((SchedulePatchBody = "application/merge-patch+json"), (SchedulePatchBody = "application/json"))),
    responses(
        (status = 200, description = "The schedule after the patch", body = Schedule,
         headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 428, description = "If-Match is missing", body = shared_events::service::ProblemDocument,
         content_type = "application/problem+json"),
        WriteRefusals,
    ),
)]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    ContractorId(id): ContractorId,
    RequiredIfMatch(if_match): RequiredIfMatch,
    body: MergePatchBody,
) -> Result<Answer, Problem> {
    let patch = checked(SchedulePatch::parse(body.value()?))?;
    let since = api.now() - api.settings().schedule_past();
    let write = Write {
        api: &api,
        caller: &caller,
        which: Target::Contractor(id),
        missing: no_contractor(id),
        if_match: &if_match,
        key: None,
        jobs_since: Some(since.min(upcoming_since(api.now()))),
    };
    change(
        write,
        |schedule, _| {
            let patched = patch.clone().apply(&profile_of(schedule));
            set_profile(schedule, patched.map_err(|errors| invalid(&errors))?);
            Ok(())
        },
        |(), schedule| {
            let answer = Answer::json(StatusCode::OK, &shown(schedule, since))?;
            Ok(answer.version(schedule.version))
        },
    )
    .await
}

/// Streams schedules, ascending by contractor id
///
/// One document a line, each as of one instant, jobs and time off that are over left out. For
/// rebuilding a read side: `after` is the last contractor that was read; fewer lines than `limit`
/// mean the end. A stream that breaks off before its end was not read whole.
#[utoipa::path(
    get, path = "/schedules", tag = "schedules", operation_id = "streamSchedules",
    security(("token" = ["read"])),
    params(
        ("after" = Option<Uuid>, Query, description = "The last contractor that was read"),
        ("limit" = Option<u16>, Query, description = "How many, 1 to 10000; 1000 by default"),
    ),
    responses(
        (status = 200, description = "One schedule a line", body = Schedule, content_type = "application/x-ndjson"),
        ReadRefusals,
    ),
)]
pub(super) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(&uri, &["after", "limit"])?;
    let left = parameters.limit(1_000, 10_000)?;
    let after = parameters.id("after")?.unwrap_or(Uuid::nil());
    // The first page before the head, so that a database that is away is still a 503.
    let (first, rest) = page(
        api,
        Some(Rest {
            only: caller.only().map(Into::into),
            after,
            left,
        }),
    )
    .await?;
    let pages = stream::try_unfold((rest, uri), |(rest, uri)| async move {
        let Some((api, rest)) = rest else {
            return Ok(None);
        };
        match page(api, Some(rest)).await {
            Ok((lines, rest)) => Ok(Some((lines, (rest, uri)))),
            Err(problem) => {
                tracing::warn!(uri = %uri, status = %problem.status(), "a stream of schedules broke off");
                Err(std::io::Error::other("the database cannot do it now"))
            }
        }
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(pages));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What of a stream is still to be read.
#[derive(Debug, Clone)]
struct Rest {
    /// The territories that may be read; all without.
    only: Option<Arc<[String]>>,
    after: Uuid,
    left: i64,
}

/// The next page as lines, and what is left after it. The connection goes back between two pages,
/// so that a slow reader holds none.
async fn page(api: Api, rest: Option<Rest>) -> Result<(Bytes, Option<(Api, Rest)>), Problem> {
    let Some(Rest { only, after, left }) = rest else {
        return Ok((Bytes::new(), None));
    };
    let size = left.min(STREAM_PAGE);
    let now = api.now();
    let mut connection = api.connection().await?;
    let ids = ids_after(&mut connection, only.as_deref(), after, size)
        .await
        .map_err(from_store)?;
    let since = upcoming_since(now);
    let schedules = load(&mut connection, Which::Contractors(&ids), since)
        .await
        .map_err(from_store)?;
    drop(connection);
    let mut lines = Vec::new();
    for schedule in schedules {
        serde_json::to_writer(&mut lines, &published(schedule, now)).map_err(|error| {
            tracing::error!(%error, "a schedule cannot be written as JSON");
            Problem::internal()
        })?;
        lines.push(b'\n');
    }
    let left = left - size;
    let full = i64::try_from(ids.len()) == Ok(size);
    let rest = ids.last().filter(|_| full && left > 0).map(|last| {
        (
            api,
            Rest {
                only,
                after: *last,
                left,
            },
        )
    });
    Ok((lines.into(), rest))
}
