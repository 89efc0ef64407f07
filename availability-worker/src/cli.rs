//! The command line: the service, and what can be asked without it.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use shared_events::Schedule;
use shared_events::service::{self, Clock};

use crate::app::Application;
use crate::calculate::{self, CalculateSettings, ScheduleDocument};
use crate::config::{BIND_ADDR, Config};
use crate::dead_letters::{self, DeadLetters};
use crate::engine;
use crate::upkeep::{self, RebuildSettings, VerificationSettings};

/// Bytes of a schedule that `explain` reads.
const MAX_SCHEDULE_BYTES: u64 = 64 * 1024 * 1024;

/// The read side of availability: consumes schedule changes, recalculates, caches and answers.
///
/// Without a command it serves.
#[derive(Parser)]
#[command(name = "availability-worker", version, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answers availability queries without any server: NDJSON on standard input to NDJSON on standard output
    Calculate(CalculateSettings),
    /// Says in words why a contractor is or is not free at an instant
    Explain(ExplainSettings),
    /// Takes every contractor into the cache anew, from schedule-service
    Rebuild(RebuildSettings),
    /// Compares every cached answer with one calculated anew, and lists what differs; then the exit code is 1
    Verify(VerificationSettings),
    /// Looks into the dead-letter queue, and redrives or discards what is there
    #[command(subcommand)]
    DeadLetters(Box<DeadLetters>),
    /// Prints the OpenAPI description of the HTTP side
    Openapi,
    /// Asks the worker on this machine whether it is ready, for a container's health check
    Healthcheck {
        /// Where it listens
        #[arg(long, env = "BIND_ADDR", default_value = BIND_ADDR)]
        bind_addr: SocketAddr,
    },
}

#[derive(Args)]
struct ExplainSettings {
    /// A file with the schedule as JSON, or - for standard input
    #[arg(long, value_name = "FILE")]
    schedule: String,

    /// The instant, RFC 3339
    #[arg(long, value_name = "INSTANT")]
    at: DateTime<Utc>,

    /// What counts as now, RFC 3339; the machine's clock without it
    #[arg(long, value_name = "INSTANT")]
    now: Option<DateTime<Utc>>,
}

/// Runs what the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    // The settings stand beside the commands, which do not need them.
    let command = Cli::command();
    let about = command.get_about().cloned().unwrap_or_default();
    let command = Config::augment_args(command).about(about);
    let read = service::with_secret_files(command, std::env::args_os());
    let matches = read.and_then(|(command, words)| command.try_get_matches_from(words));
    let parsed = matches.and_then(|matches| {
        let command = Cli::from_arg_matches(&matches)?.command;
        match command {
            Some(command) => Ok((Some(command), None)),
            None => Ok((None, Some(Config::from_arg_matches(&matches)?))),
        }
    });
    match parsed {
        Ok((Some(command), _)) => obey(command),
        Ok((None, Some(config))) => serve(config),
        Ok((None, None)) => ExitCode::FAILURE,
        Err(error) => service::refuse_command_line("availability-worker", &error),
    }
}

fn serve(config: Config) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error)),
    };
    let settings = config.service.clone();
    runtime.block_on(service::run(
        "availability-worker",
        &settings,
        |shutdown| async move {
            let addr = config.bind_addr;
            let application = Application::build(config, Clock::system(), &shutdown)?;
            let listener = service::http::bind(addr).await?;
            application.run_until_stopped(listener, &shutdown).await;
            Ok(())
        },
    ))
}

fn obey(command: Command) -> ExitCode {
    let done = match command {
        Command::Calculate(settings) => {
            calculate::run(&settings, io::stdin(), io::stdout()).map_err(Into::into)
        }
        Command::Explain(settings) => explain(&settings),
        Command::Rebuild(settings) => upkeep::rebuild(&settings),
        Command::Verify(settings) => return upkeep::verify(&settings),
        Command::DeadLetters(command) => dead_letters::obey(*command, Clock::system().now()),
        Command::Openapi => openapi(),
        Command::Healthcheck { bind_addr } => return healthcheck(bind_addr),
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn healthcheck(bind_addr: SocketAddr) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(service::healthcheck(bind_addr)),
        Err(error) => failed(&anyhow::Error::new(error)),
    }
}

pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("availability-worker: {error:#}");
    ExitCode::FAILURE
}

fn explain(settings: &ExplainSettings) -> anyhow::Result<()> {
    let name = &settings.schedule;
    let mut json = Vec::new();
    let input: Box<dyn Read> = if name == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(name).with_context(|| format!("cannot open {name}"))?)
    };
    input
        .take(MAX_SCHEDULE_BYTES)
        .read_to_end(&mut json)
        .with_context(|| format!("cannot read {name}"))?;
    let document: ScheduleDocument =
        serde_json::from_slice(&json).with_context(|| format!("{name} holds no schedule"))?;
    let schedule = Schedule::from(document);
    let now = settings.now.unwrap_or_else(|| Clock::system().now());
    print!("{}", engine::explain(&schedule, settings.at, now)?);
    Ok(())
}

fn openapi() -> anyhow::Result<()> {
    println!("{}", openapi_json()?);
    Ok(())
}

/// The OpenAPI description as `openapi.json` holds it.
pub fn openapi_json() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&crate::http::openapi())?)
}
