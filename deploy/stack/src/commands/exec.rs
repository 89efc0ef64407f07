//! `stack exec`: private servers for the time of one command.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::signal::Signal;
use stack::process::{Launch, Process};
use stack::{PrivateServers, procfs, testbed};
use tokio::signal::unix::{SignalKind, signal};

/// Starts private PostgreSQL, RabbitMQ and Redis servers, runs a command, and ends them.
///
/// The command finds them by STACK_POSTGRES_URL, STACK_AMQP_URL, STACK_MANAGEMENT_URL and
/// STACK_REDIS_URL. Its exit code becomes that of this command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    stack exec -- cargo nextest run -p notifier\n  \
    stack exec -- bash -c 'psql $STACK_POSTGRES_URL'")]
pub(crate) struct Exec {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Exec {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let begin = Instant::now();
        let servers = tokio::select! {
            servers = PrivateServers::start() => servers?,
            _ = interrupt.recv() => return Ok(ExitCode::from(130)),
            _ = terminate.recv() => return Ok(ExitCode::from(143)),
            _ = hangup.recv() => return Ok(ExitCode::from(129)),
        };
        eprintln!(
            "stack: servers are ready after {:.1} s",
            begin.elapsed().as_secs_f64()
        );

        let child = Process::spawn_in_foreground(&launch(&self.command, &servers)?)?;
        let status = loop {
            tokio::select! {
                status = child.exited() => break status,
                // The terminal has sent it to the command as well; a second one would make
                // some commands give up at once.
                _ = interrupt.recv() => if !on_terminal() { child.signal(Signal::SIGINT) },
                _ = terminate.recv() => child.signal(Signal::SIGTERM),
                _ = hangup.recv() => child.signal(Signal::SIGHUP),
            }
        };
        servers.discard().await?;
        Ok(exit_code(status))
    }
}

fn launch(command: &[OsString], servers: &PrivateServers) -> Result<Launch> {
    let folder = std::env::current_dir()?;
    let (program, arguments) = command.split_first().context("no command")?;
    let mut launch = Launch::new(
        "command",
        Path::new(program),
        &folder,
        Path::new("/dev/null"),
    );
    launch.args = arguments.to_vec();
    launch.inherit_env = true;
    launch.on_parent_death = Signal::SIGTERM;
    Ok(launch
        .env(testbed::POSTGRES_URL, servers.postgres.url())
        .env(testbed::AMQP_URL, servers.rabbitmq.url())
        .env(testbed::MANAGEMENT_URL, servers.rabbitmq.management_url())
        .env(testbed::REDIS_URL, servers.redis.url()))
}

/// Whether we are in the foreground of a terminal, which sends Ctrl-C to the whole group.
fn on_terminal() -> bool {
    procfs::entry(std::process::id()).is_some_and(|own| own.terminal_group == Some(own.group))
}

/// A shell's convention: 128 and the number of the signal.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
