//! `state.json`: which processes run, where, for programs that want to find them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its address.
    pub url: String,
    /// Its process id; none for a server that was there before us.
    pub pid: Option<u32>,
}

/// A bearer token for each role; empty while access control is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// May do everything.
    pub admin: String,
    /// Changes schedules.
    pub dispatcher: String,
    /// Reads.
    pub manager: String,
    /// For other services.
    pub service: String,
}

/// All that the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    /// The write side.
    pub schedule_service: Entry,
    /// The calculation.
    pub availability_worker: Entry,
    /// The fan-out.
    pub notifier: Entry,
    /// PostgreSQL: the id is the postmaster's.
    pub postgres: Entry,
    /// RabbitMQ: the id is `beam.smp`'s.
    pub rabbitmq: Entry,
    /// Redis.
    pub redis: Entry,
    /// Tokens for the services.
    pub tokens: Tokens,
}

impl State {
    /// Reads the file; none when there is none, or it is not one.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn entry(&mut self, name: &str) -> Option<&mut Entry> {
        Some(match name {
            "schedule-service" => &mut self.schedule_service,
            "availability-worker" => &mut self.availability_worker,
            "notifier" => &mut self.notifier,
            "postgres" => &mut self.postgres,
            "rabbitmq" => &mut self.rabbitmq,
            "redis" => &mut self.redis,
            _ => return None,
        })
    }
}

/// The file, kept up to date, removed on drop.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    state: Mutex<State>,
}

impl StateFile {
    /// Writes the file, which only our user can read: it holds tokens.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, state: State) -> io::Result<Self> {
        write(path, &state)?;
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(state),
        })
    }

    /// Notes a new process of `name`; a name that the file does not tell of is no error.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_pid(&self, name: &str, pid: u32) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.entry(name) {
            Some(entry) => entry.pid = Some(pid),
            None => return Ok(()),
        }
        write(&self.path, &state)
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A reader sees the old file or the new one, never half of one.
fn write(path: &Path, state: &State) -> io::Result<()> {
    let new = path.with_extension("json.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    serde_json::to_writer_pretty(&mut file, state)?;
    file.write_all(b"\n")?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state() -> State {
        let entry = |url: &str, pid| Entry {
            url: url.to_owned(),
            pid,
        };
        State {
            schedule_service: entry("http://127.0.0.1:8080", Some(1)),
            availability_worker: entry("http://127.0.0.1:8081", Some(2)),
            notifier: entry("http://127.0.0.1:8082", Some(3)),
            postgres: entry("postgres://postgres@127.0.0.1:20001/rosterwire", Some(4)),
            rabbitmq: entry("amqp://guest:guest@127.0.0.1:20002/%2f", Some(5)),
            redis: entry("redis://elsewhere:6379", None),
            tokens: Tokens::default(),
        }
    }

    #[test]
    fn the_file_has_the_promised_shape_and_only_we_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let file = StateFile::create(&path, state()).unwrap();

        let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let expected = serde_json::json!({
            "schedule-service": {"url": "http://127.0.0.1:8080", "pid": 1},
            "availability-worker": {"url": "http://127.0.0.1:8081", "pid": 2},
            "notifier": {"url": "http://127.0.0.1:8082", "pid": 3},
            "postgres": {"url": "postgres://postgres@127.0.0.1:20001/rosterwire", "pid": 4},
            "rabbitmq": {"url": "amqp://guest:guest@127.0.0.1:20002/%2f", "pid": 5},
            "redis": {"url": "redis://elsewhere:6379", "pid": null},
            "tokens": {"admin": "", "dispatcher": "", "manager": "", "service": ""},
        });
        assert_eq!(written, expected);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );

        file.set_pid("rabbitmq", 77).unwrap();
        assert_eq!(State::read(&path).unwrap().rabbitmq.pid, Some(77));
        drop(file);
        assert!(!path.exists());
    }
}
