//! The settings and the command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use shared_events::amqp::AmqpSettings;
use shared_events::service::{ServiceSettings, with_secret_files};
use sqlx::postgres::PgConnectOptions;

use crate::import::ImportArgs;
use crate::migrations::MigrateArgs;
use crate::outbox_relay::OutboxSettings;
use crate::set_aside::SetAside;
use crate::token::TokenArgs;

/// Where the service listens unless it is told otherwise.
const BIND_ADDR: &str = "127.0.0.1:8080";

/// What the program was asked to do.
#[derive(Debug)]
pub enum Cli {
    /// To serve: no command was named.
    Serve(Box<Settings>),
    /// One of the commands.
    Run(Command),
}

impl Cli {
    /// Reads a command line, whose first item is the program's name, and the environment.
    pub fn try_parse_from(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let (command, arguments) = with_secret_files(Definition::command(), arguments)?;
        let matches = command.try_get_matches_from(arguments)?;
        // The settings are only read where they are needed, so that a command does not fail for
        // want of one that it does not use.
        if matches.subcommand_name().is_some() {
            Command::from_arg_matches(&matches).map(Self::Run)
        } else {
            Settings::from_arg_matches(&matches)
                .map(Box::new)
                .map(Self::Serve)
        }
    }
}

#[derive(Parser)]
#[command(
    name = "schedule-service",
    version,
    about = "The write side of Rosterwire and the system of record: contractors, schedules, jobs.",
    long_about = "The write side of Rosterwire and the system of record: contractors, schedules, \
                  jobs.\n\nWithout a command it serves the HTTP interface and relays its outbox to \
                  the broker. Every setting can be given in the environment.",
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
struct Definition {
    #[command(subcommand)]
    _command: Option<Command>,
    #[command(flatten)]
    _settings: Settings,
}

/// What the program does besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Loads contractors with their schedules from a file
    Import(Box<ImportArgs>),
    /// Brings the schema of the database up to date. Serving does so too where its role may; where it
    /// may not, this is run before, as the role that owns the database
    Migrate(Box<MigrateArgs>),
    /// Deals with events that the broker refused too often and that were set aside
    #[command(subcommand)]
    Outbox(Box<SetAside>),
    /// Prints a token for development, signed with the secret of `AUTH_MODE=hs256`
    Token(Box<TokenArgs>),
    /// Prints the OpenAPI description of the HTTP interface
    Openapi,
    /// Asks the service on this machine whether it is ready, for a container's health check
    Healthcheck {
        /// Where the service listens
        #[arg(long, env = "BIND_ADDR", default_value = BIND_ADDR, value_name = "ADDR")]
        bind_addr: SocketAddr,
    },
}

/// The settings of the serving process.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where the HTTP interface listens; port 0 takes a free one, which the log tells
    #[arg(
        long,
        env = "BIND_ADDR",
        default_value = BIND_ADDR,
        value_name = "ADDR"
    )]
    pub bind_addr: SocketAddr,

    /// The bounds of the HTTP interface.
    #[command(flatten)]
    pub http: HttpSettings,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// How long things are kept.
    #[command(flatten)]
    pub retention: RetentionSettings,

    /// The broker.
    #[command(flatten)]
    pub amqp: AmqpSettings,

    /// The outbox.
    #[command(flatten)]
    pub outbox: OutboxSettings,

    /// What every Rosterwire process has.
    #[command(flatten)]
    pub service: ServiceSettings,
}

/// The bounds of the HTTP interface.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP interface")]
pub struct HttpSettings {
    /// The largest request body that is read, in bytes; a larger one is answered 413
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 1 << 20,
          value_parser = clap::value_parser!(u32).range(1024..=64 << 20))]
    pub max_body_bytes: u32,

    /// For how many days back a schedule that is read shows jobs and time off that are over. Time
    /// off and date overrides that are older are forgotten when new ones are added
    #[arg(long, env = "SCHEDULE_PAST_DAYS", default_value_t = 90,
          value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub schedule_past_days: u16,

    /// How many schedules that were changed last are kept in memory, so that the next change of one
    /// need not read it; about 10 KB each. 0 keeps none
    #[arg(long, env = "RECENT_SCHEDULES", default_value_t = 5_000,
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub recent_schedules: u32,
}

impl HttpSettings {
    /// The largest body, in bytes.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        usize::try_from(self.max_body_bytes).unwrap_or(usize::MAX)
    }

    /// How far back a schedule shows what is over.
    #[must_use]
    pub fn schedule_past(&self) -> TimeDelta {
        TimeDelta::days(self.schedule_past_days.into())
    }
}

/// The database and the bounds on its use.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// The PostgreSQL database: postgres://user:password@host:port/name
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL",
          value_parser = parse_database_url)]
    pub database_url: String,

    /// How many connections the HTTP interface may hold at once
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_max_connections: u32,

    /// How long a request waits for a connection, in milliseconds; then it is answered 503
    #[arg(long, env = "DATABASE_ACQUIRE_TIMEOUT_MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub database_acquire_timeout_ms: u32,

    /// How long one statement may take, in milliseconds; then the request is answered 503
    #[arg(long, env = "DATABASE_STATEMENT_TIMEOUT_MS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u32).range(10..=600_000))]
    pub database_statement_timeout_ms: u32,

    /// How long a statement waits for a row that another change holds, in milliseconds; then the
    /// request is answered 503
    #[arg(long, env = "DATABASE_LOCK_TIMEOUT_MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub database_lock_timeout_ms: u32,
}

impl DatabaseSettings {
    /// How long to wait for a connection.
    #[must_use]
    pub fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.database_acquire_timeout_ms.into())
    }
}

fn parse_database_url(text: &str) -> Result<String, String> {
    // The text may hold a password, so the error does not repeat it.
    let ours = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if ours && PgConnectOptions::from_str(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err("not a PostgreSQL URL, such as postgres://user:password@host:5432/name".to_owned())
    }
}

/// How long things are kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionSettings {
    /// How many days the history behind `/changes` is kept
    #[arg(long, env = "HISTORY_RETENTION_DAYS", default_value_t = 90,
          value_parser = clap::value_parser!(u16).range(1..=36_500))]
    pub history_retention_days: u16,

    /// How many hours the answer to an Idempotency-Key is kept
    #[arg(long, env = "IDEMPOTENCY_RETENTION_HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u16).range(1..=8760))]
    pub idempotency_retention_hours: u16,

    /// How often what is past its time is deleted, in seconds
    #[arg(long, env = "RETENTION_SWEEP_SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub retention_sweep_seconds: u32,

    /// How many rows one statement deletes, at most
    #[arg(long, env = "RETENTION_BATCH", default_value_t = 1_000,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub retention_batch: u16,
}

impl RetentionSettings {
    /// How long the history is kept.
    #[must_use]
    pub fn history(&self) -> TimeDelta {
        TimeDelta::days(self.history_retention_days.into())
    }

    /// How long an answer is kept.
    #[must_use]
    pub fn idempotency(&self) -> TimeDelta {
        TimeDelta::hours(self.idempotency_retention_hours.into())
    }

    /// How often to look.
    #[must_use]
    pub fn sweep(&self) -> Duration {
        Duration::from_secs(self.retention_sweep_seconds.into())
    }
}
