//! One child process: its own process group, its output in a file, and dead when we are.
//!
//! A thread starts the child and then waits for it, so that thread lives exactly as long as the
//! child does. That is what makes the parent-death signal right: the kernel sends it when the
//! *thread* that started a child ends, and a runtime's threads come and go.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

pub use crate::launch::{Launch, MARK, RunAs};
use crate::procfs;

/// How long a process that was sent SIGKILL may take to go.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// One run of a program. Dropping the last handle kills it, with its children.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    /// False from the moment at which the process id may be given to another process.
    named: Arc<Mutex<bool>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts it, output to its log.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be started.
    pub fn spawn(launch: &Launch) -> Result<Self> {
        if !launch.program.is_file() {
            bail!(
                "{}: there is no program {}",
                launch.name,
                launch.program.display()
            );
        }
        if let Some(folder) = launch.log.parent() {
            fs::create_dir_all(folder)?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .with_context(|| format!("cannot write {}", launch.log.display()))?;
        let mut command = launch.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal is for us, who end things in order.
            .process_group(0);
        Self::watch(&launch.name, &launch.log, command)
    }

    /// Starts `launch` in our process group and on our terminal.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn_in_foreground(launch: &Launch) -> Result<Self> {
        Self::watch(&launch.name, &launch.log, launch.command())
    }

    fn watch(name: &str, log: &Path, mut command: Command) -> Result<Self> {
        let named = Arc::new(Mutex::new(true));
        let (exited, exit) = watch::channel(None);
        let (started, start) = std::sync::mpsc::sync_channel::<io::Result<u32>>(1);
        let named_in_thread = Arc::clone(&named);
        std::thread::Builder::new()
            .name(format!("wait {name}"))
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let _ = started.send(Ok(child.id()));
                // Waits without collecting the exit status, which is what frees the process id: a
                // signal sent in between can then never hit a stranger.
                if let Ok(pid) = i32::try_from(child.id()) {
                    while let Err(nix::errno::Errno::EINTR) = waitid(
                        Id::Pid(Pid::from_raw(pid)),
                        WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
                    ) {}
                }
                let mut named = named_in_thread.lock();
                let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
                *named = false;
                drop(named);
                let _ = exited.send(Some(status));
            })?;
        let pid = start
            .recv()?
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            pid,
            log: log.to_owned(),
            named,
            exit,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; none while it runs.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits until it ends.
    pub async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let status = exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status);
        status.unwrap_or_else(|| ExitStatus::from_raw(0))
    }

    /// Sends it a signal; nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) {
        let named = self.named.lock();
        if *named {
            send(self.pid, signal);
        }
    }

    /// Sends it and all its descendants a signal.
    pub fn signal_tree(&self, signal: Signal) {
        let named = self.named.lock();
        if *named {
            let descendants = procfs::descendants(self.pid);
            send(self.pid, signal);
            for pid in descendants {
                send(pid, signal);
            }
        }
    }

    /// SIGKILL to it and its descendants; waits until all are gone.
    ///
    /// # Errors
    /// When one does not go.
    pub async fn kill(&self) -> Result<()> {
        let descendants = self.descendants();
        self.signal_tree(Signal::SIGKILL);
        if timeout(KILL_DEADLINE, self.exited()).await.is_err() {
            bail!("{} (pid {}) outlives SIGKILL", self.name, self.pid);
        }
        self.end_all(&descendants).await
    }

    /// Asks it to end by `signal` and waits; kills it when it has not within `deadline`, and in
    /// any case what it leaves of its descendants.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop(&self, signal: Signal, deadline: Duration) -> Result<()> {
        let descendants = self.descendants();
        self.signal(signal);
        if timeout(deadline, self.exited()).await.is_ok() {
            return self.end_all(&descendants).await;
        }
        self.kill().await?;
        bail!(
            "{} (pid {}) did not end within {deadline:?} and was killed",
            self.name,
            self.pid
        )
    }

    fn descendants(&self) -> Vec<procfs::Entry> {
        let named = self.named.lock();
        if *named {
            procfs::descendant_entries(self.pid)
        } else {
            Vec::new()
        }
    }

    /// Kills what is left of `descendants` and waits until they are gone.
    async fn end_all(&self, descendants: &[procfs::Entry]) -> Result<()> {
        let end = Instant::now() + KILL_DEADLINE;
        loop {
            let left: Vec<u32> = descendants
                .iter()
                .filter(|e| procfs::still_runs(e))
                .map(|e| e.pid)
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!("descendants {left:?} of {} outlive SIGKILL", self.name);
            }
            for pid in left {
                send(pid, Signal::SIGKILL);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_some() {
            return;
        }
        self.signal_tree(Signal::SIGKILL);
        // SIGKILL needs no more than a moment, and whoever comes next may want the port.
        let end = std::time::Instant::now() + KILL_DEADLINE;
        while self.exit_status().is_none() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = signal::kill(Pid::from_raw(pid), signal);
    }
}

/// `exit status 3`, `signal SIGKILL`: how a process ended, for people.
#[must_use]
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("signal {number}"),
        },
        (None, None) => "unknown end".to_owned(),
    }
}

/// The last `bytes` of a log, from the start of a line.
#[must_use]
pub fn tail(log: &Path, bytes: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = fs::File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(bytes);
        file.seek(SeekFrom::Start(from))?;
        let mut buffer = Vec::new();
        file.take(bytes).read_to_end(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer).into_owned();
        Ok(match text.split_once('\n') {
            Some((_, rest)) if from > 0 => rest.to_owned(),
            _ => text,
        })
    };
    read().unwrap_or_default()
}

impl Process {
    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }
}

/// Runs a program to its end.
pub(crate) async fn finish(launch: &Launch, deadline: Duration) -> Result<()> {
    let process = Process::spawn(launch)?;
    let name = &launch.name;
    let status = timeout(deadline, process.exited())
        .await
        .with_context(|| format!("{name} hangs"))?;
    if !status.success() {
        bail!(
            "{name} failed ({})\n{}",
            describe(status),
            tail(&launch.log, 2_000)
        );
    }
    Ok(())
}
