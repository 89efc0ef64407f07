//! Reading contractors without their schedules.

use chrono::{DateTime, Utc};
use shared_events::schedule::Status;
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::StoreError;
use super::schedules::{status_from, status_name};

/// A contractor without the schedule.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the schedule's field of that name")]
pub struct Contractor {
    pub id: Uuid,
    pub name: String,
    pub territory: String,
    pub skills: Vec<String>,
    pub status: Status,
    pub time_zone: String,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    name: String,
    territory: String,
    skills: Vec<String>,
    status: String,
    time_zone: String,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn into_contractor(self) -> Result<Contractor, StoreError> {
        Ok(Contractor {
            status: status_from(&self.status)?,
            id: self.id,
            name: self.name,
            territory: self.territory,
            skills: self.skills,
            time_zone: self.time_zone,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// Reads a contractor.
pub async fn find(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Contractor>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        SELECT id, name, territory, skills, status, time_zone, version, created_at, updated_at
        FROM contractors
        WHERE id = $1
        "#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::into_contractor).transpose()
}

/// The territory of a contractor.
pub async fn territory(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<String>, StoreError> {
    let territory = sqlx::query_scalar!("SELECT territory FROM contractors WHERE id = $1", id)
        .fetch_optional(connection)
        .await?;
    Ok(territory)
}

/// At most `limit` contractors after the id `after`, ascending by id: of one territory, or of `only`
/// these.
pub async fn list(
    connection: &mut PgConnection,
    territory: Option<&str>,
    only: Option<&[String]>,
    status: Option<Status>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Contractor>, StoreError> {
    let status = status.map(status_name);
    // Two statements, so that a plan made for all parameters can use the index of territories.
    let rows = match territory {
        Some(territory) => {
            sqlx::query_as!(
                Row,
                r#"
                SELECT id, name, territory, skills, status, time_zone, version, created_at, updated_at
                FROM contractors
                WHERE territory = $1 AND id > $2 AND ($3::text IS NULL OR status = $3)
                ORDER BY id
                LIMIT $4
                "#,
                territory,
                after,
                status,
                limit
            )
            .fetch_all(connection)
            .await?
        }
        None => {
            sqlx::query_as!(
                Row,
                r#"
                SELECT id, name, territory, skills, status, time_zone, version, created_at, updated_at
                FROM contractors
                WHERE id > $1 AND ($2::text IS NULL OR status = $2)
                  AND ($4::text[] IS NULL OR territory = ANY ($4))
                ORDER BY id
                LIMIT $3
                "#,
                after,
                status,
                limit,
                only
            )
            .fetch_all(connection)
            .await?
        }
    };
    rows.into_iter().map(Row::into_contractor).collect()
}
