//! The connections, with a bound on every wait.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use shared_events::trust::{TrustSettings, told};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, PgPool};

use crate::config::DatabaseSettings;

/// How long a connection may have been idle and still be taken without a look at it. A look costs
/// a round trip, which a busy service should not pay for every request.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// How long the migrations wait for another process that is running them.
const MIGRATION_LOCK_TIMEOUT: &str = "60s";

/// Opens the pool; connections are made when they are needed.
pub fn connect(settings: &DatabaseSettings, trust: &TrustSettings) -> anyhow::Result<PgPool> {
    let milliseconds = |value: u32| format!("{value}ms");
    let options = options(settings, trust)?.options([
        (
            "statement_timeout",
            milliseconds(settings.database_statement_timeout_ms),
        ),
        (
            "lock_timeout",
            milliseconds(settings.database_lock_timeout_ms),
        ),
        ("idle_in_transaction_session_timeout", "30s".to_owned()),
        // Every statement is prepared, and none has a plan that depends on its parameters: planning
        // the same statement again for each request would cost more than running it.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(settings.database_max_connections)
        .acquire_timeout(settings.acquire_timeout())
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Brings the schema up to date. Processes that start at once take turns.
pub async fn migrate(settings: &DatabaseSettings, trust: &TrustSettings) -> anyhow::Result<()> {
    // A connection of its own, without the time-outs of requests: a migration may take long.
    let options = options(settings, trust)?.options([
        ("lock_timeout", MIGRATION_LOCK_TIMEOUT),
        ("client_min_messages", "warning"),
    ]);
    let mut connection = sqlx::postgres::PgConnection::connect_with(&options)
        .await
        .map_err(|error| {
            anyhow::anyhow!(
                "DATABASE_URL: cannot connect to the database: {}",
                told(&error)
            )
        })?;
    sqlx::migrate!()
        .run(&mut connection)
        .await
        .context("cannot bring the schema of the database up to date")?;
    connection.close().await?;
    Ok(())
}

fn options(settings: &DatabaseSettings, trust: &TrustSettings) -> anyhow::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(&settings.database_url)
        .map_err(|_| anyhow::anyhow!("DATABASE_URL: not a PostgreSQL URL"))?;
    let options = options.application_name("schedule-service");
    let Some(pem) = trust.pem() else {
        return Ok(options);
    };
    // These two would take any certificate, and the first also a server without one.
    if matches!(
        options.get_ssl_mode(),
        PgSslMode::Prefer | PgSslMode::Require
    ) {
        bail!(
            "DATABASE_URL: with TLS_CA it must say sslmode=verify-full, or sslmode=disable where the \
             database is to be reached in clear"
        );
    }
    Ok(options.ssl_root_cert_from_pem(pem.as_bytes().to_vec()))
}
