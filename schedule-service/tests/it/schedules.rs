//! Patching schedules, their history, and the stream of all.

use chrono::TimeDelta;
use serde_json::{Value, json};
use stack::TestBed;

use crate::service::{Service, plain};

#[tokio::test]
async fn a_patch_changes_what_it_names_and_answers_the_whole_schedule() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    let before = service.get(&path).await.body;
    service.clock.advance(TimeDelta::minutes(1));
    let wanted = json!({
        "name": "Ada Lovelace", "skills": ["gas"], "status": "inactive",
        "bookingRules": {"slotIntervalMinutes": 15},
    });
    let headers = [
        ("if-match", "\"1\""),
        (
            "content-type",
            "application/merge-patch+json; charset=utf-8",
        ),
    ];
    let patched = service
        .send("PATCH", &path, &headers, Some(&wanted.to_string()))
        .await
        .expect(200);
    assert_eq!(patched.etag(), "\"2\"");
    let mut expected = before;
    expected["name"] = json!("Ada Lovelace");
    expected["skills"] = json!(["gas"]);
    expected["status"] = json!("inactive");
    expected["bookingRules"]["slotIntervalMinutes"] = json!(15);
    expected["version"] = json!(2);
    expected["updatedAt"] = json!("2026-11-24T08:01:00.123Z");
    assert_eq!(patched.body, expected);
    assert_eq!(service.get(&path).await.body, expected);

    let reset = json!({"skills": null, "status": null, "bookingRules": null, "workingHours": null});
    let reset = service.patch(&path, reset).await.expect(200);
    assert_eq!(reset.body["skills"], json!([]));
    assert_eq!(reset.body["status"], "active");
    assert_eq!(reset.body["bookingRules"]["slotIntervalMinutes"], 30);
    assert_eq!(reset.etag(), "\"3\"");
}

#[tokio::test]
async fn what_another_process_has_changed_meanwhile_is_seen_whatever_this_one_remembers() {
    let one = Service::start().await;
    let url = one.settings.database.database_url.clone();
    let other = Service::start_on(TestBed::new().await, &url, &[]).await;
    let id = one.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    let change = async |service: &Service, version: &str, body: Value| {
        let headers = [
            ("if-match", version),
            ("content-type", "application/merge-patch+json"),
        ];
        let body = body.to_string();
        service.send("PATCH", &path, &headers, Some(&body)).await
    };
    let name = |name: &str| json!({"name": name});
    change(&one, "\"1\"", name("Ada")).await.expect(200);
    // From here on this process remembers version 2.
    change(&one, "\"2\"", name("Grace")).await.expect(200);
    change(&other, "\"3\"", json!({"skills": ["gas"]}))
        .await
        .expect(200);
    let late = change(&one, "\"3\"", name("Edsger")).await;
    assert_eq!(late.problem(412), "precondition-failed");
    let unchanged = change(&one, "\"3\"", name("Grace")).await;
    assert_eq!(unchanged.problem(412), "precondition-failed");
    let refused = change(&one, "\"3\"", name("")).await;
    refused.expect(422);

    let last = change(&one, "\"4\"", name("Edsger")).await.expect(200);
    assert_eq!(last.etag(), "\"5\"");
    assert_eq!(last.body["skills"], json!(["gas"]));
    assert_eq!(last.body, one.get(&path).await.body);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_keeps_the_version_and_publishes_nothing() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    for patch in [
        json!({}),
        json!({"name": "Ada Byron"}),
        json!({"skills": null}),
    ] {
        let reply = service.patch(&path, patch).await.expect(200);
        assert_eq!(reply.etag(), "\"1\"");
    }
    assert_eq!(service.outbox().await.len(), 1);
    let changes = service.get(&format!("/v1/contractors/{id}/changes")).await;
    assert_eq!(changes.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_patch_needs_the_version_that_there_is() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    let wanted = json!({"name": "Grace"});
    let reply = service.json("PATCH", &path, &[], &wanted).await;
    assert_eq!(reply.problem(428), "precondition-required");
    for stale in ["\"2\"", "W/\"1\"", "\"0\", \"7\""] {
        let reply = service
            .json("PATCH", &path, &[("if-match", stale)], &wanted)
            .await;
        assert_eq!(reply.problem(412), "precondition-failed");
        assert_eq!(
            (reply.etag(), &reply.body["currentVersion"]),
            ("\"1\"", &json!(1))
        );
    }
    let malformed = service
        .json("PATCH", &path, &[("if-match", "1")], &wanted)
        .await;
    assert_eq!(malformed.problem(400), "malformed-header");
    service
        .json("PATCH", &path, &[("if-match", "\"7\", \"1\"")], &wanted)
        .await
        .expect(200);
    let unknown = "/v1/contractors/018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01/schedule";
    assert_eq!(
        service.patch(unknown, wanted).await.problem(404),
        "not-found"
    );
}

#[tokio::test]
async fn the_history_tells_every_change_by_version() {
    let service = Service::start().await;
    let id = service.contractor().await;
    for name in ["a", "b", "c"] {
        service
            .patch(
                &format!("/v1/contractors/{id}/schedule"),
                json!({"name": name}),
            )
            .await
            .expect(200);
    }
    let path = format!("/v1/contractors/{id}/changes");
    let mut all = service.get(&path).await.expect(200);
    assert_eq!(all.body["nextAfter"], json!(null));
    // The requests that the changes came of are in the history alone.
    for item in all.body["items"].as_array_mut().unwrap() {
        let request = item.as_object_mut().unwrap().remove("requestId");
        assert!(request.is_some_and(|name| name.is_string()));
    }
    let published: Vec<Value> = service
        .outbox()
        .await
        .into_iter()
        .map(|mut envelope| {
            envelope["data"]
                .as_object_mut()
                .unwrap()
                .remove("schedule")
                .expect("a schedule");
            envelope["data"].take()
        })
        .collect();
    assert_eq!(all.body["items"], Value::Array(published));
    assert_eq!(
        all.body["items"][2],
        json!({
            "contractorId": id, "updatedFields": ["name"], "previousValues": {"name": "a"},
            "timestamp": "2026-11-24T08:00:00.123Z", "currentValues": {"name": "b"},
            "version": 3, "actor": "anonymous",
        })
    );
    let page = service
        .get(&format!("{path}?after=1&limit=2"))
        .await
        .expect(200);
    let versions = |page: &Value| -> Vec<i64> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["version"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(
        (versions(&page.body), &page.body["nextAfter"]),
        (vec![2, 3], &json!(3))
    );
    let last = service
        .get(&format!("{path}?after=3&limit=2"))
        .await
        .expect(200);
    assert_eq!(
        (versions(&last.body), &last.body["nextAfter"]),
        (vec![4], &json!(null))
    );
}

#[tokio::test]
async fn all_schedules_stream_in_order_without_what_is_over() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(service.contractor().await);
    }
    ids.sort();
    for (start, end) in [
        ("2026-11-24T06:00:00Z", "2026-11-24T07:00:00Z"),
        ("2026-11-24T07:00:00Z", "2026-11-24T07:45:00Z"),
    ] {
        let job = json!({"title": "t", "start": start, "end": end});
        service
            .post(&format!("/v1/contractors/{}/jobs", ids[0]), job)
            .await
            .expect(201);
        let time_off = json!({"start": start, "end": end});
        service
            .post(&format!("/v1/contractors/{}/time-off", ids[0]), time_off)
            .await
            .expect(201);
    }
    let stream = service.get("/v1/schedules").await.expect(200);
    assert_eq!(stream.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = stream
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let streamed: Vec<&str> = lines
        .iter()
        .map(|line| line["contractorId"].as_str().unwrap())
        .collect();
    assert_eq!(streamed, ids);
    // The second job is over, but its buffer is not.
    assert_eq!(lines[0]["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(lines[0]["jobs"][0]["end"], "2026-11-24T07:45:00Z");
    assert_eq!(lines[0]["timeOff"], json!([]));
    let last_event = service.outbox().await.pop().unwrap();
    assert_eq!(lines[0], last_event["data"]["schedule"]);

    let rest = service
        .get(&format!("/v1/schedules?after={}&limit=1", ids[0]))
        .await
        .expect(200);
    assert_eq!(rest.text.lines().count(), 1);
    assert!(rest.text.contains(&ids[1]));
    let end = service
        .get(&format!("/v1/schedules?after={}", ids[2]))
        .await
        .expect(200);
    assert_eq!(end.text, "");
}

#[tokio::test]
async fn a_long_stream_comes_whole_page_by_page() {
    let service = Service::start().await;
    sqlx::query(
        "INSERT INTO contractors SELECT gen_random_uuid(), 'N', 't', 'active', 'UTC', '{}', '[]', '[]', '[]', $1, 1, now(), now()
         FROM generate_series(1, 450)",
    )
    .bind(json!({"slotIntervalMinutes": 30, "minNoticeMinutes": 0, "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30}))
    .execute(&service.pool)
    .await
    .unwrap();
    let count = |text: String| {
        let ids: std::collections::BTreeSet<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["contractorId"].to_string())
            .collect();
        assert_eq!(ids.len(), text.lines().count());
        ids.len()
    };
    assert_eq!(count(service.get("/v1/schedules").await.text), 450);
    assert_eq!(
        count(service.get("/v1/schedules?limit=250").await.text),
        250
    );
    assert_eq!(
        count(service.get("/v1/schedules?limit=10000").await.text),
        450
    );
}

#[tokio::test]
async fn what_was_over_long_ago_is_not_shown() {
    let service = Service::start().await;
    let mut body = plain();
    body["jobs"] = json!([
        {"title": "old", "start": "2026-08-01T08:00:00Z", "end": "2026-08-01T09:00:00Z"},
        {"title": "recent", "start": "2026-11-01T08:00:00Z", "end": "2026-11-01T09:00:00Z"},
    ]);
    body["timeOff"] = json!([
        {"start": "2026-08-01T08:00:00Z", "end": "2026-08-01T09:00:00Z"},
        {"start": "2026-11-01T08:00:00Z", "end": "2026-11-01T09:00:00Z"},
    ]);
    let created = service.post("/v1/contractors", body).await.expect(201);
    let path = format!("/v1/contractors/{}/schedule", created.id());
    let read = service.get(&path).await.expect(200);
    let patched = service
        .patch(&path, json!({"name": "Grace"}))
        .await
        .expect(200);
    for document in [&created.body, &read.body, &patched.body] {
        assert_eq!(document["jobs"].as_array().unwrap().len(), 1);
        assert_eq!(document["jobs"][0]["title"], "recent");
        assert_eq!(document["timeOff"].as_array().unwrap().len(), 1);
    }
}
