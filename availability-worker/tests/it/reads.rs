//! Single contractors over HTTP.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::world::{World, contractor, contractor_with};

const ID: &str = "00000000-0000-0000-0000-000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_windows_slots_and_conflicts() {
    let world = World::new().await;
    let job = |n: u128, start: &str, end: &str| {
        json!({"id": uuid::Uuid::from_u128(n), "title": "Boiler", "start": start, "end": end,
               "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30})
    };
    let schedule = contractor_with(
        1,
        7,
        &json!({"jobs": [
        job(10, "2026-11-24T06:00:00Z", "2026-11-24T07:00:00Z"),
        job(11, "2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z"),
        job(12, "2026-11-25T20:00:00Z", "2026-11-25T21:00:00Z")]}),
    );
    world.publish(&[&schedule]).await;
    world.told_of(&schedule).await;
    let path = format!(
        "/v1/availability/{ID}?from=2026-11-24T00:00:00Z&to=2026-11-26T00:00:00%2B00:00&durationMinutes=180"
    );
    let (status, body) = world.get(&path).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({
            "contractorId": ID, "territory": "north", "timeZone": "Europe/London", "version": 7,
            "calculatedAt": "2026-11-24T08:00:00.000Z", "source": "cache",
            "from": "2026-11-24T00:00:00Z", "to": "2026-11-26T00:00:00Z",
            "windows": [
                {"start": "2026-11-24T08:00:00Z", "end": "2026-11-24T17:00:00Z"},
                {"start": "2026-11-25T08:00:00Z", "end": "2026-11-25T09:30:00Z"},
                {"start": "2026-11-25T11:30:00Z", "end": "2026-11-25T17:00:00Z"}],
            "slots": slots(&[("2026-11-24", 8, 0, 13), ("2026-11-25", 11, 30, 6)]),
            "conflicts": [{"jobId": uuid::Uuid::from_u128(12), "reason": "outsideWorkingHours"}]
        })
    );
    // The range defaults to a week from now, and slots are there only when asked for.
    let (_, body) = world.get(&format!("/v1/availability/{ID}")).await;
    assert_eq!(
        (&body["from"], &body["to"]),
        (
            &json!("2026-11-24T08:00:00Z"),
            &json!("2026-12-01T08:00:00Z")
        )
    );
    assert_eq!(body.get("slots"), None);
    let (status, body) = world
        .get(&format!(
            "/v1/availability/{ID}/explain?at=2026-11-25T10:15:00Z"
        ))
        .await;
    assert_eq!(
        (status, &body["free"], &body["version"]),
        (200, &json!(false), &json!(7))
    );
    assert!(
        body["reasons"][1]
            .as_str()
            .unwrap()
            .starts_with("booked for job \"Boiler\""),
        "{body}"
    );
}

fn slots(days: &[(&str, u32, u32, u32)]) -> Value {
    let mut all = Vec::new();
    for (day, hour, minute, count) in days {
        for n in 0..*count {
            let at = hour * 60 + minute + n * 30;
            all.push(format!("{day}T{:02}:{:02}:00Z", at / 60, at % 60));
        }
    }
    json!(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_horizon_the_kept_schedule_is_calculated() {
    let world = World::with(&["--horizon-days=2"]).await;
    let schedule = contractor(1, 2);
    world.publish(&[&schedule]).await;
    world.told_of(&schedule).await;
    let asked = world.truth.asked();
    let path = format!("/v1/availability/{ID}?from=2027-03-26T00:00:00Z&to=2027-03-30T00:00:00Z");
    let (_, body) = world.get(&path).await;
    assert_eq!(
        body["windows"],
        json!([
        {"start": "2027-03-26T08:00:00Z", "end": "2027-03-26T17:00:00Z"},
        {"start": "2027-03-29T07:00:00Z", "end": "2027-03-29T16:00:00Z"}])
    );
    assert_eq!(
        (&body["source"], &body["version"]),
        (&json!("cache"), &json!(2))
    );
    assert_eq!(world.truth.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_is_calculated_once_however_many_ask() {
    let world = World::new().await;
    world.truth.knows(&contractor(1, 4));
    world.truth.set_open(false);
    let path = format!("/v1/availability/{ID}");
    let asking = join_all((0..20).map(|_| world.get(&path)));
    let opening = async {
        world
            .until("the source is asked", async || world.truth.asked() > 0)
            .await;
        world.truth.set_open(true);
    };
    let (answers, ()) = futures::future::join(asking, opening).await;
    for (status, body) in answers {
        assert_eq!((status, &body["version"]), (200, &json!(4)));
    }
    assert_eq!(world.truth.asked(), 1);
    let (_, body) = world.get(&path).await;
    assert_eq!(body["source"], "cache");
    let unknown = world
        .get("/v1/availability/00000000-0000-0000-0000-0000000000ff")
        .await;
    assert_eq!(
        (unknown.0, &unknown.1["type"]),
        (404, &json!("urn:rosterwire:problem:not-found"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn min_version_waits_for_the_write_and_is_503_when_it_does_not_come() {
    let world = World::with(&["--min-version-wait-ms=30000"]).await;
    let first = contractor(1, 1);
    world.publish(&[&first]).await;
    world.told_of(&first).await;
    let path = format!("/v1/availability/{ID}?minVersion=2");
    let (asked, ()) =
        futures::future::join(world.get(&path), world.publish(&[&contractor(1, 2)])).await;
    assert_eq!((asked.0, &asked.1["version"]), (200, &json!(2)));

    let world = World::with(&["--min-version-wait-ms=20"]).await;
    world.publish(&[&first]).await;
    world.told_of(&first).await;
    let (status, headers, body) = world.get_with(&path, &[]).await;
    assert_eq!(
        (status, headers["retry-after"].to_str().unwrap()),
        (503, "1")
    );
    assert_eq!(
        (&body["type"], &body["version"]),
        (&json!("urn:rosterwire:problem:unavailable"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_held_already_is_304() {
    let world = World::new().await;
    let schedule = contractor(1, 1);
    world.publish(&[&schedule]).await;
    world.told_of(&schedule).await;
    for path in [
        format!("/v1/availability/{ID}"),
        "/v1/availability?durationMinutes=60".to_owned(),
    ] {
        let (_, headers, _) = world.get_with(&path, &[]).await;
        let tag = headers["etag"].to_str().unwrap().to_owned();
        let (status, again, body) = world
            .get_with(&path, &[("if-none-match", &format!("\"x\", {tag}"))])
            .await;
        assert_eq!(
            (status, &again["etag"], body),
            (304, &headers["etag"], Value::Null)
        );
        world.clock.advance(chrono::TimeDelta::minutes(2));
        assert_eq!(
            world.get_with(&path, &[("if-none-match", &tag)]).await.0,
            200
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_parameter_is_422_and_named() {
    let world = World::new().await;
    let table: &[(&str, &[&str])] = &[
        ("/v1/availability/{id}?form=1", &["/form"]),
        (
            "/v1/availability/{id}?from=2026-11-24T00:00:00Z&from=2026-11-25T00:00:00Z",
            &["/from"],
        ),
        (
            "/v1/availability/{id}?from=today&to=2026-02-30T00:00:00Z",
            &["/from", "/to"],
        ),
        (
            "/v1/availability/{id}?from=2026-11-24T00:00:00Z&to=2026-11-24T00:00:00Z",
            &["/to"],
        ),
        (
            "/v1/availability/{id}?from=2026-11-24T00:00:00Z&to=2027-11-26T00:00:00Z",
            &["/to"],
        ),
        (
            "/v1/availability/{id}?from=1960-01-01T00:00:00Z&to=1960-01-02T00:00:00Z",
            &["/from", "/to"],
        ),
        (
            "/v1/availability/{id}?durationMinutes=0",
            &["/durationMinutes"],
        ),
        (
            "/v1/availability/{id}?durationMinutes=44641",
            &["/durationMinutes"],
        ),
        (
            "/v1/availability/{id}?durationMinutes=1.5&slotIntervalMinutes=",
            &["/durationMinutes", "/slotIntervalMinutes"],
        ),
        (
            "/v1/availability/{id}?slotIntervalMinutes=1441",
            &["/slotIntervalMinutes"],
        ),
        ("/v1/availability/{id}?minVersion=0", &["/minVersion"]),
        (
            "/v1/availability/{id}?minVersion=9007199254740992",
            &["/minVersion"],
        ),
        ("/v1/availability/{id}/explain?at=noon", &["/at"]),
        ("/v1/availability", &["/durationMinutes"]),
        (
            "/v1/availability?durationMinutes=60&slotIntervalMinutes=15",
            &["/slotIntervalMinutes"],
        ),
        (
            "/v1/availability?durationMinutes=60&territory=North",
            &["/territory"],
        ),
        (
            "/v1/availability?durationMinutes=60&skills=gas,,x",
            &["/skills"],
        ),
        ("/v1/availability?durationMinutes=60&limit=0", &["/limit"]),
        ("/v1/availability?durationMinutes=60&limit=201", &["/limit"]),
        (
            "/v1/availability?durationMinutes=60&cursor=zz",
            &["/cursor"],
        ),
    ];
    for (path, pointers) in table {
        let (status, headers, body) = world.get_with(&path.replace("{id}", ID), &[]).await;
        assert_eq!(status, 422, "{path} {body}");
        assert_eq!(headers["content-type"], "application/problem+json");
        let mut found: Vec<&str> = body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, *pointers, "{path} {body}");
    }
    for path in [
        "/v1/nothing",
        "/v1/availability/nobody",
        "/v1/availability/%ff",
        "/v1/availability/nobody/explain",
    ] {
        let (status, headers, _) = world.get_with(path, &[]).await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (404, "application/problem+json"),
            "{path}"
        );
    }
}
