//! Reading schedules.

use chrono::{DateTime, Utc};
use shared_events::schedule::{
    BookingRules, DateOverride, Job, Schedule, Status, TimeOff, WorkingHours,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::error::StoreError;

/// Which schedules to read.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those of these contractors.
    Contractors(&'a [Uuid]),
    /// The one that holds this job; the job is read with it, however long it is over.
    HolderOf(Uuid),
}

/// Reads schedules by contractor id, each as of one instant, with the jobs that end after
/// `jobs_since`. Those that are not there are left out.
pub async fn load(
    connection: &mut PgConnection,
    which: Which<'_>,
    jobs_since: DateTime<Utc>,
) -> Result<Vec<Schedule>, StoreError> {
    let (contractors, job) = match which {
        Which::Contractors(ids) => (ids, None),
        Which::HolderOf(job) => (&[][..], Some(job)),
    };
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT c.id, c.name, c.territory, c.status, c.time_zone, c.skills,
               c.working_hours AS "working_hours: Json<Vec<WorkingHours>>",
               c.date_overrides AS "date_overrides: Json<Vec<DateOverride>>",
               c.time_off AS "time_off: Json<Vec<TimeOff>>",
               c.booking_rules AS "booking_rules: Json<BookingRules>",
               c.version, c.updated_at,
               j.ids, j.titles, j.starts, j.ends, j.buffers_before, j.buffers_after
        FROM contractors c
        CROSS JOIN LATERAL (
            SELECT array_agg(o.id) AS ids, array_agg(o.title) AS titles,
                   array_agg(o.starts_at) AS starts, array_agg(o.ends_at) AS ends,
                   array_agg(o.buffer_before_minutes) AS buffers_before,
                   array_agg(o.buffer_after_minutes) AS buffers_after
            FROM (
                SELECT id, title, starts_at, ends_at, buffer_before_minutes, buffer_after_minutes
                FROM jobs
                WHERE contractor_id = c.id AND ends_at > $2
                UNION ALL
                SELECT id, title, starts_at, ends_at, buffer_before_minutes, buffer_after_minutes
                FROM jobs
                WHERE id = $3 AND contractor_id = c.id AND ends_at <= $2
                ORDER BY 3, 1
            ) o
        ) j
        WHERE c.id = ANY (array_append($1::uuid[], (SELECT contractor_id FROM jobs WHERE id = $3)))
        ORDER BY c.id
        "#,
        contractors,
        jobs_since,
        job
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_schedule).collect()
}

/// Holds the rows of these contractors until the transaction ends. Always in the order of their
/// ids, so that two changes that want the same two rows do not wait for each other.
pub async fn lock(connection: &mut PgConnection, contractors: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT id FROM contractors WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
        contractors
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The ids of at most `limit` contractors after `after`, ascending: all, or those of `only` these
/// territories.
pub async fn ids_after(
    connection: &mut PgConnection,
    only: Option<&[String]>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        SELECT id FROM contractors
        WHERE id > $1 AND ($3::text[] IS NULL OR territory = ANY ($3))
        ORDER BY id
        LIMIT $2
        "#,
        after,
        limit,
        only
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

struct Row {
    id: Uuid,
    name: String,
    territory: String,
    status: String,
    time_zone: String,
    skills: Vec<String>,
    working_hours: Json<Vec<WorkingHours>>,
    date_overrides: Json<Vec<DateOverride>>,
    time_off: Json<Vec<TimeOff>>,
    booking_rules: Json<BookingRules>,
    version: i64,
    updated_at: DateTime<Utc>,
    // The jobs, column by column; null where there are none.
    ids: Option<Vec<Uuid>>,
    titles: Option<Vec<String>>,
    starts: Option<Vec<DateTime<Utc>>>,
    ends: Option<Vec<DateTime<Utc>>>,
    buffers_before: Option<Vec<i32>>,
    buffers_after: Option<Vec<i32>>,
}

impl Row {
    fn into_schedule(self) -> Result<Schedule, StoreError> {
        let titles = self.titles.unwrap_or_default();
        let starts = self.starts.unwrap_or_default();
        let ends = self.ends.unwrap_or_default();
        let before = self.buffers_before.unwrap_or_default();
        let after = self.buffers_after.unwrap_or_default();
        let columns = titles
            .into_iter()
            .zip(starts)
            .zip(ends)
            .zip(before)
            .zip(after);
        let ids = self.ids.unwrap_or_default();
        let jobs =
            ids.into_iter()
                .zip(columns)
                .map(|(id, ((((title, start), end), before), after))| {
                    Job {
                        id,
                        title,
                        start,
                        end,
                        // Never negative: the table checks it.
                        buffer_before_minutes: before.unsigned_abs(),
                        buffer_after_minutes: after.unsigned_abs(),
                    }
                });
        Ok(Schedule {
            contractor_id: self.id,
            name: self.name,
            territory: self.territory,
            skills: self.skills,
            status: status_from(&self.status)?,
            time_zone: self.time_zone,
            working_hours: self.working_hours.0,
            date_overrides: self.date_overrides.0,
            time_off: self.time_off.0,
            jobs: jobs.collect(),
            booking_rules: self.booking_rules.0,
            version: self.version,
            updated_at: self.updated_at,
        })
    }
}

/// The status as it is stored: as on the wire.
pub(super) const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::OnLeave => "onLeave",
    }
}

/// The status that is stored under a name.
pub(super) fn status_from(name: &str) -> Result<Status, StoreError> {
    [Status::Active, Status::Inactive, Status::OnLeave]
        .into_iter()
        .find(|status| status_name(*status) == name)
        .ok_or_else(|| {
            let reason = format!("there is no status {name:?}");
            StoreError::Defect(sqlx::Error::Decode(reason.into()))
        })
}
