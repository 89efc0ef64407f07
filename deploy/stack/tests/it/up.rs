//! `stack up`, with the real services: build them first (`cargo build --workspace --bins`).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use stack::process::MARK;
use stack::procfs;
use stack::scratch::Scratch;
use stack::state::{Entry, State};
use tokio::process::{Child, Command};

use crate::eventually::eventually;

/// One `stack up` in a folder of its own.
struct Up {
    child: Child,
    folder: PathBuf,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
    command
        .arg("up")
        .arg("--dir")
        .arg(folder)
        .arg("--no-demo")
        .args(arguments);
    for name in ["DATABASE_URL", "AMQP_URL", "REDIS_URL", "AUTH_MODE"] {
        command.env_remove(name);
    }
    // Nobody listens who would have to be let go gently.
    command
        .env("DRAIN_SECONDS", "2")
        .kill_on_drop(true)
        .stdout(Stdio::null());
    command
}

impl Up {
    async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = command(folder, arguments).spawn().unwrap();
        let path = folder.join("state.json");
        eventually("state.json", async || {
            assert!(child.try_wait().unwrap().is_none(), "stack up has ended");
            State::read(&path)
        })
        .await;
        Self {
            child,
            folder: folder.canonicalize().unwrap(),
        }
    }

    fn state(&self) -> State {
        State::read(&self.folder.join("state.json")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    async fn nothing_is_left(&self) {
        eventually("the end of all processes", async || {
            let left = procfs::marked_with(MARK, &self.folder);
            let postgres = procfs::working_in(&self.folder.join("postgres/data"));
            (left.is_empty() && postgres.is_empty()).then_some(())
        })
        .await;
    }

    /// Ends it in order.
    async fn end(mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.child.wait().await.unwrap().success());
        self.nothing_is_left().await;
        assert!(!self.folder.join("state.json").exists());
    }
}

fn entries(state: &State) -> [&Entry; 6] {
    [
        &state.postgres,
        &state.rabbitmq,
        &state.redis,
        &state.schedule_service,
        &state.availability_worker,
        &state.notifier,
    ]
}

fn pids(state: &State) -> [u32; 6] {
    entries(state).map(|entry| entry.pid.unwrap())
}

async fn services_are_ready(state: &State) {
    for entry in &entries(state)[3..] {
        let url = format!("{}/health/ready", entry.url);
        eventually(&url, async || {
            let response = reqwest::get(&url).await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
    }
}

async fn execute(url: &str, statement: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_killed_is_started_again_and_the_state_says_so() {
    let scratch = Scratch::make().unwrap();
    let up = Up::start(&scratch.path().join("stack"), &[]).await;
    let before = up.state();
    services_are_ready(&before).await;

    for pid in pids(&before) {
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    }
    let after = eventually("six new processes", async || {
        let state = up.state();
        let (old, new) = (pids(&before), pids(&state));
        (0..6)
            .all(|position| old[position] != new[position])
            .then_some(state)
    })
    .await;
    services_are_ready(&after).await;
    let urls = |state: &State| entries(state).map(|entry| entry.url.clone());
    assert_eq!(urls(&after), urls(&before));
    up.end().await;
}

#[tokio::test]
async fn a_second_one_in_the_same_folder_only_says_where_the_first_is() {
    let scratch = Scratch::make().unwrap();
    let up = Up::start(&scratch.path().join("stack"), &[]).await;
    let before = up.state();
    for arguments in [&[][..], &["--reset"][..]] {
        let second = command(&up.folder, arguments)
            .stderr(Stdio::piped())
            .output()
            .await
            .unwrap();
        assert_eq!(second.status.code(), Some(1));
        let said = String::from_utf8(second.stderr).unwrap();
        assert!(
            said.contains(&format!("pid {}", up.child.id().unwrap())),
            "{said}"
        );
        assert!(said.contains(&before.notifier.url), "{said}");
    }
    assert_eq!(up.state(), before);
    services_are_ready(&before).await;
    up.end().await;
}

#[tokio::test]
async fn a_killed_one_leaves_its_data_and_no_process_and_reset_empties_the_data() {
    let scratch = Scratch::make().unwrap();
    let folder = scratch.path().join("stack");
    let mut up = Up::start(&folder, &[]).await;
    execute(&up.state().postgres.url, "CREATE TABLE kept (id int)")
        .await
        .unwrap();
    up.child.kill().await.unwrap();
    up.nothing_is_left().await;

    // The stale state.json must not be taken for the new one.
    let stale = up.state();
    std::fs::remove_file(folder.join("state.json")).unwrap();
    let up = Up::start(&folder, &[]).await;
    assert_ne!(up.state(), stale);
    execute(&up.state().postgres.url, "SELECT id FROM kept")
        .await
        .unwrap();
    up.end().await;

    let up = Up::start(&folder, &["--reset"]).await;
    let error = execute(&up.state().postgres.url, "SELECT id FROM kept")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    up.end().await;
}

async fn list(state: &State, token: &str) -> u16 {
    let url = format!("{}/v1/contractors", state.schedule_service.url);
    let request = reqwest::Client::new().get(url).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn access_is_on_by_a_secret_that_outlasts_a_restart_and_is_told_nowhere() {
    let scratch = Scratch::make().unwrap();
    let folder = scratch.path().join("stack");
    let up = Up::start(&folder, &[]).await;
    let first = up.state();
    let tokens = &first.tokens;
    assert_eq!(list(&first, "").await, 401);
    for token in [
        &tokens.admin,
        &tokens.dispatcher,
        &tokens.manager,
        &tokens.service,
    ] {
        assert_eq!(list(&first, token).await, 200);
    }
    // Whoever opens the board here is signed in.
    let notifier = &first.notifier.url;
    let signed_in = reqwest::Client::new()
        .post(format!("{notifier}/v1/session/automatic"))
        .header("origin", notifier)
        .send()
        .await
        .unwrap();
    assert_eq!(signed_in.status(), 204);
    up.end().await;

    let up = Up::start(&folder, &[]).await;
    assert_eq!(list(&up.state(), &tokens.dispatcher).await, 200, "kept");
    let secret = std::fs::read_to_string(folder.join("secret")).unwrap();
    let mode = std::fs::metadata(folder.join("secret"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let state = std::fs::read_to_string(folder.join("state.json")).unwrap();
    assert!(!state.contains(&secret));
    up.end().await;
    for entry in std::fs::read_dir(folder.join("logs")).unwrap() {
        let log = std::fs::read(entry.unwrap().path()).unwrap();
        let log = String::from_utf8_lossy(&log);
        for told in [&secret, &tokens.dispatcher] {
            assert!(!log.contains(told.as_str()), "{log}");
        }
    }
}

#[tokio::test]
async fn only_the_written_word_turns_access_off_and_the_log_warns_of_it() {
    let scratch = Scratch::make().unwrap();
    let up = Up::start(&scratch.path().join("stack"), &["--auth-mode=disabled"]).await;
    let state = up.state();
    assert_eq!(list(&state, "").await, 200);
    assert_eq!(state.tokens.admin, "");
    assert!(!up.folder.join("secret").exists());
    for service in ["schedule-service", "availability-worker", "notifier"] {
        let log = up.folder.join("logs").join(format!("{service}.log"));
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("AUTH_MODE=disabled: whoever"), "{log}");
    }
    up.end().await;
}
