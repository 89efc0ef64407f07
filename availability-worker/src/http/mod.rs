//! The read side's routes.

mod contractor;
mod contractor_id;
mod cursor;
mod explanation;
mod parameters;
mod search;
mod tagged;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chrono::TimeDelta;
use shared_events::service::{Caller, Clock, Problem, auth};
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::cache::Copies;
use crate::loads::LoadError;
use crate::readings::{ReadError, Readings};

/// What the routes need.
#[derive(Debug)]
pub struct ReadSide {
    /// Single contractors.
    pub readings: Readings,
    /// Copies of the territories, for searches.
    pub copies: Copies,
    /// Bounds the searches that run at once.
    pub searches: Semaphore,
    /// How long a search waits for an emptied cache to be filled again.
    pub search_wait: Duration,
    /// How long a cursor of a search holds.
    pub cursor_age: TimeDelta,
    /// Now.
    pub clock: Clock,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rosterwire availability",
        description = "The read side of availability: when contractors can take work. Instants are RFC 3339; ranges are half-open and in whole minutes."
    ),
    tags((name = "availability"))
)]
struct Description;

/// The routes, and their description.
pub fn routes(read_side: Arc<ReadSide>) -> (Router, utoipa::openapi::OpenApi) {
    let (router, mut openapi) = table().with_state(read_side).split_for_parts();
    auth::describe(&mut openapi);
    (router, openapi)
}

/// The description alone, as `openapi.json` holds it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut openapi = table().into_openapi();
    auth::describe(&mut openapi);
    openapi
}

fn table() -> OpenApiRouter<Arc<ReadSide>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(search::search))
        .routes(routes!(contractor::read))
        .routes(routes!(explanation::explain))
}

/// How long a client is told to wait before it tries again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// 404, as for one that is not there, unless the caller has to do with the contractor's territory.
fn must_see(caller: &Caller, id: Uuid, territory: &str) -> Result<(), Problem> {
    if caller.sees(territory) {
        return Ok(());
    }
    Err(problem_of(&ReadError::Load(LoadError::Unknown(id))))
}

/// What a caller is told of an error, which must not tell of a contractor that it may not see.
fn problem_to(caller: &Caller, id: Uuid, error: &ReadError) -> Problem {
    if let ReadError::NotYet { territory, .. } = error
        && let Err(unseen) = must_see(caller, id, territory)
    {
        return unseen;
    }
    problem_of(error)
}

fn problem_of(error: &ReadError) -> Problem {
    match error {
        ReadError::Load(LoadError::Unknown(_)) => Problem::not_found(error.to_string()),
        ReadError::Load(LoadError::Unavailable(_) | LoadError::Landed) => {
            Problem::unavailable(error.to_string(), RETRY_AFTER_SECONDS)
        }
        ReadError::NotYet { held, .. } => {
            Problem::unavailable(error.to_string(), RETRY_AFTER_SECONDS).extension("version", *held)
        }
        ReadError::Unusable(reason) => {
            tracing::error!(reason, "a cached entry cannot be used");
            Problem::internal()
        }
    }
}
