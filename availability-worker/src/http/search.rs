//! `GET /v1/availability`: who can take a job.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use shared_events::schedule::is_slug;
use shared_events::service::{Problem, ProblemDocument};
use uuid::Uuid;

use super::contractor::{checked, range};
use super::parameters::Parameters;
use super::tagged::tagged;
use super::{RETRY_AFTER_SECONDS, ReadSide};
use crate::bounds::{Asked, MAX_DURATION};
use crate::cache::CacheError;
use crate::search::{Candidate, Place, Search};
use crate::stamp::Stamp;

/// The most contractors of one page.
const MAX_LIMIT: i64 = 200;
/// The contractors of a page without `limit`.
const DEFAULT_LIMIT: i64 = 50;
/// The most skills of one search.
const MAX_SKILLS: usize = 32;

/// Contractors who can take a job, earliest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AvailableContractors {
    /// The start of the range, a whole minute.
    from: Stamp,
    /// The end of the range, a whole minute.
    to: Stamp,
    /// Minutes that the job takes.
    duration_minutes: i64,
    /// The contractors by earliest start, ties by id.
    items: Vec<AvailableContractor>,
    /// Gives the next page as `cursor`; null on the last one.
    next_cursor: Option<String>,
}

/// A contractor who can take a job.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AvailableContractor {
    /// The contractor.
    contractor_id: Uuid,
    /// The contractor's territory.
    territory: String,
    /// IANA name of the contractor's time zone.
    time_zone: String,
    /// The contractor's skills.
    skills: Vec<String>,
    /// The version of the schedule that this was calculated from.
    version: i64,
    /// The first slot of the range, by the contractor's own slot interval.
    earliest_start: Stamp,
}

impl From<Candidate> for AvailableContractor {
    fn from(candidate: Candidate) -> Self {
        Self {
            contractor_id: candidate.place.id,
            territory: candidate.territory,
            time_zone: candidate.time_zone,
            skills: candidate.skills,
            version: candidate.version,
            earliest_start: Stamp(candidate.place.start),
        }
    }
}

/// Who can take a job: contractors with their earliest start in the range.
#[utoipa::path(
    get,
    path = "/v1/availability",
    operation_id = "searchAvailability",
    tag = "availability",
    params(
        ("from" = Option<DateTime<Utc>>, Query, description = "Start of the range; now without it. Within a minute it means the next whole one"),
        ("to" = Option<DateTime<Utc>>, Query, description = "End of the range, at most 366 days after its start; 7 days after it without it. Within a minute it means the last whole one"),
        ("durationMinutes" = i64, Query, description = "Minutes that the job takes", minimum = 1, maximum = 44640),
        ("territory" = Option<String>, Query, description = "Contractors of this territory only", pattern = "^[a-z0-9-]{1,64}$"),
        ("skills" = Option<String>, Query, description = "Skills separated by commas, all of which are needed; at most 32"),
        ("limit" = Option<i64>, Query, description = "Contractors of one page; 50 without it", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before, with the same other parameters"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is held already"),
    ),
    responses(
        (status = 200, body = AvailableContractors, headers(("ETag" = String, description = "Weak tag of this answer"))),
        (status = 304, description = "The answer is the one that is held already"),
        (status = 422, description = "Parameters that cannot be taken", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Not to be had for now; see Retry-After", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search(
    State(read_side): State<Arc<ReadSide>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = read_side.clock.now();
    let known = [
        "from",
        "to",
        "durationMinutes",
        "territory",
        "skills",
        "limit",
        "cursor",
    ];
    let mut parameters = Parameters::read(query.as_deref(), &known);
    let (from, to) = range(&mut parameters, now);
    let duration = match parameters.text("durationMinutes") {
        None => {
            parameters.fault("durationMinutes", "is required");
            None
        }
        Some(text) => {
            let duration = text.parse().ok().filter(|d| (1..=MAX_DURATION).contains(d));
            if duration.is_none() {
                parameters.fault(
                    "durationMinutes",
                    format!("must be a whole number from 1 to {MAX_DURATION}"),
                );
            }
            duration
        }
    };
    let territory = territory(&mut parameters);
    let skills = skills(&mut parameters);
    let limit = parameters
        .integer("limit", 1..=MAX_LIMIT)
        .unwrap_or(DEFAULT_LIMIT);
    let after = cursor(&mut parameters);
    let asked = Asked {
        from,
        to,
        now,
        duration,
        slot_interval: None,
    };
    let query = checked(&asked, parameters)?;

    let Ok(_permit) = read_side.searches.try_acquire() else {
        return Err(Problem::unavailable(
            "too many searches run at once",
            RETRY_AFTER_SECONDS,
        ));
    };
    let unavailable =
        |error: CacheError| Problem::unavailable(error.to_string(), RETRY_AFTER_SECONDS);
    if !read_side.cache.is_complete().await.map_err(unavailable)? {
        // An answer now could leave people out, and nobody could tell.
        return Err(Problem::unavailable(
            "the cache is being rebuilt",
            RETRY_AFTER_SECONDS,
        ));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let search = Search {
        query,
        territory,
        skills,
        limit,
        after,
    };
    let page = search.run(&read_side.cache).await.map_err(unavailable)?;
    let answer = AvailableContractors {
        from: Stamp(query.range.start),
        to: Stamp(query.range.end),
        duration_minutes: query.duration.unwrap_or_default(),
        items: page
            .candidates
            .into_iter()
            .map(AvailableContractor::from)
            .collect(),
        next_cursor: page.next.map(cursor_of),
    };
    Ok(tagged(&answer, &headers))
}

fn territory(parameters: &mut Parameters) -> Option<String> {
    let territory = parameters.text("territory")?;
    if !is_slug(&territory) {
        parameters.fault("territory", "is not of the form [a-z0-9-]{1,64}");
    }
    Some(territory)
}

fn skills(parameters: &mut Parameters) -> Vec<String> {
    let Some(text) = parameters.text("skills") else {
        return Vec::new();
    };
    let skills: Vec<String> = text.split(',').map(str::to_owned).collect();
    if skills.len() > MAX_SKILLS || !skills.iter().all(|s| is_slug(s)) {
        parameters.fault(
            "skills",
            format!(
                "must be 1 to {MAX_SKILLS} slugs of the form [a-z0-9-]{{1,64}}, separated by commas"
            ),
        );
    }
    skills
}

/// The last place of a page: its minute and id in hexadecimal.
fn cursor_of(place: Place) -> String {
    format!("{:x}.{}", place.start, place.id.simple())
}

fn cursor(parameters: &mut Parameters) -> Option<Place> {
    let text = parameters.text("cursor")?;
    let place = text.split_once('.').and_then(|(start, id)| {
        Some(Place {
            start: i64::from_str_radix(start, 16).ok()?,
            id: Uuid::try_parse(id).ok()?,
        })
    });
    if place.is_none() {
        parameters.fault("cursor", "is not a nextCursor of this route");
    }
    place
}
