//! Contractors: creating, reading, listing.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared_events::Schedule;
use shared_events::schedule::{Status, is_slug, rfc3339_millis};
use shared_events::service::{Caller, Problem, ProblemDocument};
use uuid::Uuid;

use super::answer::Answer;
use super::body::{JsonBody, checked};
use super::change::{ATTEMPTS, author, observe, refuse};
use super::idempotency::IdempotencyKey;
use super::path::ContractorId;
use super::precondition::{IfMatch, IfNoneMatch};
use super::query::{NoParameters, Parameters, refused};
use super::refusals::{ReadRefusals, WriteRefusals};
use super::schedules::shown;
use super::{Api, cursor};
use crate::domain::Change;
use crate::error::{busy, contractor_exists, etag, from_store, no_contractor};
use crate::outbox_relay::Place;
use crate::request::NewContractorBody;
use crate::store::{StoreError, commit, contractors};

/// A contractor without the schedule.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContractorDocument {
    /// Identifies the contractor.
    contractor_id: Uuid,
    /// The contractor's name, for people.
    name: String,
    /// The territory's slug.
    territory: String,
    /// Skill slugs, sorted.
    skills: Vec<String>,
    /// Whether the contractor takes work.
    status: Status,
    /// IANA name of a time zone.
    time_zone: String,
    /// The version of the schedule.
    version: i64,
    /// When the contractor was created.
    #[serde(with = "rfc3339_millis")]
    created_at: DateTime<Utc>,
    /// Commit time of the last change of the schedule.
    #[serde(with = "rfc3339_millis")]
    updated_at: DateTime<Utc>,
}

impl From<contractors::Contractor> for ContractorDocument {
    fn from(contractor: contractors::Contractor) -> Self {
        Self {
            contractor_id: contractor.id,
            name: contractor.name,
            territory: contractor.territory,
            skills: contractor.skills,
            status: contractor.status,
            time_zone: contractor.time_zone,
            version: contractor.version,
            created_at: contractor.created_at,
            updated_at: contractor.updated_at,
        }
    }
}

/// A page of contractors.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContractorPage {
    /// Contractors, ascending by id.
    items: Vec<ContractorDocument>,
    /// What to send as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

/// Creates a contractor with the whole schedule
///
/// What is left out has its default: Monday to Friday 08:00 to 17:00, 30-minute slots and buffers.
#[utoipa::path(
    post, path = "/contractors", tag = "contractors", operation_id = "createContractor",
    security(("token" = ["write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    request_body = NewContractorBody,
    responses(
        (status = 201, description = "Created", body = Schedule, headers(
            ("ETag" = String, description = "The version, in quotes"),
            ("Location" = String, description = "The contractor"),
        )),
        (status = 409, description = "There is a contractor of that `contractorId` already",
         body = ProblemDocument, content_type = "application/problem+json"),
        WriteRefusals,
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    _: NoParameters,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: JsonBody,
) -> Result<Answer, Problem> {
    let contractor = checked(body.read::<NewContractorBody>()?.into_contractor())?;
    caller.must_see(&contractor.profile.territory)?;
    let key = key.with_body(&caller, &body.0);
    for _ in 0..ATTEMPTS {
        let mut connection = api.connection().await?;
        if let Some(key) = &key
            && let Some(answer) = key.replay(&mut connection).await?
        {
            return Ok(answer);
        }
        if let Err(problem) = if_match.check_absent() {
            return refuse(&api, key.as_ref(), problem).await;
        }
        let now = api.now();
        let id = contractor.contractor_id.unwrap_or_else(Uuid::now_v7);
        let schedule = contractor.clone().into_schedule(id, Uuid::now_v7);
        // A new contractor differs from nothing, always.
        let Some(change) = Change::between(None, schedule, now, &author(&caller)) else {
            break;
        };
        let document = shown(&change.after, now - api.settings().schedule_past());
        let answer = Answer::json(StatusCode::CREATED, &document)?
            .version(change.after.version)
            .location(&format!("/v1/contractors/{id}"));
        let remembered = key.as_ref().map(|key| key.remembered(&answer));
        let place = api.hand_over().place();
        let hold = place.as_ref().map(Place::hold);
        match commit::create(&mut connection, &change, remembered.as_ref(), hold).await {
            Ok(Some(committed)) => {
                if let Some(place) = place {
                    place.hand_over(committed);
                }
                observe(&change);
                return Ok(answer);
            }
            Ok(None) => {
                drop(connection);
                return refuse(&api, key.as_ref(), contractor_exists(id)).await;
            }
            Err(StoreError::KeyTaken | StoreError::Stale) => {}
            Err(error) => return Err(from_store(error)),
        }
    }
    Err(busy())
}

/// Reads a contractor, without the schedule
#[utoipa::path(
    get, path = "/contractors/{id}", tag = "contractors", operation_id = "getContractor",
    security(("token" = ["read"])),
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what is known already"),
    ),
    responses(
        (status = 200, description = "The contractor", body = ContractorDocument,
         headers(("ETag" = String, description = "The version of the schedule, in quotes"))),
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
    let mut connection = api.connection().await?;
    let found = contractors::find(&mut connection, id)
        .await
        .map_err(from_store)?;
    let contractor = found
        .filter(|contractor| caller.sees(&contractor.territory))
        .ok_or_else(|| no_contractor(id))?;
    let tag = [(ETAG, etag(contractor.version))];
    if if_none_match.has(contractor.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, Json(ContractorDocument::from(contractor))).into_response())
}

/// Lists contractors, ascending by id
///
/// A page goes on after the last contractor of the one before, so a list that changes meanwhile
/// neither repeats nor skips anybody who was there all the time.
#[utoipa::path(
    get, path = "/contractors", tag = "contractors", operation_id = "listContractors",
    security(("token" = ["read"])),
    params(
        ("territory" = Option<String>, Query, description = "Only this territory"),
        ("status" = Option<Status>, Query, description = "Only this status"),
        ("limit" = Option<u8>, Query, description = "How many, 1 to 200; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = ContractorPage), ReadRefusals),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<ContractorPage>, Problem> {
    let parameters = Parameters::read(&uri, &["territory", "status", "limit", "cursor"])?;
    let limit = parameters.limit(50, 200)?;
    let after = match parameters.text("cursor") {
        None => Uuid::nil(),
        Some(text) => cursor::read(text)
            .ok_or_else(|| refused("cursor", "is not one that this list has given".to_owned()))?,
    };
    let status = match parameters.text("status") {
        None => None,
        Some("active") => Some(Status::Active),
        Some("inactive") => Some(Status::Inactive),
        Some("onLeave") => Some(Status::OnLeave),
        Some(_) => {
            return Err(refused(
                "status",
                "must be one of: active, inactive, onLeave".to_owned(),
            ));
        }
    };
    let territory = parameters.text("territory");
    if territory.is_some_and(|territory| !is_slug(territory)) {
        return Err(refused(
            "territory",
            "must be a territory's slug".to_owned(),
        ));
    }
    if let Some(territory) = territory {
        caller.must_see(territory)?;
    }
    let mut connection = api.connection().await?;
    // One more than asked for, to know whether there is a next page.
    let mut found = contractors::list(
        &mut connection,
        territory,
        caller.only().as_deref(),
        status,
        after,
        limit + 1,
    )
    .await
    .map_err(from_store)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| cursor::after(last.id));
    let items = found.into_iter().map(ContractorDocument::from).collect();
    Ok(Json(ContractorPage { items, next_cursor }))
}
