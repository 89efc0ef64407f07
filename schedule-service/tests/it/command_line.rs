//! The program as it is started.

use std::process::{Command, Output};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_schedule-service"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program")
}

#[test]
fn help_tells_every_setting_with_its_variable_and_no_secret() {
    let secret = [("DATABASE_URL", "postgres://user:hunter2@host/name")];
    let help = String::from_utf8(run(&["--help"], &secret).stdout).expect("text");
    for variable in [
        "BIND_ADDR",
        "MAX_BODY_BYTES",
        "SCHEDULE_PAST_DAYS",
        "DATABASE_URL",
        "DATABASE_MAX_CONNECTIONS",
        "DATABASE_ACQUIRE_TIMEOUT_MS",
        "DATABASE_STATEMENT_TIMEOUT_MS",
        "DATABASE_LOCK_TIMEOUT_MS",
        "HISTORY_RETENTION_DAYS",
        "IDEMPOTENCY_RETENTION_HOURS",
        "RETENTION_SWEEP_SECONDS",
        "RETENTION_BATCH",
        "AMQP_URL",
        "OUTBOX_RELAYS",
        "OUTBOX_MAX_ATTEMPTS",
        "AUTH_MODE",
        "RUST_LOG",
    ] {
        assert!(
            help.contains(&format!("[env: {variable}")),
            "{variable} is not in {help}"
        );
    }
    assert!(!help.contains("hunter2"));
}

#[test]
fn a_bad_setting_stops_the_start_with_one_clear_line() {
    let good = ("DATABASE_URL", "postgres://user:hunter2@host/name");
    let disabled = ("AUTH_MODE", "disabled");
    for (environment, word) in [
        (
            vec![],
            "DATABASE_URL (--database-url) and AUTH_MODE (--auth-mode) must be set",
        ),
        (vec![good], "AUTH_MODE (--auth-mode) must be set"),
        (
            vec![good, ("AUTH_MODE", "none")],
            "AUTH_MODE (--auth-mode) must be one of: disabled",
        ),
        (
            vec![("DATABASE_URL", "mysql://user:hunter2@host/name"), disabled],
            "DATABASE_URL (--database-url): not a PostgreSQL URL",
        ),
        (
            vec![good, disabled, ("BIND_ADDR", "nowhere")],
            "BIND_ADDR (--bind-addr): invalid socket address syntax",
        ),
        (
            vec![good, disabled, ("MAX_BODY_BYTES", "1")],
            "MAX_BODY_BYTES (--max-body-bytes): 1 is not in 1024..=67108864",
        ),
        (
            vec![good, disabled, ("AMQP_URL", "http://user:hunter2@host")],
            "AMQP_URL (--amqp-url): not an AMQP URL",
        ),
    ] {
        let output = run(&[], &environment);
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(word), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_description_is_printed_without_any_setting() {
    let output = run(&["openapi"], &[]);
    assert!(output.status.success());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["info"]["title"], "Rosterwire schedule-service");
}

#[test]
fn a_service_that_is_not_there_is_not_healthy() {
    let output = run(&["healthcheck", "--bind-addr=127.0.0.1:1"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}
