//! Databases on a PostgreSQL server. Their names are ours: lower-case letters, digits and `_`.

use crate::rights::OWNER;
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Makes the database `name`, of the role that runs the migrations; `server` is the URL of any other
/// one there.
///
/// # Errors
/// When the server refuses.
pub async fn create(server: &str, name: &str) -> Result<()> {
    execute(server, format!("CREATE DATABASE {name} OWNER {OWNER}")).await
}

/// Makes the database `name` unless it is there.
///
/// # Errors
/// When the server refuses.
pub async fn create_if_missing(server: &str, name: &str) -> Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    let found = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_optional(&mut connection)
        .await?;
    connection.close().await?;
    match found {
        Some(_) => Ok(()),
        None => execute(server, format!("CREATE DATABASE {name}")).await,
    }
}

/// Drops the database `name`, whoever is connected.
///
/// # Errors
/// When the server refuses.
pub async fn drop(server: &str, name: &str) -> Result<()> {
    execute(
        server,
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
    )
    .await
}

async fn execute(server: &str, statement: String) -> Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    // The only part that is not constant is a name that no stranger chooses.
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}
