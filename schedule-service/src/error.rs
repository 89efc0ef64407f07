//! Every way in which a request can fail, as the problem document that tells of it.

use axum::http::header::ETAG;
use axum::http::{HeaderValue, StatusCode};
use shared_events::service::Problem;
use uuid::Uuid;

use crate::domain::FieldErrors;
use crate::request::BodyError;
use crate::store::StoreError;

/// After how many seconds a client may try again what the database could not do.
const RETRY_AFTER_SECONDS: u32 = 1;

/// 422: the body's fields are not acceptable.
#[must_use]
pub fn invalid(errors: &FieldErrors) -> Problem {
    errors.iter().fold(Problem::invalid(), |problem, error| {
        problem.field(error.pointer.clone(), error.message.clone())
    })
}

/// 400 or 422: the body cannot be read.
#[must_use]
pub fn unreadable(error: BodyError) -> Problem {
    match error {
        BodyError::Malformed(reason) => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            "The body is not JSON",
        )
        .detail(reason),
        BodyError::Invalid(errors) => invalid(&errors),
    }
}

/// 404: no such contractor.
#[must_use]
pub fn no_contractor(id: impl std::fmt::Display) -> Problem {
    Problem::not_found(format!("there is no contractor {id}"))
}

/// 404: no such job.
#[must_use]
pub fn no_job(id: impl std::fmt::Display) -> Problem {
    Problem::not_found(format!("there is no job {id}"))
}

/// 409: the id is taken.
#[must_use]
pub fn contractor_exists(id: Uuid) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "contractor-exists",
        "The contractor exists already",
    )
    .detail(format!("there is a contractor {id} already"))
    .extension("contractorId", id.to_string())
}

/// 409: another job is booked at that time.
#[must_use]
pub fn job_overlap(conflicting: Uuid) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "job-overlap",
        "The contractor has another job then",
    )
    .detail(format!("the job would overlap the job {conflicting}"))
    .extension("conflictingJobId", conflicting.to_string())
}

/// 412: the schedule is not the one that `If-Match` names. There is none where `current` is none.
#[must_use]
pub fn precondition_failed(current: Option<i64>) -> Problem {
    let problem = Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition-failed",
        "The schedule is not at the version that If-Match names",
    );
    match current {
        None => problem.detail("there is nothing yet that If-Match could name"),
        Some(version) => problem
            .detail(format!("the schedule is at version {version}"))
            .extension("currentVersion", version)
            .header(ETAG, etag(version)),
    }
}

/// 503, or 500 for a defect, which is logged here and nowhere else.
#[must_use]
pub fn from_store(error: StoreError) -> Problem {
    match error {
        StoreError::Defect(source) => {
            tracing::error!(error = %source, "the database refused a statement");
            Problem::internal()
        }
        StoreError::Unavailable(source) => {
            tracing::warn!(error = %source, "the database cannot do it now");
            Problem::unavailable("the database cannot do it now", RETRY_AFTER_SECONDS)
        }
        StoreError::Stale | StoreError::Overlap | StoreError::KeyTaken => busy(),
    }
}

/// 503: others were faster, again and again.
#[must_use]
pub fn busy() -> Problem {
    Problem::unavailable(
        "too many changes of this schedule at once",
        RETRY_AFTER_SECONDS,
    )
}

/// The entity tag of a version.
#[must_use]
pub fn etag(version: i64) -> HeaderValue {
    // Digits and quotes are always a valid header.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}
