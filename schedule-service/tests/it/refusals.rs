//! Requests that are refused before anything is looked up, and servers that are away.

use serde_json::json;

use crate::service::{Service, job_at, plain};

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let job = service.job(&id, 9).await;
    let schedule = format!("/v1/contractors/{id}/schedule");
    let writes = [
        ("POST", "/v1/contractors".to_owned()),
        ("PATCH", schedule.clone()),
        (
            "PUT",
            format!("/v1/contractors/{id}/date-overrides/2026-12-24"),
        ),
        ("POST", format!("/v1/contractors/{id}/time-off")),
        ("POST", format!("/v1/contractors/{id}/jobs")),
        ("PATCH", format!("/v1/jobs/{job}")),
    ];
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(1 << 20));
    for (method, path) in &writes {
        let json = [("content-type", "application/json"), ("if-match", "*")];
        for malformed in ["", "{", "{\"name\": }", "nonsense", "{} {}"] {
            let reply = service.send(method, path, &json, Some(malformed)).await;
            assert_eq!(
                reply.problem(400),
                "malformed-json",
                "{method} {path} {malformed}"
            );
        }
        let reply = service.send(method, path, &json, Some(&large)).await;
        assert_eq!(reply.problem(413), "body-too-large", "{method} {path}");
        for other in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
        ] {
            let headers = [("content-type", other), ("if-match", "*")];
            let reply = service.send(method, path, &headers, Some("{}")).await;
            assert_eq!(
                reply.problem(415),
                "unsupported-media-type",
                "{method} {path} {other}"
            );
        }
        let reply = service
            .send(method, path, &[("if-match", "*")], Some("{}"))
            .await;
        assert_eq!(
            reply.problem(415),
            "unsupported-media-type",
            "{method} {path}"
        );
        if *method != "PATCH" {
            let headers = [
                ("content-type", "application/merge-patch+json"),
                ("if-match", "*"),
            ];
            service
                .send(method, path, &headers, Some("{}"))
                .await
                .expect(415);
        }
        for unknown in [json!({"foo": 1}), json!({"foo": null})] {
            let reply = service
                .send(method, path, &json, Some(&unknown.to_string()))
                .await;
            assert_eq!(reply.pointers(), ["/foo"], "{method} {path}");
        }
    }
    assert_eq!(service.version(&id).await, 2);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let service = Service::start().await;
    let id = "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01";
    for id in [id, "nonsense", "%00", "%ff"] {
        for (method, path, body) in [
            ("GET", format!("/v1/contractors/{id}"), None),
            ("GET", format!("/v1/contractors/{id}/schedule"), None),
            ("GET", format!("/v1/contractors/{id}/changes"), None),
            (
                "PATCH",
                format!("/v1/contractors/{id}/schedule"),
                Some(json!({"name": "x"})),
            ),
            (
                "PUT",
                format!("/v1/contractors/{id}/date-overrides/2026-12-24"),
                Some(json!({"windows": []})),
            ),
            (
                "DELETE",
                format!("/v1/contractors/{id}/date-overrides/2026-12-24"),
                None,
            ),
            (
                "POST",
                format!("/v1/contractors/{id}/jobs"),
                Some(job_at(9)),
            ),
            (
                "POST",
                format!("/v1/contractors/{id}/time-off"),
                Some(json!({"start": "2026-12-28T00:00:00Z", "end": "2026-12-29T00:00:00Z"})),
            ),
            (
                "DELETE",
                format!("/v1/contractors/{id}/time-off/{id}"),
                None,
            ),
            ("GET", format!("/v1/jobs/{id}"), None),
            (
                "PATCH",
                format!("/v1/jobs/{id}"),
                Some(json!({"title": "x"})),
            ),
            ("DELETE", format!("/v1/jobs/{id}"), None),
        ] {
            let reply = match body {
                Some(body) => {
                    service
                        .json(method, &path, &[("if-match", "*")], &body)
                        .await
                }
                None => service.send(method, &path, &[], None).await,
            };
            assert_eq!(reply.problem(404), "not-found", "{method} {path}");
        }
    }
    assert_eq!(service.get("/v1/nothing").await.problem(404), "not-found");
    assert_eq!(service.get("/").await.problem(404), "not-found");
    let wrong = service.send("PUT", "/v1/contractors", &[], None).await;
    assert_eq!(wrong.problem(405), "method-not-allowed");
    assert!(
        wrong
            .header("allow")
            .is_some_and(|allowed| allowed.contains("POST"))
    );
}

#[tokio::test]
async fn query_parameters_that_are_unknown_or_out_of_bounds_are_refused() {
    let service = Service::start().await;
    let id = service.contractor().await;
    for (path, name) in [
        ("/v1/contractors?foo=1".to_owned(), "/foo"),
        ("/v1/contractors?limit=0".to_owned(), "/limit"),
        ("/v1/contractors?limit=201".to_owned(), "/limit"),
        ("/v1/contractors?limit=ten".to_owned(), "/limit"),
        ("/v1/contractors?limit=".to_owned(), "/limit"),
        ("/v1/contractors?limit=5&limit=6".to_owned(), "/limit"),
        ("/v1/contractors?cursor=nonsense".to_owned(), "/cursor"),
        ("/v1/contractors?status=busy".to_owned(), "/status"),
        ("/v1/contractors?territory=a%00b".to_owned(), "/territory"),
        (format!("/v1/contractors/{id}?foo=1"), "/foo"),
        (format!("/v1/contractors/{id}/schedule?from=1"), "/from"),
        (format!("/v1/contractors/{id}/changes?after=-1"), "/after"),
        (format!("/v1/contractors/{id}/changes?limit=201"), "/limit"),
        (
            format!("/v1/contractors/{id}/changes?after=99999999999999999999"),
            "/after",
        ),
        ("/v1/schedules?limit=10001".to_owned(), "/limit"),
        ("/v1/schedules?after=nonsense".to_owned(), "/after"),
        ("/v1/schedules?cursor=x".to_owned(), "/cursor"),
    ] {
        assert_eq!(service.get(&path).await.pointers(), [name], "{path}");
    }
    let write = service.post("/v1/contractors?dryRun=1", plain()).await;
    assert_eq!(write.pointers(), ["/dryRun"]);
    service.get("/v1/contractors?limit=200").await.expect(200);
    service.get("/v1/schedules?limit=10000").await.expect(200);
}

#[tokio::test]
async fn a_row_that_is_held_too_long_is_a_503_to_try_again() {
    let service = Service::start_with(&["--database-lock-timeout-ms=50"]).await;
    let id = service.contractor().await;
    let mut holder = service.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM contractors FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let path = format!("/v1/contractors/{id}/schedule");
    let reply = service.patch(&path, json!({"name": "x"})).await;
    assert_eq!(reply.problem(503), "unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
    holder.rollback().await.unwrap();
    service.patch(&path, json!({"name": "x"})).await.expect(200);
}

#[tokio::test]
async fn no_free_connection_is_a_503_to_try_again() {
    let service = Service::start_with(&[
        "--database-max-connections=1",
        "--database-acquire-timeout-ms=100",
        "--database-lock-timeout-ms=60000",
        "--database-statement-timeout-ms=60000",
    ])
    .await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    let mut holder = service.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM contractors FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let second = async {
        let refused = service.patch(&path, json!({"name": "second"})).await;
        holder.rollback().await.unwrap();
        refused
    };
    // Whichever comes first holds the only connection; the other finds none.
    let (first, second) = futures::join!(service.patch(&path, json!({"name": "first"})), second);
    let (waited, refused) = if first.status == 503 {
        (second, first)
    } else {
        (first, second)
    };
    assert_eq!(refused.problem(503), "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    waited.expect(200);
}

#[tokio::test]
async fn readiness_and_metrics_and_documents_are_served() {
    let service = Service::start().await;
    let id = service.contractor().await;
    service.job(&id, 9).await;
    service
        .post(&format!("/v1/contractors/{id}/jobs"), job_at(9))
        .await
        .expect(409);
    assert_eq!(
        service.get("/health/live").await.expect(200).body["status"],
        "live"
    );
    let ready = service.get("/health/ready").await.expect(200);
    assert_eq!(
        ready.body["checks"],
        json!({"postgres": "ok", "outbox": "ok"})
    );
    let metrics = service.get("/metrics").await.expect(200).text;
    for metric in [
        "schedule_changes_total{field=\"jobs\"} 1",
        "job_overlaps_refused_total 1",
        "http_requests_total",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in {metrics}");
    }
    let openapi = service.get("/openapi.json").await.expect(200).body;
    assert!(openapi["paths"]["/v1/contractors/{id}/schedule"]["patch"].is_object());
}
