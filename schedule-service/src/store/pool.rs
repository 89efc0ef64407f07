//! The connections, with a bound on every wait.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use shared_events::trust::{TrustSettings, told};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::config::DatabaseSettings;

/// How long a connection may have been idle and still be taken without a look at it. A look costs
/// a round trip, which a busy service should not pay for every request.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// https://www.postgresql.org/docs/current/errcodes-appendix.html
const INSUFFICIENT_PRIVILEGE: &str = "42501";

static MIGRATIONS: Migrator = sqlx::migrate!();

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

/// Brings the schema up to date unless it is. Processes that start at once take turns.
pub async fn migrate(settings: &DatabaseSettings, trust: &TrustSettings) -> anyhow::Result<()> {
    migrated(settings, trust).await?.close().await?;
    Ok(())
}

/// Brings the schema up to date, and grants a role what the service needs, and no more.
pub async fn migrate_for(
    settings: &DatabaseSettings,
    trust: &TrustSettings,
    role: &str,
) -> anyhow::Result<()> {
    let mut connection = migrated(settings, trust).await?;
    // What stands between the quotes of an identifier.
    let rights = include_str!("rights.sql").replace("$ROLE", &role.replace('"', "\"\""));
    sqlx::raw_sql(AssertSqlSafe(rights))
        .execute(&mut connection)
        .await
        .with_context(|| format!("cannot grant the rights of the service to {role}"))?;
    connection.close().await?;
    Ok(())
}

async fn migrated(
    settings: &DatabaseSettings,
    trust: &TrustSettings,
) -> anyhow::Result<PgConnection> {
    // A connection of its own, without the time-outs of requests: a migration may take long.
    let options = options(settings, trust)?.options([
        ("lock_timeout", MIGRATION_LOCK_TIMEOUT),
        ("client_min_messages", "warning"),
    ]);
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(|error| {
            anyhow!(
                "DATABASE_URL: cannot connect to the database: {}",
                told(&error)
            )
        })?;
    if !is_up_to_date(&mut connection).await {
        MIGRATIONS.run(&mut connection).await.map_err(unmigrated)?;
    }
    Ok(connection)
}

/// Whether just our migrations have been applied: a role that may change nothing then need not try.
async fn is_up_to_date(connection: &mut PgConnection) -> bool {
    let applied: sqlx::Result<Vec<(i64, Vec<u8>, bool)>> =
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await;
    applied.is_ok_and(|applied| {
        let ours = MIGRATIONS.iter();
        let ours = ours.map(|ours| (ours.version, ours.checksum.to_vec(), true));
        ours.eq(applied)
    })
}

/// Why the schema could not be brought up to date.
fn unmigrated(error: MigrateError) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    let lacks_right = error.chain().any(|cause| {
        let refusal = cause.downcast_ref::<sqlx::Error>();
        refusal
            .and_then(sqlx::Error::as_database_error)
            .is_some_and(|refusal| refusal.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE))
    });
    error.context(if lacks_right {
        "the schema of the database is not up to date, and this role may not change it: run \
         `schedule-service migrate` as the one that owns it"
    } else {
        "cannot bring the schema of the database up to date"
    })
}

fn options(settings: &DatabaseSettings, trust: &TrustSettings) -> anyhow::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(&settings.database_url)
        .map_err(|_| anyhow!("DATABASE_URL: not a PostgreSQL URL"))?;
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
