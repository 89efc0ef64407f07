//! The history of one schedule.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use serde_json::value::RawValue;
use shared_events::service::{Caller, Problem};

use super::Api;
use super::path::ContractorId;
use super::query::Parameters;
use super::refusals::ReadRefusals;
use crate::domain::ChangeData;
use crate::error::{from_store, no_contractor};
use crate::store::{contractors, history};

/// A page of the history.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangePage {
    /// Changes, ascending by version.
    #[schema(value_type = Vec<ChangeData>)]
    items: Vec<Box<RawValue>>,
    /// What to send as `after` for the next page; null at the end.
    next_after: Option<i64>,
}

/// Lists the changes of a schedule, ascending by version
///
/// Each is what its ScheduleUpdated event said, without `schedule`, and the `requestId` of the request
/// that it came of. The history is kept for 90 days
/// by default; what is older is left out.
#[utoipa::path(
    get, path = "/contractors/{id}/changes", tag = "schedules", operation_id = "listChanges",
    security(("token" = ["read"])),
    params(
        ("id" = Uuid, Path, description = "The contractor"),
        ("after" = Option<i64>, Query, description = "Only changes after this version; 0 by default"),
        ("limit" = Option<u8>, Query, description = "How many, 1 to 200; 50 by default"),
    ),
    responses((status = 200, description = "A page", body = ChangePage), ReadRefusals),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    ContractorId(id): ContractorId,
    uri: Uri,
) -> Result<Json<ChangePage>, Problem> {
    let parameters = Parameters::read(&uri, &["after", "limit"])?;
    let limit = parameters.limit(50, 200)?;
    let after = parameters.integer("after", 0, 0, i64::MAX)?;
    let mut connection = api.connection().await?;
    contractors::territory(&mut connection, id)
        .await
        .map_err(from_store)?
        .filter(|territory| caller.sees(territory))
        .ok_or_else(|| no_contractor(id))?;
    // One more than asked for, to know whether there is a next page.
    let mut found = history::after(&mut connection, id, after, limit + 1)
        .await
        .map_err(from_store)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next_after = found.last().filter(|_| more).map(|last| last.version);
    let items = found.into_iter().map(|item| item.data.0).collect();
    Ok(Json(ChangePage { items, next_after }))
}
