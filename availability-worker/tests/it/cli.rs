//! The command, as a process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

fn worker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_availability-worker"));
    command
        .args(arguments)
        .env_remove("AUTH_MODE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn fed(arguments: &[&str], input: &str) -> Output {
    let mut child = worker(arguments).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn calculate_answers_each_line_before_the_next_one_comes() {
    let mut child = worker(&["calculate"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 0..3 {
        writeln!(input, r#"{{"id":{id},"schedule":{{"timeZone":"Etc/UTC"}},"query":{{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","now":"2026-01-01T00:00:00Z"}}}}"#).unwrap();
        input.flush().unwrap();
        let answer = output.next().unwrap().unwrap();
        assert_eq!(
            answer,
            format!(r#"{{"id":{id},"windows":[],"slots":[],"conflicts":[]}}"#)
        );
    }
    drop(input);
    assert!(output.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn explain_says_it_in_words() {
    let schedule = r#"{"name":"Ada Byron","timeZone":"Europe/London","status":"onLeave"}"#;
    let output = fed(
        &[
            "explain",
            "--schedule",
            "-",
            "--at",
            "2026-12-01T09:00:00Z",
            "--now",
            "2026-11-24T08:00:00Z",
        ],
        schedule,
    );
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Ada Byron at 2026-12-01T09:00:00Z (2026-12-01 09:00 Europe/London): not free\n\
         - the contractor is on leave, and only active contractors are offered\n\
         - outside working time: the weekly hours give no working time on Tuesday\n"
    );
}

#[test]
fn a_bad_setting_ends_the_start_with_one_line() {
    for (arguments, told) in [
        (
            &[
                "--auth-mode=disabled",
                "--redis-url=http://user:secret@host",
            ][..],
            "not a Redis URL",
        ),
        (
            &["--auth-mode=disabled", "--schedule-service-url=ftp://host"],
            "not an HTTP URL",
        ),
        (
            &["--auth-mode=disabled", "--horizon-days=0"],
            "--horizon-days",
        ),
        (&[], "--auth-mode"),
    ] {
        let output = fed(arguments, "");
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(
            line.contains(told) && line.lines().count() == 1 && !line.contains("secret@"),
            "{line}"
        );
    }
}

#[test]
fn help_names_every_setting_with_its_variable_and_default() {
    let output = fed(&["--help"], "");
    let help = String::from_utf8(output.stdout).unwrap();
    for name in [
        "BIND_ADDR",
        "AMQP_URL",
        "REDIS_URL",
        "SCHEDULE_SERVICE_URL",
        "HORIZON_DAYS",
        "ROLL_INTERVAL_SECONDS",
        "ROLL_SPREAD_MINUTES",
        "ROLL_BATCH",
        "PREFETCH",
        "BATCH",
        "CONCURRENCY",
        "MIN_VERSION_WAIT_MS",
        "MAX_LOADS",
        "MAX_SEARCHES",
        "SEARCH_CURSOR_MINUTES",
        "AUTH_MODE",
        "RUST_LOG",
        "LOG_FORMAT",
        "DRAIN_SECONDS",
        "127.0.0.1:8081",
    ] {
        assert!(help.contains(name), "{name} is not in\n{help}");
    }
}

#[test]
fn the_committed_openapi_description_is_the_present_one() {
    let committed = include_str!("../../openapi.json");
    let present = fed(&["openapi"], "");
    assert!(
        String::from_utf8(present.stdout).unwrap() == committed,
        "openapi.json has drifted: cargo run -p availability-worker -- openapi > availability-worker/openapi.json"
    );
}

#[test]
fn a_worker_that_is_not_there_is_not_healthy() {
    let output = fed(&["healthcheck", "--bind-addr=127.0.0.1:1"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}
