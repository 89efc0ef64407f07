//! `Idempotency-Key`.

use futures::future::join_all;
use serde_json::json;

use crate::service::{Service, job_at, plain};

#[tokio::test]
async fn every_post_answers_its_first_answer_again() {
    let service = Service::start().await;
    let contractor = service.contractor().await;
    let posts = [
        ("a", "/v1/contractors".to_owned(), plain()),
        ("b", format!("/v1/contractors/{contractor}/jobs"), job_at(9)),
        (
            "c",
            format!("/v1/contractors/{contractor}/time-off"),
            json!({"start": "2026-12-28T00:00:00Z", "end": "2026-12-30T00:00:00Z"}),
        ),
    ];
    for (key, path, body) in &posts {
        let first = service
            .json("POST", path, &[("idempotency-key", key)], body)
            .await
            .expect(201);
        assert_eq!(first.header("idempotency-replayed"), None);
        let again = service
            .json("POST", path, &[("idempotency-key", key)], body)
            .await
            .expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.text, first.text);
        for name in ["etag", "location", "content-type"] {
            assert_eq!(again.header(name), first.header(name));
            assert!(first.header(name).is_some());
        }
    }
    assert_eq!(service.outbox().await.len(), 4);
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let service = Service::start().await;
    let (one, two) = (service.contractor().await, service.contractor().await);
    let key = [("idempotency-key", "key-1")];
    let path = |id: &str| format!("/v1/contractors/{id}/jobs");
    service
        .json("POST", &path(&one), &key, &job_at(9))
        .await
        .expect(201);
    let other_body = service.json("POST", &path(&one), &key, &job_at(10)).await;
    assert_eq!(other_body.problem(422), "idempotency-key-reused");
    let other_route = service.json("POST", &path(&two), &key, &job_at(9)).await;
    assert_eq!(other_route.problem(422), "idempotency-key-reused");
    for bad in ["", "a b", "é", &"x".repeat(256)] {
        let reply = service
            .json("POST", &path(&one), &[("idempotency-key", bad)], &job_at(9))
            .await;
        assert_eq!(reply.problem(400), "malformed-header", "{bad}");
    }
}

#[tokio::test]
async fn refusals_that_came_of_a_look_are_remembered_and_those_of_the_body_are_not() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/jobs");
    let blocker = service.job(&id, 9).await;
    let overlap = service
        .json("POST", &path, &[("idempotency-key", "overlap")], &job_at(9))
        .await;
    assert_eq!(overlap.problem(409), "job-overlap");
    let headers = [("idempotency-key", "stale"), ("if-match", "\"1\"")];
    assert_eq!(
        service
            .json("POST", &path, &headers, &job_at(12))
            .await
            .problem(412),
        "precondition-failed"
    );
    service
        .delete(&format!("/v1/jobs/{blocker}"))
        .await
        .expect(204);
    let again = service
        .json("POST", &path, &[("idempotency-key", "overlap")], &job_at(9))
        .await;
    assert_eq!(
        (again.problem(409), &again.text),
        ("job-overlap", &overlap.text)
    );
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let again = service
        .json("POST", &path, &[("idempotency-key", "stale")], &job_at(12))
        .await;
    assert_eq!(
        (again.problem(412), again.etag()),
        ("precondition-failed", "\"2\"")
    );

    let unknown = "/v1/contractors/018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01/jobs";
    for replayed in [None, Some("true")] {
        let reply = service
            .json(
                "POST",
                unknown,
                &[("idempotency-key", "unknown")],
                &job_at(9),
            )
            .await;
        assert_eq!(reply.problem(404), "not-found");
        assert_eq!(reply.header("idempotency-replayed"), replayed);
    }
    let key = [("idempotency-key", "fixed")];
    service
        .json("POST", &path, &key, &json!({"title": ""}))
        .await
        .expect(422);
    service
        .json("POST", &path, &key, &job_at(9))
        .await
        .expect(201);
}

#[tokio::test]
async fn the_same_request_many_times_at_once_is_carried_out_once() {
    let service = Service::start().await;
    let id = service.contractor().await;
    for (path, body) in [
        ("/v1/contractors".to_owned(), plain()),
        (format!("/v1/contractors/{id}/jobs"), job_at(9)),
    ] {
        let before = service.outbox().await.len();
        let key = [("idempotency-key", path.as_str())];
        let replies = join_all((0..20).map(|_| service.json("POST", &path, &key, &body))).await;
        for reply in &replies {
            assert_eq!((reply.status, &reply.text), (201, &replies[0].text));
        }
        let first = replies
            .iter()
            .filter(|reply| reply.header("idempotency-replayed").is_none());
        assert_eq!(first.count(), 1);
        assert_eq!(service.outbox().await.len(), before + 1);
    }
}
