//! One child process: its own process group, its output in a file, and dead when we are.
//!
//! A thread starts the child and then waits for it, so that thread lives exactly as long as the
//! child does. That is what makes the parent-death signal right: the kernel sends it when the
//! *thread* that started a child ends, and a runtime's threads come and go.

use std::ffi::OsString;
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

use crate::procfs;

/// The variable that marks every process started from here; its value is the folder it works for,
/// so that a later run can find what an earlier one left behind.
pub const MARK: &str = "ROSTERWIRE_STACK_DIR";

/// How long a process that was sent SIGKILL may take to go.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct Launch {
    /// For messages.
    pub name: String,
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are set on top of those it inherits.
    pub env: Vec<(OsString, OsString)>,
    /// Whether it gets all our variables, or only those that no program can do without.
    pub inherit_env: bool,
    /// Its working directory.
    pub folder: PathBuf,
    /// Where standard output and error go, appended.
    pub log: PathBuf,
    /// The user it runs as, when not ours.
    pub user: Option<RunAs>,
    /// The signal it gets when this process dies, however it dies.
    pub on_parent_death: Signal,
}

/// Another user to run as; only root can.
#[derive(Debug, Clone)]
pub struct RunAs {
    /// User and group of this name.
    pub user: String,
    /// Keep root's right to pass closed folders: for data under a home folder that others may not
    /// enter.
    pub pass_closed_folders: bool,
}

/// Variables that every child keeps.
const KEPT_VARIABLES: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "TZ",
    "RUST_BACKTRACE",
    "LLVM_PROFILE_FILE",
];

impl Launch {
    /// A launch of `program` that logs to `log`, works in `folder` and inherits almost nothing.
    #[must_use]
    pub fn new(name: &str, program: &Path, folder: &Path, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            inherit_env: false,
            folder: folder.to_owned(),
            log: log.to_owned(),
            user: None,
            on_parent_death: Signal::SIGKILL,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The command, wrapped in `setpriv` (util-linux), which asks the kernel for the parent-death
    /// signal and changes the user, and then becomes the program: the process id stays.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(RunAs {
            user,
            pass_closed_folders,
        }) = &self.user
        {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
            if *pass_closed_folders {
                command.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]);
            }
        }
        command
            .arg("--pdeathsig")
            .arg(short_name(self.on_parent_death))
            .arg("--");
        command
            .arg(&self.program)
            .args(&self.args)
            .current_dir(&self.folder);
        if self.inherit_env {
            // `cargo run` describes this program's package to it; a cargo that runs below it would
            // take that for a change of its build scripts' surroundings and build anew.
            for (name, _) in std::env::vars_os() {
                let text = name.to_str().unwrap_or_default();
                if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                    command.env_remove(name);
                }
            }
        } else {
            command.env_clear();
            for name in KEPT_VARIABLES {
                if let Some(value) = std::env::var_os(name) {
                    command.env(name, value);
                }
            }
        }
        command
            .env(MARK, &self.folder)
            .envs(self.env.iter().cloned());
        command
    }
}

/// `KILL`, as setpriv wants it.
fn short_name(signal: Signal) -> &'static str {
    signal.as_str().trim_start_matches("SIG")
}

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
