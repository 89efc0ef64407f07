//! Time off: blocked instants.

use axum::extract::State;
use axum::http::StatusCode;
use shared_events::schedule::TimeOff;
use shared_events::service::{Caller, Problem};
use uuid::Uuid;

use super::Api;
use super::answer::Answer;
use super::body::{JsonBody, checked};
use super::change::{Target, Write, change};
use super::idempotency::IdempotencyKey;
use super::path::{ContractorId, TimeOffPath};
use super::precondition::IfMatch;
use super::query::NoParameters;
use super::refusals::WriteRefusals;
use crate::domain::command::{add_time_off, remove_time_off};
use crate::error::{invalid, no_contractor};
use crate::request::TimeOffBody;

/// Blocks instants
#[utoipa::path(
    post, path = "/contractors/{id}/time-off", tag = "time off", operation_id = "addTimeOff",
    security(("token" = ["write"])),
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule that was read, or *"),
    ),
    request_body = TimeOffBody,
    responses(
        (status = 201, description = "Blocked", body = TimeOff, headers(
            ("ETag" = String, description = "The schedule's version, in quotes"),
            ("Location" = String, description = "The time off"),
        )),
        WriteRefusals,
    ),
)]
pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    ContractorId(id): ContractorId,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: JsonBody,
) -> Result<Answer, Problem> {
    let terms = checked(body.read::<TimeOffBody>()?.into_terms())?;
    let key = key.with_body(&caller, &body.0);
    let past = api.settings().schedule_past();
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
            add_time_off(schedule, Uuid::now_v7(), terms.clone(), now, now - past)
                .map_err(|errors| invalid(&errors))
        },
        |time_off, schedule| {
            let path = format!("/v1/contractors/{id}/time-off/{}", time_off.id);
            let answer = Answer::json(StatusCode::CREATED, time_off)?;
            Ok(answer.version(schedule.version).location(&path))
        },
    )
    .await
}

/// Takes time off away
#[utoipa::path(
    delete, path = "/contractors/{id}/time-off/{timeOffId}", tag = "time off",
    security(("token" = ["write"])),
    operation_id = "deleteTimeOff",
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("timeOffId" = Uuid, Path, description = "The time off"),
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
    TimeOffPath(id, time_off): TimeOffPath,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let write = Write {
        api: &api,
        caller: &caller,
        which: Target::Contractor(id),
        missing: no_contractor(id),
        if_match: &if_match,
        key: None,
        jobs_since: None,
    };
    change(
        write,
        |schedule, _| {
            if remove_time_off(schedule, time_off) {
                Ok(())
            } else {
                Err(Problem::not_found(format!(
                    "there is no time off {time_off}"
                )))
            }
        },
        |(), schedule| Ok(Answer::empty(StatusCode::NO_CONTENT).version(schedule.version)),
    )
    .await
}
