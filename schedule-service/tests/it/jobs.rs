//! Booking, moving and cancelling jobs.

use serde_json::json;

use crate::service::{Service, job_at, plain};

#[tokio::test]
async fn a_job_is_booked_with_the_buffers_of_the_booking_rules() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/jobs");
    let booked = service.post(&path, job_at(9)).await.expect(201);
    let job = booked.id();
    let expected = json!({
        "contractorId": id, "id": job, "title": "Boiler service",
        "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z",
        "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30,
    });
    assert_eq!((booked.etag(), &booked.body), ("\"2\"", &expected));
    assert_eq!(
        booked.header("location"),
        Some(format!("/v1/jobs/{job}").as_str())
    );
    let read = service.get(&format!("/v1/jobs/{job}")).await.expect(200);
    assert_eq!((read.etag(), &read.body), ("\"2\"", &expected));
    service
        .send(
            "GET",
            &format!("/v1/jobs/{job}"),
            &[("if-none-match", "\"2\"")],
            None,
        )
        .await
        .expect(304);

    service
        .patch(
            &format!("/v1/contractors/{id}/schedule"),
            json!({"bookingRules": {"bufferAfterMinutes": 5}}),
        )
        .await
        .expect(200);
    assert_eq!(
        service.get(&format!("/v1/jobs/{job}")).await.body["bufferAfterMinutes"],
        30
    );
    let next = service.post(&path, job_at(10)).await.expect(201);
    assert_eq!(next.body["bufferAfterMinutes"], 5);
    let stale = service
        .json("POST", &path, &[("if-match", "\"1\"")], &job_at(15))
        .await;
    assert_eq!(stale.problem(412), "precondition-failed");
}

#[tokio::test]
async fn an_overlap_is_refused_with_the_job_that_is_there() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/jobs");
    let job = service.job(&id, 9).await;
    let later = service.job(&id, 12).await;
    for (start, end) in [
        ("08:59", "09:01"),
        ("09:59", "11:00"),
        ("09:10", "09:20"),
        ("08:00", "10:30"),
        ("09:00", "10:00"),
    ] {
        let body = json!({"title": "t", "start": format!("2026-12-01T{start}:00Z"), "end": format!("2026-12-01T{end}:00Z")});
        let reply = service.post(&path, body).await;
        assert_eq!(reply.problem(409), "job-overlap");
        assert_eq!(reply.body["conflictingJobId"], json!(job));
    }
    // Half-open: jobs may touch, and buffers do not count.
    service.job(&id, 10).await;
    service.job(&id, 8).await;
    let moved = service
        .patch(
            &format!("/v1/jobs/{later}"),
            json!({"start": "2026-12-01T09:30:00Z"}),
        )
        .await;
    assert_eq!(
        (moved.problem(409), &moved.body["conflictingJobId"]),
        ("job-overlap", &json!(job))
    );
    // A job does not overlap itself.
    service
        .patch(
            &format!("/v1/jobs/{later}"),
            json!({"end": "2026-12-01T13:30:00Z"}),
        )
        .await
        .expect(200);
    // Another contractor's time is free.
    let other = service.contractor().await;
    service.job(&other, 9).await;
    assert_eq!(service.version(&id).await, 6);
}

#[tokio::test]
async fn a_job_is_patched_and_cancelled() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let job = service.job(&id, 9).await;
    let path = format!("/v1/jobs/{job}");
    let wanted =
        json!({"title": "Gas check", "start": "2026-12-01T08:00:00Z", "bufferBeforeMinutes": 0});
    let stale = service
        .json("PATCH", &path, &[("if-match", "\"1\"")], &wanted)
        .await;
    assert_eq!(stale.problem(412), "precondition-failed");
    let patched = service.json("PATCH", &path, &[], &wanted).await.expect(200);
    assert_eq!(patched.etag(), "\"3\"");
    assert_eq!(
        patched.body,
        json!({"contractorId": id, "id": job, "title": "Gas check", "start": "2026-12-01T08:00:00Z",
               "end": "2026-12-01T10:00:00Z", "bufferBeforeMinutes": 0, "bufferAfterMinutes": 30})
    );
    let same = json!({"contractorId": id, "title": "Gas check"});
    assert_eq!(service.patch(&path, same).await.expect(200).etag(), "\"3\"");
    let reset = service
        .patch(&path, json!({"bufferBeforeMinutes": null}))
        .await
        .expect(200);
    assert_eq!(
        (reset.etag(), &reset.body["bufferBeforeMinutes"]),
        ("\"4\"", &json!(30))
    );
    for (patch, pointer) in [
        (json!({"title": null}), "/title"),
        (json!({"contractorId": null}), "/contractorId"),
        (json!({"contractorId": "x"}), "/contractorId"),
        (json!({"id": job}), "/id"),
        (json!({"foo": null}), "/foo"),
        (json!({"end": "2026-12-01T08:00:00Z"}), "/end"),
        (json!({"end": "2027-01-02T08:00:00Z"}), "/end"),
        (json!({"start": "2026-12-01T08:00:01Z"}), "/start"),
        (json!({"bufferAfterMinutes": 1441}), "/bufferAfterMinutes"),
        (json!({"bufferAfterMinutes": -1}), "/bufferAfterMinutes"),
        (json!([]), ""),
    ] {
        assert_eq!(
            service.patch(&path, patch.clone()).await.pointers(),
            [pointer],
            "{patch}"
        );
    }
    let stale = service
        .send("DELETE", &path, &[("if-match", "\"3\"")], None)
        .await;
    assert_eq!(stale.problem(412), "precondition-failed");
    assert_eq!(service.delete(&path).await.expect(204).etag(), "\"5\"");
    assert_eq!(service.delete(&path).await.problem(404), "not-found");
    assert_eq!(
        service
            .patch(&path, json!({"title": "x"}))
            .await
            .problem(404),
        "not-found"
    );
    assert_eq!(service.get(&path).await.problem(404), "not-found");
}

#[tokio::test]
async fn a_job_that_is_long_over_can_still_be_changed_and_cancelled() {
    let service = Service::start().await;
    let mut body = plain();
    body["jobs"] =
        json!([{"title": "old", "start": "2020-08-01T08:00:00Z", "end": "2020-08-01T09:00:00Z"}]);
    let id = service.post("/v1/contractors", body).await.expect(201).id();
    let job: uuid::Uuid = sqlx::query_scalar("SELECT id FROM jobs")
        .fetch_one(&service.pool)
        .await
        .unwrap();
    let path = format!("/v1/jobs/{job}");
    service
        .patch(&path, json!({"title": "older"}))
        .await
        .expect(200);
    assert_eq!(service.get(&path).await.body["title"], "older");
    service.delete(&path).await.expect(204);
    let event = service.outbox().await.pop().unwrap();
    assert_eq!(
        event["data"]["previousValues"]["jobs"][job.to_string()]["title"],
        "older"
    );
    assert_eq!(event["data"]["schedule"]["jobs"], json!([]));
    assert_eq!(service.version(&id).await, 3);
}

#[tokio::test]
async fn a_job_moves_to_another_contractor_in_one_transaction_with_two_events() {
    let service = Service::start().await;
    let (from, to) = (service.contractor().await, service.contractor().await);
    let job = service.job(&from, 9).await;
    let blocker = service.job(&to, 11).await;
    let path = format!("/v1/jobs/{job}");

    let onto =
        json!({"contractorId": to, "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T12:00:00Z"});
    let refused = service.patch(&path, onto).await;
    assert_eq!(
        (refused.problem(409), &refused.body["conflictingJobId"]),
        ("job-overlap", &json!(blocker))
    );
    let nobody = json!({"contractorId": "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01"});
    assert_eq!(
        service.patch(&path, nobody).await.pointers(),
        ["/contractorId"]
    );
    let stale = service
        .json(
            "PATCH",
            &path,
            &[("if-match", "\"9\"")],
            &json!({"contractorId": to}),
        )
        .await;
    assert_eq!(
        (stale.problem(412), &stale.body["currentVersion"]),
        ("precondition-failed", &json!(2))
    );
    assert_eq!(
        (service.version(&from).await, service.version(&to).await),
        (2, 2)
    );

    let moved = json!({"contractorId": to, "title": "Moved", "bufferBeforeMinutes": 10});
    let moved = service
        .json("PATCH", &path, &[("if-match", "\"2\"")], &moved)
        .await
        .expect(200);
    assert_eq!(moved.etag(), "\"3\"");
    assert_eq!(
        (&moved.body["contractorId"], &moved.body["title"]),
        (&json!(to), &json!("Moved"))
    );
    assert_eq!(
        (service.version(&from).await, service.version(&to).await),
        (3, 3)
    );
    let read = service.get(&path).await.expect(200);
    assert_eq!(read.body, moved.body);

    let events = service.outbox().await;
    let [left, joined] = &events[events.len() - 2..] else {
        panic!("two events")
    };
    assert_eq!(
        (&left["subject"], &joined["subject"]),
        (&json!(from), &json!(to))
    );
    assert_eq!(left["data"]["currentValues"]["jobs"][&job], json!(null));
    assert_eq!(
        left["data"]["previousValues"]["jobs"][&job]["title"],
        "Boiler service"
    );
    assert_eq!(left["data"]["schedule"]["jobs"], json!([]));
    assert_eq!(joined["data"]["previousValues"]["jobs"][&job], json!(null));
    assert_eq!(
        joined["data"]["currentValues"]["jobs"][&job]["bufferBeforeMinutes"],
        10
    );
    assert_eq!(
        joined["data"]["schedule"]["jobs"].as_array().unwrap().len(),
        2
    );
    assert_eq!(left["time"], joined["time"]);
    assert_ne!(left["id"], joined["id"]);
}

#[tokio::test]
async fn a_job_out_of_bounds_is_refused() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/jobs");
    let with = |field: &str, value: serde_json::Value| {
        let mut job = job_at(9);
        job[field] = value;
        job
    };
    for (body, pointer) in [
        (with("title", json!("")), "/title"),
        (with("title", json!("x".repeat(201))), "/title"),
        (with("title", json!("a\tb")), "/title"),
        (with("title", json!(null)), "/title"),
        (with("end", json!("2026-12-01T09:00:00Z")), "/end"),
        (with("end", json!("2027-01-01T09:01:00Z")), "/end"),
        (with("start", json!("2026-12-01T09:00:00")), "/start"),
        (with("start", json!(1)), "/start"),
        (
            with("bufferBeforeMinutes", json!(1441)),
            "/bufferBeforeMinutes",
        ),
        (with("id", json!("x")), "/id"),
        (with("contractorId", json!(id)), "/contractorId"),
    ] {
        assert_eq!(
            service.post(&path, body.clone()).await.pointers(),
            [pointer],
            "{body}"
        );
    }
    assert_eq!(service.version(&id).await, 1);
}
