//! The history of changes.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::error::StoreError;

/// A change that was committed.
#[derive(Debug)]
pub struct Item {
    /// The version that it made.
    pub version: i64,
    /// The ScheduleUpdated data without `schedule`, as it was written.
    pub data: Json<Box<RawValue>>,
}

/// At most `limit` changes of a contractor after the version `after`, ascending.
pub async fn after(
    connection: &mut PgConnection,
    contractor_id: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Item>, StoreError> {
    let items = sqlx::query_as!(
        Item,
        r#"
        SELECT version, data AS "data: Json<Box<RawValue>>"
        FROM schedule_changes
        WHERE contractor_id = $1 AND version > $2
        ORDER BY version
        LIMIT $3
        "#,
        contractor_id,
        after,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(items)
}

/// Forgets at most `limit` changes from before `cutoff`. Says how many.
pub async fn forget_before(
    connection: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        r#"
        DELETE FROM schedule_changes
        WHERE (contractor_id, version) IN (
            SELECT contractor_id, version FROM schedule_changes
            WHERE occurred_at < $1
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        "#,
        cutoff,
        limit
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}
