//! A look into schedule-service's database.

use sqlx::{Connection, PgConnection, Row};

/// How many events have not been handed to the broker yet.
pub async fn depth(database_url: &str) -> i64 {
    let mut connection = PgConnection::connect(database_url)
        .await
        .expect("the database");
    sqlx::query("SELECT count(*) FROM outbox")
        .fetch_one(&mut connection)
        .await
        .expect("the outbox")
        .get(0)
}
