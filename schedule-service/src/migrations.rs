//! Bringing the schema of the database up to date: `schedule-service migrate`.

use std::process::ExitCode;

use clap::Args;
use shared_events::trust::TrustSettings;

use crate::config::DatabaseSettings;
use crate::store;

/// The settings of `migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// The role that the service runs as: it is granted what the service needs, and no more. Without it
    /// no rights are changed
    #[arg(long, env = "DATABASE_RUNTIME_ROLE", value_name = "ROLE")]
    pub database_runtime_role: Option<String>,

    /// The database, as the role that owns its tables.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustSettings,
}

/// Migrates, and grants.
pub async fn run(args: &MigrateArgs) -> ExitCode {
    let done = match &args.database_runtime_role {
        Some(role) => store::migrate_for(&args.database, &args.trust, role).await,
        None => store::migrate(&args.database, &args.trust).await,
    };
    match done {
        Ok(()) => {
            eprintln!("the schema of the database is up to date");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("schedule-service migrate: {error:#}");
            ExitCode::from(2)
        }
    }
}
