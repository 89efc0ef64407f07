//! The peer of the search: the same question as one query over multiranges in PostgreSQL.
//!
//! Working time and jobs are multiranges of whole minutes: cheaper to compare than of timestamps,
//! and no time zone is left to the query. The windows come from the worker's own engine, so that
//! the two differ in nothing but who subtracts and searches.

use anyhow::{Context, Result};
use availability_worker::engine::{Interval, outlook};
use shared_events::Schedule;
use sqlx::postgres::{PgPool, PgPoolOptions};
use uuid::Uuid;

use super::asking::Answer;
use super::question::Question;
use super::roster::Roster;

/// Contractors that one statement inserts.
const BATCH: usize = 500;

/// The days of working time that are stored, from the start of the current one.
const DAYS: i64 = 28;

/// The question. `$1`, `$2`: the range; `$3`: the duration; `$4`: the territory or null; `$5`: the
/// skills; `$6`: how many are wanted, or null.
///
/// The range is applied before the jobs are taken out, so that only what lies in it is subtracted.
const QUERY: &str = "
    SELECT first.start, c.id
    FROM search_peer c
    CROSS JOIN LATERAL (
        SELECT min(slot.start) AS start
        FROM unnest(c.working * int8multirange(int8range($1, $2)) - c.jobs) AS free
        CROSS JOIN LATERAL (
            SELECT (lower(free) + c.slot_minutes - 1) / c.slot_minutes * c.slot_minutes AS start
        ) slot
        WHERE slot.start + $3 <= upper(free)
    ) first
    WHERE ($4::text IS NULL OR c.territory = $4)
      AND c.active AND c.skills @> $5
      AND first.start IS NOT NULL
    ORDER BY first.start, c.id
    LIMIT $6";

/// A table of contractors.
#[derive(Debug)]
pub struct Multiranges(PgPool);

impl Multiranges {
    /// Makes and fills the table.
    ///
    /// # Errors
    /// When PostgreSQL does not take it.
    pub async fn fill(database_url: &str, roster: &Roster) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect(database_url)
            .await?;
        sqlx::raw_sql(
            "DROP TABLE IF EXISTS search_peer;
             CREATE TABLE search_peer (
                 id uuid PRIMARY KEY,
                 territory text NOT NULL,
                 active boolean NOT NULL,
                 skills text[] NOT NULL,
                 slot_minutes bigint NOT NULL,
                 working int8multirange NOT NULL,
                 jobs int8multirange NOT NULL
             );",
        )
        .execute(&pool)
        .await?;
        let numbers: Vec<usize> = (0..roster.contractors).collect();
        for batch in numbers.chunks(BATCH) {
            insert(&pool, roster, batch).await?;
        }
        sqlx::raw_sql(
            "CREATE INDEX ON search_peer (territory);
             CREATE INDEX ON search_peer USING gin (skills);",
        )
        .execute(&pool)
        .await?;
        sqlx::raw_sql("VACUUM (ANALYZE) search_peer")
            .execute(&pool)
            .await?;
        Ok(Self(pool))
    }

    /// The first answers to a question, as many as it wants.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn ask(&self, question: &Question) -> Result<Vec<Answer>> {
        self.query(question, Some(question.limit.into())).await
    }

    /// The whole answer to a question.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn all_of(&self, question: &Question) -> Result<Vec<Answer>> {
        self.query(question, None).await
    }

    async fn query(&self, question: &Question, limit: Option<i64>) -> Result<Vec<Answer>> {
        let skills: Vec<String> = question.skills.iter().map(ToString::to_string).collect();
        Ok(sqlx::query_as::<_, (i64, Uuid)>(QUERY)
            .bind(question.from.timestamp() / 60)
            .bind(question.to.timestamp() / 60)
            .bind(i64::from(question.duration))
            .bind(question.territory.as_deref())
            .bind(skills)
            .bind(limit)
            .fetch_all(&self.0)
            .await?)
    }

    /// PostgreSQL's version.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn version(&self) -> Result<String> {
        let version = sqlx::query_scalar("SHOW server_version");
        Ok(version.fetch_one(&self.0).await?)
    }
}

async fn insert(pool: &PgPool, roster: &Roster, numbers: &[usize]) -> Result<()> {
    let today = roster.now.timestamp().div_euclid(86_400) * 1_440;
    let range = Interval::new(today, today + DAYS * 1_440);
    let mut query = sqlx::QueryBuilder::new(
        "INSERT INTO search_peer (id, territory, active, skills, slot_minutes, working, jobs) ",
    );
    let rows = numbers
        .iter()
        .map(|&number| Row::of(roster.schedule(number)?, range))
        .collect::<Result<Vec<Row>>>()?;
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.id)
            .push_bind(row.territory)
            .push_bind(row.active)
            .push_bind(row.skills)
            .push_bind(row.slot_minutes)
            .push_bind(row.working)
            .push_unseparated("::int8multirange")
            .push_bind(row.jobs)
            .push_unseparated("::int8multirange");
    });
    query.build().execute(pool).await?;
    Ok(())
}

struct Row {
    id: Uuid,
    territory: String,
    active: bool,
    skills: Vec<String>,
    slot_minutes: i64,
    working: String,
    jobs: String,
}

impl Row {
    fn of(mut schedule: Schedule, range: Interval) -> Result<Self> {
        let jobs = std::mem::take(&mut schedule.jobs);
        let active = schedule.status == shared_events::schedule::Status::Active;
        schedule.status = shared_events::schedule::Status::Active;
        // Without jobs, all working time is free.
        let working = outlook(&schedule, range)
            .context("working time")?
            .free
            .windows;
        let blocked = jobs.iter().map(|job| {
            Interval::new(
                job.start.timestamp() / 60 - i64::from(job.buffer_before_minutes),
                job.end.timestamp() / 60 + i64::from(job.buffer_after_minutes),
            )
        });
        Ok(Self {
            id: schedule.contractor_id,
            territory: schedule.territory,
            active,
            skills: schedule.skills,
            slot_minutes: schedule.booking_rules.slot_interval_minutes.into(),
            working: multirange(working),
            jobs: multirange(blocked),
        })
    }
}

fn multirange(intervals: impl IntoIterator<Item = Interval>) -> String {
    let ranges: Vec<String> = intervals
        .into_iter()
        .map(|i| format!("[{},{})", i.start, i.end))
        .collect();
    format!("{{{}}}", ranges.join(","))
}
