//! Whoever is draining ends at once when it is told a second time.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use stack::{Service, ServiceKind};
use system_tests::{Deployment, eventually};
use tokio::time::timeout;

/// Far longer than any test waits.
const NEVER: &str = "600";

async fn deployment() -> Deployment {
    Deployment::start_with(|mut builder| {
        for kind in ServiceKind::ALL {
            builder = builder.env(kind, "DRAIN_SECONDS", NEVER);
        }
        for limit in ["STATEMENT", "LOCK"] {
            let name = format!("DATABASE_{limit}_TIMEOUT_MS");
            builder = builder.env(ServiceKind::ScheduleService, &name, "600000");
        }
        builder.env(
            ServiceKind::AvailabilityWorker,
            "MIN_VERSION_WAIT_MS",
            "30000",
        )
    })
    .await
}

/// The first signal lets it wait for what it has in hand, the second does not.
async fn ends_at_the_second(service: &Service, first: Signal, second: Signal) {
    service.process().signal(first);
    eventually("it drains", async || {
        service.log().contains("shutting down").then_some(())
    })
    .await;
    assert!(service.is_running(), "{}", service.log());
    service.process().signal(second);
    let ended = timeout(Duration::from_secs(25), service.exited()).await;
    assert!(ended.is_ok(), "{}", service.log());
    let word = "a second signal: ending at once";
    assert!(service.log().contains(word), "{}", service.log());
}

#[tokio::test]
async fn schedule_service_leaves_a_write_that_waits_for_the_database() {
    let deployment = deployment().await;
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let id = deployment.schedules.create(&contractor).await;
    let url = &deployment.backends().database_url;
    let mut database = PgConnection::connect(url).await.unwrap();
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("LOCK TABLE contractors IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let schedules = deployment.schedules.clone();
    let write = tokio::spawn(async move { schedules.try_patch(&id, &json!({"name": "B"})).await });
    eventually("the write waits", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let count = sqlx::query(waiting).fetch_one(&mut *transaction).await;
        let count: i64 = count.unwrap().get(0);
        (count > 0).then_some(())
    })
    .await;

    let service = deployment.system.service(ServiceKind::ScheduleService);
    ends_at_the_second(service, Signal::SIGTERM, Signal::SIGINT).await;
    assert!(write.await.unwrap().is_err(), "nobody answers it");
}

#[tokio::test]
async fn availability_worker_leaves_a_read_that_waits_for_a_version() {
    let deployment = deployment().await;
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let id = deployment.schedules.create(&contractor).await;
    deployment.availability.cached(&id, 1, &[]).await;
    let availability = deployment.availability.clone();
    let contractor = id.clone();
    let read = tokio::spawn(async move {
        let later = [("minVersion", "2")];
        availability.ask(&contractor, &later).await
    });
    let url = format!("{}/metrics", deployment.system.availability_url());
    eventually("the read waits", async || {
        let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let active = "http_requests_active{route=\"/v1/availability/{contractorId}\"} 1";
        metrics.contains(active).then_some(())
    })
    .await;

    let service = deployment.system.service(ServiceKind::AvailabilityWorker);
    ends_at_the_second(service, Signal::SIGINT, Signal::SIGTERM).await;
    assert!(read.await.unwrap().is_err(), "nobody answers it");
}

#[tokio::test]
async fn notifier_leaves_the_streams_that_it_would_end_one_after_the_other() {
    let deployment = deployment().await;
    // They are ended in turns over the drain time, and these do not all have the first.
    let _streams = [
        deployment.stream("").await,
        deployment.stream("").await,
        deployment.stream("").await,
    ];
    let service = deployment.system.service(ServiceKind::Notifier);
    ends_at_the_second(service, Signal::SIGTERM, Signal::SIGTERM).await;
}
