//! Date overrides and time off.

use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn a_day_is_replaced_and_given_back() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/date-overrides/2026-12-24");
    let body = json!({"windows": [{"start": "08:00", "end": "12:00"}], "reason": "Christmas Eve"});
    let put = service
        .json("PUT", &path, &[("if-match", "\"1\"")], &body)
        .await
        .expect(201);
    let mut expected = body.clone();
    expected["date"] = json!("2026-12-24");
    assert_eq!((put.etag(), &put.body), ("\"2\"", &expected));

    let same = service
        .json("PUT", &path, &[("if-match", "*")], &body)
        .await
        .expect(200);
    assert_eq!(same.etag(), "\"2\"");
    let off = service
        .json(
            "PUT",
            &path,
            &[("if-match", "\"2\"")],
            &json!({"windows": []}),
        )
        .await;
    assert_eq!(off.expect(200).etag(), "\"3\"");
    let schedule = service.get(&format!("/v1/contractors/{id}/schedule")).await;
    assert_eq!(
        schedule.body["dateOverrides"],
        json!([{"date": "2026-12-24", "windows": []}])
    );

    let stale = service
        .send("DELETE", &path, &[("if-match", "\"2\"")], None)
        .await;
    assert_eq!(stale.problem(412), "precondition-failed");
    let deleted = service
        .send("DELETE", &path, &[("if-match", "\"3\"")], None)
        .await
        .expect(204);
    assert_eq!((deleted.etag(), deleted.text.as_str()), ("\"4\"", ""));
    assert_eq!(service.delete(&path).await.problem(404), "not-found");
    assert_eq!(service.outbox().await.len(), 4);
}

#[tokio::test]
async fn a_day_needs_if_match_and_a_date_of_the_calendar() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let body = json!({"windows": []});
    let path = format!("/v1/contractors/{id}/date-overrides/2026-12-24");
    assert_eq!(
        service.json("PUT", &path, &[], &body).await.problem(428),
        "precondition-required"
    );
    for bad in [
        "2026-02-30",
        "1999-12-31",
        "2101-01-01",
        "2026-1-05",
        "tomorrow",
    ] {
        let path = format!("/v1/contractors/{id}/date-overrides/{bad}");
        let reply = service
            .json("PUT", &path, &[("if-match", "*")], &body)
            .await;
        assert_eq!(reply.pointers(), ["/date"], "{bad}");
    }
    let windows: Vec<_> = (0..25)
        .map(|_| json!({"start": "08:00", "end": "09:00"}))
        .collect();
    for (body, pointer) in [
        (json!({"windows": windows}), "/windows"),
        (
            json!({"windows": [{"start": "24:00", "end": "09:00"}]}),
            "/windows/0/start",
        ),
        (
            json!({"windows": [{"start": "8:00", "end": "09:00"}]}),
            "/windows/0/start",
        ),
        (json!({"windows": [], "reason": ""}), "/reason"),
        (json!({"windows": [], "date": "2026-12-24"}), "/date"),
        (json!({}), "/windows"),
    ] {
        let reply = service
            .json("PUT", &path, &[("if-match", "*")], &body)
            .await;
        assert_eq!(reply.pointers(), [pointer], "{body}");
    }
    assert_eq!(service.version(&id).await, 1);
}

#[tokio::test]
async fn instants_are_blocked_and_given_back() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/time-off");
    let body = json!({"start": "2026-12-28T01:00:00+01:00", "end": "2026-12-30T00:00:00Z", "reason": "leave"});
    let added = service.post(&path, body).await.expect(201);
    let time_off = added.id();
    assert_eq!(added.etag(), "\"2\"");
    assert_eq!(
        added.header("location"),
        Some(format!("{path}/{time_off}").as_str())
    );
    let expected = json!({"id": time_off, "start": "2026-12-28T00:00:00Z", "end": "2026-12-30T00:00:00Z", "reason": "leave"});
    assert_eq!(added.body, expected);
    let schedule = service.get(&format!("/v1/contractors/{id}/schedule")).await;
    assert_eq!(schedule.body["timeOff"], json!([expected]));

    let stale = service
        .send(
            "DELETE",
            &format!("{path}/{time_off}"),
            &[("if-match", "\"1\"")],
            None,
        )
        .await;
    assert_eq!(stale.problem(412), "precondition-failed");
    assert_eq!(
        service
            .delete(&format!("{path}/{time_off}"))
            .await
            .expect(204)
            .etag(),
        "\"3\""
    );
    assert_eq!(
        service
            .delete(&format!("{path}/{time_off}"))
            .await
            .problem(404),
        "not-found"
    );
    assert_eq!(
        service
            .delete(&format!("{path}/nonsense"))
            .await
            .problem(404),
        "not-found"
    );
}

#[tokio::test]
async fn time_off_out_of_bounds_is_refused() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/time-off");
    for (start, end, pointer) in [
        ("2026-12-28T00:00:00Z", "2026-12-28T00:00:00Z", "/end"),
        ("2026-12-28T00:00:00Z", "2031-12-31T00:00:00Z", "/end"),
        ("2026-12-28T00:00:30Z", "2026-12-29T00:00:00Z", "/start"),
        ("2026-12-28", "2026-12-29T00:00:00Z", "/start"),
        ("1999-12-28T00:00:00Z", "2000-12-29T00:00:00Z", "/start"),
    ] {
        let reply = service
            .post(&path, json!({"start": start, "end": end}))
            .await;
        assert!(reply.pointers().contains(&pointer), "{start} {end}");
    }
}
