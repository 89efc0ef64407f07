//! What is past its time is forgotten.

use chrono::TimeDelta;
use schedule_service::retention::sweep;
use serde_json::json;

use crate::service::{Service, job_at};

#[tokio::test]
async fn old_changes_and_old_answers_are_forgotten_in_batches() {
    let service =
        Service::start_with(&["--retention-batch=2", "--retention-sweep-seconds=86400"]).await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}");
    for n in 0..5 {
        service
            .patch(
                &format!("{path}/schedule"),
                json!({"name": format!("name {n}")}),
            )
            .await
            .expect(200);
    }
    let key = [("idempotency-key", "k")];
    service
        .json("POST", &format!("{path}/jobs"), &key, &job_at(9))
        .await
        .expect(201);
    let forget = || sweep(&service.pool, &service.clock, &service.settings.retention);
    assert_eq!(forget().await.unwrap(), 0);

    service.clock.advance(TimeDelta::hours(25));
    assert_eq!(forget().await.unwrap(), 1);
    service
        .json("POST", &format!("{path}/jobs"), &key, &job_at(9))
        .await
        .expect(409);

    service.clock.advance(TimeDelta::days(89));
    service
        .patch(&format!("{path}/schedule"), json!({"name": "new"}))
        .await
        .expect(200);
    // Seven changes and the answer to the second booking.
    assert_eq!(forget().await.unwrap(), 8);
    let changes = service.get(&format!("{path}/changes")).await.expect(200);
    let items = changes.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["version"], 8);
}
