//! A database that dies and comes back.

use std::time::Duration;

use serde_json::json;
use stack::TestBed;
use stack::servers::postgres::{DATABASE, Postgres};
use tokio::time::{Instant, sleep};

use crate::service::{Service, job_at};

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_killed_database_is_a_503_and_when_it_is_back_so_is_all_that_was_answered() {
    let bed = TestBed::new().await;
    let (folder, log) = (
        bed.folder().join("postgres"),
        bed.folder().join("postgres.log"),
    );
    let postgres = Postgres::start(&folder, &log, stack::ports::reserve().unwrap())
        .await
        .unwrap();
    let service = Service::start_on(bed, &postgres.url_of(DATABASE), &[]).await;
    let id = service.contractor().await;
    let jobs = format!("/v1/contractors/{id}/jobs");
    let key = [("idempotency-key", "k")];
    let booked = service
        .json("POST", &jobs, &key, &job_at(9))
        .await
        .expect(201);

    postgres.handle().kill().await.unwrap();
    for (method, path, body) in [
        ("GET", format!("/v1/contractors/{id}/schedule"), json!({})),
        ("GET", "/v1/schedules".to_owned(), json!({})),
        ("POST", jobs.clone(), job_at(11)),
        (
            "POST",
            "/v1/contractors".to_owned(),
            crate::service::plain(),
        ),
    ] {
        let reply = service.json(method, &path, &[], &body).await;
        assert_eq!(reply.problem(503), "unavailable", "{method} {path}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    let ready = service.get("/health/ready").await.expect(503);
    assert_ne!(ready.body["checks"]["postgres"], "ok");

    postgres.handle().restart().await.unwrap();
    let deadline = Instant::now() + DEADLINE;
    // Without a restart of the service, and without an error but 503 on the way.
    loop {
        let reply = service.post(&jobs, job_at(11)).await;
        if reply.status == 201 {
            break;
        }
        reply.problem(503);
        assert!(
            Instant::now() < deadline,
            "the service does not find its database again"
        );
        sleep(Duration::from_millis(20)).await;
    }
    let replayed = service
        .json("POST", &jobs, &key, &job_at(9))
        .await
        .expect(201);
    assert_eq!(replayed.body, booked.body);
    assert_eq!(service.version(&id).await, 3);
    assert_eq!(service.outbox().await.len(), 3);
    service.get("/health/ready").await.expect(200);
}
