//! The first answers to requests with an Idempotency-Key.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::error::StoreError;

/// An answer to be remembered.
#[derive(Debug, Clone, Copy)]
pub struct Remembered<'a> {
    /// Who asked. Keys of different actors have nothing to do with each other.
    pub actor: &'a str,
    /// The key.
    pub key: &'a str,
    /// SHA-256 of the request's method, path and body.
    pub request_hash: &'a [u8],
    /// The answer's HTTP status.
    pub status: i32,
    /// The answer's headers, as names and values.
    pub headers: &'a [(String, String)],
    /// The answer's body.
    pub body: &'a [u8],
}

/// An answer that was remembered.
#[derive(Debug)]
pub struct Found {
    /// SHA-256 of the request's method, path and body.
    pub request_hash: Vec<u8>,
    /// The answer's HTTP status.
    pub status: i32,
    /// The answer's headers, as names and values.
    pub headers: Json<Vec<(String, String)>>,
    /// The answer's body.
    pub body: Vec<u8>,
}

/// Looks for the answer that was given to this key.
pub async fn find(
    connection: &mut PgConnection,
    actor: &str,
    key: &str,
) -> Result<Option<Found>, StoreError> {
    let found = sqlx::query_as!(
        Found,
        r#"
        SELECT request_hash, status, headers AS "headers: Json<Vec<(String, String)>>", body
        FROM idempotency_keys
        WHERE actor = $1 AND key = $2
        "#,
        actor,
        key
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Remembers an answer that changed nothing. [`StoreError::KeyTaken`] if there is one already.
pub async fn remember(
    connection: &mut PgConnection,
    answer: &Remembered<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        INSERT INTO idempotency_keys (actor, key, request_hash, status, headers, body, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        "#,
        answer.actor,
        answer.key,
        answer.request_hash,
        answer.status,
        Json(answer.headers) as _,
        answer.body,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets at most `limit` answers from before `cutoff`. Says how many.
pub async fn forget_before(
    connection: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        r#"
        DELETE FROM idempotency_keys
        WHERE (actor, key) IN (
            SELECT actor, key FROM idempotency_keys
            WHERE created_at < $1
            ORDER BY created_at
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
