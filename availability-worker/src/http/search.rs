//! `GET /v1/availability`: who can take a job.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};
use shared_events::schedule::{is_slug, rfc3339_millis};
use shared_events::service::{Caller, Problem, ProblemDocument};
use tokio::time::Instant;
use uuid::Uuid;

use super::contractor::{checked, range};
use super::cursor::Cursor;
use super::parameters::Parameters;
use super::tagged::tagged;
use super::{RETRY_AFTER_SECONDS, ReadSide};
use crate::bounds::{Asked, MAX_DURATION};
use crate::engine::instant;
use crate::search::{Candidate, Page, Search, SearchError};
use crate::stamp::Stamp;

/// The most contractors of one page.
const MAX_LIMIT: i64 = 200;
/// The contractors of a page without `limit`.
const DEFAULT_LIMIT: i64 = 50;
/// How often a search that waits looks whether the cache has been filled.
const LOOK_EVERY: Duration = Duration::from_millis(50);
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
    /// The minute that counted as now: nothing earlier is offered. The pages of one search have that
    /// of the first.
    as_of: Stamp,
    /// When the oldest of these answers was calculated; null where there are none. An answer holds
    /// until the schedule's next `version`, so an old one is not a stale one.
    #[serde(serialize_with = "millis_or_null")]
    oldest_calculated_at: Option<DateTime<Utc>>,
    /// The contractors by earliest start, ties by id. Nobody is left out: while the cache does not
    /// hold everybody, searches wait, and then are 503.
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
    /// When that was calculated.
    #[serde(with = "rfc3339_millis")]
    calculated_at: DateTime<Utc>,
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
            calculated_at: candidate.calculated_at,
            earliest_start: Stamp(candidate.place.start),
        }
    }
}

/// Who can take a job: contractors with their earliest start in the range.
#[utoipa::path(
    get,
    path = "/v1/availability",
    operation_id = "searchAvailability",
    security(("token" = ["read"])),
    tag = "availability",
    params(
        ("from" = Option<DateTime<Utc>>, Query, description = "Start of the range; now without it. Within a minute it means the next whole one"),
        ("to" = Option<DateTime<Utc>>, Query, description = "End of the range, at most 366 days after its start; 7 days after it without it. Within a minute it means the last whole one"),
        ("durationMinutes" = i64, Query, description = "Minutes that the job takes", minimum = 1, maximum = 44640),
        ("territory" = Option<String>, Query, description = "Contractors of this territory only", pattern = "^[a-z0-9-]{1,64}$"),
        ("skills" = Option<String>, Query, description = "Skills separated by commas, all of which are needed; at most 32"),
        ("limit" = Option<i64>, Query, description = "Contractors of one page; 50 without it", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before, with the same other parameters. It keeps the range and the now of the first page, and holds for a bounded time (`SEARCH_CURSOR_MINUTES`)"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is held already"),
    ),
    responses(
        (status = 200, body = AvailableContractors, headers(("ETag" = String, description = "Weak tag of what it says, whenever it was calculated"))),
        (status = 304, description = "The answer is the one that is held already"),
        (status = 422, description = "Parameters that cannot be taken", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Not to be had for now; see Retry-After", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search(
    State(read_side): State<Arc<ReadSide>>,
    caller: Caller,
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
    let cursor = cursor(&mut parameters, now, read_side.cursor_age);
    // The pages of one search are of one range and one now, or what has been shown on one of them
    // would move on to the next.
    let asked_at = cursor.map_or(now, |cursor| instant(cursor.now));
    let (from, to) = match cursor {
        None => range(&mut parameters, now),
        Some(Cursor { from, to, .. }) => (
            parameters.instant("from").unwrap_or(instant(from)),
            parameters.instant("to").unwrap_or(instant(to)),
        ),
    };
    let duration = duration(&mut parameters);
    let territory = territory(&mut parameters);
    let skills = skills(&mut parameters);
    let limit = parameters
        .integer("limit", 1..=MAX_LIMIT)
        .unwrap_or(DEFAULT_LIMIT);
    let asked = Asked {
        from,
        to,
        now: asked_at,
        duration,
        slot_interval: None,
    };
    if let (Some(cursor), Ok(query)) = (cursor, asked.check())
        && query.range != cursor.range()
    {
        parameters.fault("cursor", "is of a search of another range");
    }
    let query = checked(&asked, parameters)?;
    if let Some(territory) = &territory {
        caller.must_see(territory)?;
    }

    let Ok(_permit) = read_side.searches.try_acquire() else {
        return Err(Problem::unavailable(
            "too many searches run at once",
            RETRY_AFTER_SECONDS,
        ));
    };
    let limit = usize::try_from(limit).unwrap_or(1);
    let search = Search {
        query,
        territory,
        only: caller.only(),
        skills,
        limit,
        after: cursor.map(|cursor| cursor.after),
    };
    let page = patiently(&read_side, &search, now)
        .await
        .map_err(|error| Problem::unavailable(error.to_string(), RETRY_AFTER_SECONDS))?;
    let oldest_calculated_at = page.candidates.iter().map(|c| c.calculated_at).min();
    let answer = AvailableContractors {
        from: Stamp(query.range.start),
        to: Stamp(query.range.end),
        duration_minutes: query.duration.unwrap_or_default(),
        as_of: Stamp(query.now),
        oldest_calculated_at,
        items: page
            .candidates
            .into_iter()
            .map(AvailableContractor::from)
            .collect(),
        next_cursor: page
            .next
            .map(|after| Cursor::new(&query, after).to_string()),
    };
    let found: Vec<_> = answer
        .items
        .iter()
        .map(|item| (item.contractor_id, item.version, item.earliest_start))
        .collect();
    let substance = (answer.from, answer.to, found, &answer.next_cursor);
    Ok(tagged(&answer, &substance, &headers))
}

/// Searches, once everybody is in the cache.
async fn patiently(
    read_side: &ReadSide,
    search: &Search,
    now: DateTime<Utc>,
) -> Result<Page, SearchError> {
    let deadline = Instant::now() + read_side.search_wait;
    let is_over = || Instant::now() >= deadline;
    loop {
        match search.run(&read_side.copies, now).await {
            Err(SearchError::Incomplete) if !is_over() => {}
            found => return found,
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if is_over() || read_side.copies.cache().mark().await?.is_some() {
                break;
            }
        }
    }
}

fn duration(parameters: &mut Parameters) -> Option<i64> {
    let Some(text) = parameters.text("durationMinutes") else {
        parameters.fault("durationMinutes", "is required");
        return None;
    };
    let duration = text.parse().ok().filter(|d| (1..=MAX_DURATION).contains(d));
    if duration.is_none() {
        let told = format!("must be a whole number from 1 to {MAX_DURATION}");
        parameters.fault("durationMinutes", told);
    }
    duration
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

fn cursor(parameters: &mut Parameters, now: DateTime<Utc>, longest: TimeDelta) -> Option<Cursor> {
    let cursor = parameters.text("cursor")?.parse::<Cursor>().ok();
    match cursor {
        None => parameters.fault("cursor", "is not a nextCursor of this route"),
        Some(cursor) if (now - instant(cursor.now)).abs() > longest => {
            let minutes = longest.num_minutes();
            let told = format!("is older than {minutes} minutes: search anew");
            parameters.fault("cursor", told);
        }
        Some(_) => {}
    }
    cursor
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn millis_or_null<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339_millis::serialize(at, serializer),
        None => serializer.serialize_none(),
    }
}
