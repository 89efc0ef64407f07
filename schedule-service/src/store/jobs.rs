//! Reading single jobs.

use chrono::{DateTime, Utc};
use shared_events::schedule::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::StoreError;

/// A job with the contractor that it is booked with.
#[derive(Debug)]
pub struct BookedJob {
    /// Whose job it is.
    pub contractor_id: Uuid,
    /// That contractor's territory.
    pub territory: String,
    /// The version of that contractor's schedule.
    pub version: i64,
    /// The job.
    pub job: Job,
}

/// Reads a job.
pub async fn find(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<BookedJob>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT j.contractor_id, c.territory, c.version, j.title, j.starts_at, j.ends_at,
               j.buffer_before_minutes, j.buffer_after_minutes
        FROM jobs j
        JOIN contractors c ON c.id = j.contractor_id
        WHERE j.id = $1
        "#,
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| BookedJob {
        contractor_id: row.contractor_id,
        territory: row.territory,
        version: row.version,
        job: Job {
            id,
            title: row.title,
            start: row.starts_at,
            end: row.ends_at,
            // Never negative: the table checks it.
            buffer_before_minutes: row.buffer_before_minutes.unsigned_abs(),
            buffer_after_minutes: row.buffer_after_minutes.unsigned_abs(),
        },
    }))
}

/// The first job of a contractor that overlaps the interval, `except` itself.
pub async fn overlapping(
    connection: &mut PgConnection,
    contractor_id: Uuid,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    except: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"
        SELECT id FROM jobs
        WHERE contractor_id = $1
          AND tstzrange(starts_at, ends_at) && tstzrange($2, $3)
          AND id <> $4
        ORDER BY starts_at
        LIMIT 1
        "#,
        contractor_id,
        start,
        end,
        except
    )
    .fetch_optional(connection)
    .await?;
    Ok(id)
}
