//! A server that stays the same thing while its process comes and goes: same port, same data.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::Port;
use crate::process::{Launch, Process, describe, tail};
use crate::servers::{postgres, rabbitmq, redis};
use crate::service::Http;

/// How much of a log an error shows.
const TAIL_BYTES: u64 = 2_000;
/// The wait between two looks at a server that is starting.
const PROBE_EVERY: Duration = Duration::from_millis(25);
/// The time that one look may take.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// What differs from server to server.
#[derive(Debug)]
pub(crate) enum Role {
    Postgres(postgres::Role),
    RabbitMq(Box<rabbitmq::Role>),
    Redis(redis::Role),
    Service(Http),
    /// A program that serves nobody: up as soon as it runs.
    Program,
}

impl Role {
    /// Clears away what a crash may have left, before a start.
    async fn prepare(&self) -> Result<()> {
        match self {
            Self::Postgres(role) => role.prepare().await,
            Self::RabbitMq(role) => role.prepare(),
            Self::Redis(_) | Self::Service(_) | Self::Program => Ok(()),
        }
    }

    /// Whether it answers as a client would want it to.
    async fn probe(&self) -> Result<()> {
        match self {
            Self::Postgres(role) => role.probe().await,
            Self::RabbitMq(role) => role.probe().await,
            Self::Redis(role) => role.probe().await,
            Self::Service(http) => http.probe().await,
            Self::Program => Ok(()),
        }
    }

    /// The signal that asks for an orderly end, and the time given to it.
    fn stop_signal(&self) -> (Signal, Duration) {
        match self {
            // "Fast": sessions are ended. SIGTERM would wait for the clients to leave.
            Self::Postgres(_) => (Signal::SIGINT, Duration::from_secs(20)),
            Self::RabbitMq(_) => (Signal::SIGTERM, Duration::from_secs(30)),
            Self::Redis(_) | Self::Program => (Signal::SIGTERM, Duration::from_secs(10)),
            Self::Service(_) => (Signal::SIGTERM, Duration::from_secs(45)),
        }
    }

    /// How long it may take until it is healthy.
    fn start_deadline(&self) -> Duration {
        match self {
            Self::Redis(_) | Self::Program => Duration::from_secs(15),
            Self::Postgres(_) | Self::Service(_) => Duration::from_mins(1),
            Self::RabbitMq(_) => Duration::from_secs(90),
        }
    }
}

/// A server of any kind, and the handle on its present process.
#[derive(Debug)]
pub struct Server {
    role: Role,
    launch: Launch,
    process: Mutex<Arc<Process>>,
    paused: AtomicBool,
    // Last, so that the ports become free after the process is gone.
    _ports: Vec<Port>,
}

impl Server {
    /// Starts it and waits until it is healthy.
    pub(crate) async fn start(role: Role, launch: Launch, ports: Vec<Port>) -> Result<Self> {
        role.prepare().await?;
        let process = Arc::new(Process::spawn(&launch)?);
        let server = Self {
            role,
            launch,
            process: Mutex::new(process),
            paused: AtomicBool::new(false),
            _ports: ports,
        };
        server.healthy().await?;
        Ok(server)
    }

    /// Starts a program that serves nobody.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(launch: Launch) -> Result<Self> {
        let process = Arc::new(Process::spawn(&launch)?);
        Ok(Self {
            role: Role::Program,
            launch,
            process: Mutex::new(process),
            paused: AtomicBool::new(false),
            _ports: Vec::new(),
        })
    }

    /// What it is, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// Its present process, or its last one.
    #[must_use]
    pub fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock())
    }

    /// The id of its present process, or of its last one.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.launch.log
    }

    /// What it has written so far: the last 16 MiB of it.
    #[must_use]
    pub fn log(&self) -> String {
        tail(&self.launch.log, 16 << 20)
    }

    /// Waits until the present process ends.
    pub async fn exited(&self) -> ExitStatus {
        self.process().exited().await
    }

    /// Whether its present process has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().exit_status().is_none()
    }

    /// Waits until what it has promised survives a crash; see [`crate::RabbitMq::settled`].
    pub(crate) async fn settled(&self) -> Result<()> {
        match &self.role {
            Role::RabbitMq(role) => role.settled(&self.process()).await,
            Role::Postgres(_) | Role::Redis(_) | Role::Service(_) | Role::Program => Ok(()),
        }
    }

    /// SIGKILL, as a crash would; it stays down until [`Self::restart`].
    ///
    /// # Errors
    /// When it does not go.
    pub async fn kill(&self) -> Result<()> {
        // A crash right after a declaration shows a fault of the broker, not one of ours.
        // One that is paused cannot do anything about it.
        if !self.paused.load(Ordering::Relaxed) {
            self.settled().await?;
        }
        self.process().kill().await
    }

    /// Ends it in order; it stays down until [`Self::restart`].
    ///
    /// # Errors
    /// When it had to be killed because it took too long.
    pub async fn stop(&self) -> Result<()> {
        let (signal, deadline) = self.role.stop_signal();
        let stopped = self.process().stop(signal, deadline).await;
        if let Role::RabbitMq(role) = &self.role {
            role.stop_name_server().await?;
        }
        stopped
    }

    /// SIGSTOP to all of its processes: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
        self.process().signal_tree(Signal::SIGSTOP);
    }

    /// SIGCONT: goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.process().signal_tree(Signal::SIGCONT);
        self.paused.store(false, Ordering::Relaxed);
    }

    /// Ends it if it runs, and starts it on the same port with the same data; waits until it is
    /// healthy.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn restart(&self) -> Result<()> {
        if self.is_running() {
            self.stop().await?;
        }
        self.launch_again().await?;
        self.healthy().await
    }

    /// Starts a new process where the last one has ended, without waiting for its health.
    pub(crate) async fn launch_again(&self) -> Result<()> {
        self.role.prepare().await?;
        let process = Arc::new(Process::spawn(&self.launch)?);
        *self.process.lock() = process;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When its process ends first, or it does not answer in time: with the end of its log.
    pub async fn healthy(&self) -> Result<()> {
        let allowed = self.role.start_deadline();
        let end = Instant::now() + allowed;
        let process = self.process();
        loop {
            if let Some(status) = process.exit_status() {
                bail!(
                    "{} ended while it started ({})\n{}",
                    self.name(),
                    describe(status),
                    self.last_words()
                );
            }
            let failure = match timeout(PROBE_DEADLINE, self.role.probe()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => format!("no answer within {PROBE_DEADLINE:?}"),
            };
            if Instant::now() >= end {
                bail!(
                    "{} is not ready after {allowed:?}: {failure}\n{}",
                    self.name(),
                    self.last_words()
                );
            }
            sleep(PROBE_EVERY).await;
        }
    }

    fn last_words(&self) -> String {
        let log = &self.launch.log;
        format!("the end of {}:\n{}", log.display(), tail(log, TAIL_BYTES))
    }
}

/// The path of a program: the first of `candidates` that is there, or what `PATH` says.
pub(crate) fn program(name: &str, candidates: &[PathBuf], package: &str) -> Result<PathBuf> {
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|p| p.is_file())
    {
        Some(found) => Ok(found),
        None => bail!("{name} is not installed: apt-get install {package}"),
    }
}
