//! Schemathesis makes requests of what the OpenAPI descriptions say, bad ones too: no answer is an error
//! of the server's, and each is one that the description promises.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use stack::{AccessKey, ServiceKind};
use system_tests::Deployment;

const PACKAGE: &str = "schemathesis==4.32.5";

/// A read of a version that does not come is a 503, as its description says.
const CONFIGURATION: &str =
    "[checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"3xx\", \"4xx\", \"503\"]\n";

/// What every answer must be.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance";
/// What answers that end must be, too.
const CHECKS_OF_BODIES: &str = "response_headers_conformance,response_schema_conformance";

/// The folder of the virtual environment, made once below the build's folder.
fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let made = folder.join("made");
    if std::fs::read_to_string(&made).unwrap_or_default() != PACKAGE {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder));
        run(Command::new(folder.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PACKAGE,
        ]));
        std::fs::write(&made, PACKAGE).unwrap();
    }
    std::fs::write(folder.join("schemathesis.toml"), CONFIGURATION).unwrap();
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn examine(environment: &Path, url: &str, arguments: &[&str]) {
    let bearer = format!(
        "Authorization: Bearer {}",
        AccessKey::of_this_process().admin()
    );
    run(Command::new(environment.join("bin/schemathesis"))
        .current_dir(environment)
        .arg("--config-file")
        .arg(environment.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{url}/openapi.json"))
        .args(["--seed", "7", "--no-color", "--header", &bearer])
        .args(arguments));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "downloads a package: run it with `just schemathesis`"]
async fn no_request_gets_an_error_of_the_server_or_an_answer_that_is_not_described() {
    let environment = environment();
    // So that reads of versions that never come do not take most of the time.
    let deployment = Deployment::start_with(|builder| {
        builder.env(ServiceKind::AvailabilityWorker, "MIN_VERSION_WAIT_MS", "50")
    })
    .await;
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    deployment.schedules.create(&contractor).await;
    let system = &deployment.system;
    let all = format!("{CHECKS},{CHECKS_OF_BODIES}");
    let often = ["--checks", &all, "--max-examples", "50"];
    examine(&environment, system.schedule_url(), &often);
    examine(&environment, system.availability_url(), &often);
    let notifier = system.notifier_url();
    let all_but_the_stream = [&often[..], &["--exclude-path", "/v1/events"]].concat();
    examine(&environment, notifier, &all_but_the_stream);
    // A stream has no end: each is left after a while.
    let stream = [
        "--include-path",
        "/v1/events",
        "--checks",
        CHECKS,
        "--request-timeout",
        "2",
    ];
    let seldom = [
        &stream[..],
        &["--phases", "coverage,fuzzing", "--max-examples", "5"],
    ]
    .concat();
    examine(&environment, notifier, &seldom);
    deployment.assert_sound().await;
}
