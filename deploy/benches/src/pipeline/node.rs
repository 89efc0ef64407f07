//! The same pipeline written plainly for Node (`peers/node`), as processes beside ours on the same
//! servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use stack::process::{Launch, Process, tail};
use stack::{Backends, ports};

use crate::http_client::{authority, connect, get};
use crate::usage::Program;

/// How long a program of it may take to start.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// What its programs are made of.
const FILES: [&str; 7] = [
    ".npmrc",
    "package.json",
    "package-lock.json",
    "topology.mjs",
    "schedule-service.mjs",
    "availability-worker.mjs",
    "notifier.mjs",
];

/// The three programs, running. Dropping it kills them.
#[derive(Debug)]
pub struct Node {
    schedule_service: Running,
    availability_worker: Running,
    notifier: Running,
}

#[derive(Debug)]
struct Running {
    process: Process,
    url: String,
    _port: ports::Port,
}

impl Node {
    /// Installs its packages where that has not been done, and starts it.
    ///
    /// # Errors
    /// When Node or npm are missing, the packages cannot be had, or a program does not start: with
    /// the end of its log.
    pub async fn start(sources: &Path, logs: &Path, backends: &Backends) -> Result<Self> {
        let folder = install(sources)?;
        let run = |name| Running::start(name, &folder, logs, backends);
        Ok(Self {
            notifier: run("notifier").await?,
            availability_worker: run("availability-worker").await?,
            schedule_service: run("schedule-service").await?,
        })
    }

    /// Where changes are made.
    #[must_use]
    pub fn schedule_url(&self) -> &str {
        &self.schedule_service.url
    }

    /// Where clients listen.
    #[must_use]
    pub fn notifier_url(&self) -> &str {
        &self.notifier.url
    }

    /// Its three programs.
    #[must_use]
    pub fn programs(&self) -> [Program; 3] {
        [
            ("Node: schedules", &self.schedule_service),
            ("Node: worker", &self.availability_worker),
            ("Node: notifier", &self.notifier),
        ]
        .map(|(name, running)| Program {
            name,
            pid: running.process.pid(),
        })
    }
}

impl Running {
    async fn start(name: &str, folder: &Path, logs: &Path, backends: &Backends) -> Result<Self> {
        let port = ports::reserve()?;
        let address = format!("127.0.0.1:{}", port.number());
        let log = logs.join(format!("node-{name}.log"));
        // env(1) finds node and becomes it.
        let mut launch = Launch::new(name, Path::new("/usr/bin/env"), folder, &log)
            .arg("node")
            .arg(format!("{name}.mjs"))
            .env("BIND_ADDR", &address)
            .env("NODE_ENV", "production");
        for (name, value) in backends.env() {
            launch = launch.env(name, value);
        }
        let running = Self {
            process: Process::spawn(&launch)?,
            url: format!("http://{address}"),
            _port: port,
        };
        running.ready().await?;
        Ok(running)
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        let host = authority(&self.url)?;
        loop {
            if let Ok((mut answers, writer)) = connect(host).await {
                writer.writable().await?;
                writer.try_write(&get("/", host))?;
                // Whatever it says: it listens once it can work.
                answers.head().await?;
                return Ok(());
            }
            let has_ended = self.process.exit_status().is_some();
            if has_ended || Instant::now() > deadline {
                bail!(
                    "the Node version does not start:\n{}",
                    tail(self.process.log_path(), 2_000)
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Puts the programs and their packages beside this one, so that the source tree stays as it is.
fn install(sources: &Path) -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program
        .parent()
        .context("this program has no folder")?
        .join("node-peer");
    fs::create_dir_all(&folder)?;
    let lock = |folder: &Path| fs::read(folder.join("package-lock.json")).ok();
    let is_installed =
        folder.join("node_modules/.package-lock.json").is_file() && lock(sources) == lock(&folder);
    for file in FILES {
        let from = sources.join(file);
        fs::copy(&from, folder.join(file)).with_context(|| from.display().to_string())?;
    }
    if !is_installed {
        eprintln!("installing the packages of the Node version");
        let status = Command::new("npm")
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ])
            .current_dir(&folder)
            .status()
            .context("npm does not start: the Node version needs Node 20 and npm")?;
        ensure!(status.success(), "npm could not install the packages");
    }
    Ok(folder)
}
