//! Date overrides: one local day.

use axum::extract::State;
use axum::http::StatusCode;
use shared_events::schedule::DateOverride;
use shared_events::service::{Caller, Problem, ProblemDocument};

use super::Api;
use super::answer::Answer;
use super::body::{JsonBody, checked};
use super::change::{Target, Write, change};
use super::path::DatePath;
use super::precondition::{IfMatch, RequiredIfMatch};
use super::query::NoParameters;
use super::refusals::WriteRefusals;
use crate::domain::command::{forget_dates_before, put_date_override, remove_date_override};
use crate::error::{invalid, no_contractor};
use crate::request::DateOverrideBody;

/// Replaces one local day whole
#[utoipa::path(
    put, path = "/contractors/{id}/date-overrides/{date}", tag = "date overrides",
    security(("token" = ["write"])),
    operation_id = "putDateOverride",
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("date" = String, Path, description = "The local day, YYYY-MM-DD"),
        ("If-Match" = String, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    request_body = DateOverrideBody,
    responses(
        (status = 200, description = "The day had an override, which is replaced", body = DateOverride,
         headers(("ETag" = String, description = "The schedule's version, in quotes"))),
        (status = 201, description = "The day had none", body = DateOverride,
         headers(("ETag" = String, description = "The schedule's version, in quotes"))),
        (status = 428, description = "If-Match is missing", body = ProblemDocument,
         content_type = "application/problem+json"),
        WriteRefusals,
    ),
)]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    DatePath(id, date): DatePath,
    RequiredIfMatch(if_match): RequiredIfMatch,
    body: JsonBody,
) -> Result<Answer, Problem> {
    let terms = checked(body.read::<DateOverrideBody>()?.into_terms())?;
    let past = api.settings().schedule_past();
    change(
        write(&api, &caller, id, &if_match),
        |schedule, now| {
            let forget_before = forget_dates_before(now, past);
            put_date_override(schedule, date, terms.clone(), forget_before)
                .map_err(|errors| invalid(&errors))
        },
        |is_new, schedule| {
            let status = if *is_new {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            let entry = DateOverride {
                date,
                windows: terms.windows.clone(),
                reason: terms.reason.clone(),
            };
            Ok(Answer::json(status, &entry)?.version(schedule.version))
        },
    )
    .await
}

/// Takes the override of one local day away
#[utoipa::path(
    delete, path = "/contractors/{id}/date-overrides/{date}", tag = "date overrides",
    security(("token" = ["write"])),
    operation_id = "deleteDateOverride",
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("date" = String, Path, description = "The local day, YYYY-MM-DD"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    responses(
        (status = 204, description = "Taken away",
         headers(("ETag" = String, description = "The schedule's version, in quotes"))),
        WriteRefusals,
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    DatePath(id, date): DatePath,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    change(
        write(&api, &caller, id, &if_match),
        |schedule, _| {
            if remove_date_override(schedule, date) {
                Ok(())
            } else {
                Err(Problem::not_found(format!(
                    "there is no date override of {date}"
                )))
            }
        },
        |(), schedule| Ok(Answer::empty(StatusCode::NO_CONTENT).version(schedule.version)),
    )
    .await
}

fn write<'a>(api: &'a Api, caller: &'a Caller, id: uuid::Uuid, if_match: &'a IfMatch) -> Write<'a> {
    Write {
        api,
        caller,
        which: Target::Contractor(id),
        missing: no_contractor(id),
        if_match,
        key: None,
        jobs_since: None,
    }
}
