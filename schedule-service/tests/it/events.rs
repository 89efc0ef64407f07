//! What is written into the outbox.

use serde_json::{Value, json};
use shared_events::{Envelope, ScheduleUpdated};

use crate::service::{Service, plain};

#[tokio::test]
async fn a_change_is_written_into_the_outbox_ready_to_send() {
    let service = Service::start().await;
    let mut body = plain();
    body["contractorId"] = json!("018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01");
    service.post("/v1/contractors", body).await.expect(201);
    let path = "/v1/contractors/018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01";
    let hours = json!({"workingHours": [{"days": ["SA"], "start": "22:00", "end": "06:00"}]});
    service
        .patch(&format!("{path}/schedule"), hours)
        .await
        .expect(200);
    let day = json!({"windows": [{"start": "08:00", "end": "12:00"}], "reason": "Christmas Eve"});
    service
        .json(
            "PUT",
            &format!("{path}/date-overrides/2026-12-24"),
            &[("if-match", "*")],
            &day,
        )
        .await
        .expect(201);
    let time_off = json!({"start": "2026-12-28T00:00:00Z", "end": "2026-12-30T00:00:00Z"});
    service
        .post(&format!("{path}/time-off"), time_off)
        .await
        .expect(201);

    let rows: Vec<(uuid::Uuid, String, String, Vec<u8>, i32)> = sqlx::query_as(
        "SELECT event_id, event_type, routing_key, payload, attempts FROM outbox ORDER BY id",
    )
    .fetch_all(&service.pool)
    .await
    .unwrap();
    for (event_id, event_type, routing_key, payload, attempts) in rows {
        let envelope: Envelope<ScheduleUpdated> = serde_json::from_slice(&payload).unwrap();
        assert_eq!(envelope.id, event_id);
        assert_eq!(event_type, "rosterwire.schedule.updated.v1");
        assert_eq!(routing_key, "schedule.updated.v1.london-north");
        assert_eq!(
            (attempts, envelope.data.schedule.version),
            (0, envelope.data.version)
        );
    }
    // The only ids that are new each time: those of the events and of the time off.
    let mut events = service.outbox().await;
    let time_off = events[3]["data"]["schedule"]["timeOff"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for event in &mut events {
        event["id"] = json!("[event id]");
    }
    let text = Value::Array(events)
        .to_string()
        .replace(&time_off, "[time off id]");
    insta::assert_json_snapshot!(serde_json::from_str::<Value>(&text).unwrap());
}

#[tokio::test]
async fn a_change_carries_the_trace_of_the_request_where_tracing_is_on() {
    let service = Service::start().await;
    service.contractor().await;
    let (parent,): (Option<String>,) = sqlx::query_as("SELECT traceparent FROM outbox")
        .fetch_one(&service.pool)
        .await
        .unwrap();
    // No telemetry is installed in this process, so there is no trace to carry.
    assert_eq!(parent, None);
}

#[tokio::test]
async fn a_contractor_that_changes_territory_is_published_under_the_new_one() {
    let service = Service::start().await;
    let id = service.contractor().await;
    service
        .patch(
            &format!("/v1/contractors/{id}/schedule"),
            json!({"territory": "leeds"}),
        )
        .await
        .expect(200);
    let keys: Vec<String> = sqlx::query_scalar("SELECT routing_key FROM outbox ORDER BY id")
        .fetch_all(&service.pool)
        .await
        .unwrap();
    assert_eq!(
        keys,
        [
            "schedule.updated.v1.london-north",
            "schedule.updated.v1.leeds"
        ]
    );
    let event: Value = service.outbox().await.pop().unwrap();
    assert_eq!(
        event["data"]["previousValues"],
        json!({"territory": "london-north"})
    );
}

#[tokio::test]
async fn the_published_schedule_leaves_out_what_is_over() {
    let service = Service::start().await;
    let mut body = plain();
    body["jobs"] = json!([
        {"title": "over", "start": "2026-11-24T06:00:00Z", "end": "2026-11-24T07:30:00Z"},
        {"title": "in its buffer", "start": "2026-11-24T07:30:00Z", "end": "2026-11-24T07:31:00Z"},
    ]);
    body["timeOff"] = json!([
        {"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T08:00:00Z", "reason": "over"},
        {"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T08:01:00Z", "reason": "not yet"},
    ]);
    let created = service.post("/v1/contractors", body).await.expect(201);
    assert_eq!(created.body["jobs"].as_array().unwrap().len(), 2);
    service
        .patch(
            &format!("/v1/contractors/{}/schedule", created.id()),
            json!({"name": "x"}),
        )
        .await
        .expect(200);
    for event in service.outbox().await {
        let schedule = &event["data"]["schedule"];
        assert_eq!(schedule["jobs"].as_array().unwrap().len(), 1);
        assert_eq!(schedule["jobs"][0]["title"], "in its buffer");
        assert_eq!(schedule["timeOff"].as_array().unwrap().len(), 1);
        assert_eq!(schedule["timeOff"][0]["reason"], "not yet");
    }
}
