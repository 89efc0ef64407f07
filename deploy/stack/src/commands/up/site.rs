//! The folder of one `stack up`: its lock, data, logs and state.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use stack::process::MARK;
use stack::procfs;
use stack::state::State;
use tokio::time::{Instant, sleep};

/// The folders of data, by server.
const DATA: [&str; 3] = ["postgres", "rabbitmq", "redis"];
/// A log that has grown beyond this is set aside, and the one set aside before is forgotten.
const LOG_BYTES: u64 = 64 << 20;
/// How long the lock of a process that is gone may still be held.
const DYING_DEADLINE: Duration = Duration::from_secs(5);
/// How long what an earlier run has left may take to go.
const LEFTOVERS_DEADLINE: Duration = Duration::from_secs(20);

/// The folder, ours for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
    _lock: File,
}

impl Site {
    /// Takes the folder.
    ///
    /// # Errors
    /// When another `stack up` has it: says which, and where.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("logs"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let path = folder.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        let end = Instant::now() + DYING_DEADLINE;
        while lock.try_lock().is_err() {
            let pid = fs::read_to_string(&path)
                .unwrap_or_default()
                .trim()
                .to_owned();
            // One that has just been killed holds its lock for a moment longer.
            let dying = pid
                .parse()
                .is_ok_and(|pid| procfs::entry(pid).is_none_or(|e| e.zombie));
            if dying && Instant::now() < end {
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            let board = State::read(&folder.join("state.json")).map_or_else(
                || "it is still starting".to_owned(),
                |state| state.notifier.url,
            );
            bail!(
                "it runs already in {} (pid {pid}): {board}",
                folder.display()
            );
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Its path, absolute.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the state stands.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// Where the secret is that tokens are signed with.
    pub(crate) fn secret(&self) -> PathBuf {
        self.folder.join("secret")
    }

    /// Where `name` logs.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    /// Ends what an earlier run that was killed has left. Its processes are known by the mark in
    /// their environment, which no other process has, so none is mistaken for another.
    pub(crate) async fn clear_leftovers(&self) -> Result<usize> {
        let end = Instant::now() + LEFTOVERS_DEADLINE;
        let mut count = 0;
        loop {
            let left = procfs::marked_with(MARK, &self.folder);
            if left.is_empty() {
                break;
            }
            if Instant::now() >= end {
                bail!("processes {left:?} of an earlier run do not go");
            }
            count = count.max(left.len());
            for pid in left {
                if let Ok(pid) = i32::try_from(pid) {
                    let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        remove(fs::remove_file(self.state()))?;
        Ok(count)
    }

    /// Removes the data of all servers.
    pub(crate) fn empty(&self) -> Result<()> {
        for name in DATA {
            remove(fs::remove_dir_all(self.folder.join(name)))?;
        }
        Ok(())
    }

    /// Starts every log anew; the one of the run before stays beside it.
    pub(crate) fn begin_logs(&self) -> Result<()> {
        for log in self.logs() {
            fs::rename(&log, aside(&log))?;
        }
        Ok(())
    }

    /// Sets aside what has grown too large. The writers append, so they go on at the start of the
    /// emptied file.
    pub(crate) fn bound_logs(&self) -> io::Result<()> {
        for log in self.logs() {
            if fs::metadata(&log)?.len() > LOG_BYTES {
                fs::copy(&log, aside(&log))?;
                File::options().write(true).open(&log)?.set_len(0)?;
            }
        }
        Ok(())
    }

    fn logs(&self) -> Vec<PathBuf> {
        let items = fs::read_dir(self.folder.join("logs"))
            .into_iter()
            .flatten()
            .flatten();
        items
            .map(|item| item.path())
            .filter(|p| p.extension().is_some_and(|e| e == "log"))
            .collect()
    }
}

fn aside(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}

fn remove(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
