//! The demo against the real services.

use chrono::TimeDelta;
use serde_json::Value;
use stack::AccessKey;
use stack::process::{Launch, Process, describe, tail};
use stack::service::program;
use system_tests::Deployment;

const CONTRACTORS: usize = 24;

/// It takes no more than a dispatcher.
fn dispatcher() -> String {
    AccessKey::of_this_process()
        .tokens(TimeDelta::hours(1))
        .dispatcher
}

/// Runs the demo to its end.
async fn demo(deployment: &Deployment, arguments: &[&str]) {
    let folder = deployment.system.folder();
    let log = folder.join("demo.log");
    let mut launch = Launch::new("demo", &program("demo").unwrap(), folder, &log)
        .env("SCHEDULE_SERVICE_URL", deployment.system.schedule_url())
        .env("ROSTERWIRE_TOKEN", dispatcher())
        .env("DEMO_CONTRACTORS", CONTRACTORS.to_string())
        .env("DEMO_RATE", "100");
    for argument in arguments {
        launch = launch.arg(*argument);
    }
    let status = Process::spawn(&launch).unwrap().exited().await;
    assert!(
        status.success(),
        "{}\n{}",
        describe(status),
        tail(&log, 4_000)
    );
}

#[tokio::test]
async fn the_demo_seeds_its_roster_and_keeps_changing_it_without_a_mistake() {
    let deployment = Deployment::start().await;
    let exchange = deployment.subscriber("schedule.updated.v1.#").await;
    demo(&deployment, &["seed"]).await;
    let roster = roster(&deployment).await;
    assert_eq!(roster.len(), CONTRACTORS);
    assert!(roster.iter().all(|contractor| contractor["version"] == 1));
    // It is there already: seeding again adds nobody.
    demo(&deployment, &["--until-changes", "50"]).await;

    let roster = self::roster(&deployment).await;
    assert_eq!(roster.len(), CONTRACTORS);
    let mut changes = 0;
    for contractor in &roster {
        let id = contractor["contractorId"].as_str().unwrap();
        let version = contractor["version"].as_i64().unwrap();
        let history = deployment.schedules.history(id).await;
        assert_eq!(i64::try_from(history.len()).unwrap(), version);
        deployment.availability.cached(id, version, &[]).await;
        changes += history.len();
    }
    // A job that moves to another contractor is one change of the demo's and two of schedules.
    assert!(changes >= CONTRACTORS + 50, "{changes}");
    // An event for each change.
    exchange.events(changes).await;
    assert_no_mistakes(&deployment).await;
    deployment.assert_sound().await;
}

async fn roster(deployment: &Deployment) -> Vec<Value> {
    let page = deployment.schedules.read("/contractors?limit=200").await;
    assert_eq!(page["nextCursor"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

/// No request was refused but for what dispatchers meet every day: a slot that is taken (409), a
/// schedule that somebody else has changed (412), or a job or a leave that somebody else has taken away a
/// moment before (404).
async fn assert_no_mistakes(deployment: &Deployment) {
    let url = format!("{}/metrics", deployment.system.schedule_url());
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    let statuses = metrics
        .lines()
        .filter(|line| line.starts_with("http_requests_total{"))
        .map(|line| {
            let after = line.split_once("status=\"").unwrap().1;
            (after.split_once('"').unwrap().0, line)
        });
    let mut seen = 0;
    for (status, line) in statuses {
        seen += 1;
        let is_of_a_part = ["/jobs/{", "/time-off/{", "/date-overrides/{"]
            .iter()
            .any(|part| line.contains(part));
        let expected = status.starts_with('2')
            || matches!(status, "304" | "409" | "412")
            || (status == "404" && is_of_a_part);
        // The harness asks for the readiness before it is there.
        assert!(expected || line.contains("/health/"), "{line}");
    }
    assert!(seen > 0);
}
