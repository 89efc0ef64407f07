//! `stack exec`: its exit code, its signals, and what it leaves.

use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stack::process::MARK;
use stack::procfs;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::eventually::eventually;

fn exec(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
    command
        .args(["exec", "--", "bash", "-c", script])
        .kill_on_drop(true);
    command
}

/// Starts a command that says where its servers are and then waits.
async fn waiting() -> (Child, PathBuf) {
    let mut child =
        exec("echo $STACK_REDIS_URL; trap 'exit 7' TERM; while :; do read -rt 1 <> <(:); done")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let port = url.rsplit_once(':').unwrap().1;
    (child, redis_folder(port))
}

/// The folder in which the Redis server on `port` works, so that of all servers of that run.
fn redis_folder(port: &str) -> PathBuf {
    let redis = procfs::all()
        .into_iter()
        .find(|entry| {
            std::fs::read_to_string(format!("/proc/{}/cmdline", entry.pid))
                .is_ok_and(|line| line.contains("redis-server") && line.contains(port))
        })
        .unwrap();
    let folder = std::fs::read_link(format!("/proc/{}/cwd", redis.pid)).unwrap();
    folder.parent().unwrap().to_owned()
}

async fn nothing_is_left(folder: &std::path::Path) {
    eventually("the end of all processes", async || {
        let left = procfs::marked_with(MARK, folder);
        let postgres = procfs::working_in(&folder.join("postgres/data"));
        (left.is_empty() && postgres.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_exit_code_of_the_command_is_that_of_exec() {
    let status = exec("test -n \"$STACK_POSTGRES_URL\" && exit 42")
        .status()
        .await
        .unwrap();
    assert_eq!(status.code(), Some(42));
}

#[tokio::test]
async fn a_signal_reaches_the_command_and_no_process_stays() {
    let (mut child, folder) = waiting().await;
    assert!(!procfs::marked_with(MARK, &folder).is_empty());
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
    nothing_is_left(&folder).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn no_process_stays_when_exec_itself_is_killed() {
    let (mut child, folder) = waiting().await;
    child.kill().await.unwrap();
    nothing_is_left(&folder).await;
    // The folder is left, and goes when the next run begins.
    drop(stack::scratch::Scratch::make().unwrap());
    assert!(!folder.exists());
}
