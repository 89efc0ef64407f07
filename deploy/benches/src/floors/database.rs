//! One transaction.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use super::{SCHEDULE_BYTES, document, paced};
use crate::latency::Quantiles;

/// How many documents there are, as many as the benchmark has contractors.
const DOCUMENTS: u64 = 500;

pub(super) async fn measure(url: &str, each: Duration) -> Result<Quantiles> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(
        "CREATE SCHEMA IF NOT EXISTS floor;
         CREATE TABLE IF NOT EXISTS floor.documents
             (id bigint PRIMARY KEY, version bigint NOT NULL, body json NOT NULL);
         CREATE TABLE IF NOT EXISTS floor.outbox
             (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL);",
    )
    .execute(&mut connection)
    .await?;
    for id in 0..DOCUMENTS {
        sqlx::query(
            "INSERT INTO floor.documents VALUES ($1, 1, $2::text::json) ON CONFLICT DO NOTHING",
        )
        .bind(i64::try_from(id)?)
        .bind("\"new\"")
        .execute(&mut connection)
        .await?;
    }
    let connection = Mutex::new(connection);
    let quantiles = paced(each, |number| {
        let connection = &connection;
        async move {
            let mut connection = connection.lock().await;
            let id = i64::try_from(number % DOCUMENTS)?;
            let body = document(SCHEDULE_BYTES, number);
            let text = std::str::from_utf8(&body)?;
            let begun = Instant::now();
            let mut transaction = connection.begin().await?;
            sqlx::query(
                "UPDATE floor.documents SET version = version + 1, body = $2::text::json WHERE id = $1",
            )
            .bind(id)
            .bind(text)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("INSERT INTO floor.outbox (payload) VALUES ($1)")
                .bind(body.as_slice())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(begun.elapsed())
        }
    })
    .await?;
    let mut connection = connection.into_inner();
    sqlx::raw_sql("DROP SCHEMA floor CASCADE")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(quantiles)
}
